/** The rate limit of the local Mixpanel: so many events and bytes in any 60 seconds. */

const WINDOW_MS = 60_000;

/** What a project may send in a minute; a side left out is not limited. */
export interface RateLimitOptions {
  /** Events in a rolling minute. */
  eventsPerMinute?: number;
  /** Uncompressed bytes in a rolling minute. */
  bytesPerMinute?: number;
}

/** Counts what was sent in the last minute. */
export interface RateLimit {
  /** Takes a request of this size at this time (ms), or answers false, without counting it, where it passes the limit. */
  tryTake(now: number, events: number, bytes: number): boolean;
}

/**
 * A rate limit with an empty window.
 *
 * @param options - The limits; none of them limits nothing.
 * @returns The counter.
 */
export function createRateLimit(options: RateLimitOptions = {}): RateLimit {
  const { eventsPerMinute = Number.POSITIVE_INFINITY, bytesPerMinute = Number.POSITIVE_INFINITY } = options;
  const taken: { at: number; events: number; bytes: number }[] = [];
  let events = 0;
  let bytes = 0;

  function forgetBefore(time: number): void {
    for (let oldest = taken[0]; oldest && oldest.at <= time; oldest = taken[0]) {
      events -= oldest.events;
      bytes -= oldest.bytes;
      taken.shift();
    }
  }

  return {
    tryTake(now, moreEvents, moreBytes) {
      forgetBefore(now - WINDOW_MS);
      if (events + moreEvents > eventsPerMinute || bytes + moreBytes > bytesPerMinute) return false;
      events += moreEvents;
      bytes += moreBytes;
      taken.push({ at: now, events: moreEvents, bytes: moreBytes });
      return true;
    },
  };
}
