/** The block: the unit that passes from stage to stage, and the piece of a source that settles as a whole. */

/** Where a record stands in its source; this is the `source` of a dead letter. */
export type Source =
  | { bucket: string; object: string; generation: string; line: number; offset: number; event?: number }
  | { subscription: string; messageId: string; publishTime: string; index: number; event?: number }
  | { file: string; line: number; offset: number; event?: number };

/** What a block was read from. It names its records, for dead letters and for ids by position. */
export interface Origin {
  /**
   * @param offset  byte offset of the record in the decoded content
   * @param ordinal line of the record (objects and files, from 1) or index (messages, from 0)
   */
  sourceOf(offset: number, ordinal: number): Source;
}

/** Why a record can never become an event in Mixpanel. */
export interface Reason {
  /** The field at fault; `record` for what is no event, `transform` for an exception in the transform. */
  field: string;
  message: string;
}

/** A record, or an event that a transform made of one, that can never succeed. */
export interface Rejection {
  reason: Reason;
  source: Source;
  /** The `$insert_id` that it was, or would have been, sent with; undefined for a record that is not held whole. */
  insertId: string | undefined;
  /** The record as it came; its first {@link MAX_KEPT_BYTES} where it was longer than can be held. */
  record: Buffer;
  /** The length of the whole record. */
  bytes: number;
}

/** Bytes that are kept of a record too large to be held. */
export const MAX_KEPT_BYTES = 65_536;

/** The accounts of a piece of ground: `read + expanded = imported + rejected + dropped` once it is settled. */
export interface Counts {
  read: number;
  /** Events beyond the first that a transform made of a record. */
  expanded: number;
  imported: number;
  rejected: number;
  /** Records of which a transform made no event. */
  dropped: number;
}

/** Set in `flags`: no `$insert_id` stands in the properties, one goes in at `splices`. */
export const NEEDS_ID = 1;
/** Set in `flags`: `$insert_id` is null or empty, so that the record must be serialised anew. */
export const EMPTY_ID = 2;
/** Set in `flags`: the properties have no member, so that no comma goes behind what is spliced in. */
export const EMPTY_PROPERTIES = 4;
/** Set in `flags`: CR or LF stands inside the record. */
export const LINE_BREAK = 8;
/** Set in `flags`: a number stands in it that a double may not carry. */
export const LONG_NUMBER = 16;
/** Set in `flags`, alone: a line that was not scanned, as a transform has it parsed. It may turn out to be no event. */
export const UNSCANNED = 32;
/** Those with which a record cannot be sent as it came. */
export const TOUCHED = NEEDS_ID | EMPTY_ID | LINE_BREAK | UNSCANNED;

/** A place in the decoded content. */
export interface Place {
  /** Bytes before it. */
  offset: number;
  /** The line that it is on, from 1. */
  line: number;
  /** The checksum of all bytes before it; 0 where none is kept. */
  checksum: number;
}

/** About a mebibyte of a source, or one message, with its records in columns; those of which it is known that they are no events are not among them. */
export interface Block {
  readonly origin: Origin;
  /**
   * What the records are slices of; emptied once every event of them is in a batch, where the body tells what they were.
   * An object's or a file's are overwritten as soon as more of it is parsed, so that who keeps some copies them; where a
   * transform is to have them, a block has its own.
   */
  bytes: Buffer;
  /** Bytes of the decoded content that this block covers; its weight while it is unsettled. */
  readonly size: number;
  /** Offset of `bytes[0]` in the decoded content. */
  readonly offset: number;
  /** Up to where the source is covered once this block and all before it are settled. */
  readonly end: Place;
  /** Per record: index of its first byte in `bytes`, and of the one behind its last; no white space around it. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Per record: line (from 1) or index in the message (from 0). */
  readonly ordinals: Float64Array;
  /** Per record: the flags above. */
  readonly flags: Uint8Array;
  /** Per record: where an id would go, counted from its first byte. */
  readonly splices: Uint32Array;
  /** What is no event, and later what could not be transformed or was refused. */
  readonly rejections: Rejection[];
  readonly counts: Counts;
  /** Events in batches without an outcome yet, and one more while records are still being turned into events. */
  pending: number;
}

/** The beginning of the content. */
export const START: Place = { offset: 0, line: 1, checksum: 0 };

/** Accounts with nothing in them. */
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

/** Whether the accounts of settled ground balance. */
export function isBalanced(counts: Counts): boolean {
  return counts.read + counts.expanded === counts.imported + counts.rejected + counts.dropped;
}
