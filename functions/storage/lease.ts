/** Holds an object generation for one invocation: takes its checkpoint over, renews it, and lets it go. */

import type { Bucket } from '@google-cloud/storage';
import { ImportError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import {
  type Checkpoint,
  noProgress,
  type Progress,
  readCheckpoint,
  type State,
  type StoredCheckpoint,
} from './checkpoint.ts';
import { inTime, isTransient, statusOf } from './requests.ts';

/** Cloud Storage takes about one update a second of an object (https://cloud.google.com/storage/quotas#objects). */
const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 10_000;
/** The last wait between attempts to read a checkpoint before there is a lease; they double from the shortest interval on. */
const MAX_READ_DELAY_MS = 8_000;

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
}

/** What came of asking for a lease. */
export type Acquired =
  | { kind: 'acquired'; lease: Lease }
  /** Nothing is left to do. */
  | { kind: 'over'; state: State }
  /** Another invocation holds it. */
  | { kind: 'held'; until: string };

/**
 * Asks for the lease. A live lease of another invocation stands; one that was released, or has expired, is taken over.
 *
 * @throws {@link ImportError} `checkpoint_unreadable`
 */
export async function acquireLease(options: LeaseOptions): Promise<Acquired> {
  const { holder } = options;
  for (;;) {
    const { checkpoint, generation } = await readPatiently(options);
    if (checkpoint !== undefined && checkpoint.state !== 'running') return { kind: 'over', state: checkpoint.state };
    const until = checkpoint?.leaseExpiresAt ?? null;
    if (until !== null && checkpoint!.holder !== holder && Date.parse(until) > Date.now())
      return { kind: 'held', until };
    const lease = new Lease(options, generation, {
      ...(checkpoint ?? noProgress()),
      takeovers: (checkpoint?.takeovers ?? 0) + (until === null ? 0 : 1),
    });
    if (await lease.tryFirstWrite()) return { kind: 'acquired', lease };
  }
}

async function readPatiently({ bucket, name, run }: LeaseOptions): Promise<StoredCheckpoint> {
  for (let delayMs = MIN_INTERVAL_MS; ; delayMs *= 2) {
    try {
      return await inTime(readCheckpoint(bucket, name), MAX_INTERVAL_MS, run.stopping);
    } catch (error) {
      if (error instanceof ImportError || !isTransient(error) || delayMs > MAX_READ_DELAY_MS) throw error;
      await run.clock.sleep(delayMs, run.stopping);
    }
  }
}

/** A lease that is held. */
export class Lease {
  /** Where the import stood when the lease was taken. */
  readonly begin: Progress;
  /** Leases that expired since it last moved, this takeover included. */
  readonly takeovers: number;
  readonly #options: LeaseOptions;
  /** Generation of the checkpoint that we wrote, or mean to replace. */
  #generation: number | string;
  /** When the lease runs out by the clock of the run. */
  #deadline = Infinity;
  /** Aborted when the wait for that has no meaning any more. */
  #expiry = new AbortController();
  #renewal: Promise<void> = Promise.resolve();
  #progress: () => Progress;
  /** Aborted when there is nothing to renew any more. */
  readonly #ended = new AbortController();
  /** Aborted, with the error, when it is not ours any more. */
  readonly #lost = new AbortController();

  /** Not to be called but by {@link acquireLease}. */
  constructor(
    options: LeaseOptions,
    generation: number | string,
    { takeovers, ...begin }: Progress & { takeovers: number },
  ) {
    this.#options = options;
    this.#generation = generation;
    this.begin = begin;
    this.takeovers = takeovers;
    this.#progress = () => begin;
  }

  /** Takes the lease; false when another invocation was faster. */
  async tryFirstWrite(): Promise<boolean> {
    try {
      await this.#write('running', this.#options.leaseMs);
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
   * @throws {@link ImportError} `lease_lost` where it was lost, and is not ours to write any more
   */
  async release(state: State, progress: Progress): Promise<void> {
    this.#ended.abort();
    await this.#renewal;
    this.#lost.signal.throwIfAborted();
    this.#progress = () => progress;
    await this.#write(state, null);
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
    // The first write may go on until the run winds down, those behind it until the lease runs out.
    const signal = this.#deadline === Infinity ? run.stopping : this.#lost.signal;
    /** The last attempt, of which it is not known whether it succeeded. */
    let attempt: { begunAt: number; content: string } | undefined;
    for (let delayMs = MIN_INTERVAL_MS; ; delayMs *= 2) {
      // Woken late, the timer that tells of it may not have had its turn.
      if (run.clock.now() >= this.#deadline) throw new LeaseLostError(this.#options.name);
      try {
        if (attempt === undefined || !(await this.#isWritten(attempt.content, signal))) {
          attempt = { begunAt: run.clock.now(), content: this.#content(state, leaseMs) };
          await this.#save(attempt.content, state, signal);
        }
        this.#extend(attempt.begunAt, leaseMs);
        return;
      } catch (error) {
        if (statusOf(error) === 412) continue;
        if (error instanceof ImportError || !isTransient(error)) throw error;
        await run.clock.sleep(delayMs, signal);
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
    await inTime(saved, renewalInterval(leaseMs), signal);
    this.#generation = file.metadata.generation!;
  }

  /** Whether a write of ours succeeded; where it did not, it can be made again. */
  async #isWritten(content: string, signal: AbortSignal): Promise<boolean> {
    const { bucket, name, holder, leaseMs } = this.#options;
    const found = await inTime(readCheckpoint(bucket, name), renewalInterval(leaseMs), signal);
    const { checkpoint, generation } = found;
    const isOurs = checkpoint?.holder === holder;
    if (String(generation) !== String(this.#generation) && !isOurs) throw new LeaseLostError(name);
    this.#generation = generation;
    return isOurs && JSON.stringify(checkpoint) === content;
  }

  #content(state: State, leaseMs: number | null): string {
    const progress = this.#progress();
    const hasMoved = progress.offset > this.begin.offset;
    const checkpoint: Checkpoint = {
      version: 1,
      state,
      holder: this.#options.holder,
      leaseExpiresAt: leaseMs === null ? null : new Date(Date.now() + leaseMs).toISOString(),
      format: progress.format,
      gzip: progress.gzip,
      offset: progress.offset,
      line: progress.line,
      checksum: progress.checksum,
      counts: progress.counts,
      takeovers: hasMoved ? 0 : this.takeovers,
    };
    return JSON.stringify(checkpoint);
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

function renewalInterval(leaseMs: number): number {
  return Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, leaseMs / 3));
}

/** The lease ran out, or another invocation has taken it. */
class LeaseLostError extends ImportError {
  constructor(name: string) {
    super('lease_lost', `The lease on ${name} was lost: another invocation goes on from the last checkpoint`);
  }
}
