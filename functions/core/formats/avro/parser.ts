/** Parses an Avro container file into blocks of rows. A corrupt block is one rejection; the next one is found by its marker. */

import { type Block, type Position, START } from '../../block.ts';
import { MAX_KEPT_BYTES } from '../../rejections.ts';
import type { ParseContext, StreamParser } from '../format.ts';
import { rowSource, unreadableBlock } from '../rows.ts';
import { type Container, type Frame, type Header, open, readFrame, readHeader } from './container.ts';
import { AvroError } from './cursor.ts';
import { type Group, RowDecoder } from './row-decoder.ts';

/** Bytes that are parsed together. */
const BLOCK_BYTES = 524_288;
/** What a step returns to wait for more bytes. */
const WAIT = -1;

/** A part of the content that is skipped, and why. */
interface Skipped {
  offset: number;
  ordinal: number;
  head: Buffer;
  bytes: number;
  message: string;
}

/** Parses one object or file. */
export class AvroParser implements StreamParser {
  /** `skip`: in a block that cannot be read, up to the next marker; `skip-rest`: in what cannot be read up to the end. */
  #mode: 'header' | 'blocks' | 'skip' | 'skip-rest' = 'header';
  readonly #context: ParseContext;
  readonly #blockBytes: number;
  #container: Container | undefined;
  #rows: RowDecoder | undefined;
  /** Bytes that are not parsed yet, and how many there must be before anything can be. */
  #chunks: Buffer[] = [];
  #length = 0;
  #wanted = 0;
  /** Of the first of them: offset, and checksum of everything before it. */
  #offset: number;
  #checksum: number;
  /** Rows and rejections so far, from 1. */
  #line: number;
  /** Rows of the first block that are settled. */
  #settledRows = 0;
  #skipped: Skipped | undefined;

  /** @param from where an earlier run stopped */
  constructor(context: ParseContext, from: Position = START) {
    this.#context = { ...context, source: rowSource(context.source) };
    this.#blockBytes = context.blockBytes ?? BLOCK_BYTES;
    this.#offset = from.offset;
    this.#checksum = from.checksum;
    this.#line = from.line;
    if (from.state !== undefined) {
      const { row = 0, ...header } = from.state as Header & { row?: number };
      this.#settledRows = row;
      this.#begin(open(header), from);
    }
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
    this.#mode = 'skip-rest';
    this.#skipped ??= this.#newSkipped(message);
    yield* this.#parse(true);
  }

  *#parse(isLast: boolean): Generator<Block, void> {
    const bytes = Buffer.concat(this.#chunks);
    this.#wanted = 0;
    let at = 0;
    for (;;) {
      const next = yield* this.#step(bytes, at, isLast);
      if (next === WAIT) break;
      at = next;
    }
    yield* this.#rows?.flush() ?? [];
    this.#chunks = [bytes.subarray(at)];
    this.#length = bytes.length - at;
    if (!isLast) return;
    if (this.#skipped !== undefined) yield this.#endSkipped();
    else if (this.#rows?.isBehind(this.#offset)) yield this.#rows.emptyBlock(this.#position());
  }

  /** Reads one thing at `bytes[at]`; returns where the next one begins. */
  *#step(bytes: Buffer, at: number, isLast: boolean): Generator<Block, number> {
    if (at === bytes.length) return WAIT;
    if (this.#mode === 'header') return this.#readHeader(bytes, isLast);
    if (this.#mode !== 'blocks') return yield* this.#skip(bytes, at, isLast);
    let frame: Frame | number;
    try {
      frame = readFrame(bytes, at, this.#container!.sync);
    } catch (error) {
      this.#beginSkip('skip', messageOf(error));
      return at;
    }
    if (typeof frame === 'object') return yield* this.#readBlock(bytes, at, frame);
    this.#wanted = frame;
    if (!isLast) return WAIT;
    this.#beginSkip('skip', 'the data may be cut short');
    return at;
  }

  #readHeader(bytes: Buffer, isLast: boolean): number {
    try {
      const header = readHeader(bytes, isLast);
      if (header === undefined) return WAIT;
      this.#begin(header.container, START);
      this.#pass(bytes, 0, header.length);
      return header.length;
    } catch (error) {
      this.#beginSkip('skip-rest', messageOf(error));
      this.#skipped!.message = `the Avro header is not usable: ${messageOf(error)}`;
      return 0;
    }
  }

  #begin(container: Container, from: Position): void {
    this.#mode = 'blocks';
    this.#container = container;
    this.#rows = new RowDecoder(this.#context, container, from);
  }

  *#readBlock(bytes: Buffer, at: number, frame: Frame): Generator<Block, number> {
    const group: Group = {
      offset: this.#offset,
      checksum: this.#checksum,
      line: this.#line,
      stored: bytes.subarray(frame.from, frame.to),
      starts: new Uint32Array(),
    };
    const settled = this.#settledRows;
    this.#settledRows = 0;
    const problem = this.#rows!.check(group, frame.rows);
    this.#pass(bytes, at, frame.end);
    if (problem === undefined) {
      this.#line += frame.rows - settled;
      yield* this.#rows!.decode(group, settled, this.#position());
    } else {
      yield* this.#rows!.flush();
      this.#skipped = { ...group, ordinal: 0, head: Buffer.alloc(0), bytes: 0, message: blockMessage(problem) };
      this.#takeSkipped(bytes, at, frame.end);
      yield this.#endSkipped();
    }
    return frame.end;
  }

  /** Skips up to the end of the next marker, or to the end of the content. */
  *#skip(bytes: Buffer, at: number, isLast: boolean): Generator<Block, number> {
    yield* this.#rows?.flush() ?? [];
    const marker = this.#mode === 'skip' ? bytes.indexOf(this.#container!.sync, at) : -1;
    const { length: markerLength } = this.#container?.sync ?? [];
    const isWhole = isLast || this.#mode === 'skip-rest';
    const keep = isWhole ? 0 : markerLength! - 1;
    const to = marker === -1 ? Math.max(at, bytes.length - keep) : marker + markerLength!;
    this.#takeSkipped(bytes, at, to);
    this.#pass(bytes, at, to);
    if (marker !== -1) {
      this.#mode = 'blocks';
      yield this.#endSkipped();
    } else if (to === at) return WAIT;
    return to;
  }

  #beginSkip(mode: 'skip' | 'skip-rest', message: string): void {
    this.#mode = mode;
    this.#skipped = this.#newSkipped(blockMessage(message));
  }

  #newSkipped(message: string): Skipped {
    return { offset: this.#offset, ordinal: 0, head: Buffer.alloc(0), bytes: 0, message };
  }

  #takeSkipped(bytes: Buffer, from: number, to: number): void {
    const skipped = this.#skipped!;
    skipped.bytes += to - from;
    const missing = MAX_KEPT_BYTES - skipped.head.length;
    if (missing > 0) skipped.head = Buffer.concat([skipped.head, bytes.subarray(from, Math.min(to, from + missing))]);
  }

  #endSkipped(): Block {
    const { message, ...part } = this.#skipped!;
    if (this.#context.ordinal === 'index') part.ordinal = this.#line - 1;
    this.#skipped = undefined;
    this.#line++;
    const end = this.#position();
    this.#rows?.begin(end);
    return unreadableBlock(this.#context, { ...part, reason: { field: 'record', message } }, end);
  }

  /** The position of the bytes that are not parsed yet. */
  #position(): Position {
    const state = this.#container === undefined ? {} : { state: this.#container.header };
    return { offset: this.#offset, line: this.#line, checksum: this.#checksum, ...state };
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    this.#checksum = this.#context.checksumOf?.(bytes.subarray(from, to), this.#checksum) ?? 0;
    this.#offset += to - from;
  }
}

function blockMessage(message: string): string {
  return `the Avro block is corrupt: ${message}`;
}

function messageOf(error: unknown): string {
  if (error instanceof AvroError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
