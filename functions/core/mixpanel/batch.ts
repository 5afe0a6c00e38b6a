/** Gathers events into batches: bodies for /import, compressed, with what it takes to settle each event in them. */

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Block, type JsonRecords, NOT_VERBATIM } from '../block.ts';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

/** Consecutive events of a batch, made of as many consecutive records of a block. */
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
  /** What the events were made of, in order. */
  readonly stretches: readonly Readonly<Stretch>[];
  /** For events that are one of several of their record: the index among them. */
  readonly eventIndexes: ReadonlyMap<number, number>;
  /** For events from whose bytes the original record cannot be recovered: that record. */
  readonly originals: ReadonlyMap<number, Buffer>;
}

/** The most that a batch may hold. */
export interface BatchLimits {
  maxEvents: number;
  maxBytes: number;
}

/** Text to insert into an event. */
export interface Splice {
  at: number;
  text: string;
}

const gzipAsync = promisify(gzip);
const MIN_CHUNK_BYTES = 16_384;

/**
 * Compresses events with gzip. The larger table of matches (`memLevel` 9, 256 KiB) takes up to 7 % less CPU for the same size.
 *
 * @param level gzip's, 1 to 9
 */
export function compress(events: Buffer, level: number): Promise<Buffer> {
  return gzipAsync(events, { level, memLevel: 9, chunkSize: Math.max(MIN_CHUNK_BYTES, events.length >> 2) });
}

/** Writes events into one buffer until a limit is reached; the buffer is reused once a batch is sealed. */
export class BatchBuilder {
  #buffer = Buffer.allocUnsafeSlow(1 << 16);
  #length = 0;
  #originalBytes = 0;
  #events = 0;
  #stretches: Stretch[] = [];
  #eventIndexes = new Map<number, number>();
  #originals = new Map<number, Buffer>();

  /** Events in the batch so far. */
  get events(): number {
    return this.#events;
  }

  /** Bytes of the body so far, and of the originals kept with it. */
  get bytes(): number {
    return this.#length + this.#originalBytes;
  }

  /**
   * Whether events fit within the limits. An empty batch takes any single event.
   *
   * @param bytes of all of them, without their line ends
   */
  fits(bytes: number, limits: BatchLimits, events = 1): boolean {
    if (this.#events === 0 && events === 1) return true;
    return this.#events + events <= limits.maxEvents && this.#length + bytes + events <= limits.maxBytes;
  }

  /**
   * Adds a run of records as they are, from `record` on: those that fit and follow each other line by line, up to one that
   * cannot be sent verbatim. An empty batch takes the first, whatever its size.
   *
   * @returns the number of records added
   */
  addVerbatim(block: Block, records: JsonRecords, record: number, limits: BatchLimits): number {
    const { bytes, starts, ends, flags } = records;
    const from = starts[record]!;
    if (!this.fits(ends[record]! - from, limits)) return 0;
    const maxEnd = from + limits.maxBytes - this.#length - 1;
    const last = Math.min(starts.length, record + limits.maxEvents - this.#events) - 1;
    let at = record;
    let to = ends[at]!;
    while (at < last && starts[at + 1] === to + 1 && bytes[to] === NEWLINE && (flags[at + 1]! & NOT_VERBATIM) === 0) {
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
   * Adds an event: the bytes of a record, changed.
   *
   * @param splice     text to insert, and where in the buffer of the records
   * @param lineBreaks whether it may contain CR and LF, which become spaces
   * @param original   the record, if it cannot be recovered from the event
   */
  add(
    block: Block,
    { bytes, starts, ends }: JsonRecords,
    record: number,
    {
      splice,
      lineBreaks,
      original,
    }: { splice?: Splice | undefined; lineBreaks: boolean; original?: Buffer | undefined },
  ): void {
    const from = starts[record]!;
    const to = ends[record]!;
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
    this.#noteOne(block, record, undefined, original);
  }

  /**
   * Adds a serialized event.
   *
   * @param eventIndex its index, if several were made of the record
   * @param original   the record, if neither the event nor the block tells it
   */
  addText(block: Block, record: number, text: string, eventIndex?: number, original?: Buffer): void {
    this.#reserve(3 * text.length + 1);
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
    this.#buffer[this.#length++] = NEWLINE;
    this.#noteOne(block, record, eventIndex, original);
  }

  /**
   * Compresses the batch. The builder takes events again once the promise is settled.
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
      originals: this.#originals,
    };
    this.#length = this.#originalBytes = this.#events = 0;
    this.#stretches = [];
    this.#eventIndexes = new Map();
    this.#originals = new Map();
    return batch;
  }

  #noteOne(block: Block, record: number, eventIndex: number | undefined, original: Buffer | undefined): void {
    if (eventIndex !== undefined) this.#eventIndexes.set(this.#events, eventIndex);
    if (original !== undefined) {
      this.#originals.set(this.#events, original);
      this.#originalBytes += original.length;
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
