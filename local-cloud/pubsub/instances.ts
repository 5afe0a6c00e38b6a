/**
 * The instances behind a push endpoint, as Cloud Run runs them with a concurrency of 1: a request that finds none free waits for
 * a while, and is then answered 429.
 * https://cloud.google.com/run/docs/about-instance-autoscaling
 */
import type { Clock } from './subscription.ts';

/** How long a request waits for an instance, in milliseconds. */
const MAX_WAIT_MS = 10_000;

interface Waiting {
  begin(hasInstance: boolean): void;
  giveUp(): void;
}

/** Hands out instances, first come, first served. */
export class Instances {
  #free: number;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];

  /** @param count - requests that are served at once, at most */
  constructor(count: number, clock: Clock) {
    this.#free = count;
    this.#clock = clock;
  }

  /**
   * Waits for an instance.
   *
   * @param begin - called once, with true as soon as there is an instance, which {@link release} gives back; with false
   *   if there is none in time
   */
  acquire(begin: (hasInstance: boolean) => void): void {
    if (this.#free > 0) {
      this.#free -= 1;
      begin(true);
      return;
    }
    const giveUp = this.#clock.schedule(MAX_WAIT_MS, () => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      begin(false);
    });
    const waiting = { begin, giveUp };
    this.#waiting.push(waiting);
  }

  /** A request is over. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    next.giveUp();
    next.begin(true);
  }
}
