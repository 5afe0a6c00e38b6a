/** Parses delimited text into blocks of rows. One bad row costs one record, and a quote that does not close one line. */

import { isUtf8 } from 'node:buffer';
import { type Block, type Position, type Reason, START } from '../../block.ts';
import { MAX_KEPT_BYTES } from '../../rejections.ts';
import type { ParseContext, StreamParser } from '../format.ts';
import { MAX_RECORD_BYTES, NOT_UTF8, TOO_LARGE } from '../json/reasons.ts';
import { unreadableBlock } from '../rows.ts';
import { SIGNATURE_BYTES, unreadable } from '../signatures.ts';
import { CsvBlockBuilder } from './block-builder.ts';
import { type Dialect, repeatedName, sniffDelimiter, type TextFormat } from './dialect.ts';
import { fieldsOf } from './fields.ts';
import { RowScanner } from './row-scanner.ts';

/** Bytes that are parsed together: rows take about five times as much. */
const BLOCK_BYTES = 524_288;
const NEWLINE = 0x0a;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Why a quote that does not close is rejected. */
const UNCLOSED = reason(`the quote is not closed within ${MAX_RECORD_BYTES} bytes, or by the end of the content`);
const BROKEN = reason('text follows a closing quote');

/** Parses one object or file. */
export class CsvParser implements StreamParser {
  readonly #context: ParseContext;
  readonly #format: TextFormat;
  readonly #blockBytes: number;
  readonly #builder: CsvBlockBuilder;
  #scanner: RowScanner | undefined;
  #dialect: Dialect | undefined;
  #chunks: Buffer[] = [];
  #length = 0;
  #wanted = 0;
  #line: number;
  /** What is skipped up to the end of its line, or of the content: a row that is too large, or all that is left. */
  #skipped:
    | { offset: number; line: number; head: Buffer; bytes: number; reason: Reason; toLineEnd: boolean }
    | undefined;

  /** @param from where an earlier run stopped; its state stands for `format` */
  constructor(context: ParseContext, format: TextFormat, from: Position = START) {
    this.#context = context;
    this.#format = format;
    this.#blockBytes = context.blockBytes ?? BLOCK_BYTES;
    this.#line = from.line;
    this.#builder = new CsvBlockBuilder(context, from);
    if (from.state !== undefined) this.#begin(from.state as Dialect);
  }

  *push(chunk: Buffer): Iterable<Block> {
    this.#chunks.push(Buffer.from(chunk));
    this.#length += chunk.length;
    if (this.#length >= Math.max(this.#wanted, this.#blockBytes)) yield* this.#parse(false);
  }

  flush(): Iterable<Block> {
    return this.#parse(false);
  }

  end(): Iterable<Block> {
    return this.#parse(true);
  }

  *breakOff(message: string): Iterable<Block> {
    yield* this.#parse(false);
    this.#skipped ??= this.#newSkipped(reason(message), false);
    this.#skipped.toLineEnd = false;
    yield* this.#parse(true);
  }

  *#parse(isLast: boolean): Generator<Block, void> {
    const bytes = Buffer.concat(this.#chunks);
    this.#wanted = 0;
    this.#builder.setBytes(bytes);
    let at = 0;
    for (;;) {
      const next = this.#skipped === undefined ? this.#readRow(bytes, at, isLast) : yield* this.#skip(bytes, at);
      if (next === -1) break;
      at = next;
      this.#builder.mark(at, this.#line);
      if (this.#builder.isFull) yield this.#builder.finish();
    }
    if (this.#builder.hasAny) yield this.#builder.finish();
    this.#builder.pass(at);
    this.#chunks = [bytes.subarray(at)];
    this.#length = bytes.length - at;
    if (isLast && this.#skipped !== undefined) yield this.#endSkipped();
  }

  /** Reads the row at `bytes[at]`; returns where the next one begins, or -1 to wait for more bytes. */
  #readRow(bytes: Buffer, at: number, isLast: boolean): number {
    if (at === bytes.length) return -1;
    if (this.#dialect === undefined) {
      if (at === 0 && this.#builder.offset === 0 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)) return 3;
      if (!this.#prepare(bytes, at, isLast)) return this.#wait(bytes, at);
      const problem = this.#builder.offset === 0 ? unreadable(bytes.subarray(0, SIGNATURE_BYTES)) : undefined;
      if (problem !== undefined) return this.#rejectAll(reason(problem), at);
    }
    const scanner = this.#scanner!;
    const status = scanner.scan(bytes, at, at + MAX_RECORD_BYTES, isLast);
    if (status === 'incomplete') {
      if (bytes.length - at <= MAX_RECORD_BYTES) return this.#wait(bytes, at);
      if (this.#dialect === undefined) return this.#rejectAll(unusable(TOO_LARGE.message), at);
      this.#skipped = this.#newSkipped(TOO_LARGE, true);
      return at;
    }
    const line = this.#line;
    if (status === 'unclosed') {
      if (this.#dialect === undefined) return this.#rejectAll(unusable(UNCLOSED.message), at);
      if (scanner.lineEnd === -1 && !isLast) {
        this.#skipped = this.#newSkipped(UNCLOSED, true);
        return at;
      }
      const end = scanner.lineEnd === -1 ? bytes.length : scanner.lineEnd;
      this.#line += scanner.newlines;
      this.#builder.reject(at, withoutLineEnd(bytes, at, end), line, UNCLOSED);
      return end;
    }
    const { end } = scanner;
    if (scanner.fields === 1 && scanner.starts[0] === at && scanner.ends[0] === at) {
      this.#line += scanner.newlines;
      return end;
    }
    const to = withoutLineEnd(bytes, at, end);
    const problem = status === 'broken' ? BROKEN : this.#problem(bytes, at, to);
    if (this.#dialect === undefined) {
      const message = this.#readHeader(bytes, at, problem);
      if (message !== undefined) return this.#rejectAll(unusable(message), at);
    } else if (problem !== undefined) this.#builder.reject(at, to, line, problem);
    else this.#builder.add(at, to, line, scanner);
    this.#line += scanner.newlines;
    return end;
  }

  /** What makes a row unusable. */
  #problem(bytes: Buffer, from: number, to: number): Reason | undefined {
    const { isAscii, fields } = this.#scanner!;
    if (to - from > MAX_RECORD_BYTES) return TOO_LARGE;
    if (!isAscii && !isUtf8(bytes.subarray(from, to))) return NOT_UTF8;
    const names = this.#dialect?.header.length;
    if (names === undefined || fields === names) return undefined;
    return reason(`${fields} ${fields === 1 ? 'field' : 'fields'}, and the header has ${names}`);
  }

  /** Decides how rows are told apart, before the first one; false if more bytes are needed. */
  #prepare(bytes: Buffer, at: number, isLast: boolean): boolean {
    if (this.#scanner !== undefined) return true;
    if (bytes.length < SIGNATURE_BYTES && !isLast) return false;
    const newline = bytes.indexOf(NEWLINE, at);
    if (newline === -1 && !isLast && bytes.length - at <= MAX_RECORD_BYTES) return false;
    const { quote, header } = this.#format;
    const quoteCode = quote === null ? -1 : quote.charCodeAt(0);
    const line = bytes.subarray(at, newline === -1 ? at + MAX_RECORD_BYTES : newline);
    const delimiter = this.#format.delimiter ?? sniffDelimiter(line, quoteCode);
    this.#scanner = new RowScanner(delimiter, quoteCode);
    if (header !== true) this.#begin({ delimiter, header, quote, null: this.#format.null });
    return true;
  }

  /** Takes the row that was scanned last as the header; returns what is wrong if it cannot be. */
  #readHeader(bytes: Buffer, at: number, problem: Reason | undefined): string | undefined {
    if (problem !== undefined) return problem.message;
    const { quote, null: nothing } = this.#format;
    const names = fieldsOf(bytes, at, this.#scanner!, quote);
    const repeated = repeatedName(names);
    if (repeated !== undefined) return `it has twice the name ${JSON.stringify(repeated.slice(0, 100))}`;
    this.#begin({ delimiter: this.#scanner!.delimiter, header: names, quote, null: nothing });
    return undefined;
  }

  /** Without names there are no rows. */
  #rejectAll(why: Reason, at: number): number {
    this.#skipped = this.#newSkipped(why, false);
    return at;
  }

  #begin(dialect: Dialect): void {
    this.#dialect = dialect;
    this.#builder.dialect = dialect;
    this.#scanner = new RowScanner(dialect.delimiter, dialect.quote === null ? -1 : dialect.quote.charCodeAt(0));
  }

  *#skip(bytes: Buffer, at: number): Generator<Block, number> {
    const skipped = this.#skipped!;
    if (at === bytes.length) return -1;
    if (this.#builder.hasAny) yield this.#builder.finish();
    const newline = skipped.toLineEnd ? bytes.indexOf(NEWLINE, at) : -1;
    const to = newline === -1 ? bytes.length : newline + 1;
    if (skipped.bytes === 0) skipped.offset = this.#builder.offset + at;
    if (skipped.head.length < MAX_KEPT_BYTES) {
      const missing = MAX_KEPT_BYTES - skipped.head.length;
      skipped.head = Buffer.concat([skipped.head, bytes.subarray(at, Math.min(to, at + missing))]);
    }
    skipped.bytes += to - at;
    this.#line += newlinesIn(bytes, at, to);
    this.#builder.mark(to, this.#line);
    if (newline !== -1) yield this.#endSkipped();
    return to;
  }

  #newSkipped(why: Reason, toLineEnd: boolean) {
    return { offset: this.#builder.offset, line: this.#line, head: Buffer.alloc(0), bytes: 0, reason: why, toLineEnd };
  }

  #endSkipped(): Block {
    const { line, ...part } = this.#skipped!;
    this.#skipped = undefined;
    const ordinal = this.#builder.ordinalOf(line);
    return unreadableBlock(this.#context, { ...part, ordinal }, this.#builder.beginAnew());
  }

  #wait(bytes: Buffer, at: number): -1 {
    this.#wanted = 2 * (bytes.length - at);
    return -1;
  }
}

function unusable(message: string): Reason {
  return reason(`the header is not usable: ${message}`);
}

function reason(message: string): Reason {
  return { field: 'record', message };
}

function withoutLineEnd(bytes: Buffer, from: number, end: number): number {
  let to = end;
  if (to > from && bytes[to - 1] === NEWLINE) to--;
  if (to > from && to < end && bytes[to - 1] === 0x0d) to--;
  return to;
}

function newlinesIn(bytes: Buffer, from: number, to: number): number {
  let newlines = 0;
  for (let at = bytes.indexOf(NEWLINE, from); at !== -1 && at < to; at = bytes.indexOf(NEWLINE, at + 1)) newlines++;
  return newlines;
}
