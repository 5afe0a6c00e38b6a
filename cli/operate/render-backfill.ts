/** Writes what a backfill does, as plain text. */

import { printable } from '../import/printable.ts';
import { countOf, formatBytes, formatCount, formatDuration } from '../import/quantities.ts';
import { type Address, formatAddress } from './address.ts';
import type { Candidate, Candidates } from './candidates.ts';
import type { WaveProgress } from './waves.ts';

/** Names that a dry run shows. */
const MAX_NAMES = 10;

/** What was found under `arg`. */
export function renderCandidates(arg: string, { candidates, done, stalled, skipped }: Candidates): string {
  const bytes = candidates.reduce((sum, { size }) => sum + size, 0);
  const aside = stalled > 0 ? `, ${formatCount(stalled)} stalled left out (--again takes them up)` : '';
  const { prefix, excluded } = skipped;
  const outside = prefix > 0 ? `, ${formatCount(prefix)} outside OBJECT_PREFIX left out` : '';
  const others = excluded > 0 ? `, ${formatCount(excluded)} excluded (OBJECT_INCLUDE, OBJECT_EXCLUDE)` : '';
  return `${printable(arg)}: ${countOf(candidates.length, 'object')} to import, ${formatBytes(bytes)}; ${formatCount(done)} done already${aside}${outside}${others}\n`;
}

/** What a dry run shows besides. */
export function renderNames(candidates: readonly Candidate[]): string {
  const lines = candidates
    .slice(0, MAX_NAMES)
    .map((it) => `  ${new Date(it.createdAt).toISOString()}  ${formatBytes(it.size).padStart(7)}  ${addressOf(it)}`);
  if (candidates.length > MAX_NAMES) lines.push(`  and ${formatCount(candidates.length - MAX_NAMES)} more, older ones`);
  return [...lines, 'Nothing was published.'].map((text) => `${text}\n`).join('');
}

/** How far it has come, on one line. */
export function renderProgress({ total, done, gone, stalled, bytes, pending, waiting }: WaveProgress): string {
  const over = done + gone + stalled;
  return `${Math.floor((100 * over) / total)}%  ${formatCount(over)} of ${countOf(total, 'object')} done, ${formatBytes(bytes)}; ${formatCount(pending.size)} published, ${formatCount(waiting)} to come`;
}

/** What may be wrong where nothing moves. */
export function renderIdle({ pending, idleMs }: WaveProgress): string {
  const [first] = pending.values();
  return `Nothing has become done for ${formatDuration(idleMs)}. Is importObject deployed, and the topic the one that it is subscribed to? See its log, and: npm run status -- '${addressOf(first!)}'`;
}

/** What is said after Ctrl-C. */
export function renderInterrupted(progress: WaveProgress | undefined): string {
  const { done = 0, gone = 0, stalled = 0, waiting = 0 } = progress ?? {};
  const pending = progress?.pending.size ?? 0;
  return `Interrupted: ${formatCount(done + gone + stalled)} done, ${formatCount(pending)} published and still being imported, ${formatCount(waiting)} not published. Run the same command again to continue.\n`;
}

/** What came of it, and where its dead letters would be. */
export function renderEnd(
  { done, gone, stalled, bytes }: WaveProgress,
  durationMs: number,
  deadLetters: Address,
): string {
  const lost = gone > 0 ? `, ${formatCount(gone)} gone before they were read` : '';
  const aside = stalled > 0 ? `, ${formatCount(stalled)} stalled (see their status)` : '';
  const rejected = `npm run dead-letters -- '${printable(formatAddress(deadLetters))}'`;
  return `${countOf(done, 'object')} done${lost}${aside}: ${formatBytes(bytes)} in ${formatDuration(durationMs)}. What was rejected: ${rejected}\n`;
}

function addressOf({ bucket, object }: Candidate): string {
  return printable(formatAddress({ bucket, name: object }));
}
