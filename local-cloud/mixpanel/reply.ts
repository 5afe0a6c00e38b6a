/** What the local Mixpanel makes of a request that it has read: the answer, and the events that it takes. */

import { type Answer, errorAnswer, okAnswer } from './answers.ts';
import type { RateLimit } from './rate-limit.ts';
import { type ImportBody, type ImportRecord, insertIdOf } from './request.ts';
import { type Failure, MAX_EVENT_BYTES, validateEvent } from './rules.ts';
import type { ReceivedEvent } from './store.ts';

/** UTF-8 has at most three bytes for a UTF-16 unit: a shorter text need not be measured. */
const MAX_BYTES_PER_UNIT = 3;

const INVALID = 'some data points in the request failed validation';

/** Events that link ids in projects without simplified ID merge. */
const IDENTITY_EVENTS: ReadonlySet<unknown> = new Set(['$identify', '$create_alias', '$merge']);

/** A project with simplified ID merge takes nothing of a request with such an event, and does not say which it is. */
const identityRefusal = errorAnswer(400, INVALID, {
  failed_records: ['identity events are not allowed when project is using simplified identity management'],
  num_records_imported: 0,
});

/** An event that is to be ingested. */
export type AcceptedEvent = Omit<ReceivedEvent, 'receivedAt'>;

/** What a request is judged by. */
export interface ReplyOptions {
  /** Whether each event is validated (`strict=1`). */
  strict: boolean;
  /** Events of a request, at most. */
  maxEvents: number;
  /** Uncompressed bytes of a request, at most. */
  maxBytes: number;
  /** Whether the project uses simplified ID merge. */
  simplified: boolean;
  /** What the last minute left over. */
  rateLimit: RateLimit;
  /** The clock, in milliseconds since the epoch. */
  now: () => number;
}

/** An answer, and the events that are ingested before it is given. */
export interface Reply {
  /** The answer. */
  answer: Answer;
  /** The events that pass; of a batch that has others too, they are ingested all the same. */
  accepted: AcceptedEvent[];
}

/**
 * Judges a request, and counts it towards the rate limit, refused or not, unless it is too large.
 *
 * @param body - The request.
 * @param options - The limits.
 * @returns The verdict.
 */
export function replyTo(body: ImportBody, options: ReplyOptions): Reply {
  const { strict, maxEvents, maxBytes, simplified, rateLimit, now } = options;
  const { bytes, records, error } = body;
  if (bytes > maxBytes) return refuse(errorAnswer(413, `request exceeds max limit of ${maxBytes} bytes`));
  if (records.length > maxEvents) return refuse(errorAnswer(413, `request exceeds max limit of ${maxEvents} events`));
  if (!rateLimit.tryTake(now(), records.length, bytes)) return refuse(errorAnswer(429));
  if (error !== undefined) return refuse(errorAnswer(400, error));
  if (simplified && records.some(isIdentityEvent)) return refuse(identityRefusal);
  return strict ? replyStrictly(records, now()) : takeEvents(records);
}

function refuse(answer: Answer): Reply {
  return { answer, accepted: [] };
}

function replyStrictly(records: ImportRecord[], now: number): Reply {
  const accepted: AcceptedEvent[] = [];
  const failed: ({ index: number; $insert_id: string } & Failure)[] = [];
  for (const [index, record] of records.entries()) {
    const failure = isTooLarge(record.raw) ? tooLarge : validateEvent(record.value, now);
    if (failure) {
      failed.push({ index, $insert_id: insertIdOf(record.value), ...failure });
      continue;
    }
    const { event, properties } = record.value as AcceptedEvent;
    accepted.push({ event, properties, raw: record.raw });
  }
  if (failed.length === 0) return { answer: okAnswer(accepted.length), accepted };
  const answer = errorAnswer(400, INVALID, {
    failed_records: failed,
    num_records_imported: accepted.length,
  });
  return { answer, accepted };
}

function takeEvents(records: ImportRecord[]): Reply {
  const accepted: AcceptedEvent[] = [];
  for (const { raw, value } of records) {
    const { event, properties } = (value ?? {}) as { event?: unknown; properties?: unknown };
    const isEvent = typeof event === 'string' && typeof properties === 'object' && properties !== null;
    if (!isEvent || isTooLarge(raw)) continue;
    accepted.push({ event, properties: properties as Record<string, unknown>, raw });
  }
  return { answer: okAnswer(accepted.length), accepted };
}

function isIdentityEvent({ value }: ImportRecord): boolean {
  return IDENTITY_EVENTS.has((value as { event?: unknown } | null | undefined)?.event);
}

const tooLarge: Failure = {
  field: 'event',
  message: `'event' is invalid: must be at most ${MAX_EVENT_BYTES} bytes of JSON`,
};

function isTooLarge(raw: string): boolean {
  return raw.length * MAX_BYTES_PER_UNIT > MAX_EVENT_BYTES && Buffer.byteLength(raw) > MAX_EVENT_BYTES;
}
