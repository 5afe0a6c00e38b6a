/** Holds an object generation for one invocation: takes its checkpoint over, renews it, and lets it go. */

import type { Bucket } from '@google-cloud/storage';
import { ImportError } from '../import/errors.ts';
import type { Run } from '../import/run.ts';
import { type Checkpoint, noProgress, type Progress, readCheckpoint, type State } from './checkpoint.ts';
import { statusOf } from './client.ts';

/** Cloud Storage takes about one update a second of an object (https://cloud.google.com/storage/quotas#objects). */
const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 10_000;
const NEVER = new AbortController().signal;

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
  const { bucket, name, holder } = options;
  for (;;) {
    const { checkpoint, generation } = await readCheckpoint(bucket, name);
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
  #expiry: NodeJS.Timeout | undefined;
  #renewal: Promise<void> = Promise.resolve();
  #progress: () => Progress;
  /** Aborted when there is nothing to renew any more. */
  readonly #ended = new AbortController();
  #lost: unknown;

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
    const intervalMs = Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, this.#options.leaseMs / 3));
    this.#renewal = this.#renew(intervalMs).catch((error) => this.#lose(error));
  }

  /**
   * Writes the checkpoint for the last time and releases the lease.
   *
   * @throws {@link ImportError} `lease_lost` where it was lost, and is not ours to write any more
   */
  async release(state: State, progress: Progress): Promise<void> {
    this.#ended.abort();
    await this.#renewal;
    clearTimeout(this.#expiry);
    if (this.#lost !== undefined) throw this.#lost;
    this.#progress = () => progress;
    await this.#write(state, null);
  }

  async #renew(intervalMs: number): Promise<void> {
    const { clock } = this.#options.run;
    for (;;) {
      try {
        await clock.sleep(intervalMs, this.#ended.signal);
      } catch {
        return;
      }
      await this.#write('running', this.#options.leaseMs);
    }
  }

  /** Replaces the checkpoint, tries again what may succeed, and recognises its own writes whose answers were lost. */
  async #write(state: State, leaseMs: number | null): Promise<void> {
    const { bucket, name, run } = this.#options;
    for (let delayMs = MIN_INTERVAL_MS; ; delayMs *= 2) {
      const begunAt = run.clock.now();
      const content = this.#content(state, leaseMs);
      try {
        const file = bucket.file(name);
        await file.save(content, {
          resumable: false,
          contentType: 'application/json',
          preconditionOpts: { ifGenerationMatch: this.#generation },
          metadata: { metadata: { state } },
        });
        this.#generation = file.metadata.generation!;
      } catch (error) {
        const status = statusOf(error);
        const isTransient = status === undefined || status === 408 || status === 429 || status >= 500;
        if (status !== 412 && !isTransient) throw error;
        // The first write may go on until the run winds down, those behind it until the lease runs out.
        if (isTransient) await run.clock.sleep(delayMs, this.#deadline === Infinity ? run.stopping : NEVER);
        if (!(await this.#isOurs(content))) continue;
      }
      this.#extend(begunAt, leaseMs);
      return;
    }
  }

  /** After a write of which it is not known whether it succeeded: true when it did, false when it has to be made again. */
  async #isOurs(content: string): Promise<boolean> {
    const { bucket, name, holder, run } = this.#options;
    const { checkpoint, generation } = await readCheckpoint(bucket, name);
    if (String(generation) !== String(this.#generation) && checkpoint?.holder !== holder)
      throw new LeaseLostError(name);
    if (run.clock.now() >= this.#deadline) throw new LeaseLostError(name);
    this.#generation = generation;
    return checkpoint?.holder === holder && JSON.stringify(checkpoint) === content;
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
      counts: progress.counts,
      takeovers: hasMoved ? 0 : this.takeovers,
    };
    return JSON.stringify(checkpoint);
  }

  #extend(begunAt: number, leaseMs: number | null): void {
    clearTimeout(this.#expiry);
    if (leaseMs === null) return;
    this.#deadline = begunAt + leaseMs;
    const { name, run } = this.#options;
    this.#expiry = setTimeout(() => this.#lose(new LeaseLostError(name)), this.#deadline - run.clock.now());
  }

  /** Stops everything: another invocation may have taken over. */
  #lose(error: unknown): void {
    this.#lost ??= error;
    this.#ended.abort();
    this.#options.run.stop('lease-lost');
    this.#options.run.abort();
  }
}

/** The lease ran out, or another invocation has taken it. */
class LeaseLostError extends ImportError {
  constructor(name: string) {
    super('lease_lost', `The lease on ${name} was lost: another invocation goes on from the last checkpoint`);
  }
}
