/** Writes what the operators' commands found and did as JSON documents, for scripts. */

import { printableLines } from '../import/printable.ts';
import type { Candidates } from './candidates.ts';
import type { ObjectState } from './object-state.ts';
import type { Replayed } from './replay-letters.ts';
import type { WaveProgress } from './waves.ts';

/** @param found undefined where there neither is such an object nor was */
export function renderStateJson(found: ObjectState | undefined): string {
  if (found === undefined) return format({ state: 'missing' });
  const { object, stored, checkpoint, exclusion, deadLetters, others } = found;
  const { position, counts, lastError, leaseExpiresAt, fruitless } = checkpoint ?? {};
  const { tally } = deadLetters.survey;
  return format({
    object,
    state: checkpoint?.state ?? (exclusion === undefined ? 'not seen' : 'excluded'),
    stored,
    position: position && { offset: position.offset, line: position.line },
    counts,
    leaseExpiresAt,
    fruitless,
    lastError,
    exclusion,
    deadLetters: { letters: tally.total, records: tally.records, foundIn: deadLetters.foundIn },
    others,
  });
}

/** @param durationMs how long it took */
export function renderReplayedJson(replayed: Replayed, durationMs: number): string {
  const { counts, rejected, truncated, unreadable, repeated, filesDone, filesLeft, error } = replayed;
  return format({
    ...counts,
    truncated,
    unreadable,
    repeated,
    filesDone,
    filesLeft: filesLeft.map(({ name }) => name),
    reasons: Object.fromEntries(rejected.reasons().map(({ reason, count }) => [reason, count])),
    durationMs: Math.round(durationMs),
    error: error instanceof Error ? error.message : error,
  });
}

/** What a backfill came to. */
export interface Backfilled {
  dryRun: boolean;
  /** How far it came; undefined if nothing was published. */
  progress?: WaveProgress | undefined;
  interrupted?: boolean;
  durationMs?: number;
}

/** `objects` has those that were not done when it was looked for them. */
export function renderBackfilledJson(found: Candidates, { dryRun, progress, ...rest }: Backfilled): string {
  const { candidates, done, stalled, skipped } = found;
  const objects = candidates.map(({ bucket, object, generation, size, createdAt }) => {
    return { bucket, object, generation, size, createdAt: new Date(createdAt).toISOString() };
  });
  const published = progress && {
    done: progress.done,
    gone: progress.gone,
    stalled: progress.stalled,
    pending: progress.pending.size,
    notPublished: progress.waiting,
  };
  return format({ dryRun, before: { done, stalled, skipped }, published, ...rest, objects });
}

function format(document: object): string {
  return `${printableLines(JSON.stringify(document, undefined, 2))}\n`;
}
