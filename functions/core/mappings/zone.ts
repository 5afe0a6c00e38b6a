/** Time zones: from the clock on the wall to UTC, by the time zone database that Node has. */

const DAY_MS = 86_400_000;
/** Offsets change at the beginning of a quarter of an hour. */
const STEP_MS = 900_000;
const MAX_CACHED = 20_000;

/** Whether there is a zone of that name. */
export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    // Fixed offsets are not names.
    return !/^[+-]/.test(name);
  } catch {
    return false;
  }
}

/**
 * Makes a function from local time, written as milliseconds as if it were UTC, to UTC. A time that occurs twice is the first;
 * one that does not exist moves forward by what the clock was put forward.
 */
export function localToUtc(zone: string): (localMs: number) => number {
  const offsetAt = offsetsOf(zone);
  return (local) => {
    const before = offsetAt(local - DAY_MS);
    const after = offsetAt(local + DAY_MS);
    if (before === after) return local - before;
    const first = local - Math.max(before, after);
    const second = local - Math.min(before, after);
    if (offsetAt(first) === local - first) return first;
    return offsetAt(second) === local - second ? second : local - before;
  };
}

/** The offset of local time from UTC, in milliseconds, at an instant. */
function offsetsOf(zone: string): (utcMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  const cached = new Map<number, number>();
  return (utc) => {
    const step = Math.floor(utc / STEP_MS);
    let offset = cached.get(step);
    if (offset === undefined) {
      const name = format.formatToParts(step * STEP_MS).find(({ type }) => type === 'timeZoneName')?.value ?? '';
      const [, sign = '+', hours = '0', minutes = '0', seconds = '0'] =
        /^GMT([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(name) ?? [];
      const size = 1_000 * (3_600 * Number(hours) + 60 * Number(minutes) + Number(seconds));
      offset = sign === '-' ? -size : size;
      if (cached.size >= MAX_CACHED) cached.clear();
      cached.set(step, offset);
    }
    return offset;
  };
}
