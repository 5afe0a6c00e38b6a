/** Writes what a replay did, as plain text. */

import { printable } from '../import/printable.ts';
import { countOf, formatCount, formatDuration } from '../import/quantities.ts';
import { renderReasons } from './render-reasons.ts';
import type { Replayed } from './replay-letters.ts';

/** Files that are named. */
const MAX_FILES = 10;

/** @param durationMs how long it took */
export function renderReplayed(replayed: Replayed, durationMs: number): string {
  const { counts, rejected, truncated, unreadable, repeated, filesDone, filesLeft } = replayed;
  if (filesDone + filesLeft.length === 0) return 'No dead letters there.\n';
  const facts = [
    `${countOf(counts.read, 'dead letter')} replayed in ${formatDuration(durationMs)}: ${countOf(counts.imported, 'event')} imported`,
    counts.dropped > 0 ? `${countOf(counts.dropped, 'record')} left out` : '',
    `${counts.rejected === 0 ? 'none' : formatCount(counts.rejected)} rejected again`,
    repeated > 0 ? `${countOf(repeated, 'repetition')} removed` : '',
  ];
  const stayed = [
    truncated > 0 ? `${countOf(truncated, 'record')} cut short` : '',
    unreadable > 0 ? `${countOf(unreadable, 'line')} not understood` : '',
  ].filter(Boolean);
  const reasons =
    rejected.total === 0 ? '' : `\nRejected again\n${renderReasons(rejected.reasons(), { withRecords: false })}`;
  return [
    `\n${facts.filter(Boolean).join(', ')}.\n`,
    stayed.length > 0 ? `Left as it was: ${stayed.join(', ')}.\n` : '',
    reasons,
    renderFilesLeft(replayed),
  ].join('');
}

function renderFilesLeft({ filesLeft }: Replayed): string {
  if (filesLeft.length === 0) return '';
  const named = filesLeft.slice(0, MAX_FILES).map(({ name }) => `  ${printable(name)}\n`);
  if (filesLeft.length > MAX_FILES) named.push(`  and ${formatCount(filesLeft.length - MAX_FILES)} more\n`);
  const head = `${countOf(filesLeft.length, 'file')} not done with. Running the same command again is safe: what is in Mixpanel already counts once.`;
  return `\n${head}\n${named.join('')}`;
}
