/** Reads an answer of /import: what became of the events, or what to do next (https://developer.mixpanel.com/reference/import-events). */

import { readFailures } from './failures.ts';
import { textOf } from './text.ts';

/** An event that Mixpanel refused, by its index in the request. */
export interface Refusal {
  index: number;
  field: string;
  message: string;
}

/** What an answer means. */
export type Verdict =
  /** All events were accepted, except those listed. */
  | { kind: 'settled'; refusals: Refusal[] }
  /** What was imported and what was refused is not what was sent; `refused` counts the events that it named. */
  | { kind: 'miscounted'; status: number; imported: number | undefined; refused: number }
  /** Nothing is known, or the request was deferred: the same request is sent again. */
  | { kind: 'retry'; isThrottled: boolean; retryAfterMs: number | undefined; what: string }
  /** Too large: halves are sent. */
  | { kind: 'too-large' }
  /** Some event makes Mixpanel refuse all of them, without saying which. */
  | { kind: 'bisect'; message: string }
  /** The configuration is wrong, not the data. */
  | { kind: 'refused' };

/** An HTTP answer. */
export interface Answer {
  status: number;
  /** Value of Retry-After, if there was one. */
  retryAfter: string | undefined;
  body: string;
}

/** The longest Retry-After that is believed: a larger one is a mistake, such as milliseconds meant as seconds. */
const MAX_RETRY_AFTER_MS = 600_000;

/**
 * A project with simplified ID merge refuses every request that holds an identity event, with this text in `failed_records`
 * (https://docs.mixpanel.com/docs/tracking-methods/id-management).
 */
const SIMPLIFIED = /simplified identity/i;
const SIMPLIFIED_ADVICE =
  'leave out $identify, $create_alias and $merge, by a mapping or a transform; here an event with both $device_id and $user_id links the two';

/**
 * @param answer     what /import answered
 * @param sent       how many events were sent
 * @param now        the time in milliseconds since the epoch, for a Retry-After that is a date
 * @param readEvents reads the events that were sent, one per line; called only if the answer names events by their ids
 */
export async function judge(
  answer: Answer,
  sent: number,
  now: number,
  readEvents: () => Promise<Buffer>,
): Promise<Verdict> {
  const { status } = answer;
  const json = parseObject(answer.body);
  if (status === 200) {
    if (json === undefined) return retry(answer, now, 'answered 200 with something other than JSON');
    const imported = json.num_records_imported;
    if (imported === sent) return { kind: 'settled', refusals: [] };
    return { kind: 'miscounted', status, imported: numberOf(imported), refused: 0 };
  }
  if (status === 413) return { kind: 'too-large' };
  if (status === 429 || status === 408 || status >= 500) return retry(answer, now, `answered ${status}`);
  if (status === 400 && json !== undefined) {
    const { refusals, isComplete } = await readFailures(json.failed_records, sent, readEvents);
    if (refusals.length > 0) {
      const imported = json.num_records_imported;
      const addsUp = imported === undefined ? isComplete : imported === sent - refusals.length;
      if (addsUp) return { kind: 'settled', refusals };
      return { kind: 'miscounted', status, imported: numberOf(imported), refused: refusals.length };
    }
    if (json.code === 400) return { kind: 'bisect', message: reasonOf(json) };
  }
  return { kind: 'refused' };
}

/** Why a request was refused as a whole: a text among the failed records says more than `error`. */
function reasonOf({ failed_records: records, error }: Record<string, unknown>): string {
  const text = Array.isArray(records) ? records.find((record) => typeof record === 'string') : undefined;
  const reason = textOf(text) || textOf(error) || 'refused by Mixpanel';
  return SIMPLIFIED.test(reason) ? `${reason}: ${SIMPLIFIED_ADVICE}` : reason;
}

function retry({ status, retryAfter }: Answer, now: number, what: string): Verdict {
  return { kind: 'retry', isThrottled: status === 429, retryAfterMs: readRetryAfter(retryAfter, now), what };
}

/** At most 10 minutes; seconds, or a date, which begins with the name of a day (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after). */
export function readRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(value)) return Math.min(Number(value) * 1_000, MAX_RETRY_AFTER_MS);
  // Date.parse would see a year in `-5` and a day in `1.5`, long past: no time to wait at all.
  const ms = /^\s*[A-Za-z]/.test(value) ? Date.parse(value) - now : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS);
}

function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
