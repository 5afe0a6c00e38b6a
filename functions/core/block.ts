/** The block: the unit that passes from stage to stage, and settles as a whole. */

import type { RecordContext } from './event.ts';
import type { Mapping } from './mappings/mapping.ts';
import { countAll, type RejectedRange, type RejectionLimit } from './rejections.ts';

/**
 * Where a record is in its source: the `source` of a dead letter. Records of text have a `line`, rows of Avro and Parquet a
 * `row`. `event` is its index if a transform made several.
 */
export type Location =
  | ({
      bucket: string;
      object: string;
      generation: string;
      event?: number;
      metadata?: Readonly<Record<string, string>>;
    } & Place)
  | {
      subscription: string;
      messageId: string;
      publishTime: string;
      index: number;
      event?: number;
      attributes?: Readonly<Record<string, string>>;
    }
  | ({ file: string; event?: number } & Place);

/** A place in content. */
type Place = { line: number; offset: number } | { offset: number; row: number };

/** What records are read from: one for each object, message or file. */
export interface Source {
  /** What a transform is told about the source. */
  readonly context: RecordContext;
  /** What becomes of its records. */
  readonly mapping: Mapping;
  /** Has rejections summed up once there are too many; absent if each is held. */
  readonly limit?: RejectionLimit | undefined;
  /** The message as it was stored, if its rejections may have to be summed up. */
  readonly stored?: Buffer | undefined;
  /**
   * @param offset  byte offset of the record in the decoded content
   * @param ordinal line of the record (objects and files, from 1), its row, or its index (messages, from 0)
   */
  locate(offset: number, ordinal: number): Location;
}

/** Why a record can never become an event in Mixpanel. */
export interface Reason {
  /** The invalid field; `record` if it is not a usable record at all, `transform` for an exception in the transform. */
  field: string;
  message: string;
}

/** A record, or an event that a transform made of one, that can never succeed. */
export interface Rejection {
  reason: Reason;
  location: Location;
  /** The `$insert_id` that it was, or would have been, sent with; undefined for a record that is not held whole. */
  insertId: string | undefined;
  /** The record as it arrived, or the beginning of one that is too large to be held. */
  record: Buffer;
  /** Length of the whole record in bytes. */
  bytes: number;
  /** What the record passes before it is sent, such as `transform`; undefined if it is sent as it arrived. */
  through: readonly string[] | undefined;
  /** Set if it may stand for several: it is the first of them. */
  range?: RejectedRange;
  /** The message as it was stored, if {@link range} is set; the letter holds it if the rejection stands for several. */
  stored?: Buffer | undefined;
}

/** Counts for one range of a source: once it is settled, `read + expanded = imported + rejected + dropped`. */
export interface Counts {
  read: number;
  /** Events beyond the first that a transform made of a record. */
  expanded: number;
  imported: number;
  rejected: number;
  /** Records of which a transform made no event. */
  dropped: number;
}

/** Flag: `properties` has no `$insert_id`; one is spliced in at `splices`. */
export const NEEDS_ID = 1;
/** Flag: `$insert_id` is null or empty, so the record must be serialized anew. */
export const EMPTY_ID = 2;
/** Flag: `properties` has no member, so no comma follows what is spliced in. */
export const EMPTY_PROPERTIES = 4;
/** Flag: CR or LF occurs inside the record. */
export const LINE_BREAK = 8;
/** Flag: the record contains a number that a double may not carry. */
export const LONG_NUMBER = 16;
/** Flag: the record is an element of an array. */
export const IN_ARRAY = 32;
/** Flag: the array is broken, because a value in it before the record is not JSON. */
export const IN_BROKEN_ARRAY = 64;
/** Any of these means that the record cannot be sent verbatim. */
export const NOT_VERBATIM = NEEDS_ID | EMPTY_ID | LINE_BREAK;

/** A position in the decoded content from which reading can resume. */
export interface Position {
  /** Bytes before it. */
  offset: number;
  /** The line that it is on, from 1. */
  line: number;
  /** Checksum of all bytes before it; 0 if none is kept. */
  checksum: number;
  /** Records before this offset are settled too, if it is after {@link offset}. */
  settledTo?: number;
  /** What only the format understands; undefined if it needs nothing more. JSON, as it is stored in checkpoints. */
  state?: unknown;
}

/** Records that are slices of a buffer, with a row of these columns for each. */
export interface JsonRecords {
  form: 'json';
  /**
   * The buffer. Unless {@link ownsBytes}, the parser overwrites it when it reads on, so copy what you keep; it is emptied
   * once all records are in batches, from where they are recovered (see `mixpanel/original.ts`).
   */
  bytes: Buffer;
  readonly ownsBytes: boolean;
  /** Offset of `bytes[0]` in the decoded content. */
  readonly offset: number;
  /** Index of the first byte, and of the one after the last; white space around the record is excluded. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Line (from 1) or index in the message (from 0). */
  readonly ordinals: Float64Array;
  /** The flags above. */
  readonly flags: Uint8Array;
  /** Where an id would be spliced in, counted from the record's first byte. */
  readonly splices: Uint32Array;
  /** Reads a record that is text but not JSON. Such records are always mapped. */
  readonly parse?: (text: string) => unknown;
}

/** Records that arrive as values, from formats other than JSON. */
export interface RowRecords {
  form: 'rows';
  /**
   * All rows that were read together; the records of the block begin at index {@link first}. They take much more memory than
   * what they were read from, and are released once all are in batches.
   */
  readonly rows: readonly unknown[];
  readonly first: number;
  /** Offset and ordinal of each record, as {@link Source.locate} takes them. */
  readonly offsets: Float64Array;
  readonly ordinals: Float64Array;
  /**
   * The row with that index as JSON in the format's canonical rendering, for dead letters and ids. Made only when asked
   * for, which may be after a transform has changed the row.
   */
  original(index: number): Buffer;
  /** Releases {@link rows}. */
  release?(): void;
}

/** About 1 MiB of a source, or one message, with its records. */
export interface Block {
  readonly source: Source;
  /** Records that may become events; those already known to be invalid are in `rejections`. */
  records: JsonRecords | RowRecords;
  /** Everything before it is settled once this block and all before it are. */
  end: Position;
  /** Bytes of memory that the block takes until it settles; for objects and files the bytes that it covers. */
  weight: number;
  /** Those found while reading, in the order of the source, and after them those found later. */
  rejections: Rejection[];
  /** Rejections found while reading. */
  foundRejections: number;
  readonly counts: Counts;
  /** Records at its beginning whose events were all accepted, although others still wait; see {@link settledPartOf}. */
  settledRecords: number;
  /** Events still waiting for an outcome, plus one while the block is being added to batches. Zero means settled. */
  pending: number;
  /** Records that were cut away from the front of the block since it was read. */
  readonly cutAway: number;
  /**
   * The position after the first `record` records of the block as it was read. Asked for in ascending order, while the bytes
   * are there; of rows at any time. Absent if the block can only settle as a whole.
   */
  readonly positionAt?: (record: number) => Position;
}

/** The beginning of the content. */
export const START: Position = { offset: 0, line: 1, checksum: 0 };

/** Counts of nothing. */
export function noCounts(): Counts {
  return { read: 0, expanded: 0, imported: 0, rejected: 0, dropped: 0 };
}

/** Adds `counts` to `total`, in place. */
export function addCounts(total: Counts, counts: Counts): void {
  total.read += counts.read;
  total.expanded += counts.expanded;
  total.imported += counts.imported;
  total.rejected += counts.rejected;
  total.dropped += counts.dropped;
}

/** Whether there were records, and every one was rejected. */
export function isAllRejected({ imported, rejected, dropped }: Counts): boolean {
  return rejected > 0 && imported === 0 && dropped === 0;
}

/** Whether the counts of a settled range add up. */
export function isBalanced(counts: Counts): boolean {
  return counts.read + counts.expanded === counts.imported + counts.rejected + counts.dropped;
}

/** What records of the source pass before they are sent; undefined if they are sent as they arrive. */
export function throughOf({ mapping }: Source): readonly string[] | undefined {
  return mapping.kind === 'mapped' ? mapping.through : undefined;
}

/** Number of records. */
export function lengthOf(records: JsonRecords | RowRecords): number {
  return records.ordinals.length;
}

/**
 * Cuts a block in two, so that what is in a batch settles without waiting for the rest. `block` keeps the first `record`
 * records, which have been turned into events, and what has been counted of them.
 *
 * @returns a block with the rest
 */
export function cutBlock(block: Block, record: number): Block {
  const { records, rejections, counts, weight } = block;
  const cutAway = block.cutAway + record;
  const end = block.positionAt!(cutAway);
  const read = lengthOf(records) - record;
  const kept = firstAt(rejections, block.foundRejections, end.offset);
  const later = rejections.slice(kept, block.foundRejections);
  const laterCount = countAll(later);
  const restWeight = block.end.offset - end.offset;
  const rest: Block = {
    source: block.source,
    records: recordsFrom(records, record),
    end: block.end,
    weight: restWeight,
    rejections: later,
    foundRejections: later.length,
    counts: { ...noCounts(), read: read + laterCount, rejected: laterCount },
    settledRecords: 0,
    pending: 1,
    cutAway,
    positionAt: block.positionAt!,
  };
  block.records = recordsFrom(records, 0, record);
  block.end = end;
  block.weight = weight - restWeight;
  if (later.length > 0) block.rejections = [...rejections.slice(0, kept), ...rejections.slice(block.foundRejections)];
  block.foundRejections = kept;
  counts.read -= read + laterCount;
  counts.rejected -= laterCount;
  return rest;
}

/** The part of a block that is settled although the block is not: records at its beginning that were all accepted. */
export interface SettledPart {
  records: number;
  /** Offset after the last of them. */
  offset: number;
  /** Set if reading can resume right after them. */
  position?: Position;
}

/** The settled part of a block, up to its first rejection; undefined if there is none. */
export function settledPartOf(block: Block): SettledPart | undefined {
  const { records, settledRecords, rejections, positionAt, cutAway } = block;
  if (positionAt === undefined) return undefined;
  if (records.form === 'rows') {
    if (settledRecords === 0 || rejections.length > 0) return undefined;
    const position = positionAt(cutAway + settledRecords);
    return { records: settledRecords, offset: position.offset, position };
  }
  const endOf = (record: number) => records.offset + records.ends[record - 1]!;
  let limit = Number.POSITIVE_INFINITY;
  for (const { location } of rejections) limit = Math.min(limit, offsetOf(location));
  let settled = settledRecords;
  while (settled > 0 && endOf(settled) > limit) settled--;
  return settled === 0 ? undefined : { records: settled, offset: endOf(settled) };
}

/** What is left of a block that was read again, without the records before `offset`, which are settled. */
export function withoutSettled(block: Block, offset: number): Block {
  const { records, positionAt } = block;
  if (positionAt === undefined || records.form !== 'json') return block;
  let settled = 0;
  while (settled < records.starts.length && records.offset + records.starts[settled]! < offset) settled++;
  return settled === 0 ? block : cutBlock(block, settled);
}

/** Index of the first of the `found` rejections, which are in order, that is at or after `offset`. */
function firstAt(rejections: readonly Rejection[], found: number, offset: number): number {
  let from = 0;
  let to = found;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (offsetOf(rejections[middle]!.location) < offset) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Offset of a location in its object or file; of a message, the index of the record. */
export function offsetOf(location: Location): number {
  return 'offset' in location ? location.offset : location.index;
}

/** The records with indexes from `from` up to `to`, `to` excluded; default: to the last. */
export function recordsFrom<Records extends Block['records']>(records: Records, from: number, to?: number): Records;
export function recordsFrom(records: Block['records'], from: number, to?: number): Block['records'] {
  const ordinals = records.ordinals.subarray(from, to);
  if (records.form === 'rows') {
    return {
      ...records,
      first: records.first + from,
      offsets: records.offsets.subarray(from, to),
      ordinals,
    };
  }
  return {
    ...records,
    starts: records.starts.subarray(from, to),
    ends: records.ends.subarray(from, to),
    ordinals,
    flags: records.flags.subarray(from, to),
    splices: records.splices.subarray(from, to),
  };
}
