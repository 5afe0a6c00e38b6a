/** Turns decoded bytes, as they come, into blocks of records: newline-delimited JSON or one JSON array. */

import { type Block, type Place, type Rejection, START } from '../../block.ts';
import { BlockBuilder, type BlockContext, extendKept } from './block-builder.ts';
import { ArraySplitter } from './split-array.ts';
import { LineSplitter } from './split-lines.ts';

/** How records are told apart. */
export type Format = 'ndjson' | 'array';

/** A place between two records, from which reading can go on. */
export interface Position extends Place {
  format: Format;
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
 * comes behind a syntax error inside an array. Where the chunks begin and end makes no difference.
 */
export class RecordParser {
  readonly #blockBytes: number;
  readonly #builder: BlockBuilder;
  #splitter: LineSplitter | ArraySplitter | undefined;
  #format: Format | undefined;
  readonly #isTransformed: boolean;
  /** Holds the bytes of one block after the other. */
  #buffer: Buffer = EMPTY;
  /** The part of it that is not parsed yet. */
  #waiting: Buffer = EMPTY;
  /** Blocks that are given out once it is clear that the content holds JSON objects at all; undefined from then on. */
  #undecided: Block[] | undefined = [];
  /** The beginning of the content, while that is not clear. */
  #head: Buffer = EMPTY;

  constructor(options: RecordParserOptions) {
    const { resumeAt, blockBytes = BLOCK_BYTES, isTransformed = false } = options;
    this.#blockBytes = blockBytes;
    this.#isTransformed = isTransformed;
    this.#builder = new BlockBuilder(options, resumeAt ?? START);
    if (resumeAt !== undefined && resumeAt.offset > 0) {
      this.#undecided = undefined;
      this.#begin(resumeAt.format, true);
    }
  }

  /** How the records are told apart; undefined until the first bytes that are no white space. */
  get format(): Format | undefined {
    return this.#format;
  }

  /**
   * Takes the next bytes of the decoded content and returns the blocks that they completed, if any. The bytes of these
   * are overwritten by the next push, unless a transform is to have them.
   */
  push(chunk: Buffer): Block[] {
    if (this.#undecided !== undefined) this.#head = extendKept(this.#head, chunk);
    this.#append(chunk);
    return this.#waiting.length < this.#blockBytes ? [] : this.#parse(false);
  }

  /** Returns what is complete of the bytes so far, without waiting for enough to make a block. */
  flush(): Block[] {
    return this.#parse(false);
  }

  /** The content is over: returns the last blocks. */
  end(): Block[] {
    return this.#parse(true);
  }

  /** Nothing behind this can be decoded: returns the last blocks, what is not parsed yet as one rejection. */
  breakOff(message: string): Block[] {
    const builder = this.#builder;
    const blocks = this.#parse(false);
    blocks.unshift(...(this.#undecided ?? []).filter(isNeeded));
    this.#undecided = undefined;
    if (builder.cut !== undefined && builder.cut.findEnd === undefined) return [...blocks, ...this.#parse(true)];
    builder.begin(EMPTY);
    if (builder.cut !== undefined) builder.rejectCut();
    builder.beginCut(0, message);
    builder.extendCut(this.#take());
    builder.rejectCut();
    return [...blocks, builder.finish(0)];
  }

  #parse(isLast: boolean): Block[] {
    let bytes = this.#skipBeginning(this.#take(), isLast);
    if (this.#splitter === undefined) return this.#putBack(bytes);
    const builder = this.#builder;
    const { cut } = builder;
    if (cut !== undefined) {
      const end = builder.extendCut(bytes);
      if (end === -1 && !isLast) return [];
      bytes = end === -1 ? EMPTY : bytes.subarray(end);
    }
    builder.begin(this.#isTransformed ? Buffer.from(bytes) : bytes);
    if (cut !== undefined) builder.rejectCut();
    if (cut !== undefined && cut.findEnd === undefined) return this.#giveOut(builder.finish(0), true);
    const consumed = this.#splitter.split(bytes, isLast, builder);
    const blocks = this.#giveOut(builder.finish(consumed), isLast);
    this.#putBack(bytes.subarray(consumed));
    if (builder.cut !== undefined) blocks.push(...this.#parse(isLast));
    return blocks;
  }

  /** Skips what stands before the first record and tells the format from that; returns what is left. */
  #skipBeginning(bytes: Buffer, isLast: boolean): Buffer {
    if (this.#splitter !== undefined) return bytes;
    const isAtStart = this.#builder.offset === 0;
    if (isAtStart && !isLast && bytes.length < BYTE_ORDER_MARK.length) return bytes;
    const from = isAtStart && bytes.indexOf(BYTE_ORDER_MARK) === 0 ? BYTE_ORDER_MARK.length : 0;
    const index = bytes.findIndex((byte, at) => at >= from && !WHITE_SPACE.has(byte));
    const start = index === -1 ? bytes.length : index;
    this.#builder.skip(bytes.subarray(0, start));
    if (index !== -1 || isLast) this.#begin(bytes[start] === OPEN_ARRAY ? 'array' : 'ndjson', false);
    return bytes.subarray(start);
  }

  /** Returns what can be given out with `block`: nothing, as long as no JSON object was seen. */
  #giveOut(block: Block, isLast: boolean): Block[] {
    if (this.#undecided === undefined) return isNeeded(block) ? [block] : [];
    this.#undecided.push(block);
    const builder = this.#builder;
    const isBroken = builder.cut !== undefined && builder.cut.findEnd === undefined;
    const rejected = this.#undecided.flatMap(({ rejections }) => rejections);
    const records = Math.min(MAX_RECORDS_WITHOUT_OBJECT, rejected.length + (isBroken ? 1 : 0));
    const holdsObjects = this.#holdsObjects(rejected);
    if (holdsObjects === undefined && !isLast && !isBroken) return [];
    const blocks = this.#undecided.filter(isNeeded);
    this.#undecided = undefined;
    if (holdsObjects ?? records < 2) return blocks;
    builder.beginCutOfAll(this.#head, `no JSON object among the first ${records} records of the object`);
    return [];
  }

  /** Whether the content holds JSON objects; undefined as long as more records may tell. */
  #holdsObjects(rejected: Rejection[]): boolean | undefined {
    const before = this.#builder.recordsBeforeObject;
    // Before the first object there are rejections alone.
    const first = rejected.slice(0, Math.min(before ?? MAX_RECORDS_WITHOUT_OBJECT, MAX_RECORDS_WITHOUT_OBJECT));
    let bytes = 0;
    for (const { record } of first) bytes += record.length;
    if (bytes > MAX_UNDECIDED_BYTES) return true;
    if (first.length === MAX_RECORDS_WITHOUT_OBJECT) return false;
    return before === undefined ? undefined : true;
  }

  #begin(format: Format, isResumed: boolean): void {
    this.#format = format;
    this.#splitter = format === 'array' ? new ArraySplitter(isResumed) : new LineSplitter();
  }

  /** Copies what came: V8 would take chunks that wait for their block to be complete for old, and clears what is old seldom. */
  #append(chunk: Buffer): void {
    const waiting = this.#waiting;
    const bytes = waiting.length + chunk.length;
    const isAtStart = waiting.byteOffset === this.#buffer.byteOffset;
    const hasRoom = bytes <= this.#buffer.length;
    if (!hasRoom) this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#buffer.length));
    if (!hasRoom || !isAtStart) waiting.copy(this.#buffer);
    chunk.copy(this.#buffer, waiting.length);
    this.#waiting = this.#buffer.subarray(0, bytes);
  }

  #putBack(bytes: Buffer): Block[] {
    this.#waiting = bytes;
    return [];
  }

  #take(): Buffer {
    const bytes = this.#waiting;
    this.#waiting = EMPTY;
    return bytes;
  }
}

/** Whether a block covers anything. */
function isNeeded(block: Block): boolean {
  return block.size > 0 || block.rejections.length > 0;
}
