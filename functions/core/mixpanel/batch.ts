/** Gathers events into batches: bodies for /import, compressed, with what it takes to settle each event in them. */

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Block, TOUCHED } from '../block.ts';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

/** Events that stand one behind the other in a batch, of as many consecutive records of a block. */
export interface Stretch {
  readonly block: Block;
  /** Index in the block of the first record. */
  readonly record: number;
  events: number;
}

/** Events on their way to Mixpanel as one body. */
export interface Batch {
  /** Newline-delimited JSON, compressed with gzip. */
  readonly body: Buffer;
  readonly events: number;
  /** Bytes of the uncompressed body. */
  readonly bytes: number;
  /** What the events were made of, in their order. */
  readonly stretches: readonly Readonly<Stretch>[];
  /** Events that are one of several of their record: the index among them. */
  readonly eventIndexes: ReadonlyMap<number, number>;
  /** Events whose record cannot be had back from the body: the record as it came. */
  readonly kept: ReadonlyMap<number, Buffer>;
}

/** What a batch may hold at most. */
export interface BatchLimits {
  maxEvents: number;
  maxBytes: number;
}

/** What is known of an event that is added. */
export interface EventOrigin {
  block: Block;
  /** Index of the record in the block. */
  record: number;
  /** Index of the event, where a transform made several of the record. */
  eventIndex?: number | undefined;
  /** The record as it came, where the event's bytes do not tell it. */
  kept?: Buffer | undefined;
}

const gzipAsync = promisify(gzip);
const MIN_CHUNK_BYTES = 16_384;

/**
 * Compresses events with gzip. The larger table of matches (`memLevel` 9, 256 KiB) takes up to 7 % less CPU at the same size.
 *
 * @param level gzip's, 1 to 9
 */
export function compress(events: Buffer, level: number): Promise<Buffer> {
  return gzipAsync(events, { level, memLevel: 9, chunkSize: Math.max(MIN_CHUNK_BYTES, events.length >> 2) });
}

/** Writes events into one buffer until a limit is met; the buffer is used again once a batch is sealed. */
export class BatchBuilder {
  #buffer = Buffer.allocUnsafeSlow(1 << 16);
  #length = 0;
  #keptBytes = 0;
  #events = 0;
  #stretches: Stretch[] = [];
  #eventIndexes = new Map<number, number>();
  #kept = new Map<number, Buffer>();

  /** Events in the batch so far. */
  get events(): number {
    return this.#events;
  }

  /** Bytes of the body so far, and of the records kept beside it. */
  get bytes(): number {
    return this.#length + this.#keptBytes;
  }

  /** Whether an event of so many bytes, line end not counted, fits without passing a limit; an empty batch takes any. */
  fits(bytes: number, limits: BatchLimits): boolean {
    if (this.#events === 0) return true;
    return this.#events < limits.maxEvents && this.#length + bytes + 1 <= limits.maxBytes;
  }

  /**
   * Adds records as they are, from `record` on: those that fit and follow each other line by line, up to one that must
   * be touched. An empty batch takes the first, whatever its size.
   *
   * @returns how many
   */
  addUntouched(block: Block, record: number, limits: BatchLimits): number {
    const { bytes, starts, ends, flags } = block;
    const from = starts[record]!;
    if (!this.fits(ends[record]! - from, limits)) return 0;
    const maxEnd = from + limits.maxBytes - this.#length - 1;
    const last = Math.min(starts.length, record + limits.maxEvents - this.#events) - 1;
    let at = record;
    let to = ends[at]!;
    while (at < last && starts[at + 1] === to + 1 && bytes[to] === NEWLINE && (flags[at + 1]! & TOUCHED) === 0) {
      if (ends[at + 1]! > maxEnd) break;
      to = ends[++at]!;
    }
    this.#reserve(to - from + 1);
    this.#length += bytes.copy(this.#buffer, this.#length, from, to);
    this.#buffer[this.#length++] = NEWLINE;
    const events = at + 1 - record;
    this.#note(block, record, events);
    return events;
  }

  /**
   * Adds an event: `bytes[from, to)`, with `splice` put in where it is given.
   *
   * @param lineBreaks whether CR and LF may stand in it, which become spaces
   */
  add(
    origin: EventOrigin,
    bytes: Buffer,
    [from, to]: [from: number, to: number],
    { splice, lineBreaks }: { splice?: { at: number; text: string } | undefined; lineBreaks: boolean },
  ): void {
    const begin = this.#length;
    this.#reserve(to - from + 1 + (splice?.text.length ?? 0));
    const buffer = this.#buffer;
    if (splice === undefined) {
      this.#length += bytes.copy(buffer, this.#length, from, to);
    } else {
      this.#length += bytes.copy(buffer, this.#length, from, splice.at);
      this.#length += buffer.write(splice.text, this.#length, 'latin1');
      this.#length += bytes.copy(buffer, this.#length, splice.at, to);
    }
    if (lineBreaks) {
      for (let at = begin; at < this.#length; at++) {
        if (buffer[at] === NEWLINE || buffer[at] === CARRIAGE_RETURN) buffer[at] = SPACE;
      }
    }
    buffer[this.#length++] = NEWLINE;
    this.#noteOne(origin);
  }

  /** Adds an event that was serialised. */
  addText(origin: EventOrigin, text: string): void {
    this.#reserve(3 * text.length + 1);
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
    this.#buffer[this.#length++] = NEWLINE;
    this.#noteOne(origin);
  }

  /**
   * Compresses the batch; the builder takes events again when the promise is settled.
   *
   * @param level gzip's, 1 to 9
   */
  async seal(level: number): Promise<Batch> {
    const batch = {
      body: await compress(this.#buffer.subarray(0, this.#length), level),
      events: this.#events,
      bytes: this.#length,
      stretches: this.#stretches,
      eventIndexes: this.#eventIndexes,
      kept: this.#kept,
    };
    this.#length = this.#keptBytes = this.#events = 0;
    this.#stretches = [];
    this.#eventIndexes = new Map();
    this.#kept = new Map();
    return batch;
  }

  #noteOne({ block, record, eventIndex, kept }: EventOrigin): void {
    if (eventIndex !== undefined) this.#eventIndexes.set(this.#events, eventIndex);
    if (kept !== undefined) {
      this.#kept.set(this.#events, kept);
      this.#keptBytes += kept.length;
    }
    this.#note(block, record, 1);
  }

  #note(block: Block, record: number, events: number): void {
    const last = this.#stretches.at(-1);
    if (last?.block === block && last.record + last.events === record) last.events += events;
    else this.#stretches.push({ block, record, events });
    block.pending += events;
    this.#events += events;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#length + bytes, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
