/** Writes what the command did, as plain text. */

import { addCounts, noCounts } from '../../functions/core/block.ts';
import type { FileResult } from './import-file.ts';
import { printable } from './printable.ts';
import { countOf, formatCount, formatDuration } from './quantities.ts';

/** Reasons of a dry run that are shown, the most frequent ones. */
const MAX_REASONS = 10;

/** What the command did. */
export interface Outcome {
  results: readonly FileResult[];
  /** Inputs that were not begun. */
  left: readonly string[];
  dryRun: boolean;
  durationMs: number;
  /** The command that resumes this one; undefined if nothing is left to resume. */
  resume?: string | undefined;
}

/** Accounts and findings of every file, and what all of it comes to. */
export function renderReport(outcome: Outcome): string {
  const paragraphs = [
    renderTable(rowsOf(outcome)),
    ...outcome.results.map((result) => renderFile(result, outcome.dryRun)).filter((text) => text !== ''),
    renderReasons(outcome),
    outcome.left.length > 0 ? `Not begun: ${outcome.left.map(printable).join(', ')}\n` : '',
    `${verdict(outcome)}\n`,
    outcome.resume === undefined ? '' : `To resume:\n  ${printable(outcome.resume)}\n`,
  ];
  return `\n${paragraphs.filter(Boolean).join('\n')}`;
}

function rowsOf({ results, dryRun, durationMs }: Outcome): string[][] {
  const total = noCounts();
  for (const { counts } of results) addCounts(total, counts);
  const hasExpanded = total.expanded > 0;
  const row = (name: string, counts: FileResult['counts'], ms: number) => [
    name,
    formatCount(counts.read),
    ...(hasExpanded ? [formatCount(counts.expanded)] : []),
    ...[counts.imported, counts.rejected, counts.dropped].map(formatCount),
    formatDuration(ms),
    `${formatCount((1_000 * counts.read) / Math.max(1, ms))}/s`,
  ];
  const head = [
    'file',
    'read',
    ...(hasExpanded ? ['expanded'] : []),
    dryRun ? 'valid' : 'imported',
    'rejected',
    'dropped',
  ];
  return [
    [...head, 'time', 'rate'],
    ...results.map(({ name, counts, durationMs: ms }) => row(printable(name), counts, ms)),
    ...(results.length > 1 ? [row('total', total, durationMs)] : []),
  ];
}

/** The first column stands to the left, the others to the right. */
function renderTable(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!);
  return rows.map((row) => `${row.map(pad).join('   ')}\n`).join('');
}

/** What there is to say of a file besides its accounts; nothing where all went well. */
function renderFile(result: FileResult, dryRun: boolean): string {
  const { state, findings, deadLetterPath } = result;
  const name = printable(result.name);
  const lines = state === 'done' ? [] : [`${name}: ${state}; ${settledPart(result, dryRun)}`];
  if (findings.total > 0) {
    const kept = deadLetterPath === undefined ? '' : `; written to ${printable(deadLetterPath)}`;
    lines.push(`${name}: ${formatCount(findings.total)} ${dryRun ? 'would be rejected' : 'rejected'}${kept}`);
    for (const { place, reason } of findings.first) lines.push(`  ${name}:${place} ${reason}`);
    const more = findings.total - findings.first.length;
    if (more > 0) lines.push(`  and ${formatCount(more)} more`);
  }
  return lines.map((text) => `${text}\n`).join('');
}

function settledPart({ settledUpTo: { line, offset } }: FileResult, dryRun: boolean): string {
  const verb = dryRun ? 'checked' : 'settled';
  if (offset === 0) return `nothing of it is ${verb}`;
  // On the line at which it resumes some records can be settled; the lines before it are settled whole.
  return line === 1
    ? `${verb} up to byte ${formatCount(offset)}`
    : `${verb} up to line ${formatCount(line - 1)}, byte ${formatCount(offset)}`;
}

/** How often each reason occurs; of use only where there are more than the first few. */
function renderReasons({ results, dryRun }: Outcome): string {
  const counts = new Map<string, number>();
  for (const { findings } of results) {
    for (const [reason, count] of findings.counts) counts.set(reason, (counts.get(reason) ?? 0) + count);
  }
  if (counts.size === 0 || !(dryRun || results.some(({ findings }) => findings.total > findings.first.length)))
    return '';
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const rows = sorted.slice(0, MAX_REASONS).map(([reason, count]) => [formatCount(count), reason] as const);
  const width = Math.max(...rows.map(([count]) => count.length));
  const lines = rows.map(([count, reason]) => `  ${count.padStart(width)}  ${reason}`);
  const more = sorted.length - rows.length;
  if (more > 0) lines.push(`  and ${countOf(more, 'other reason')}`);
  return ['Reasons', ...lines].map((text) => `${text}\n`).join('');
}

function verdict({ results, left, dryRun }: Outcome): string {
  const rejected = results.reduce((sum, { findings }) => sum + findings.total, 0);
  if (left.length > 0 || results.some(({ state }) => state !== 'done')) {
    return dryRun
      ? 'Not everything was checked.'
      : 'Not everything is in Mixpanel. Running the same command again is safe: what is there already counts once.';
  }
  const imported = results.reduce((sum, { counts }) => sum + counts.imported, 0);
  const dropped = results.reduce((sum, { counts }) => sum + counts.dropped, 0);
  const without = dropped === 0 ? '' : `, ${formatCount(dropped)} left out`;
  const refused = rejected === 0 ? 'none' : formatCount(rejected);
  if (dryRun) {
    return `Nothing was sent: ${countOf(imported, 'event')} would be imported${without}, ${refused} rejected.`;
  }
  return `${countOf(imported, 'event')} imported${without}, ${refused} rejected.`;
}
