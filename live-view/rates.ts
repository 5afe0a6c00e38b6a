/** Counts by the second, for the plot: the last minute. */

/** Seconds that are kept. */
const SECONDS = 60;

/** A count for each of the last 60 seconds. */
export function createRate(now: () => number) {
  const counts = new Float64Array(SECONDS);
  let current = second();

  function second(): number {
    return Math.floor(now() / 1_000);
  }

  function advance(): void {
    const at = second();
    const passed = Math.min(at - current, SECONDS);
    for (let step = 1; step <= passed; step++) counts[(current + step) % SECONDS] = 0;
    if (at > current) current = at;
  }

  return {
    add(count: number): void {
      advance();
      counts[current % SECONDS]! += count;
    },
    /** The present second stands last. */
    last(): number[] {
      advance();
      return Array.from({ length: SECONDS }, (_, index) => counts[(current + 1 + index) % SECONDS]!);
    },
  };
}
