/** Builds blocks of the rows of delimited text, over bytes that nobody overwrites. */

import type { Block, Position, Reason, Rejection, RowRecords } from '../../block.ts';
import { throughOf } from '../../block.ts';
import { addRejection, countAll } from '../../rejections.ts';
import type { ParseContext } from '../format.ts';
import { rowBlock } from '../rows.ts';
import type { Dialect } from './dialect.ts';
import { fieldsOf, rowOf } from './fields.ts';
import { RowScanner } from './row-scanner.ts';

/** Rejections with which a block ends: they flow out as they are made. */
const MAX_REJECTIONS = 1_000;

/** The block under construction. */
export class CsvBlockBuilder {
  dialect: Dialect | undefined;
  /** Rows and rejections so far. */
  records = 0;
  /** Offset of the first byte. */
  offset: number;
  readonly #context: ParseContext;
  #bytes: Buffer = Buffer.alloc(0);
  /** Checksum of everything before the block. */
  #checksum: number;
  #start: number;
  #end: Position;
  #values: unknown[] = [];
  #starts: number[] = [];
  #ends: number[] = [];
  #lines: number[] = [];
  #rejections: Rejection[] = [];
  #rowsBeforeRejection = 0;

  /** @param from where the first block begins */
  constructor(context: ParseContext, from: Position) {
    this.#context = context;
    this.offset = this.#start = from.offset;
    this.#checksum = from.checksum;
    this.#end = from;
  }

  /** Whether the block covers anything. */
  get hasAny(): boolean {
    return this.#end.offset > this.#start;
  }

  /** Whether the block has so many rejections that it is to end. */
  get isFull(): boolean {
    return this.#rejections.length >= MAX_REJECTIONS;
  }

  /** The next rows are in these bytes, which begin at {@link offset}. */
  setBytes(bytes: Buffer): void {
    this.#bytes = bytes;
  }

  /** So many bytes are parsed. */
  pass(bytes: number): void {
    this.offset += bytes;
  }

  /** Adds the row `bytes[from, to)`, which was scanned last. */
  add(from: number, to: number, line: number, scanner: RowScanner): void {
    const { header, quote, null: nothing } = this.dialect!;
    this.#values.push(rowOf(header, fieldsOf(this.#bytes, from, scanner, quote), nothing));
    this.#starts.push(from);
    this.#ends.push(to);
    this.#lines.push(this.ordinalOf(line));
  }

  /** What the next record is counted as, which is on that line. */
  ordinalOf(line: number): number {
    const index = this.records++;
    return this.#context.ordinal === 'line' ? line : index;
  }

  /** Adds `bytes[from, to)` as a rejection. */
  reject(from: number, to: number, line: number, reason: Reason): void {
    const { source, insertIdOf, stored, ordinal: counted } = this.#context;
    const ordinal = this.ordinalOf(line);
    const offset = this.offset + from;
    const range = counted === 'index' ? { from: ordinal, to: ordinal + 1 } : { from: offset, to: offset + to - from };
    const rows = this.#values.length;
    const canExtend = this.#rowsBeforeRejection === rows;
    this.#rowsBeforeRejection = rows;
    const records = (source.limit?.read ?? 0) + rows + this.#rejections.length;
    const place = { source, ...range, records, canExtend, stored };
    addRejection(this.#rejections, place, () => {
      const record = Buffer.from(this.#bytes.subarray(from, to));
      return {
        reason,
        location: source.locate(offset, ordinal),
        insertId: insertIdOf(record, source, offset, ordinal),
        record,
        bytes: record.length,
        through: throughOf(source),
      };
    });
  }

  /** A row ends before `bytes[at]`, which is on `line`: the block may end there. */
  mark(at: number, line: number): void {
    this.#end = { offset: this.offset + at, line, checksum: 0, ...this.#state() };
  }

  /** The next block begins at the last mark; returns its position. */
  beginAnew(): Position {
    this.#pass(this.#end);
    this.#start = this.#end.offset;
    return this.#end;
  }

  /** Ends the block at the last {@link mark}. */
  finish(): Block {
    const { source } = this.#context;
    const start = this.#start;
    const before = this.#checksum;
    const end = this.beginAnew();
    const positionAt = this.#positions(start, before, end);
    const block = rowBlock(source, start, end, this.#records(), positionAt);
    const rejected = countAll(this.#rejections);
    block.rejections = this.#rejections;
    block.foundRejections = this.#rejections.length;
    block.counts.read += rejected;
    block.counts.rejected = rejected;
    if (source.limit !== undefined) source.limit.read += rejected;
    this.#values = [];
    this.#starts = [];
    this.#ends = [];
    this.#lines = [];
    this.#rejections = [];
    this.#rowsBeforeRejection = 0;
    return block;
  }

  #state(): { state?: Dialect } {
    return this.dialect === undefined ? {} : { state: this.dialect };
  }

  /** Positions before rows. Each is asked for once at most, and most are not. */
  #positions(start: number, before: number, end: Position): (record: number) => Position {
    const { checksumOf } = this.#context;
    const bytes = this.#bytes;
    const base = this.offset;
    const starts = this.#starts;
    const lines = this.#lines;
    const state = this.#state();
    let at = start - base;
    let checksum = before;
    return (record) => {
      const from = starts[record];
      if (from === undefined) return end;
      if (from < at) {
        at = start - base;
        checksum = before;
      }
      checksum = checksumOf?.(bytes.subarray(at, from), checksum) ?? 0;
      at = from;
      return { offset: base + from, line: lines[record]!, checksum, ...state };
    };
  }

  #records(): RowRecords {
    const bytes = this.#bytes;
    const rows = this.#values;
    const starts = this.#starts;
    const ends = this.#ends;
    const { source } = this.#context;
    const { header = [], quote = null, delimiter = ',', null: nothing = [] } = this.dialect ?? {};
    const isChanged = source.mapping.kind === 'mapped' && source.mapping.through.includes('transform');
    const scanner = new RowScanner(delimiter, quote === null ? -1 : quote.charCodeAt(0));
    return {
      form: 'rows',
      rows,
      first: 0,
      offsets: Float64Array.from(starts, (from) => this.offset + from),
      ordinals: Float64Array.from(this.#lines),
      original(index) {
        const row = rows[index];
        // With one text that stands for nothing, null tells which text it was.
        if (row !== undefined && !isChanged && nothing.length < 2) {
          return Buffer.from(JSON.stringify(row, (_name, value) => value ?? nothing[0]));
        }
        const from = starts[index]!;
        const text = bytes.subarray(0, ends[index]);
        scanner.scan(text, from, text.length, true);
        return Buffer.from(JSON.stringify(rowOf(header, fieldsOf(text, from, scanner, quote), [])));
      },
      release() {
        rows.length = 0;
      },
    };
  }

  #pass({ offset }: Position): void {
    const from = this.#start - this.offset;
    this.#checksum = this.#context.checksumOf?.(this.#bytes.subarray(from, offset - this.offset), this.#checksum) ?? 0;
    this.#end.checksum = this.#checksum;
  }
}
