/** Turns decoded bytes, as they come, into blocks of records: newline-delimited JSON or one JSON array. */

import type { Block } from './block.ts';
import { BlockBuilder, type BlockContext, type Cut, extendCut } from './block-builder.ts';
import { ArraySplitter } from './split-array.ts';
import { LineSplitter } from './split-lines.ts';

/** How records are told apart. */
export type Format = 'ndjson' | 'array';

/** A place between two records, from which reading can go on. */
export interface Position {
  format: Format;
  /** Bytes of the decoded content before it. */
  offset: number;
  /** The line that it is on, from 1. */
  line: number;
}

/** Bytes that make a block: large enough that work for each block does not count, small enough to be settled often. */
const BLOCK_BYTES = 1_048_576;
/** Records after which content without a single JSON object among them is not looked at any further. */
const MAX_RECORDS_WITHOUT_OBJECT = 1_000;
/** Bytes of rejections that wait for that decision; beyond, records are rejected one by one. */
const MAX_UNDECIDED_BYTES = 8 * BLOCK_BYTES;
const EMPTY = Buffer.alloc(0);
const OPEN_ARRAY = 0x5b;
const WHITE_SPACE = new Set([0x20, 0x0a, 0x0d, 0x09]);
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** What a parser may be told. */
export interface RecordParserOptions extends BlockContext {
  /** Where to go on; the beginning of the content unless given. */
  resumeAt?: Position | undefined;
  /** Bytes that make a block. */
  blockBytes?: number;
}

/**
 * Parses one object or file. Content whose first 1,000 records hold no JSON object is one rejection, and so is all that
 * comes behind a syntax error inside an array.
 */
export class RecordParser {
  readonly #options: RecordParserOptions;
  #builder: BlockBuilder;
  #splitter: LineSplitter | ArraySplitter | undefined;
  #format: Format | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Blocks that are given out once it is clear that the content holds JSON objects at all; undefined from then on. */
  #undecided: Block[] | undefined = [];
  /** The beginning of the content, while that is not clear. */
  readonly #head: Cut = { message: '', offset: 0, ordinal: 1, kept: EMPTY, bytes: 0 };
  /** The rest of content that cannot be told apart any further. */
  #rest: Cut | undefined;

  constructor(options: RecordParserOptions) {
    const { resumeAt } = options;
    this.#options = options;
    this.#builder = new BlockBuilder(options, resumeAt ?? { offset: 0, line: 1 });
    if (resumeAt !== undefined && resumeAt.offset > 0) {
      this.#undecided = undefined;
      this.#begin(resumeAt.format, true);
    }
  }

  /** How the records are told apart; undefined until the first bytes that are no white space. */
  get format(): Format | undefined {
    return this.#format;
  }

  /** Takes the next bytes of the decoded content and returns the blocks that they completed, if any. */
  push(chunk: Buffer): Block[] {
    if (this.#undecided !== undefined) extendCut(this.#head, chunk);
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    return this.#waitingBytes < (this.#options.blockBytes ?? BLOCK_BYTES) ? [] : this.#parse(false);
  }

  /** The content is over: returns the last blocks. */
  end(): Block[] {
    return this.#parse(true);
  }

  /** Nothing behind this can be decoded: returns the last blocks, what is not parsed yet as one rejection. */
  breakOff(message: string): Block[] {
    const blocks = this.#parse(false);
    blocks.unshift(...(this.#undecided ?? []));
    this.#undecided = undefined;
    if (this.#rest === undefined) {
      const bytes = this.#take();
      this.#builder.begin(EMPTY);
      this.#splitter?.split(EMPTY, true, this.#builder);
      blocks.push(this.#builder.finish(0));
      this.#beginRest(bytes, message);
    }
    return [...blocks, ...this.#parse(true)];
  }

  #parse(isLast: boolean): Block[] {
    let bytes = this.#take();
    if (this.#rest !== undefined) {
      extendCut(this.#rest, bytes);
      return isLast ? this.#finishRest(this.#rest) : [];
    }
    if (this.#splitter === undefined) {
      if (!isLast && bytes.length < BYTE_ORDER_MARK.length) return this.#putBack(bytes);
      if (this.#builder.offset === 0 && bytes.indexOf(BYTE_ORDER_MARK) === 0) {
        bytes = bytes.subarray(BYTE_ORDER_MARK.length);
        this.#builder.begin(EMPTY);
        this.#builder.finish(BYTE_ORDER_MARK.length);
      }
      const first = bytes.find((byte) => !WHITE_SPACE.has(byte));
      if (first === undefined && !isLast) return this.#putBack(bytes);
      this.#begin(first === OPEN_ARRAY ? 'array' : 'ndjson', false);
    }
    const splitter = this.#splitter!;
    this.#builder.begin(bytes);
    const consumed = splitter.split(bytes, isLast, this.#builder);
    const block = this.#builder.finish(consumed);
    const remaining = bytes.subarray(consumed);
    if (splitter instanceof ArraySplitter && splitter.broken !== undefined) this.#beginRest(remaining, splitter.broken);
    else this.#putBack(remaining);
    const blocks = this.#giveOut(block, isLast);
    if (isLast && this.#rest !== undefined) blocks.push(...this.#finishRest(this.#rest));
    return blocks;
  }

  /** Returns what can be given out with `block`: nothing, as long as no JSON object was seen. */
  #giveOut(block: Block, isLast: boolean): Block[] {
    if (this.#undecided === undefined) return block.size > 0 ? [block] : [];
    const blocks = this.#undecided;
    blocks.push(block);
    let records = this.#rest === undefined ? 0 : 1;
    let bytes = 0;
    for (const { counts, rejections } of blocks) {
      records += counts.read;
      for (const { record } of rejections) bytes += record.length;
    }
    const isDecided = this.#builder.sawObject || bytes > MAX_UNDECIDED_BYTES || (isLast && records < 2);
    if (!isDecided && !isLast && records < MAX_RECORDS_WITHOUT_OBJECT) return [];
    this.#undecided = undefined;
    if (isDecided) return blocks;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#builder = new BlockBuilder(this.#options, { offset: 0, line: 1 });
    this.#rest = { ...this.#head, message: `no JSON object among the first ${records} records of the object` };
    return [];
  }

  #begin(format: Format, isResumed: boolean): void {
    this.#format = format;
    this.#splitter = format === 'array' ? new ArraySplitter(isResumed) : new LineSplitter();
  }

  #beginRest(bytes: Buffer, message: string): void {
    this.#builder.begin(bytes);
    this.#rest = this.#builder.cut(0, message);
  }

  #finishRest(rest: Cut): Block[] {
    this.#builder.begin(EMPTY);
    this.#builder.rejectCut(rest);
    return [this.#builder.finish(rest.bytes)];
  }

  #putBack(bytes: Buffer): Block[] {
    this.#waiting = bytes.length > 0 ? [bytes] : [];
    this.#waitingBytes = bytes.length;
    return [];
  }

  #take(): Buffer {
    const bytes = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    this.#putBack(EMPTY);
    return bytes;
  }
}
