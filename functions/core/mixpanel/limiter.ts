/** Holds the requests of a process to what Mixpanel takes: adaptive concurrency, and one pause for all when it asks for one. */

import type { Run } from '../run.ts';
import { Signal } from '../signal.ts';

/** A pause is tried after so many milliseconds, and then as often. */
export const PROBE_INTERVAL_MS = 60_000;

/** What an attempt may be: an ordinary one, or a small one that tries whether a pause still holds. */
export type Permit = 'attempt' | 'probe';

/** Decides when an attempt may start. One for the process: what Mixpanel asks for concerns all of its senders. */
export class Limiter {
  readonly #max: number;
  #limit: number;
  #inFlight = 0;
  /** Successes since the limit was last changed. */
  #successes = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  /** The same, without what probes were answered. */
  #stoppedUntil = Number.NEGATIVE_INFINITY;
  /** When the pause may be tried. */
  #probeAt = Number.NEGATIVE_INFINITY;
  #isProbing = false;
  /** Aborted when a pause ends early. */
  #resumption = new AbortController();
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
   * Waits until an attempt may start; {@link release} ends it. During a pause of more than a minute one attempt a minute
   * may start, as a probe. Stops the run if a pause that another run met outlasts it and cannot be tried yet.
   *
   * @throws the reason of `run.stopping`, once no attempt may start any more
   */
  async acquire(run: Run): Promise<Permit> {
    const notify = () => this.#change.notify();
    run.stopping.addEventListener('abort', notify, { once: true });
    try {
      return await this.#wait(run);
    } finally {
      run.stopping.removeEventListener('abort', notify);
    }
  }

  async #wait(run: Run): Promise<Permit> {
    for (;;) {
      const now = run.clock.now();
      // A pause that another run met is as long for this one.
      if (this.#stoppedUntil > run.deadline && now < this.#probeAt && !this.#isProbing) run.stop('retry-after');
      run.stopping.throwIfAborted();
      const next = Math.min(this.#pausedUntil, this.#probeAt);
      if (now < next) await this.#sleep(next - now, run);
      else if (this.#inFlight >= this.#limit) await this.#change.wait();
      else {
        this.#inFlight++;
        if (now >= this.#pausedUntil) return 'attempt';
        this.#probeAt = now + PROBE_INTERVAL_MS;
        this.#isProbing = true;
        return 'probe';
      }
    }
  }

  /** Sleeps until the time is over, the pause ends, or the run stops. */
  async #sleep(ms: number, run: Run): Promise<void> {
    const { signal } = this.#resumption;
    try {
      await run.clock.sleep(ms, AbortSignal.any([run.stopping, signal]));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** The attempt has ended; `isSuccess` when Mixpanel took the request. */
  release(isSuccess: boolean, permit: Permit = 'attempt'): void {
    this.#inFlight--;
    if (permit === 'probe') this.#isProbing = false;
    if (isSuccess && ++this.#successes >= this.#limit && this.#limit < this.#max) {
      this.#successes = 0;
      this.#limit++;
    }
    this.#change.notify();
  }

  /**
   * Keeps attempts from starting for so long.
   *
   * @param permit      what the attempt was that was answered so; a probe makes a pause longer, but stops no run
   * @param isThrottled whether the answer was 429; then a pause halves the limit, but another one during it does not
   */
  pause(ms: number, now: number, permit: Permit = 'attempt', isThrottled = true): void {
    if (now >= this.#pausedUntil) {
      if (isThrottled) this.#limit = Math.max(1, Math.floor(this.#limit / 2));
      this.#successes = 0;
      this.#probeAt = now + PROBE_INTERVAL_MS;
    }
    this.#pausedUntil = Math.max(this.#pausedUntil, now + ms);
    if (permit === 'attempt') this.#stoppedUntil = Math.max(this.#stoppedUntil, now + ms);
  }

  /** Ends a pause: a probe was answered. */
  resume(): void {
    this.#pausedUntil = this.#stoppedUntil = Number.NEGATIVE_INFINITY;
    this.#resumption.abort();
    this.#resumption = new AbortController();
  }
}
