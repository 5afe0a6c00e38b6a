/** Keeps the newest events that the local Mixpanel took, as the page shows them. */

import type { ReceivedEvent } from '../local-cloud/mixpanel/server.ts';
import { EVENT_LIMITS, MAX_JSON_LENGTH, type ShownEvent } from './page/frames.ts';
import { Ring } from './page/ring.ts';

/** Below this a time is in seconds (https://developer.mixpanel.com/reference/import-events). */
const MAX_SECONDS = 100_000_000_000;

/** The newest events, by their numbers. */
export type EventLog = Ring<ShownEvent>;

/** An empty log. */
export function createEventLog(): EventLog {
  return new Ring(EVENT_LIMITS);
}

/**
 * @param event as Mixpanel took it
 * @param isDuplicate whether it had taken it before
 */
export function toShownEvent(event: ReceivedEvent, isDuplicate: boolean): ShownEvent {
  const { time, distinct_id: user } = event.properties;
  return {
    name: event.event,
    time: typeof time === 'number' ? (time < MAX_SECONDS ? time * 1_000 : time) : null,
    user: user === undefined ? '' : String(user),
    json: event.raw.length > MAX_JSON_LENGTH ? event.raw.slice(0, MAX_JSON_LENGTH) : event.raw,
    length: event.raw.length,
    isDuplicate,
    receivedAt: event.receivedAt,
  };
}
