/** Holds an object generation for one invocation: takes its checkpoint over, renews it, and lets it go. */

import type { Bucket } from '@google-cloud/storage';
import { ImportError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import {
  type Checkpoint,
  formatCheckpoint,
  hasMoved,
  type LastError,
  noProgress,
  type Progress,
  readCheckpoint,
  type State,
  type StoredCheckpoint,
} from './checkpoint.ts';
import { isTransient, statusOf, withTimeout } from './requests.ts';

/** Cloud Storage takes about one update a second of an object (https://cloud.google.com/storage/quotas#objects). */
const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 10_000;
/** The last wait between attempts to read a checkpoint before there is a lease; they double from the shortest interval on. */
const MAX_READ_DELAY_MS = 8_000;
/** The first wait after a write whose precondition failed; it doubles up to {@link MAX_READ_DELAY_MS}. */
const MIN_CONFLICT_DELAY_MS = 100;
/** So many fruitless invocations in a row set an object aside. */
const MAX_FRUITLESS = 5;

/** What is held, and how. */
export interface LeaseOptions {
  /** The state bucket, of a client that does not try writes again by itself. */
  bucket: Bucket;
  /** Name of the checkpoint. */
  name: string;
  /** A random word for this invocation. */
  holder: string;
  leaseMs: number;
  run: Run;
  /** Whether the object exists; asked if the checkpoint says that it is gone. */
  isStored(): Promise<boolean>;
  /** Whether an import that has no checkpoint yet is to begin; default: true. */
  mayBegin?: boolean;
}

/** What came of asking for a lease. */
export type Acquired =
  | { kind: 'acquired'; lease: Lease }
  /** Nothing is left to do. */
  | { kind: 'over'; state: State }
  /** There is no checkpoint, and none is to be made. */
  | { kind: 'not begun' }
  /** Another invocation holds it. */
  | { kind: 'held'; until: string }
  /** It was set aside now, because the invocations before crashed without settling anything. */
  | { kind: 'stalled'; begin: Progress };

/**
 * Asks for the lease. A live lease of another invocation is respected; one that was released, or has expired, is taken over.
 * What is `gone` is taken over if the object is there again.
 *
 * @throws {@link ImportError} `checkpoint_unreadable`
 */
export async function acquireLease(options: LeaseOptions): Promise<Acquired> {
  const { holder } = options;
  for (let refusals = 1; ; refusals++) {
    const { checkpoint, generation } = await readPatiently(options);
    if (checkpoint === undefined && options.mayBegin === false) return { kind: 'not begun' };
    const state = checkpoint?.state ?? 'running';
    if (state !== 'running' && !(state === 'gone' && (await options.isStored()))) return { kind: 'over', state };
    const until = checkpoint?.leaseExpiresAt ?? null;
    if (until !== null && checkpoint!.holder !== holder && Date.parse(until) > Date.now())
      return { kind: 'held', until };
    const { format, compression, position, counts, metadata } = checkpoint ?? noProgress();
    const lease = new Lease(options, generation, {
      begin: { format, compression, position, counts, metadata },
      takeovers: (checkpoint?.takeovers ?? 0) + (until === null ? 0 : 1),
      fruitless: checkpoint?.fruitless ?? 0,
      lastError: checkpoint?.lastError ?? null,
    });
    const isStalled = lease.isSpent;
    if (await lease.tryFirstWrite()) {
      return isStalled ? { kind: 'stalled', begin: lease.begin } : { kind: 'acquired', lease };
    }
    await options.run.clock.sleep(conflictDelay(refusals), options.run.stopping);
  }
}

async function readPatiently({ bucket, name, run }: LeaseOptions): Promise<StoredCheckpoint> {
  for (let delayMs = MIN_INTERVAL_MS; ; delayMs *= 2) {
    try {
      return await withTimeout(readCheckpoint(bucket, name), MAX_INTERVAL_MS, run.stopping);
    } catch (error) {
      if (error instanceof ImportError || !isTransient(error) || delayMs > MAX_READ_DELAY_MS) throw error;
      run.stats.deferred++;
      await run.clock.sleep(delayMs, run.stopping);
    }
  }
}

/** What a lease takes over from the checkpoint before. */
interface Inherited extends Pick<Checkpoint, 'takeovers' | 'fruitless' | 'lastError'> {
  begin: Progress;
}

/** What an invocation failed with. */
export type Failure = Pick<LastError, 'code' | 'message'>;

/** A lease that is held. */
export class Lease {
  /** Where the import stood when the lease was taken. */
  readonly begin: Progress;
  /** Leases that expired since it last moved, this takeover included. */
  readonly #takeovers: number;
  /** Fruitless invocations before this one, and with it once it is known to be one. */
  #fruitless: number;
  #lastError: LastError | null;
  readonly #options: LeaseOptions;
  /** Generation of the checkpoint that we wrote, or mean to replace. */
  #generation: number | string;
  /** When the lease runs out by the clock of the run. */
  #deadline = Infinity;
  /** Cancels the expiry timer. */
  #expiry = new AbortController();
  #renewal: Promise<void> = Promise.resolve();
  #progress: () => Progress;
  /** Aborted once there is nothing to renew. */
  readonly #ended = new AbortController();
  /** Aborted, with the error, once it is not ours. */
  readonly #lost = new AbortController();

  /** Call {@link acquireLease} instead. */
  constructor(
    options: LeaseOptions,
    generation: number | string,
    { begin, takeovers, fruitless, lastError }: Inherited,
  ) {
    this.#options = options;
    this.#generation = generation;
    this.begin = begin;
    this.#takeovers = takeovers;
    this.#fruitless = fruitless;
    this.#lastError = lastError;
    this.#progress = () => begin;
  }

  /** Whether so many invocations were fruitless that another makes no sense. */
  get isSpent(): boolean {
    return this.#fruitless >= MAX_FRUITLESS;
  }

  /** Takes the lease, or sets the object aside if that {@link isSpent}; false when another invocation was faster. */
  async tryFirstWrite(): Promise<boolean> {
    try {
      if (this.isSpent) await this.#setAside();
      else await this.#write('running', this.#options.leaseMs);
      return true;
    } catch (error) {
      if (error instanceof LeaseLostError) return false;
      throw error;
    }
  }

  /** Writes the checkpoint, and renews the lease with it, from time to time until it is let go. */
  keep(progress: () => Progress): void {
    this.#progress = progress;
    this.#renewal = this.#renew().catch((error) => this.#lose(error));
  }

  /**
   * Writes the checkpoint for the last time and releases the lease.
   *
   * @param outcome what the invocation failed with; `interrupted` if it neither failed nor succeeded; default: success
   * @throws {@link ImportError} `lease_lost` if it was lost, and is not ours to write any more
   */
  async release(state: State, progress: Progress, outcome?: Failure | 'interrupted'): Promise<void> {
    await this.#end(progress);
    if (outcome !== 'interrupted') this.#setLastError(outcome);
    await this.#write(state, null);
  }

  /**
   * Releases the lease of an invocation that settled nothing although nothing kept it from that.
   *
   * @param failure that it settled nothing, in words
   * @returns whether the object was set aside, because too many invocations in a row were such
   * @throws {@link ImportError} `lease_lost`
   */
  async releaseFruitless(progress: Progress, failure: Failure): Promise<boolean> {
    await this.#end(progress);
    this.#fruitless++;
    if (this.isSpent) {
      await this.#setAside();
    } else {
      this.#setLastError(failure);
      await this.#write('running', null);
    }
    return this.isSpent;
  }

  /** Ends the renewal. */
  async #end(progress: Progress): Promise<void> {
    this.#ended.abort();
    await this.#renewal;
    this.#lost.signal.throwIfAborted();
    this.#progress = () => progress;
  }

  async #setAside(): Promise<void> {
    this.#setLastError({ code: 'stalled', message: `${this.#fruitless} invocations in a row settled nothing` });
    await this.#write('stalled', null);
  }

  #setLastError(failure: Failure | undefined): void {
    const time = new Date().toISOString();
    const since = this.#lastError?.code === failure?.code ? this.#lastError?.since : undefined;
    this.#lastError = failure === undefined ? null : { ...failure, time, since: since ?? time };
  }

  async #renew(): Promise<void> {
    const { run, leaseMs } = this.#options;
    for (;;) {
      try {
        await run.clock.sleep(renewalInterval(leaseMs), this.#ended.signal);
      } catch {
        return;
      }
      await this.#write('running', leaseMs);
    }
  }

  /** Replaces the checkpoint, tries again what may succeed, and recognises its own writes whose answers were lost. */
  async #write(state: State, leaseMs: number | null): Promise<void> {
    const { run } = this.#options;
    // The first write may take until the run stops, later ones until the lease expires.
    const signal = this.#deadline === Infinity ? run.stopping : this.#lost.signal;
    /** The last attempt, if it is not known whether it succeeded. */
    let attempt: { begunAt: number; content: string } | undefined;
    let conflicts = 0;
    for (let delayMs = MIN_INTERVAL_MS; ; delayMs *= 2) {
      // After a late wake-up the expiry timer may not have fired yet, so check the clock.
      if (run.clock.now() >= this.#deadline) throw new LeaseLostError(this.#options.name);
      try {
        if (attempt === undefined || !(await this.#isWritten(attempt.content, signal))) {
          attempt = { begunAt: run.clock.now(), content: this.#content(state, leaseMs) };
          await this.#save(attempt.content, state, signal);
        }
        this.#extend(attempt.begunAt, leaseMs);
        return;
      } catch (error) {
        const isConflict = statusOf(error) === 412;
        if (error instanceof ImportError || !(isConflict || isTransient(error))) throw error;
        run.stats.deferred++;
        await run.clock.sleep(isConflict ? conflictDelay(++conflicts) : delayMs, signal);
      }
    }
  }

  async #save(content: string, state: State, signal: AbortSignal): Promise<void> {
    const { bucket, name, leaseMs } = this.#options;
    const file = bucket.file(name);
    const saved = file.save(content, {
      resumable: false,
      contentType: 'application/json',
      preconditionOpts: { ifGenerationMatch: this.#generation },
      metadata: { metadata: { state } },
    });
    await withTimeout(saved, renewalInterval(leaseMs), signal);
    this.#generation = file.metadata.generation!;
  }

  /** Whether a write of ours succeeded; where it did not, it can be made again. */
  async #isWritten(content: string, signal: AbortSignal): Promise<boolean> {
    const { bucket, name, holder, leaseMs } = this.#options;
    const found = await withTimeout(readCheckpoint(bucket, name), renewalInterval(leaseMs), signal);
    const { checkpoint, text, generation } = found;
    const isOurs = checkpoint?.holder === holder;
    if (String(generation) !== String(this.#generation) && !isOurs) throw new LeaseLostError(name);
    this.#generation = generation;
    return isOurs && text === content;
  }

  #content(state: State, leaseMs: number | null): string {
    const progress = this.#progress();
    const isFurther = hasMoved(progress, this.begin);
    return formatCheckpoint({
      ...progress,
      state,
      holder: this.#options.holder,
      leaseExpiresAt: leaseMs === null ? null : new Date(Date.now() + leaseMs).toISOString(),
      takeovers: isFurther ? 0 : this.#takeovers,
      // Should this invocation crash, nobody else will count it.
      fruitless: isFurther ? 0 : this.#fruitless + (leaseMs === null ? 0 : 1),
      lastError: this.#lastError,
    });
  }

  #extend(begunAt: number, leaseMs: number | null): void {
    this.#expiry.abort();
    if (leaseMs === null) return;
    this.#deadline = begunAt + leaseMs;
    this.#expiry = new AbortController();
    const { name, run } = this.#options;
    run.clock.sleep(this.#deadline - run.clock.now(), this.#expiry.signal).then(
      () => this.#lose(new LeaseLostError(name)),
      () => {},
    );
  }

  /** Stops everything: another invocation may have taken over. */
  #lose(error: unknown): void {
    this.#expiry.abort();
    this.#ended.abort();
    this.#lost.abort(error);
    this.#options.run.stop('lease-lost');
    this.#options.run.abort();
  }
}

/** @param conflicts writes in a row whose precondition failed */
function conflictDelay(conflicts: number): number {
  return Math.min(MIN_CONFLICT_DELAY_MS * 2 ** (conflicts - 1), MAX_READ_DELAY_MS);
}

function renewalInterval(leaseMs: number): number {
  return Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, leaseMs / 3));
}

/** The lease ran out, or another invocation has taken it. */
class LeaseLostError extends ImportError {
  constructor(name: string) {
    super('lease_lost', `The lease on ${name} was lost: another invocation continues from the last checkpoint`);
  }
}
