/** Reads the data of a message as blocks of records. */

import { pipeline, Readable } from 'node:stream';
import { createGunzip, gunzipSync } from 'node:zlib';
import type { Block, Reason, Source } from '../block.ts';
import { noCounts, START, throughOf } from '../block.ts';
import { ImportError } from '../errors.ts';
import type { InsertIdOf } from '../insert-id.ts';
import { CorruptContentError } from './corrupt.ts';
import { decodeZstd } from './decode.ts';
import {
  type Format,
  type ParseContext,
  type RangeFormat,
  type RangeReader,
  recognizeFormat,
  type StreamParser,
} from './format.ts';
import { jsonFormat } from './json/format.ts';
import { readOneObject } from './json/one-object.ts';
import { newScratch, type Scratch } from './json/parser.ts';
import { lookAhead } from './look-ahead.ts';
import { hold, rangesOf } from './read-blocks.ts';
import { Utf16Decoder, utf16Of } from './utf16.ts';
import { isZstd, unzstdSync } from './zstd.ts';

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
/** Bytes by which layers and formats are recognized. */
const HEAD_BYTES = 8_192;

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
   * @param stored the message's data; gzip and zstd are recognized by their first bytes
   * @param signal ends the reading of a message that is decompressed piece by piece, with its reason as an error
   */
  read(stored: Buffer, source: Source, signal?: AbortSignal): MessageBlocks {
    if (stored.length === 0) return hasAttributes(source) ? [this.#rejected(stored, source, NO_DATA)] : [];
    const data = decompressAtOnce(stored, this.#bytesAtOnce);
    if (data === undefined) return this.#readPieces(stored, source, signal);
    if (!Buffer.isBuffer(data)) return [this.#rejected(stored, source, data)];
    const text = decodeUtf16(data);
    const format = recognizeFormat(text, source.mapping);
    if (format instanceof Promise) return this.#parseWhenLoaded(text, format, stored, source);
    const block = format === jsonFormat ? readOneObject(text, source, this.#scratch.scanner) : undefined;
    return block === undefined ? this.#parseText(text, format, stored, source) : [block];
  }

  #parseText(text: Buffer, format: Format, stored: Buffer, source: Source): MessageBlocks {
    if (format.access === 'range') return this.#readRanges(rangesOf(text), format, stored, source);
    return this.#parse(text, format.parser(this.#context(stored, source, false), START, this.#scratch));
  }

  async *#parseWhenLoaded(text: Buffer, format: Promise<Format>, stored: Buffer, source: Source) {
    yield* this.#parseText(text, await format, stored, source);
  }

  async *#readRanges(file: RangeReader, format: RangeFormat, stored: Buffer, source: Source): AsyncGenerator<Block> {
    try {
      for await (const blocks of format.blocks(file, this.#context(stored, source, false))) yield* blocks;
    } catch (error) {
      if (!(error instanceof ImportError && error.code === 'memory_exceeded')) throw error;
      // The memory is checked before the first block.
      yield this.#rejected(stored, source, { field: 'record', message: error.message });
    }
  }

  *#parse(data: Buffer, parser: StreamParser): Generator<Block> {
    const step = this.#sliceBytes;
    for (let at = 0; at < data.length; at += step) yield* parser.push(data.subarray(at, at + step));
    yield* parser.end();
  }

  /** Reads a message in bounded memory: once to see whether all of it can be decompressed, and again to parse it. */
  async *#readPieces(stored: Buffer, source: Source, signal?: AbortSignal): AsyncGenerator<Block> {
    const layers = await findLayers(stored, signal);
    if ('message' in layers) {
      yield this.#rejected(stored, source, layers);
      return;
    }
    const { head, chunks } = await lookAhead(textOf(decompress(stored, layers), signal), HEAD_BYTES);
    const format = await recognizeFormat(head, source.mapping);
    if (format.access === 'range') {
      const file = await hold(chunks);
      if (typeof file === 'string') yield this.#rejected(stored, source, { field: 'record', message: file });
      else yield* this.#readRanges(file, format, stored, source);
      return;
    }
    const parser = format.parser(this.#context(stored, source, true), START, this.#scratch);
    for await (const chunk of chunks) yield* parser.push(chunk);
    yield* parser.end();
  }

  #context(stored: Buffer, source: Source, isStreamed: boolean): ParseContext {
    const insertIdOf = this.#insertIdOf;
    return { source, insertIdOf, ordinal: 'index', stored, isStreamed, blockBytes: this.#sliceBytes };
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
function decompressAtOnce(stored: Buffer, maxBytes: number): Buffer | Reason | undefined {
  let data = stored;
  try {
    // Twice compressed data are read too, as in objects.
    for (let layer = 0; layer < MAX_LAYERS; layer++) {
      if (isGzip(data)) data = gunzipSync(data, { maxOutputLength: maxBytes });
      else if (isZstd(data)) data = unzstdSync(data, maxBytes);
      else break;
    }
    return data;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? undefined : corrupt(error);
  }
}

type Layer = 'gzip' | 'zstd';

function layerOf(head: Buffer): Layer | undefined {
  if (isGzip(head)) return 'gzip';
  return isZstd(head) ? 'zstd' : undefined;
}

/** Finds out which layers of compression there are, and decompresses all of them; or says why that cannot be done. */
async function findLayers(stored: Buffer, signal?: AbortSignal): Promise<readonly Layer[] | Reason> {
  const layers: Layer[] = [];
  let head = stored;
  for (let layer = layerOf(head); layer !== undefined && layers.length < MAX_LAYERS; layer = layerOf(head)) {
    layers.push(layer);
    let bytes = 0;
    head = Buffer.alloc(0);
    try {
      for await (const chunk of decompress(stored, layers)) {
        if (signal?.aborted) break;
        if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES)]);
        bytes += chunk.length;
        if (bytes > MAX_MESSAGE_BYTES) return tooLarge();
      }
    } catch (error) {
      return corrupt(error);
    }
    signal?.throwIfAborted();
  }
  return layers;
}

/**
 * Decompresses data piece by piece. zlib's own streams check all that has to be checked of gzip: unlike those of an object, the
 * bytes before an error are not used. They also pass over millions of empty members quickly.
 */
function decompress(stored: Buffer, layers: readonly Layer[]): AsyncIterable<Buffer> {
  let chunks: AsyncIterable<Buffer> = Readable.from([stored]);
  for (const layer of layers) {
    // Whoever reads the stream is told of its errors.
    chunks =
      layer === 'zstd' ? decodeZstd(chunks) : pipeline(chunks, createGunzip({ chunkSize: CHUNK_BYTES }), () => {});
  }
  return chunks;
}

async function* textOf(chunks: AsyncIterable<Buffer>, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let decoder: Utf16Decoder | undefined;
  let isFirst = true;
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    if (isFirst) decoder = utf16DecoderOf(chunk);
    isFirst = false;
    yield decoder?.push(chunk) ?? chunk;
  }
  if (decoder !== undefined) yield decoder.end();
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
  const layer = error instanceof CorruptContentError ? error.layer : 'gzip';
  return { field: 'record', message: `the ${layer} data are corrupt: ${(error as Error).message}` };
}
