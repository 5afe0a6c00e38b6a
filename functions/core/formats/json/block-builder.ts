/** Builds a block: appends records as they are found in the window, valid ones as columns, others as rejections. */

import {
  type Block,
  EMPTY_ID,
  EMPTY_PROPERTIES,
  IN_ARRAY,
  IN_BROKEN_ARRAY,
  LINE_BREAK,
  LONG_NUMBER,
  NEEDS_ID,
  noCounts,
  type Position,
  type Reason,
  type Rejection,
  START,
  throughOf,
} from '../../block.ts';
import { addRejection, countAll } from '../../rejections.ts';
import type { ParseContext } from '../format.ts';
import type { Columns } from './columns.ts';
import { type Indent, indentAt, indentOf, type JsonState, stateAt } from './position.ts';
import { explained } from './reasons.ts';
import type { Scanner } from './scanner.ts';

/** Rejections with which a block ends: they flow out as they are made. */
const MAX_REJECTIONS = 1_000;

const EMPTY = Buffer.alloc(0);
const NEWLINE = 0x0a;

/** What is known of a record once it is scanned. */
type Scanned = Pick<Scanner, 'insertId' | 'propertiesEmpty' | 'lineBreak' | 'longNumber' | 'properties' | 'spliceAt'>;

/** The block under construction, over the bytes of the window. */
export class BlockBuilder {
  /** Records so far, over all blocks. */
  records = 0;
  /** Offset in the decoded content of the window's first byte. */
  offset: number;
  /** Indentation of the line on which the window begins. */
  indent: Indent;
  readonly #context: ParseContext;
  readonly #columns: Columns;
  #bytes: Buffer = EMPTY;
  /** Checksum of everything before the window. */
  #checksum: number;
  /** Offset at which the block begins; bytes without a record may lie between it and the window. */
  #start: number;
  #end: Position;
  #rejections: Rejection[] = [];
  /** Valid records that the block had when the last rejection was added. */
  #recordsBeforeRejection = 0;
  /** Indentation of the line with that number, looked up once. */
  #lineIndent: { line: number; indent: Indent } | undefined;

  /** @param start where in the decoded content the first block begins */
  constructor(context: ParseContext, columns: Columns, start: Position) {
    this.#context = context;
    this.#columns = columns;
    this.offset = this.#start = start.offset;
    this.#checksum = start.checksum;
    this.#end = start;
    this.indent = indentOf((start.state ?? {}) as JsonState);
  }

  /** Begins a block over `bytes`. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    // A parser that was abandoned may have left some.
    this.#columns.length = 0;
    this.#rejections = [];
    this.#recordsBeforeRejection = 0;
    this.#lineIndent = undefined;
  }

  /** Indentation of the line with number `line`, on which `bytes[at]` is. */
  indentAt(at: number, line: number): Indent {
    if (this.#lineIndent?.line === line && !this.#lineIndent.indent.isOpen) return this.#lineIndent.indent;
    const indent = indentAt(this.#bytes, at, this.indent);
    this.#lineIndent = { line, indent };
    return indent;
  }

  /** Adds the record `bytes[from, to)`, which the scanner has just scanned. */
  add(from: number, to: number, ordinal: number, scanner: Scanned, array: JsonState['array']): void {
    const inArray = array === undefined ? 0 : array === true ? IN_ARRAY : IN_ARRAY | IN_BROKEN_ARRAY;
    this.#columns.push(from, to, ordinal, flagsOf(scanner) | inArray, spliceOf(scanner, from));
    this.records++;
  }

  /** Adds the record `bytes[from, to)` as a rejection. */
  reject(from: number, to: number, ordinal: number, reason: Reason): void {
    this.#reject(to - from, this.offset + from, ordinal, reason, () => Buffer.from(this.#bytes.subarray(from, to)));
  }

  /**
   * Adds a rejection whose bytes the window does not hold.
   *
   * @param record the record, or the beginning of one that is not held whole
   * @param bytes  length of the whole record
   */
  rejectPart(record: Buffer, bytes: number, offset: number, ordinal: number, reason: Reason): void {
    this.#reject(bytes, offset, ordinal, reason, () => record);
  }

  /** Whether the block has so many rejections that it is to end. */
  get isFull(): boolean {
    return this.#rejections.length >= MAX_REJECTIONS;
  }

  #reject(bytes: number, offset: number, ordinal: number, reason: Reason, recordOf: () => Buffer): void {
    const { source, insertIdOf, stored, ordinal: counted } = this.#context;
    const from = counted === 'index' ? ordinal : offset;
    const to = counted === 'index' ? ordinal + 1 : offset + bytes;
    const valid = this.#columns.length;
    // One that stands for several stands for nothing between them: a block may be cut there.
    const canExtend = this.#recordsBeforeRejection === valid;
    const records = (source.limit?.read ?? 0) + valid + this.#rejections.length;
    this.#recordsBeforeRejection = valid;
    this.records++;
    addRejection(this.#rejections, { source, from, to, records, canExtend, stored }, () => {
      const record = recordOf();
      const isWhole = record.length === bytes;
      return {
        reason: explained(reason, record, source.mapping),
        location: source.locate(offset, ordinal),
        insertId: isWhole ? insertIdOf(record, source, offset, ordinal) : undefined,
        record,
        bytes,
        through: throughOf(source),
        // Of a message that is not held whole, the letter has to hold what nothing else keeps.
        ...(isWhole || stored === undefined ? {} : { range: { from, to, rejected: 1 }, stored }),
      };
    });
  }

  /** Reading can resume at `bytes[at]` without anything before it: a block may end there. */
  mark(at: number, line: number, array: JsonState['array']): void {
    const state = stateAt(array, this.indentAt(at, line));
    this.#end = { offset: this.offset + at, line, checksum: 0, ...state };
  }

  /** Reading ends at `bytes[at]`, the end of the content. */
  markEnd(at: number, line: number): void {
    this.#end = { offset: this.offset + at, line, checksum: 0 };
  }

  /** The block begins where the content does, whatever was found so far, and nothing settles before it ends. */
  beginAtStart(): void {
    this.#start = 0;
    this.#end = { ...START };
  }

  /** Ends the block at the last {@link mark}. The next one begins at `bytes[consumed]`. */
  finish(consumed: number): Block {
    const { source, checksumOf, ordinal } = this.#context;
    // After a mapping the original record cannot be recovered from the event, so the block keeps its bytes.
    const ownsBytes = source.mapping.kind === 'mapped';
    const windowStart = this.offset;
    const checksumBefore = this.#checksum;
    const indentBefore = this.indent;
    const marked = this.#end.offset - windowStart;
    this.indent = indentAt(this.#bytes, consumed, indentBefore);
    if (marked >= 0) {
      this.#pass(0, marked);
      this.#end.checksum = this.#checksum;
    }
    this.#pass(Math.max(0, marked), consumed);
    this.offset = windowStart + consumed;

    const rejections = this.#rejections;
    const rejected = countAll(rejections);
    const columns = this.#columns.take();
    const { length } = columns.starts;
    const lent = this.#bytes.subarray(0, consumed);
    const bytes = length === 0 ? EMPTY : ownsBytes ? Buffer.from(lent) : lent;
    // Computed from one position to the next, so that no byte is summed twice.
    let at = 0;
    let checksum = checksumBefore;
    const { ends, ordinals, starts, flags } = columns;
    const positionAt = (record: number): Position => {
      const last = record - 1;
      const end = ends[last]!;
      const isLineEnd = bytes[end] === NEWLINE;
      const to = isLineEnd ? end + 1 : end;
      checksum = checksumOf?.(bytes.subarray(at, to), checksum) ?? 0;
      at = to;
      const breaks = (flags[last]! & LINE_BREAK) === 0 ? 0 : newlinesIn(bytes, starts[last]!, end);
      return {
        offset: windowStart + to,
        line: ordinals[last]! + breaks + (isLineEnd ? 1 : 0),
        checksum,
        ...stateAt(arrayOf(flags[last]!), indentAt(bytes, to, indentBefore)),
      };
    };
    const block: Block = {
      source,
      records: { form: 'json', bytes, ownsBytes, offset: windowStart, ...columns },
      end: this.#end,
      weight: this.#end.offset - this.#start,
      rejections,
      foundRejections: rejections.length,
      counts: { ...noCounts(), read: length + rejected, rejected },
      settledRecords: 0,
      pending: 1,
      cutAway: 0,
      ...(ordinal === 'line' && length > 0 ? { positionAt } : {}),
    };
    this.#start = this.#end.offset;
    if (source.limit !== undefined) source.limit.read += block.counts.read;
    return block;
  }

  #pass(from: number, to: number): void {
    if (to > from) {
      this.#checksum = this.#context.checksumOf?.(this.#bytes.subarray(from, to), this.#checksum) ?? 0;
    }
  }
}

/** Flags of the record that was just scanned, except those of the array that it is in. */
export function flagsOf(scanner: Scanned): number {
  return (
    (scanner.insertId === 'absent' ? NEEDS_ID : scanner.insertId === 'empty' ? EMPTY_ID : 0) |
    (scanner.propertiesEmpty ? EMPTY_PROPERTIES : 0) |
    (scanner.lineBreak ? LINE_BREAK : 0) |
    (scanner.longNumber ? LONG_NUMBER : 0)
  );
}

/** Where an id would be spliced into the record that was just scanned, counted from its first byte, `from`. */
export function spliceOf(scanner: Scanned, from: number): number {
  return scanner.properties === 'object' ? scanner.spliceAt - from : 0;
}

function arrayOf(flags: number): JsonState['array'] {
  if ((flags & IN_BROKEN_ARRAY) !== 0) return 'broken';
  return (flags & IN_ARRAY) === 0 ? undefined : true;
}

/** Newlines in `bytes[from, to)`. */
export function newlinesIn(bytes: Buffer, from: number, to: number): number {
  // Cut off, because a search without a match would continue to the end of the buffer.
  const part = bytes.subarray(from, to);
  let newlines = 0;
  for (let at = part.indexOf(NEWLINE); at !== -1; at = part.indexOf(NEWLINE, at + 1)) newlines++;
  return newlines;
}
