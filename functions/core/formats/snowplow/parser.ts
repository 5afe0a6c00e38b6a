/** Splits Snowplow's lines into blocks of records. A line is read when it is mapped, so that one record is alive at a time. */

import { isUtf8 } from 'node:buffer';
import { type Block, type Position, START } from '../../block.ts';
import type { ParseContext, StreamParser } from '../format.ts';
import { BlockBuilder } from '../json/block-builder.ts';
import { ByteWindow } from '../json/byte-window.ts';
import { TextEnd } from '../json/ends.ts';
import { newScratch, type Scratch } from '../json/parser.ts';
import { MAX_RECORD_BYTES, NOT_UTF8, TOO_LARGE } from '../json/reasons.ts';
import { SkippedRecord } from '../json/skipped-record.ts';
import { readLine } from './row.ts';

const BLOCK_BYTES = 1_048_576;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const;
/** A line is not scanned as JSON: a mapping makes the event that is sent. */
const LINE = {
  insertId: 'present',
  propertiesEmpty: false,
  lineBreak: false,
  longNumber: false,
  properties: 'absent',
  spliceAt: 0,
} as const;

/** Parses one object, file or message. */
export class SnowplowParser implements StreamParser {
  readonly #context: ParseContext;
  readonly #window: ByteWindow;
  readonly #builder: BlockBuilder;
  readonly #blockBytes: number;
  #line: number;
  /** A line whose end is being looked for: it is too large. */
  #skipped: SkippedRecord | undefined;

  /** @param from where an earlier run stopped */
  constructor(context: ParseContext, from: Position = START, scratch: Scratch = newScratch()) {
    this.#context = context;
    this.#blockBytes = context.blockBytes ?? BLOCK_BYTES;
    this.#window = new ByteWindow(context.stored !== undefined && context.isStreamed !== true);
    this.#builder = new BlockBuilder(context, scratch.columns, from);
    this.#line = from.line;
  }

  push(chunk: Buffer): Iterable<Block> {
    this.#window.append(chunk);
    return this.#window.length < this.#blockBytes ? [] : this.#parse(false);
  }

  flush(): Iterable<Block> {
    return this.#parse(false);
  }

  end(): Iterable<Block> {
    return this.#parse(true);
  }

  *breakOff(message: string): Iterable<Block> {
    yield* this.#parse(false);
    const { bytes, length } = this.#window;
    this.#builder.begin(bytes);
    if (this.#skipped !== undefined) this.#endSkipped();
    this.#skip(0);
    this.#skipped!.take(bytes, 0, length);
    this.#endSkipped(message);
    this.#builder.markEnd(length, this.#line);
    yield this.#finish(length);
  }

  /** Parses what is in the window; several blocks if many lines of it are rejected. */
  *#parse(isLast: boolean): Iterable<Block> {
    for (;;) {
      const { at, isOver } = this.#parseBlock(isLast);
      const block = this.#finish(at);
      if (block.weight > 0 || block.rejections.length > 0) yield block;
      if (isOver) return;
    }
  }

  #parseBlock(isLast: boolean): { at: number; isOver: boolean } {
    const { length } = this.#window;
    const bytes = this.#window.bytes.subarray(0, length);
    this.#builder.begin(bytes);
    let at = this.#skipped === undefined ? 0 : this.#readSkipped(bytes, 0, isLast);
    while (at < length && !this.#builder.isFull) {
      const newline = bytes.indexOf(NEWLINE, at);
      const end = newline === -1 ? length : newline;
      if (end - at > MAX_RECORD_BYTES) {
        this.#skip(at);
        at = this.#readSkipped(bytes, at, isLast);
        continue;
      }
      if (newline === -1 && !isLast) break;
      this.#addLine(bytes, at, end);
      at = newline === -1 ? length : newline + 1;
      if (newline !== -1) this.#line++;
    }
    if (this.#skipped === undefined) this.#builder.mark(at, this.#line, undefined);
    return { at, isOver: !this.#builder.isFull || at === length };
  }

  #addLine(bytes: Buffer, from: number, to: number): void {
    let start = from;
    if (this.#builder.offset + from === 0 && BYTE_ORDER_MARK.every((byte, index) => bytes[index] === byte)) start = 3;
    const end = to > start && bytes[to - 1] === CARRIAGE_RETURN ? to - 1 : to;
    // Tabs at either end are columns without text, unless there is nothing else.
    let first = start;
    while (first < end && bytes[first]! <= 0x20) first++;
    if (first === end) return;
    if (isUtf8(bytes.subarray(start, end))) this.#builder.add(start, end, this.#ordinal(), LINE, undefined);
    else this.#builder.reject(start, end, this.#ordinal(), NOT_UTF8);
  }

  #skip(start: number): void {
    this.#builder.mark(start, this.#line, undefined);
    const offset = this.#builder.offset + start;
    const isHeldWhole = this.#context.stored !== undefined;
    const end = new TextEnd(false, true);
    this.#skipped = new SkippedRecord({ offset, ordinal: this.#ordinal(), reason: TOO_LARGE, end, isHeldWhole });
  }

  /** Takes bytes into the rejection; returns where its line ends, or the end of the window. */
  #readSkipped(bytes: Buffer, at: number, isLast: boolean): number {
    const end = bytes.indexOf(NEWLINE, at);
    const to = end === -1 ? bytes.length : end;
    this.#skipped!.take(bytes, at, to);
    if (end !== -1 || isLast) this.#endSkipped();
    return to;
  }

  #endSkipped(message?: string): void {
    const skipped = this.#skipped!;
    const { record, bytes } = skipped.finish();
    const { offset, ordinal } = skipped.options;
    this.#skipped = undefined;
    this.#builder.rejectPart(
      record,
      bytes,
      offset,
      ordinal,
      message === undefined ? TOO_LARGE : { field: 'record', message },
    );
  }

  #finish(consumed: number): Block {
    const block = this.#builder.finish(consumed);
    this.#window.consume(consumed);
    if (block.records.form === 'json') block.records = { ...block.records, parse: readLine };
    return block;
  }

  #ordinal(): number {
    return this.#context.ordinal === 'line' ? this.#line : this.#builder.records;
  }
}
