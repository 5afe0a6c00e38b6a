/** Reads an answer of /import: what became of the events, or what to do next (https://developer.mixpanel.com/reference/import-events). */

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
  /** Accepted, but not the number of events that was sent. */
  | { kind: 'miscounted'; imported: number }
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

/**
 * @param answer what /import answered
 * @param sent   how many events were sent
 * @param now    the time in milliseconds since the epoch, for a Retry-After that is a date
 */
export function judge(answer: Answer, sent: number, now: number): Verdict {
  const { status } = answer;
  const json = parseObject(answer.body);
  if (status === 200) {
    if (json === undefined) return retry(answer, now, 'answered 200 with something other than JSON');
    const imported = json.num_records_imported;
    if (imported === sent) return { kind: 'settled', refusals: [] };
    return { kind: 'miscounted', imported: typeof imported === 'number' ? imported : 0 };
  }
  if (status === 413) return { kind: 'too-large' };
  if (status === 429 || status === 408 || status >= 500) return retry(answer, now, `answered ${status}`);
  if (status === 400 && json !== undefined) {
    const refusals = readRefusals(json.failed_records, sent);
    if (refusals.length > 0) return { kind: 'settled', refusals };
    if (json.code === 400) return { kind: 'bisect', message: text(json.error) || 'refused by Mixpanel' };
  }
  return { kind: 'refused' };
}

function retry({ status, retryAfter }: Answer, now: number, what: string): Verdict {
  return { kind: 'retry', isThrottled: status === 429, retryAfterMs: readRetryAfter(retryAfter, now), what };
}

/** Seconds, or a date, which begins with the name of a day (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after). */
function readRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1_000;
  // Date.parse would see a year in `-5` and a day in `1.5`, long past: no time to wait at all.
  const ms = /^\s*[A-Za-z]/.test(value) ? Date.parse(value) - now : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
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

/** One refusal for each index that is named, in order. */
function readRefusals(records: unknown, sent: number): Refusal[] {
  if (!Array.isArray(records)) return [];
  const refusals = new Map<number, Refusal>();
  for (const record of records as Record<string, unknown>[]) {
    const index = record?.index;
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= sent) continue;
    if (!refusals.has(index))
      refusals.set(index, { index, field: text(record.field) || 'event', message: text(record.message) });
  }
  return [...refusals.values()].sort((a, b) => a.index - b.index);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
