/** Formats a rejection as a dead letter: one JSON object per line. */

import { isUtf8 } from 'node:buffer';
import type { Rejection } from './block.ts';
import { MAX_KEPT_BYTES, type RejectedRange } from './rejections.ts';

/** From so many bytes on a record is encoded piece by piece. */
const LARGE_BYTES = 262_144;
/** Bytes that are encoded at a time: a multiple of three, so that base64 has no padding in the middle. */
const PIECE_BYTES = 49_152;

/**
 * @param rejection  if it stands for several, the letter has their `range` and how many were `rejected`, and the beginning of
 *   the first record; or all of the message
 * @param rejectedAt when it was rejected
 * @returns a line with its line end: the record as text, or as `recordBase64` if it is not valid UTF-8; with `truncated`
 *   and its whole length if only its beginning is held
 */
export function formatDeadLetter(rejection: Rejection, rejectedAt: Date): string {
  const { before, record, isText, after } = partsOf(rejection, rejectedAt);
  return `${before}${isText ? JSON.stringify(record.toString()) : `"${record.toString('base64')}"`}${after}`;
}

/** The same, as bytes if the record is large: several strings of many megabytes would stay in memory for long. */
export function encodeDeadLetter(rejection: Rejection, rejectedAt: Date): string | Buffer {
  const { before, record, isText, after } = partsOf(rejection, rejectedAt);
  if (record.length < LARGE_BYTES) return formatDeadLetter(rejection, rejectedAt);
  const pieces = [Buffer.from(`${before}"`)];
  for (let at = 0; at < record.length; ) {
    let end = Math.min(record.length, at + PIECE_BYTES);
    // A piece ends before a character, not in it.
    while (isText && end < record.length && (record[end]! & 0xc0) === 0x80) end--;
    const piece = record.toString(isText ? 'utf8' : 'base64', at, end);
    pieces.push(Buffer.from(isText ? JSON.stringify(piece).slice(1, -1) : piece));
    at = end;
  }
  return Buffer.concat([...pieces, Buffer.from(`"${after}`)]);
}

/** A line in three parts: what is before the record, the record, and what is after it. */
function partsOf(rejection: Rejection, rejectedAt: Date) {
  const { reason, location, through, range } = rejection;
  const isSum = range !== undefined && (range.rejected > 1 || rejection.record.length < rejection.bytes);
  const insertId = isSum ? undefined : rejection.insertId;
  const { record, bytes } = isSum ? summedRecord(rejection, range) : rejection;
  const before = JSON.stringify({
    reason,
    source: location,
    ...(through === undefined ? {} : { through }),
    insertId,
    rejectedAt: rejectedAt.toISOString(),
  });
  const after = JSON.stringify({
    ...(record.length < bytes ? { truncated: true, bytes } : {}),
    ...(isSum ? { range: { from: range.from, to: range.to }, rejected: range.rejected } : {}),
  });
  const isText = isUtf8(record);
  return {
    before: `${before.slice(0, -1)},"${isText ? 'record' : 'recordBase64'}":`,
    record,
    isText,
    after: `${after === '{}' ? '' : `,${after.slice(1, -1)}`}}\n`,
  };
}

/** What a letter holds of records that are summed up: all of a message, or the beginning of the first one. */
function summedRecord({ stored, record }: Rejection, { from, to }: RejectedRange): Pick<Rejection, 'record' | 'bytes'> {
  if (stored !== undefined) return { record: stored, bytes: stored.length };
  return { record: record.subarray(0, MAX_KEPT_BYTES), bytes: to - from };
}
