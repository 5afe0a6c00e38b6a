/** The size of a batch that /import takes: learnt from answers 413, and tried again from time to time. */

import type { BatchLimits } from './batch.ts';

/** Batches that are accepted in a row before a larger size is tried; doubles each time that this fails. */
const MIN_STREAK = 8;
const MAX_STREAK = 1_024;

/** Lowers `maxBytes` when Mixpanel answers 413, and raises it again. One for the process. */
export class SizeLimit {
  /** The most that a batch may hold, as far as is known now. */
  readonly limits: BatchLimits;
  readonly #configuredBytes: number;
  /** Batches of about the limit that were accepted since it last changed. */
  #accepted = 0;
  #streak = MIN_STREAK;
  /** Whether the limit was last raised, not lowered. */
  #isTrial = false;

  /** @param configured what a batch may hold at most, whatever is learnt */
  constructor(configured: BatchLimits) {
    this.limits = { maxEvents: configured.maxEvents, maxBytes: configured.maxBytes };
    this.#configuredBytes = configured.maxBytes;
  }

  /** A batch was too large, and parts of so many bytes were accepted. */
  lower(acceptedBytes: number): void {
    if (acceptedBytes >= this.limits.maxBytes) return;
    this.limits.maxBytes = acceptedBytes;
    this.#accepted = 0;
    if (this.#isTrial) this.#streak = Math.min(2 * this.#streak, MAX_STREAK);
    this.#isTrial = false;
  }

  /** A batch of so many bytes was accepted in one request. */
  accept(bytes: number): void {
    const { limits } = this;
    if (limits.maxBytes === this.#configuredBytes || bytes < limits.maxBytes / 2) return;
    if (++this.#accepted < this.#streak) return;
    this.#accepted = 0;
    this.#isTrial = true;
    limits.maxBytes = Math.min(2 * limits.maxBytes, this.#configuredBytes);
  }
}
