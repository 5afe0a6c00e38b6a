/** Holds the requests of a process to what Mixpanel takes: adaptive concurrency, and one pause for all after a 429. */

import type { Run } from '../run.ts';
import { Signal } from '../signal.ts';

/** Decides when an attempt may start. One for the process: a 429 concerns all of its senders. */
export class Limiter {
  readonly #max: number;
  #limit: number;
  #inFlight = 0;
  /** Successes since the limit was last changed. */
  #successes = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  /** Notified whenever an attempt may start. */
  readonly #change = new Signal();

  /** @param max attempts in flight, at most; it begins at half of them */
  constructor(max: number) {
    this.#max = max;
    this.#limit = Math.ceil(max / 2);
  }

  /** Attempts that may be in flight now. */
  get limit(): number {
    return this.#limit;
  }

  /**
   * Waits until an attempt may start; {@link release} ends it.
   *
   * @throws the reason of `run.stopping`, once no attempt may start any more
   */
  async acquire(run: Run): Promise<void> {
    const notify = () => this.#change.notify();
    run.stopping.addEventListener('abort', notify, { once: true });
    try {
      for (;;) {
        run.stopping.throwIfAborted();
        const pause = this.#pausedUntil - run.clock.now();
        // A pause that another invocation ran into is as long for this one.
        if (pause > 0 && this.#pausedUntil > run.deadline) run.stop('retry-after');
        if (pause > 0) await run.clock.sleep(pause, run.stopping);
        else if (this.#inFlight >= this.#limit) await this.#change.wait();
        else break;
      }
    } finally {
      run.stopping.removeEventListener('abort', notify);
    }
    this.#inFlight++;
  }

  /** The attempt has ended; `isSuccess` when Mixpanel took the request. */
  release(isSuccess: boolean): void {
    this.#inFlight--;
    if (isSuccess && ++this.#successes >= this.#limit && this.#limit < this.#max) {
      this.#successes = 0;
      this.#limit++;
    }
    this.#change.notify();
  }

  /** Keeps every attempt from starting for so long; a pause halves the limit, another 429 during it does not. */
  pause(ms: number, now: number): void {
    if (now >= this.#pausedUntil) {
      this.#limit = Math.max(1, Math.floor(this.#limit / 2));
      this.#successes = 0;
    }
    this.#pausedUntil = Math.max(this.#pausedUntil, now + ms);
  }
}
