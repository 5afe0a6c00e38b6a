/** Parses JSON values, however they are separated, into blocks of records. One value that is not JSON costs one record. */

import { isUtf8 } from 'node:buffer';
import { type Block, type Position, type Reason, START } from '../../block.ts';
import type { ParseContext, StreamParser } from '../format.ts';
import { SIGNATURE_BYTES } from '../signatures.ts';
import { BlockBuilder, newlinesIn } from './block-builder.ts';
import { ByteWindow } from './byte-window.ts';
import { Columns } from './columns.ts';
import { BracketEnd, StringEnd, TextEnd } from './ends.ts';
import { type FailedContainer, movedBack } from './failed-container.ts';
import { beginsLikeJson, ObjectCheck } from './object-check.ts';
import { blankWidth, indentAt, type JsonState } from './position.ts';
import {
  ARRAY_NOT_CLOSED,
  MAX_RECORD_BYTES,
  NOT_AN_OBJECT,
  NOT_UTF8,
  notJson,
  reasonAgainst,
  reasonAgainstText,
  TOO_DEEP,
  TOO_LARGE,
} from './reasons.ts';
import { Scanner } from './scanner.ts';
import { IS_SEPARATOR, IS_WHITE_SPACE } from './separators.ts';
import { type SkippedOptions, SkippedRecord } from './skipped-record.ts';

/** Bytes that make a block: large enough that work per block does not count, small enough to settle often. */
const BLOCK_BYTES = 1_048_576;
/** White space after an opening bracket in which the first element is looked for. */
const MAX_LOOKAHEAD_BYTES = 65_536;

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const OPEN_OBJECT = 0x7b;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const;

/** What a parser reuses from one source to the next; sources that share it are parsed one after the other. */
export interface Scratch {
  scanner: Scanner;
  columns: Columns;
}

/** A {@link Scratch}. */
export function newScratch(): Scratch {
  return { scanner: new Scanner(), columns: new Columns() };
}

/** Parses one object, file or message; `docs/formats.md` has the rules. */
export class JsonParser implements StreamParser {
  /**
   * `records`: at a value or a separator; `skip-record`: inside a rejection whose end is being looked for; `skip-rest`:
   * inside a rejection that extends to the end of the content.
   */
  #mode: 'records' | 'skip-record' | 'skip-rest' = 'records';
  readonly #context: ParseContext;
  readonly #scanner: Scanner;
  readonly #window: ByteWindow;
  readonly #builder: BlockBuilder;
  readonly #blockBytes: number;
  readonly #objectCheck: ObjectCheck | undefined;
  #line: number;
  /** Whether an array is open, and whether a value in it was not JSON. */
  #array: JsonState['array'];
  /** The rejection of the modes that skip. */
  #skipped: SkippedRecord | undefined;
  #failed: FailedContainer | undefined;
  /** Bytes to wait for before an unfinished value is scanned again: doubling keeps the scans linear. */
  #wantedBytes = 0;
  /** Bytes of the window that are known to be valid UTF-8. */
  #validBytes = 0;
  #isBegun = false;
  #hasEnded = false;

  /** @param from where an earlier run stopped */
  constructor(context: ParseContext, from: Position = START, scratch: Scratch = newScratch()) {
    this.#context = context;
    this.#scanner = scratch.scanner;
    this.#blockBytes = context.blockBytes ?? BLOCK_BYTES;
    this.#window = new ByteWindow(context.stored !== undefined && context.isStreamed !== true);
    this.#builder = new BlockBuilder(context, scratch.columns, from);
    this.#line = from.line;
    this.#array = ((from.state ?? {}) as JsonState).array;
    this.#objectCheck = from.offset === 0 ? new ObjectCheck(context.stored !== undefined) : undefined;
  }

  push(chunk: Buffer): Iterable<Block> {
    this.#objectCheck?.see(chunk);
    this.#window.append(chunk);
    const wantedBytes = this.#isBegun ? this.#wantedBytes : this.#beginningBytes;
    if (this.#window.held < Math.max(this.#blockBytes, wantedBytes)) return [];
    this.#window.endAtLastLine();
    return this.#parse(false);
  }

  flush(): Iterable<Block> {
    this.#window.endAtLastByte();
    return this.#parse(false);
  }

  end(): Iterable<Block> {
    this.#window.endAtLastByte();
    return this.#parse(true);
  }

  *breakOff(message: string): Iterable<Block> {
    yield* this.flush();
    yield* (this.#objectCheck?.release() ?? []).filter(isNeeded);
    if (this.#mode === 'skip-rest') {
      yield* this.#parse(true);
      return;
    }
    const { bytes, length } = this.#window;
    this.#builder.begin(bytes);
    if (this.#skipped !== undefined) this.#endSkipped();
    this.#skip(0, { reason: { field: 'record', message } });
    this.#skipped!.take(bytes, 0, length);
    this.#endSkipped();
    this.#builder.markEnd(length, this.#line);
    yield this.#finish(length);
  }

  /** Parses what is in the window; several blocks if many records of it are rejected. */
  *#parse(isLast: boolean): Iterable<Block> {
    if (!this.#isBegun) this.#begin();
    let failed: FailedContainer | undefined;
    for (;;) {
      const { at, isOver } = this.#parseBlock(isLast, failed);
      failed = this.#failed === undefined ? undefined : movedBack(this.#failed, at);
      const block = this.#finish(at);
      const decision = this.#objectCheck?.add(block, isLast && isOver);
      if (decision?.rejectAll !== undefined) {
        this.#skipAll(decision.rejectAll);
        failed = undefined;
        continue;
      }
      yield* (decision?.blocks ?? [block]).filter(isNeeded);
      if (isOver) return;
    }
  }

  #begin(): void {
    this.#isBegun = true;
    const reason = this.#objectCheck?.begin(this.#beginning);
    if (reason !== undefined) this.#skipAll(reason);
  }

  get #beginning(): Buffer {
    const { bytes, held } = this.#window;
    return bytes.subarray(0, Math.min(held, SIGNATURE_BYTES));
  }

  /** Bytes that the first window has to hold. */
  get #beginningBytes(): number {
    return this.#objectCheck === undefined || beginsLikeJson(this.#beginning) ? 0 : SIGNATURE_BYTES;
  }

  /** Parses one block; `at` is where it ends, `isOver` whether nothing more can be read from the window. */
  #parseBlock(isLast: boolean, failed: FailedContainer | undefined): { at: number; isOver: boolean } {
    const { bytes, length } = this.#window;
    this.#builder.begin(bytes);
    this.#wantedBytes = 0;
    this.#failed = failed;
    this.#validBytes = validPrefix(bytes.subarray(0, length));
    let at = 0;
    let isOver = false;
    while (!isOver) {
      const isSkipping = this.#isSkipping();
      at = isSkipping ? this.#readSkipped(at, isLast) : this.#readValues(at, isLast);
      if (!this.#isSkipping() && this.#builder.isFull) {
        this.#builder.mark(at, this.#line, this.#array);
        return { at, isOver: false };
      }
      // Either stops where the other continues, unless it has run out of bytes.
      isOver = this.#isSkipping() === isSkipping;
    }
    if (isLast) this.#endContent(at);
    return { at, isOver: true };
  }

  /** Makes one rejection of all of the content, whatever was found in it before. */
  #skipAll(reason: Reason): void {
    const { stored } = this.#context;
    const ordinal = this.#context.ordinal === 'line' ? 1 : 0;
    this.#mode = 'skip-rest';
    this.#skipped = new SkippedRecord({ offset: 0, ordinal, reason, isHeldWhole: false, stored });
    this.#skipped.takeHead(this.#objectCheck!.head.subarray(0, this.#builder.offset), this.#builder.offset);
    this.#builder.beginAtStart();
  }

  #finish(consumed: number): Block {
    const block = this.#builder.finish(consumed);
    this.#window.consume(consumed);
    return block;
  }

  /** Bytes that were looked at by scans or in search of an end, each as often as it was. */
  get bytesScanned(): number {
    return this.#scanner.bytesScanned;
  }

  /** Reads values from `at` on. Returns where it stopped: at the end, at a value that needs more bytes, or in another mode. */
  #readValues(from: number, isLast: boolean): number {
    const { bytes, length } = this.#window;
    let at = from;
    for (;;) {
      let byte = 0;
      for (; at < length; at++) {
        byte = bytes[at]!;
        if (IS_SEPARATOR[byte] === 0) break;
        if (byte === NEWLINE) this.#line++;
      }
      if (at === length || this.#builder.isFull) break;
      let end: number;
      if (byte === OPEN_OBJECT || (byte === OPEN_ARRAY && this.#array !== undefined && !this.#beginsAnew(at))) {
        end = this.#readContainer(at, isLast);
      } else if (byte === OPEN_ARRAY) {
        end = this.#openArray(at, isLast);
      } else if (byte === CLOSE_ARRAY && this.#array !== undefined) {
        this.#array = undefined;
        end = at + 1;
      } else if (byte === BYTE_ORDER_MARK[0]) {
        end = this.#readMark(at, isLast);
      } else {
        end = this.#readText(at, isLast);
      }
      if (end === -1) break;
      at = end;
      if (this.#isSkipping()) return at;
    }
    this.#builder.mark(at, this.#line, this.#array);
    return at;
  }

  /** Reads the object, or the array inside an array, at `start`; returns the index to continue at, or -1 to wait for more bytes. */
  #readContainer(start: number, isLast: boolean): number {
    const { bytes, length } = this.#window;
    if (this.#failed !== undefined) {
      if (start >= this.#failed.knownTo) this.#failed = undefined;
      else if (this.#failed.openedAt.includes(start)) return this.#failContainer(start, this.#failed);
    }
    const scanner = this.#scanner;
    const to = Math.min(length, start + MAX_RECORD_BYTES + 1);
    const status = scanner.scan(bytes, start, to);
    const { end } = scanner;
    const isTooLarge = end - start > MAX_RECORD_BYTES;
    if (status === 'value' && !isTooLarge) {
      this.#addValue(start, end);
      return end;
    }
    if (status === 'incomplete' && !isTooLarge && !isLast) return this.#wait(2 * (length - start));
    if (scanner.isObject && (isTooLarge || status === 'too-deep')) this.#noteObject();
    return this.#failContainer(start, {
      kind: isTooLarge || status === 'value' ? 'too-large' : status,
      at: end,
      tokenAt: scanner.stringAt === -1 ? end : scanner.stringAt,
      openedAt: scanner.openedAt.slice(1, scanner.depth + 1),
      rereadTo: end,
      knownTo: end,
      isLimited: !isTooLarge && status !== 'too-deep',
    });
  }

  #addValue(start: number, end: number): void {
    const scanner = this.#scanner;
    const { bytes } = this.#window;
    if (scanner.isObject) this.#noteObject();
    const isValidUtf8 = end <= this.#validBytes || isUtf8(bytes.subarray(start, end));
    const reason = reasonAgainst(scanner, isValidUtf8, this.#context.source.mapping.kind === 'mapped');
    const ordinal = this.#ordinal();
    if (reason === undefined) this.#builder.add(start, end, ordinal, scanner, this.#array);
    else this.#builder.reject(start, end, ordinal, reason);
    if (scanner.lineBreak) this.#line += newlinesIn(bytes, start, end);
  }

  /**
   * The container at `start` failed. Lines up to the failure that begin with a bracket and are indented no more are read
   * again; if there are none, the rejection extends beyond the failure.
   */
  #failContainer(start: number, failed: FailedContainer): number {
    const { bytes } = this.#window;
    const { width } = this.#builder.indentAt(start, this.#line);
    const next = this.#nextLineWithBracket(start, failed.rereadTo, width);
    if (next === -1) return this.#skipContainer(start, failed, width);
    let end = next;
    while (end > start && IS_SEPARATOR[bytes[end - 1]!] === 1) end--;
    const isValidUtf8 = isUtf8(bytes.subarray(start, end));
    this.#builder.reject(start, end, this.#ordinal(), isValidUtf8 ? notJson(end - start, end - start) : NOT_UTF8);
    this.#line += newlinesIn(bytes, start, next);
    if (this.#array !== undefined) this.#array = 'broken';
    this.#failed = failed;
    if (!failed.isLimited) this.#limitReread(next, failed, width);
    return next;
  }

  #skipContainer(start: number, { kind, at, tokenAt, openedAt }: FailedContainer, width: number): number {
    const { bytes } = this.#window;
    const reason = kind === 'too-large' ? TOO_LARGE : kind === 'too-deep' ? TOO_DEEP : undefined;
    const depth = openedAt.length - Math.max(0, openedAt.indexOf(start));
    const { width: blanks, isOpen } = indentAt(bytes.subarray(start), tokenAt - start, { width: -1, isOpen: false });
    const end = new BracketEnd(bytes[start]!, depth, width, isOpen ? blanks : -1);
    this.#skip(start, { reason, failedAt: at - start, end });
    this.#skipped!.take(bytes, start, tokenAt);
    return tokenAt;
  }

  /** A container inside one that is too large or too deep may be neither: the last one that begins a line is scanned anew. */
  #limitReread(next: number, failed: FailedContainer, width: number): void {
    let last = -1;
    for (let at = next; at !== -1; at = this.#nextLineWithBracket(at, failed.rereadTo, width)) {
      if (failed.openedAt.includes(at)) last = at;
    }
    this.#failed = { ...failed, isLimited: true, ...(last === -1 ? {} : { rereadTo: last + 1, knownTo: last }) };
  }

  /** Index of the first `{` or `[` after `from` and before `to` that begins a line, indented by `width` at most; else -1. */
  #nextLineWithBracket(from: number, to: number, width: number): number {
    const { bytes } = this.#window;
    const lines = bytes.subarray(0, to);
    for (let newline = lines.indexOf(NEWLINE, from); newline !== -1; ) {
      let indent = 0;
      let at = newline + 1;
      for (; at < to; at++) {
        const columns = blankWidth(bytes[at]!);
        if (columns < 0) break;
        indent += columns;
      }
      if (at < to && (bytes[at] === OPEN_OBJECT || bytes[at] === OPEN_ARRAY) && indent <= width) return at;
      newline = lines.indexOf(NEWLINE, at);
    }
    return -1;
  }

  /** In a broken array, a bracket that begins a line opens another one: a rejection may have taken the bracket that closed it. */
  #beginsAnew(at: number): boolean {
    return this.#array === 'broken' && this.#builder.indentAt(at, this.#line).isOpen;
  }

  /** An array is opened only by a bracket that a bracket follows; any other begins text. */
  #openArray(start: number, isLast: boolean): number {
    const { bytes, length } = this.#window;
    const limit = Math.min(length, start + 1 + MAX_LOOKAHEAD_BYTES);
    let at = start + 1;
    while (at < limit && IS_WHITE_SPACE[bytes[at]!] === 1) at++;
    if (at === length && at < start + 1 + MAX_LOOKAHEAD_BYTES) {
      if (!isLast) return this.#wait(2 * (length - start));
    } else if (at === limit || bytes[at] === OPEN_OBJECT || bytes[at] === OPEN_ARRAY || bytes[at] === CLOSE_ARRAY) {
      this.#array = true;
      return start + 1;
    }
    return this.#beginText(start, true);
  }

  #readMark(start: number, isLast: boolean): number {
    const { bytes, length } = this.#window;
    for (let index = 1; index < BYTE_ORDER_MARK.length; index++) {
      if (start + index === length && !isLast) return this.#wait(length - start + 1);
      if (start + index === length || bytes[start + index] !== BYTE_ORDER_MARK[index])
        return this.#beginText(start, false);
    }
    return start + BYTE_ORDER_MARK.length;
  }

  /** Reads what begins with no bracket: a scalar inside an array, else text. */
  #readText(start: number, isLast: boolean): number {
    if (this.#array === undefined) return this.#beginText(start, false);
    const { bytes, length } = this.#window;
    const scanner = this.#scanner;
    const to = Math.min(length, start + MAX_RECORD_BYTES + 1);
    const status = scanner.scan(bytes, start, to);
    const { end } = scanner;
    const isTooLarge = end - start > MAX_RECORD_BYTES;
    // What follows tells whether it is a scalar, and where a number ends.
    const isUnfinished = status === 'incomplete' || (status === 'value' && end === length);
    if (isUnfinished && !isLast && !isTooLarge) return this.#wait(2 * (length - start));
    if (isTooLarge && bytes[start] === QUOTE) {
      this.#skip(start, { reason: TOO_LARGE, failedAt: end - start, end: new StringEnd() });
      return start;
    }
    const isDelimited = end === length || IS_SEPARATOR[bytes[end]!] === 1 || bytes[end] === CLOSE_ARRAY;
    if (status !== 'value' || !isDelimited || isTooLarge) {
      return this.#beginText(start, false, isTooLarge ? undefined : end - start);
    }
    const isValidUtf8 = isUtf8(bytes.subarray(start, end));
    this.#builder.reject(start, end, this.#ordinal(), isValidUtf8 ? NOT_AN_OBJECT : NOT_UTF8);
    return end;
  }

  #beginText(start: number, takesLine: boolean, failedAt?: number): number {
    this.#skip(start, { failedAt, end: new TextEnd(this.#array !== undefined, takesLine) });
    return start;
  }

  /** Begins a rejection at `start`, without its bytes. Unless it ends in this window, the block ends before it. */
  #skip(start: number, known: Pick<SkippedOptions, 'reason' | 'failedAt' | 'end'>): void {
    this.#builder.mark(start, this.#line, this.#array);
    this.#mode = 'skip-record';
    const offset = this.#builder.offset + start;
    const isHeldWhole = this.#context.stored !== undefined;
    this.#skipped = new SkippedRecord({ ...known, offset, ordinal: this.#ordinal(), isHeldWhole });
  }

  /** Takes bytes from `at` on into the rejection; returns where it ends, or the end of the window. */
  #readSkipped(at: number, isLast: boolean): number {
    const { bytes, length } = this.#window;
    const skipped = this.#skipped!;
    const end = skipped.options.end?.find(bytes, at, length) ?? -1;
    const to = end === -1 ? length : end;
    if (skipped.options.end?.isByteByByte) this.#scanner.bytesScanned += to - at;
    skipped.take(bytes, at, to);
    if (end === -1 && !isLast) return to;
    this.#hasEnded = end === -1;
    this.#endSkipped();
    return to;
  }

  #endSkipped(): void {
    const skipped = this.#skipped!;
    const { offset, ordinal } = skipped.options;
    const { record, bytes } = skipped.finish();
    const reason = this.#reasonOf(skipped, record, bytes);
    this.#skipped = undefined;
    this.#mode = 'records';
    this.#line += skipped.newlines;
    if (this.#array !== undefined && skipped.options.end?.isClean !== true) this.#array = 'broken';
    this.#builder.rejectPart(record, bytes, offset, ordinal, reason);
  }

  #reasonOf({ options: { reason, failedAt } }: SkippedRecord, record: Buffer, bytes: number): Reason {
    const isWhole = record.length === bytes;
    const isTooLarge = bytes > MAX_RECORD_BYTES;
    // What was too large to be scanned may have been so by its white space alone.
    if (reason !== undefined && (reason !== TOO_LARGE || isTooLarge)) return reason;
    if (isWhole && !isUtf8(record)) return NOT_UTF8;
    if (failedAt !== undefined) return notJson(bytes, failedAt);
    const status = this.#scanner.scan(record, 0, record.length);
    if (isTooLarge && this.#scanner.end === record.length) return TOO_LARGE;
    return reasonAgainstText(this.#scanner, status, record.length);
  }

  #endContent(at: number): void {
    // A rejection up to the end says already that something is missing; one before may have taken the closing bracket.
    if (this.#array === true && !this.#hasEnded) this.#builder.reject(at, at, this.#ordinal(), ARRAY_NOT_CLOSED);
    this.#builder.markEnd(at, this.#line);
  }

  #isSkipping(): boolean {
    return this.#mode !== 'records';
  }

  #wait(wantedBytes: number): -1 {
    this.#wantedBytes = wantedBytes;
    return -1;
  }

  #ordinal(): number {
    return this.#context.ordinal === 'line' ? this.#line : this.#builder.records;
  }

  #noteObject(): void {
    this.#objectCheck?.noteObject(this.#builder.records);
  }
}

/** Bytes at the beginning that are valid UTF-8: all of them but the last character, or none. */
function validPrefix(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes.length - end < 4 && (bytes[end - 1]! & 0xc0) === 0x80) end--;
  if (end > 0 && bytes[end - 1]! >= 0xc0) end--;
  return isUtf8(bytes.subarray(0, end)) ? end : 0;
}

/** Whether a block covers anything. */
function isNeeded(block: Block): boolean {
  return block.weight > 0 || block.rejections.length > 0;
}
