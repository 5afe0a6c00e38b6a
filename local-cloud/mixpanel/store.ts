/** What the local Mixpanel was sent: its events without duplicates, and how often each of them came. */

/** An event that was ingested. */
export interface ReceivedEvent {
  /** Its name. */
  event: string;
  /** Its properties, as `JSON.parse` gives them. */
  properties: Record<string, unknown>;
  /** Its JSON as it came. */
  raw: string;
  /** When it came, in milliseconds since the epoch. */
  receivedAt: number;
}

/** How much a store keeps: whole events, or only insert ids and their counts, for runs of millions of events. */
export type Keep = 'all' | 'ids';

/** Ingested events and their counts. */
export interface EventStore {
  /** Ingests an event; the answer is true where it had been ingested before. */
  add(event: ReceivedEvent): boolean;
  /** The unique events, in the order of their first arrival; of duplicates the last. Empty where only ids are kept. */
  events(): ReceivedEvent[];
  /** How often an event with this `$insert_id` was ingested. */
  count(insertId: string): number;
  /** Events ingested, duplicates included. */
  readonly received: number;
  /** Events ingested that had been ingested before. */
  readonly duplicates: number;
}

/**
 * An empty store.
 *
 * @param keep - `all` compares events by event, time, distinct_id and `$insert_id`, as Mixpanel does at query time
 *   (https://developer.mixpanel.com/reference/import-events); `ids` by `$insert_id` alone.
 * @returns The store.
 */
export function createEventStore(keep: Keep): EventStore {
  const unique = new Map<unknown, ReceivedEvent>();
  const counts = new Map<string, number>();
  let received = 0;
  let duplicates = 0;

  function isKnown(event: ReceivedEvent, timesBefore: number): boolean {
    if (keep === 'ids') return timesBefore > 0;
    const key = keyOf(event);
    const known = unique.has(key);
    unique.set(key, event);
    return known;
  }

  return {
    add(event) {
      const insertId = event.properties.$insert_id;
      const timesBefore = typeof insertId === 'string' ? (counts.get(insertId) ?? 0) : 0;
      if (typeof insertId === 'string') counts.set(insertId, timesBefore + 1);

      const duplicate = isKnown(event, timesBefore);
      received += 1;
      if (duplicate) duplicates += 1;
      return duplicate;
    },
    events: () => [...unique.values()],
    count: (insertId) => counts.get(insertId) ?? 0,
    get received() {
      return received;
    },
    get duplicates() {
      return duplicates;
    },
  };
}

/** Without strict mode an event may lack an id, or have an object for one: then it equals none but itself. */
function keyOf({ event, properties }: ReceivedEvent): unknown {
  const { time, distinct_id: distinctId, $insert_id: insertId } = properties;
  if (typeof insertId !== 'string') return Symbol();
  const parts = [event, time, distinctId, insertId];
  return parts.some((part) => typeof part === 'object' && part !== null) ? Symbol() : JSON.stringify(parts);
}
