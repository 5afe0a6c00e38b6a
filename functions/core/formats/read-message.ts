/** Reads the data of a message as blocks of records. */

import { pipeline, Readable } from 'node:stream';
import { createGunzip, gunzipSync } from 'node:zlib';
import type { Block, Reason, Source } from '../block.ts';
import { noCounts, START, throughOf } from '../block.ts';
import type { InsertIdOf } from '../insert-id.ts';
import { type Format, recognizeFormat, type StreamParser } from './format.ts';
import { jsonFormat } from './json/format.ts';
import { readOneObject } from './json/one-object.ts';
import { newScratch, type Scratch } from './json/parser.ts';
import { Utf16Decoder, utf16Of } from './utf16.ts';

/** The most that a message may decompress to, in each layer. */
const MAX_MESSAGE_BYTES = 500_000_000;
/** The most that is decompressed at once, in each layer; larger messages are decompressed piece by piece. */
const MAX_BYTES_AT_ONCE = 16_000_000;
/** Layers of compression that are decoded. */
const MAX_LAYERS = 2;
/** Bytes that are parsed at a time. */
const SLICE_BYTES = 1_048_576;
/** Bytes that are decompressed at a time if not all at once. */
const CHUNK_BYTES = 65_536;

/** Why a message without data is rejected that has attributes: they would be lost. */
const NO_DATA: Reason = { field: 'record', message: 'empty: the message has attributes and no data' };

/** The blocks of a message. If they arrive asynchronously, the next block overwrites the bytes of the one before. */
export type MessageBlocks = Iterable<Block> | AsyncIterable<Block>;

/** Reads messages one after the other. */
export class MessageReader {
  readonly #insertIdOf: InsertIdOf;
  readonly #sliceBytes: number;
  readonly #bytesAtOnce: number;
  readonly #scratch: Scratch = newScratch();

  /**
   * @param sliceBytes  bytes that are parsed at a time; a block has hardly more
   * @param bytesAtOnce the most that is decompressed at once
   */
  constructor(insertIdOf: InsertIdOf, sliceBytes = SLICE_BYTES, bytesAtOnce = MAX_BYTES_AT_ONCE) {
    this.#insertIdOf = insertIdOf;
    this.#sliceBytes = sliceBytes;
    this.#bytesAtOnce = bytesAtOnce;
  }

  /**
   * Returns the blocks of a message, made as they are asked for; finish with one message before you begin the next.
   *
   * @param stored the message's data; gzip is recognized by its first bytes
   * @param signal ends the reading of a message that is decompressed piece by piece, with its reason as an error
   */
  read(stored: Buffer, source: Source, signal?: AbortSignal): MessageBlocks {
    if (stored.length === 0) return hasAttributes(source) ? [this.#rejected(stored, source, NO_DATA)] : [];
    const data = gunzipAtOnce(stored, this.#bytesAtOnce);
    if (data === undefined) return this.#readPieces(stored, source, signal);
    if (!Buffer.isBuffer(data)) return [this.#rejected(stored, source, data)];
    const text = decodeUtf16(data);
    const format = recognizeFormat(text, source.mapping);
    const block = format === jsonFormat ? readOneObject(text, source, this.#scratch.scanner) : undefined;
    return block === undefined ? this.#parse(text, this.#parser(format, stored, source, false)) : [block];
  }

  *#parse(data: Buffer, parser: StreamParser): Generator<Block> {
    const step = this.#sliceBytes;
    for (let at = 0; at < data.length; at += step) yield* parser.push(data.subarray(at, at + step));
    yield* parser.end();
  }

  /** Reads a message in bounded memory: once to see whether all of it can be decompressed, and again to parse it. */
  async *#readPieces(stored: Buffer, source: Source, signal?: AbortSignal): AsyncGenerator<Block> {
    const layers = await countLayers(stored, signal);
    if (typeof layers !== 'number') {
      yield this.#rejected(stored, source, layers);
      return;
    }
    let decoder: Utf16Decoder | undefined;
    let parser: StreamParser | undefined;
    for await (const chunk of gunzip(stored, layers)) {
      signal?.throwIfAborted();
      if (parser === undefined) decoder = utf16DecoderOf(chunk);
      const text = decoder?.push(chunk) ?? chunk;
      parser ??= this.#parser(recognizeFormat(text, source.mapping), stored, source, true);
      yield* parser.push(text);
    }
    if (parser === undefined) return;
    if (decoder !== undefined) yield* parser.push(decoder.end());
    yield* parser.end();
  }

  #parser(format: Format, stored: Buffer, source: Source, isStreamed: boolean): StreamParser {
    const insertIdOf = this.#insertIdOf;
    const context = { source, insertIdOf, ordinal: 'index', stored, isStreamed, blockBytes: this.#sliceBytes } as const;
    return format.parser(context, START, this.#scratch);
  }

  #rejected(stored: Buffer, source: Source, reason: Reason): Block {
    return rejectedBlock(stored, source, reason, this.#insertIdOf);
  }
}

/** A block with one rejection: all of the message. */
export function rejectedBlock(stored: Buffer, source: Source, reason: Reason, insertIdOf: InsertIdOf): Block {
  const rejection = {
    reason,
    location: source.locate(0, 0),
    insertId: insertIdOf(stored, source, 0, 0),
    record: stored,
    bytes: stored.length,
    through: throughOf(source),
  };
  const none = new Float64Array();
  return {
    source,
    records: { form: 'rows', rows: [], first: 0, offsets: none, ordinals: none, original: () => stored },
    end: { ...START, offset: stored.length },
    weight: stored.length,
    rejections: [rejection],
    foundRejections: 1,
    counts: { ...noCounts(), read: 1, rejected: 1 },
    settledRecords: 0,
    pending: 1,
    cutAway: 0,
  };
}

function hasAttributes({ context }: Source): boolean {
  return context.kind === 'message' && Object.keys(context.attributes).length > 0;
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** The decompressed data, or why they cannot be decompressed; undefined if they are too large to be held. */
function gunzipAtOnce(stored: Buffer, maxBytes: number): Buffer | Reason | undefined {
  let data = stored;
  try {
    // Twice compressed data are read too, as in objects.
    for (let layer = 0; layer < MAX_LAYERS && isGzip(data); layer++) {
      data = gunzipSync(data, { maxOutputLength: maxBytes });
    }
    return data;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? undefined : corrupt(error);
  }
}

/** Finds out how many layers of gzip there are, and decompresses all of them; or says why that cannot be done. */
async function countLayers(stored: Buffer, signal?: AbortSignal): Promise<number | Reason> {
  let layers = 1;
  for (;;) {
    let bytes = 0;
    let head: Buffer = Buffer.alloc(0);
    try {
      for await (const chunk of gunzip(stored, layers)) {
        if (signal?.aborted) break;
        if (head.length < 2) head = Buffer.concat([head, chunk.subarray(0, 2)]);
        bytes += chunk.length;
        if (bytes > MAX_MESSAGE_BYTES) return tooLarge();
      }
    } catch (error) {
      return corrupt(error);
    }
    signal?.throwIfAborted();
    if (layers === MAX_LAYERS || !isGzip(head)) return layers;
    layers++;
  }
}

/**
 * Decompresses data piece by piece. zlib's own streams check all that has to be checked here: unlike those of an object, the
 * bytes before an error are not used. They also pass over millions of empty members quickly.
 */
function gunzip(stored: Buffer, layers: number): AsyncIterable<Buffer> {
  let stream: Readable = Readable.from([stored]);
  // Whoever reads the stream is told of its errors.
  for (let layer = 0; layer < layers; layer++)
    stream = pipeline(stream, createGunzip({ chunkSize: CHUNK_BYTES }), () => {});
  return stream;
}

function utf16DecoderOf(head: Buffer): Utf16Decoder | undefined {
  const encoding = utf16Of(head);
  return encoding === undefined ? undefined : new Utf16Decoder(encoding);
}

/** The data as UTF-8 if they are UTF-16. */
function decodeUtf16(data: Buffer): Buffer {
  const decoder = utf16DecoderOf(data);
  return decoder === undefined ? data : Buffer.concat([decoder.push(data), decoder.end()]);
}

function tooLarge(): Reason {
  return { field: 'record', message: `it decompresses to more than ${MAX_MESSAGE_BYTES} bytes` };
}

function corrupt(error: unknown): Reason {
  return { field: 'record', message: `the gzip data are corrupt: ${(error as Error).message}` };
}
