/** What formats whose records are rows have in common. */

import { type Block, noCounts, type Position, type Reason, type RowRecords, type Source, throughOf } from '../block.ts';
import { addRejection, MAX_KEPT_BYTES } from '../rejections.ts';
import type { ParseContext } from './format.ts';

/** A source whose records are told apart by `row` instead of a line. */
export function rowSource(source: Source): Source {
  return {
    ...source,
    locate(offset, row) {
      const location = source.locate(offset, row);
      if ('messageId' in location) return location;
      const { line: _, ...place } = location as typeof location & { line?: number };
      return { ...place, row };
    },
  };
}

/** A block of rows, which begins at offset `start`. */
export function rowBlock(
  source: Source,
  start: number,
  end: Position,
  records: RowRecords,
  positionAt: NonNullable<Block['positionAt']>,
): Block {
  const read = records.ordinals.length;
  if (source.limit !== undefined) source.limit.read += read;
  return {
    source,
    records,
    end,
    weight: end.offset - start,
    rejections: [],
    foundRejections: 0,
    counts: { ...noCounts(), read },
    settledRecords: 0,
    pending: 1,
    cutAway: 0,
    // A message is settled as a whole.
    ...(read > 0 && source.context.kind !== 'message' ? { positionAt } : {}),
  };
}

/** A part of the content that is not a record. */
export interface Unreadable {
  offset: number;
  ordinal: number;
  /** The part, or its beginning; as much of it is kept as of any record that is too large. */
  head: Buffer;
  /** Length of the part. */
  bytes: number;
  reason: Reason;
}

/** A block with one rejection: a part of the content that cannot be told into records. */
export function unreadableBlock(context: ParseContext, part: Unreadable, end: Position): Block {
  const { source, insertIdOf, stored } = context;
  const { offset, ordinal, head, bytes, reason } = part;
  const none = new Float64Array();
  const records: RowRecords = { form: 'rows', rows: [], first: 0, offsets: none, ordinals: none, original: () => head };
  const block = rowBlock(source, offset, end, records, () => end);
  const record = Buffer.from(head.subarray(0, MAX_KEPT_BYTES));
  const isWhole = record.length === bytes;
  const from = context.ordinal === 'index' ? ordinal : offset;
  const to = context.ordinal === 'index' ? ordinal + 1 : offset + bytes;
  addRejection(block.rejections, { source, from, to, canExtend: false, stored }, () => ({
    reason,
    location: source.locate(offset, ordinal),
    insertId: isWhole ? insertIdOf(record, source, offset, ordinal) : undefined,
    record,
    bytes,
    through: throughOf(source),
    // Of a message the letter has to hold what nothing else keeps.
    ...(isWhole || stored === undefined ? {} : { range: { from, to, rejected: 1 }, stored }),
  }));
  block.foundRejections = 1;
  block.counts.read = block.counts.rejected = 1;
  if (source.limit !== undefined) source.limit.read++;
  return block;
}
