/** Prints dead letters by their reasons. */

import { printable } from '../import/printable.ts';
import { formatCount } from '../import/quantities.ts';
import { placeOf } from './letters.ts';
import type { ReasonCount } from './tally.ts';

/** Reasons that are printed, the most frequent ones. */
const MAX_REASONS = 20;

/** Each reason with its count, and below it where a few of them stand. */
export function renderReasons(reasons: readonly ReasonCount[], { withRecords }: { withRecords: boolean }): string {
  const shown = reasons.slice(0, MAX_REASONS);
  const width = Math.max(0, ...shown.map(({ count }) => formatCount(count).length));
  const indent = ' '.repeat(width + 4);
  const lines = shown.flatMap(({ reason, count, examples }) => [
    `  ${formatCount(count).padStart(width)}  ${reason}`,
    ...examples.flatMap(({ source, rejectedAt, record }) => [
      `${indent}${printable([placeOf(source), rejectedAt.slice(0, 19)].filter(Boolean).join(', '))}`,
      ...(withRecords ? [`${indent}  ${printable(record)}`] : []),
    ]),
  ]);
  const more = reasons.length - shown.length;
  if (more > 0) lines.push(`  and ${formatCount(more)} other reasons`);
  return lines.map((line) => `${line}\n`).join('');
}
