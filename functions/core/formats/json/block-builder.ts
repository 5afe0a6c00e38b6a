/** Fills a block: takes records as they are found in a buffer, valid ones into columns, the others as rejections. */

import { isUtf8 } from 'node:buffer';
import {
  type Block,
  EMPTY_ID,
  EMPTY_PROPERTIES,
  LINE_BREAK,
  LONG_NUMBER,
  MAX_KEPT_BYTES,
  NEEDS_ID,
  noCounts,
  type Origin,
  type Place,
  type Reason,
  type Rejection,
  UNSCANNED,
} from '../../block.ts';
import type { InsertIdOf } from '../../insert-id.ts';
import { MAX_DEPTH, newScan, type Scan, type ScanStatus } from './scanner.ts';

/** The most bytes a record may have: Mixpanel takes events under 1 MB (https://developer.mixpanel.com/reference/import-events). */
export const MAX_RECORD_BYTES = 1_000_000;

/** What all blocks of one source have in common. */
export interface BlockContext {
  origin: Origin;
  insertIdOf: InsertIdOf;
  /** What `ordinals` count: lines from 1, or records from 0. */
  ordinal: 'line' | 'index';
  /** Goes on from the checksum of what comes before `bytes`; no checksum is kept unless given. */
  checksumOf?: ((bytes: Buffer, before: number) => number) | undefined;
  /** Whether a transform has every record parsed; then lines need not be scanned. */
  isTransformed?: boolean;
}

/** A part of the source that is not held whole: its beginning, its place and its length so far. */
interface Cut {
  message: string;
  offset: number;
  ordinal: number;
  kept: Buffer;
  bytes: number;
  /** Returns the index behind the part, or -1 while it goes on behind `bytes`; undefined where it goes on to the end. */
  findEnd: ((bytes: Buffer) => number) | undefined;
}

/** Records of a block for which the columns are kept; one with more, such as a message of 100 MB, takes them with it. */
const MAX_KEPT_ROWS = 100_000;

/** Records that the columns have room for at first: more than a mebibyte has of small events. */
const ROWS = 8_192;

/**
 * The columns of the block under construction, the same arrays for one block after the other: arrays that grow leave twice
 * their size to be collected. A block is filled in one go, so that no two builders are at it at once.
 */
let columns = newColumns(ROWS);

/** The block under construction, over `bytes`, and where in the source its records stand. */
export class BlockBuilder {
  readonly scan: Scan = newScan();
  /** Line that begins at, or stands around, the place where the splitter is. */
  line: number;
  /** The part that is being read over, while its end has not come. */
  cut: Cut | undefined;
  /** Records before the first JSON object, be it an event or not; undefined as long as there is none. */
  recordsBeforeObject: number | undefined;
  readonly #context: BlockContext;
  #records = 0;
  /** Offset of `bytes[0]`, and the checksum of all that comes before. */
  #offset: number;
  #checksum: number;
  /** Offset at which the block begins; bytes that no record is in may lie between it and `bytes[0]`. */
  #start: number;
  #end: Place;
  #bytes: Buffer = EMPTY;
  /** Records in the columns. */
  #length = 0;
  #rejections: Rejection[] = [];

  /** @param start where in the decoded content the first block begins */
  constructor(context: BlockContext, start: Place) {
    this.#context = context;
    this.#offset = this.#start = start.offset;
    this.#checksum = start.checksum;
    this.#end = start;
    this.line = start.line;
  }

  /** Offset in the decoded content of the bytes that are under construction. */
  get offset(): number {
    return this.#offset;
  }

  /** Goes on with a block over `bytes`. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#length = 0;
    this.#rejections = [];
  }

  /** Reading can go on at `bytes[at]` without what came before it: a block may end there. */
  mark(at: number): void {
    this.#end = { offset: this.#offset + at, line: this.line, checksum: 0 };
  }

  /** Moves on over `bytes`, which hold no record. */
  skip(bytes: Buffer): void {
    this.#pass(bytes);
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) this.line++;
  }

  /** Takes the record `bytes[from, to)`, of which {@link scan} holds what a scan has found, with `status`. */
  add(from: number, to: number, status: ScanStatus, isValidUtf8: boolean): void {
    const scan = this.scan;
    const isTooLarge = to - from > MAX_RECORD_BYTES;
    const isValid = status === 'value' || status === 'too-deep';
    if (isTooLarge ? this.#bytes[from] === OPEN_OBJECT : scan.isObject && isValid) this.#noteObject();
    const fault = faultOf(scan, status, from, to, isValidUtf8 || isUtf8(this.#bytes.subarray(from, to)));
    if (fault !== undefined) {
      this.reject(from, to, fault.field, fault.message);
      return;
    }
    const flag =
      (scan.insertId === 'absent' ? NEEDS_ID : scan.insertId === 'empty' ? EMPTY_ID : 0) |
      (scan.propertiesEmpty ? EMPTY_PROPERTIES : 0) |
      (scan.lineBreak ? LINE_BREAK : 0) |
      (scan.longNumber ? LONG_NUMBER : 0);
    this.#add(from, to, scan.spliceAt - from, flag);
  }

  /**
   * Takes the record `bytes[from, to)`, which is valid UTF-8, without knowing what it is.
   *
   * @returns false where that must be known
   */
  addUnscanned(from: number, to: number): boolean {
    const isAllowed = this.#context.isTransformed && this.recordsBeforeObject !== undefined;
    if (!isAllowed || to - from > MAX_RECORD_BYTES) return false;
    this.#add(from, to, 0, UNSCANNED);
    return true;
  }

  /** Takes the record `bytes[from, to)` as a rejection. */
  reject(from: number, to: number, field: string, message: string): void {
    const isTooLarge = to - from > MAX_RECORD_BYTES;
    const kept = this.#bytes.subarray(from, isTooLarge ? from + MAX_KEPT_BYTES : to);
    this.#reject(Buffer.from(kept), to - from, this.#offset + from, this.#nextOrdinal(), { field, message });
  }

  /** Begins a part that is not held whole, at `bytes[from]`; nothing of it is taken yet. */
  beginCut(from: number, message: string, findEnd?: Cut['findEnd']): void {
    this.cut = { message, offset: this.#offset + from, ordinal: this.#nextOrdinal(), kept: EMPTY, bytes: 0, findEnd };
  }

  /**
   * Begins a part that is all of the content, whatever was found in it before.
   *
   * @param head the beginning of the content
   */
  beginCutOfAll(head: Buffer, message: string): void {
    const kept = head.subarray(0, this.#offset);
    this.cut = { message, offset: 0, ordinal: 1, kept, bytes: this.#offset, findEnd: undefined };
    this.#start = 0;
  }

  /** Adds `bytes`, which come next, to the part; returns the index at which it ends before them, or -1 if it does not. */
  extendCut(bytes: Buffer): number {
    const cut = this.cut!;
    const found = cut.findEnd === undefined ? -1 : cut.findEnd(bytes);
    const part = found === -1 ? bytes : bytes.subarray(0, found);
    cut.kept = extendKept(cut.kept, part);
    cut.bytes += part.length;
    this.skip(part);
    return found === bytes.length ? -1 : found;
  }

  /** Takes the part as a rejection: it is complete, and ends where the bytes under construction begin. */
  rejectCut(): void {
    const { message, offset, ordinal, kept, bytes, findEnd } = this.cut!;
    this.cut = undefined;
    if (findEnd !== undefined && kept[0] === OPEN_OBJECT) this.#noteObject();
    this.#reject(kept, bytes, offset, ordinal, { field: 'record', message });
    this.mark(0);
  }

  /** Ends the block at the last {@link mark}; the next one goes on at `bytes[consumed]`. */
  finish(consumed: number): Block {
    const length = this.#length;
    const rejections = this.#rejections;
    const offset = this.#offset;
    const marked = this.#end.offset - offset;
    if (marked >= 0) {
      this.#pass(this.#bytes.subarray(0, marked));
      this.#end.checksum = this.#checksum;
    }
    this.#pass(this.#bytes.subarray(this.#offset - offset, consumed));
    const block: Block = {
      origin: this.#context.origin,
      bytes: length > 0 ? this.#bytes : EMPTY,
      size: this.#end.offset - this.#start,
      offset,
      end: this.#end,
      ...takeColumns(length),
      rejections,
      counts: { ...noCounts(), read: length + rejections.length, rejected: rejections.length },
      pending: 1,
    };
    this.#start = this.#end.offset;
    return block;
  }

  #add(from: number, to: number, splice: number, flag: number): void {
    const row = this.#length++;
    if (row === columns.starts.length) columns = extend(columns);
    columns.starts[row] = from;
    columns.ends[row] = to;
    columns.ordinals[row] = this.#nextOrdinal();
    columns.flags[row] = flag;
    columns.splices[row] = splice;
    this.#records++;
  }

  #pass(bytes: Buffer): void {
    this.#offset += bytes.length;
    if (bytes.length > 0) this.#checksum = this.#context.checksumOf?.(bytes, this.#checksum) ?? 0;
  }

  #nextOrdinal(): number {
    return this.#context.ordinal === 'line' ? this.line : this.#records;
  }

  #noteObject(): void {
    this.recordsBeforeObject ??= this.#records;
  }

  #reject(kept: Buffer, bytes: number, offset: number, ordinal: number, reason: Reason): void {
    const { origin, insertIdOf } = this.#context;
    const record = kept.length < bytes ? wholeCharacters(kept.subarray(0, MAX_KEPT_BYTES)) : kept;
    const insertId = record.length < bytes ? undefined : insertIdOf(record, origin, offset, ordinal);
    this.#records++;
    this.#rejections.push({ reason, source: origin.sourceOf(offset, ordinal), insertId, record, bytes });
  }
}

/** The beginning of a part that is not held whole, with the bytes that come next in it. */
export function extendKept(kept: Buffer, bytes: Buffer): Buffer {
  if (kept.length >= MAX_KEPT_BYTES) return kept;
  return Buffer.concat([kept, bytes.subarray(0, MAX_KEPT_BYTES - kept.length)]);
}

const EMPTY = Buffer.alloc(0);
const NEWLINE = 0x0a;
const OPEN_OBJECT = 0x7b;

type Columns = Pick<Block, 'starts' | 'ends' | 'ordinals' | 'flags' | 'splices'>;

/** Typed arrays: of ordinary ones those that wait for their outcomes would make the heap grow. */
function newColumns(rows: number): Columns {
  return {
    starts: new Uint32Array(rows),
    ends: new Uint32Array(rows),
    ordinals: new Float64Array(rows),
    flags: new Uint8Array(rows),
    splices: new Uint32Array(rows),
  };
}

/** The same with twice the room. */
function extend(columns: Columns): Columns {
  const extended = newColumns(2 * columns.starts.length);
  for (const name of Object.keys(columns) as (keyof Columns)[]) extended[name].set(columns[name]);
  return extended;
}

/** The first `length` rows of the columns. */
function takeColumns(length: number): Columns {
  const { starts, ends, ordinals, flags, splices } = columns;
  // They may also have grown for a block that was never finished.
  if (starts.length > 2 * MAX_KEPT_ROWS) columns = newColumns(ROWS);
  if (length <= MAX_KEPT_ROWS) {
    return {
      starts: starts.slice(0, length),
      ends: ends.slice(0, length),
      ordinals: ordinals.slice(0, length),
      flags: flags.slice(0, length),
      splices: splices.slice(0, length),
    };
  }
  columns = newColumns(ROWS);
  return {
    starts: starts.subarray(0, length),
    ends: ends.subarray(0, length),
    ordinals: ordinals.subarray(0, length),
    flags: flags.subarray(0, length),
    splices: splices.subarray(0, length),
  };
}

/** What makes a record no event, if anything does; the first that applies. */
export function faultOf(
  scan: Scan,
  status: ScanStatus,
  from: number,
  to: number,
  isValidUtf8: boolean,
): Reason | undefined {
  const fault = (field: string, message: string) => ({ field, message });
  if (to - from > MAX_RECORD_BYTES) return fault('record', `larger than ${MAX_RECORD_BYTES} bytes`);
  if (!isValidUtf8) return fault('record', 'not valid UTF-8');
  if (status === 'too-deep') return fault('record', `nested more than ${MAX_DEPTH} levels deep`);
  if (status === 'incomplete') return fault('record', `not JSON: it ends in the middle, after ${to - from} bytes`);
  if (status === 'invalid') return fault('record', `not JSON: unexpected character at byte ${scan.end - from + 1}`);
  if (!scan.isObject) return fault('record', 'not an object');
  if (!scan.hasEvent) return fault('event', 'missing');
  if (scan.properties === 'absent') return fault('properties', 'missing');
  if (scan.properties === 'other') return fault('properties', 'not an object');
  return undefined;
}

/** Without the beginning of a character that a cut at a fixed length left at the end. */
function wholeCharacters(bytes: Buffer): Buffer {
  for (let missing = 0; missing < 4; missing++) {
    const whole = bytes.subarray(0, bytes.length - missing);
    if (isUtf8(whole)) return whole;
  }
  return bytes;
}
