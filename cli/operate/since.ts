/** Reads how far back a command is to go: a date, or a time until now. */

import { UsageError } from '../import/arguments.ts';

const UNIT_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/**
 * @param text `30m`, `24h`, `7d`, `2w`, or a date as ISO 8601 writes it, in UTC where it says nothing else
 * @param now  milliseconds since the epoch
 * @returns milliseconds since the epoch
 * @throws {@link UsageError} where it is neither, or has not come yet
 */
export function parseSince(text: string, now: number): number {
  const [, count, unit] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) return now - Number(count) * UNIT_MS[unit]!;
  const isDate = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text);
  const time = /T.*(Z|[+-]\d\d:\d\d)$/.test(text) || !text.includes('T') ? Date.parse(text) : Date.parse(`${text}Z`);
  if (!isDate || Number.isNaN(time)) throw new UsageError(`--since ${text}: must be such as 24h, 7d or 2026-01-31`);
  if (time > now) throw new UsageError(`--since ${text}: has not come yet`);
  return time;
}
