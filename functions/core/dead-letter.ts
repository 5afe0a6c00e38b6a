/** Formats a rejection as a dead letter: one JSON object per line. */

import { isUtf8 } from 'node:buffer';
import type { Rejection } from './block.ts';
import { MAX_KEPT_BYTES, type RejectedRange } from './rejections.ts';

/**
 * @param rejection  if it stands for several, the letter has their `range` and how many were `rejected`, and the beginning of
 *   the first record; or all of the message
 * @param rejectedAt when it was rejected
 * @returns a line with its line end: the record as text, or as `recordBase64` if it is not valid UTF-8; with `truncated`
 *   and its whole length if only its beginning is held
 */
export function formatDeadLetter(rejection: Rejection, rejectedAt: Date): string {
  const { reason, location, through, range } = rejection;
  const isSum = range !== undefined && (range.rejected > 1 || rejection.record.length < rejection.bytes);
  const insertId = isSum ? undefined : rejection.insertId;
  const { record, bytes } = isSum ? summedRecord(rejection, range) : rejection;
  const summed = isSum ? { range: { from: range.from, to: range.to }, rejected: range.rejected } : {};
  const line = {
    reason,
    source: location,
    ...(through === undefined ? {} : { through }),
    insertId,
    rejectedAt: rejectedAt.toISOString(),
    ...(isUtf8(record) ? { record: record.toString() } : { recordBase64: record.toString('base64') }),
    ...(record.length < bytes ? { truncated: true, bytes } : {}),
    ...summed,
  };
  return `${JSON.stringify(line)}\n`;
}

/** What a letter holds of records that are summed up: all of a message, or the beginning of the first one. */
function summedRecord({ stored, record }: Rejection, { from, to }: RejectedRange): Pick<Rejection, 'record' | 'bytes'> {
  if (stored !== undefined) return { record: stored, bytes: stored.length };
  return { record: record.subarray(0, MAX_KEPT_BYTES), bytes: to - from };
}
