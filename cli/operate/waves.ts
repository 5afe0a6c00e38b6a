/** Publishes notifications of objects in waves, as fast as the functions import them. */

import type { Candidate } from './candidates.ts';

/** How waves go. */
export interface WaveOptions {
  /** Objects that were published and are not over, at most. */
  maxPending: number;
  publish(candidate: Candidate): Promise<unknown>;
  /** The states of these, by the names of their checkpoints. */
  findStates(pending: ReadonlyMap<string, Candidate>): Promise<Map<string, string>>;
  /** Waits for so many milliseconds; rejects when no more is to be done. */
  sleep(ms: number): Promise<void>;
  now(): number;
  onProgress(progress: WaveProgress): void;
}

/** How far it has come. */
export interface WaveProgress {
  total: number;
  done: number;
  gone: number;
  stalled: number;
  /** Bytes of those, as stored. */
  bytes: number;
  /** Published and not over, the oldest publication first. */
  pending: ReadonlyMap<string, Candidate>;
  waiting: number;
  /** How long nothing has ended, in milliseconds. */
  idleMs: number;
}

/** How often it is looked for what is over, at most; and the part of the time that looking may take. */
const MIN_INTERVAL_MS = 1_000;
const MAX_LISTING_SHARE = 0.2;

/**
 * Resolves when all are over.
 *
 * @throws whatever `publish`, `findStates` and `sleep` throw
 */
export async function publishInWaves(candidates: readonly Candidate[], options: WaveOptions): Promise<void> {
  const pending = new Map<string, Candidate>();
  const progress = {
    total: candidates.length,
    done: 0,
    gone: 0,
    stalled: 0,
    bytes: 0,
    pending,
    waiting: candidates.length,
    idleMs: 0,
  };
  let changedAt = options.now();
  while (progress.waiting + pending.size > 0) {
    const begin = candidates.length - progress.waiting;
    const wave = candidates.slice(begin, begin + options.maxPending - pending.size);
    await Promise.all(wave.map((candidate) => options.publish(candidate)));
    for (const candidate of wave) pending.set(candidate.checkpoint, candidate);
    progress.waiting -= wave.length;
    options.onProgress(progress);

    await options.sleep(MIN_INTERVAL_MS);
    const listedAt = options.now();
    const states = await options.findStates(pending);
    const over = [...states].filter(([, state]) => state !== 'running');
    const tookMs = options.now() - listedAt;
    for (const [name, state] of over) {
      if (state === 'done') progress.done++;
      else if (state === 'stalled') progress.stalled++;
      else progress.gone++;
      progress.bytes += pending.get(name)!.size;
      pending.delete(name);
    }
    if (over.length > 0) changedAt = options.now();
    progress.idleMs = options.now() - changedAt;
    options.onProgress(progress);
    if (over.length === 0) await options.sleep(tookMs / MAX_LISTING_SHARE);
  }
}
