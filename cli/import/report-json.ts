/** Writes what the command did as one JSON document, for scripts. */

import { addCounts, noCounts } from '../../functions/core/block.ts';
import { printableLines } from './printable.ts';
import type { Outcome } from './report.ts';

/** Accounts and findings of every file, and what all of it comes to; `notBegun` names the inputs that were not begun. */
export function renderReportJson({ results, left, dryRun, durationMs, resume }: Outcome): string {
  const total = noCounts();
  for (const { counts } of results) addCounts(total, counts);
  const files = results.map(({ name, state, counts, settledUpTo, findings, deadLetterPath, durationMs, error }) => ({
    name,
    state,
    ...counts,
    settledUpTo,
    deadLetters: deadLetterPath,
    first: findings.first,
    reasons: Object.fromEntries([...findings.counts].sort(([, a], [, b]) => b - a)),
    durationMs: Math.round(durationMs),
    error: error instanceof Error ? error.message : error,
  }));
  const document = { dryRun, files, total, notBegun: left, durationMs: Math.round(durationMs), resume };
  return `${printableLines(JSON.stringify(document, undefined, 2))}\n`;
}
