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
  type Rejection,
} from './block.ts';
import type { InsertIdOf } from './insert-id.ts';
import { MAX_DEPTH, newScan, type Scan, type ScanStatus } from './scan.ts';

/** The most bytes a record may have: Mixpanel takes events under 1 MB (https://developer.mixpanel.com/reference/import-events). */
export const MAX_RECORD_BYTES = 1_000_000;

/** What all blocks of one source have in common. */
export interface BlockContext {
  origin: Origin;
  insertIdOf: InsertIdOf;
  /** What `ordinals` count: lines from 1, or records from 0. */
  ordinal: 'line' | 'index';
}

/** A part of the source that is not held whole: its beginning, its place and its length so far. */
export interface Cut {
  message: string;
  offset: number;
  ordinal: number;
  kept: Buffer;
  bytes: number;
}

/** The block under construction, over `bytes`, and where in the source its records stand. */
export class BlockBuilder {
  readonly scan: Scan = newScan();
  /** Line that begins at, or stands around, the place where the splitter is. */
  line: number;
  /** Whether a JSON object, be it an event or not, has been seen. */
  sawObject = false;
  readonly #context: BlockContext;
  #index = 0;
  #offset: number;
  #bytes: Buffer = EMPTY;
  #columns = newColumns();

  /** @param start where in the decoded content the first block begins */
  constructor(context: BlockContext, start: { offset: number; line: number }) {
    this.#context = context;
    this.#offset = start.offset;
    this.line = start.line;
  }

  /** Offset in the decoded content of the block under construction. */
  get offset(): number {
    return this.#offset;
  }

  /** Begins a block over `bytes`. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#columns = newColumns();
  }

  /** Takes the record `bytes[from, to)`, of which {@link scan} holds what a scan has found, with `status`. */
  add(from: number, to: number, status: ScanStatus, isValidUtf8: boolean): void {
    const scan = this.scan;
    if (scan.isObject && status !== 'invalid' && status !== 'incomplete') this.sawObject = true;
    const fault = faultOf(scan, status, from, to, isValidUtf8 || isUtf8(this.#bytes.subarray(from, to)));
    if (fault !== undefined) return this.reject(from, to, fault[0], fault[1]);
    const columns = this.#columns;
    columns.starts.push(from);
    columns.ends.push(to);
    columns.ordinals.push(this.#nextOrdinal());
    columns.splices.push(scan.spliceAt - from);
    columns.flags.push(
      (scan.insertId === 'absent' ? NEEDS_ID : scan.insertId === 'empty' ? EMPTY_ID : 0) |
        (scan.propertiesEmpty ? EMPTY_PROPERTIES : 0) |
        (scan.lineBreak ? LINE_BREAK : 0) |
        (scan.longNumber ? LONG_NUMBER : 0),
    );
  }

  /** Takes the record `bytes[from, to)` as a rejection. */
  reject(from: number, to: number, field: string, message: string): void {
    const isTooLarge = to - from > MAX_RECORD_BYTES;
    const kept = this.#bytes.subarray(from, isTooLarge ? from + MAX_KEPT_BYTES : to);
    this.#reject(Buffer.from(kept), to - from, this.#offset + from, this.#nextOrdinal(), { field, message });
  }

  /** Begins a part that is not held whole, at `bytes[from]`. */
  cut(from: number, message: string): Cut {
    const cut = { message, offset: this.#offset + from, ordinal: this.#nextOrdinal(), kept: EMPTY, bytes: 0 };
    extendCut(cut, this.#bytes.subarray(from));
    return cut;
  }

  /** Takes a part that is now complete as a rejection. */
  rejectCut(cut: Cut): void {
    this.#reject(cut.kept, cut.bytes, cut.offset, cut.ordinal, { field: 'record', message: cut.message });
  }

  /** Ends the block behind `bytes[consumed - 1]`; the next one begins there. */
  finish(consumed: number): Block {
    const columns = this.#columns;
    const rejected = columns.rejections.length;
    const block: Block = {
      origin: this.#context.origin,
      bytes: this.#bytes,
      size: consumed,
      offset: this.#offset,
      end: { offset: this.#offset + consumed, line: this.line },
      ...columns,
      counts: { ...noCounts(), read: columns.starts.length + rejected, rejected },
      pending: 1,
    };
    this.#offset += consumed;
    return block;
  }

  #nextOrdinal(): number {
    return this.#context.ordinal === 'line' ? this.line : this.#index++;
  }

  #reject(kept: Buffer, bytes: number, offset: number, ordinal: number, reason: Rejection['reason']): void {
    const { origin, insertIdOf } = this.#context;
    const record = kept.length < bytes ? wholeCharacters(kept.subarray(0, MAX_KEPT_BYTES)) : kept;
    const insertId = record.length < bytes ? undefined : insertIdOf(record, origin, offset, ordinal);
    this.#columns.rejections.push({ reason, source: origin.sourceOf(offset, ordinal), insertId, record, bytes });
  }
}

/** Adds the bytes that come next in a part that is not held whole. */
export function extendCut(cut: Cut, bytes: Buffer): void {
  if (cut.kept.length < MAX_KEPT_BYTES) {
    cut.kept = Buffer.concat([cut.kept, bytes.subarray(0, MAX_KEPT_BYTES - cut.kept.length)]);
  }
  cut.bytes += bytes.length;
}

const EMPTY = Buffer.alloc(0);

function newColumns() {
  const rejections: Rejection[] = [];
  const numbers = (): number[] => [];
  return { starts: numbers(), ends: numbers(), ordinals: numbers(), flags: numbers(), splices: numbers(), rejections };
}

/** Field and message of what makes a record no event, if anything does; the first that applies. */
function faultOf(
  scan: Scan,
  status: ScanStatus,
  from: number,
  to: number,
  isValidUtf8: boolean,
): [field: string, message: string] | undefined {
  if (to - from > MAX_RECORD_BYTES) return ['record', `larger than ${MAX_RECORD_BYTES} bytes`];
  if (!isValidUtf8) return ['record', 'not valid UTF-8'];
  if (status === 'too-deep') return ['record', `nested more than ${MAX_DEPTH} levels deep`];
  if (status === 'incomplete') return ['record', `not JSON: it ends in the middle, after ${to - from} bytes`];
  if (status === 'invalid') return ['record', `not JSON: unexpected character at byte ${scan.end - from + 1}`];
  if (!scan.isObject) return ['record', 'not an object'];
  if (!scan.hasEvent) return ['event', 'missing'];
  if (scan.properties === 'absent') return ['properties', 'missing'];
  if (scan.properties === 'other') return ['properties', 'not an object'];
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
