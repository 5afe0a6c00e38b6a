/** Decompresses gzip (https://www.rfc-editor.org/rfc/rfc1952) and zstd, found by their first bytes, from chunks as they are stored. */

import { setImmediate } from 'node:timers/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { CorruptContentError } from './corrupt.ts';
import { inflateSmallMembers, MAX_DEFLATED_BYTES } from './small-members.ts';
import { type Utf16, Utf16Decoder, utf16Of } from './utf16.ts';
import { isZstd, unzstd } from './zstd.ts';

/** The data are not valid gzip from some byte on, although they began as such. */
export class CorruptGzipError extends CorruptContentError {
  override readonly name = 'CorruptGzipError';
  override readonly layer = 'gzip';
}

/** Content as records are read from it. */
export interface Decoded {
  /** Layers of compression and encoding, the outermost first; empty if the stored bytes are the content. */
  compression: readonly string[];
  /** The first bytes of the content, enough to tell its format by a signature; all of it if it is shorter. */
  head: Buffer;
  /** The decoded bytes, with the first ones; throws {@link CorruptContentError} after the last that could be decoded. */
  chunks: AsyncIterable<Buffer>;
}

const MAGIC = [0x1f, 0x8b] as const;
/** Bytes by which formats are recognized. */
const HEAD_BYTES = 8;
/** Layers of compression that are decoded. */
const MAX_LAYERS = 2;
/** Compressed bytes fed to zlib at a time. The output of one step is held in memory at once and can be about 1,000 times larger. */
const STEP_BYTES = 16_384;
const DEFLATE = 8;
const [FHCRC, FEXTRA, FNAME, FCOMMENT] = [2, 4, 8, 16] as const;
/** All flags except the reserved ones; the flag for text changes nothing. */
const KNOWN_FLAGS = 0x1f;
const CUT_SHORT = 'unexpected end of file';

/**
 * Looks at the first bytes of `stored` and decompresses gzip and zstd, twice if the result is one of them too, and decodes UTF-16.
 *
 * @param stored each chunk may be overwritten by the next; the same is true of what this yields
 * @throws whatever `stored` throws before its first bytes
 */
export async function decode(stored: AsyncIterable<Buffer>): Promise<Decoded> {
  const compression: string[] = [];
  let content = await peek(stored);
  for (let layer = layerOf(content.head); layer !== undefined; layer = layerOf(content.head)) {
    if (compression.length === MAX_LAYERS) break;
    compression.push(layer);
    content = await peek((layer === 'gzip' ? gunzip : decodeZstd)(content.chunks));
  }
  const encoding = utf16Of(content.head);
  if (encoding !== undefined && compression.length < MAX_LAYERS) {
    compression.push(encoding);
    content = await peek(decodeUtf16(content.chunks, encoding));
  }
  return { compression, ...content };
}

function layerOf(head: Buffer): 'gzip' | 'zstd' | undefined {
  if (head[0] === MAGIC[0] && head[1] === MAGIC[1]) return 'gzip';
  return isZstd(head) ? 'zstd' : undefined;
}

/** Reads the first bytes, and leaves them in front of the others. */
async function peek(chunks: AsyncIterable<Buffer>): Promise<Pick<Decoded, 'head' | 'chunks'>> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let failure: { error: unknown } | undefined;
  try {
    while (head.length < HEAD_BYTES) {
      const next = await iterator.next();
      if (next.done) break;
      head = Buffer.concat([head, next.value]);
    }
  } catch (error) {
    // A read error says nothing about the content; a decompression error proves that there was an outer layer.
    if (!(error instanceof CorruptContentError)) throw error;
    failure = { error };
  }
  return { head: head.subarray(0, HEAD_BYTES), chunks: continued(head, iterator, failure) };
}

async function* continued(head: Buffer, iterator: AsyncIterator<Buffer>, failure: { error: unknown } | undefined) {
  try {
    if (head.length > 0) yield head;
    if (failure !== undefined) throw failure.error;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

/**
 * Decompresses members one after the other; zeros between and after them are padding. Their frames are read here: when
 * zlib checks them, it discards the output of a step in which it finds a wrong checksum or garbage after a member.
 */
async function* gunzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = new Input(chunks);
  let areSmall = true;
  try {
    do {
      if (areSmall) {
        const { output, consumed } = inflateSmallMembers(await input.peek());
        if (output.length > 0) yield output;
        if (consumed > 0) {
          input.skip(consumed);
          await input.skipZeros();
          await setImmediate();
          continue;
        }
      }
      await readHeader(input);
      const { position } = input;
      let checksum = 0;
      let size = 0;
      for await (const output of inflate(input)) {
        checksum = crc32(output, checksum);
        size = (size + output.length) % 2 ** 32;
        yield output;
      }
      areSmall = input.position - position < MAX_DEFLATED_BYTES;
      const trailer = await input.take(8);
      if (trailer.readUInt32LE(0) !== checksum) throw new CorruptGzipError('incorrect data check');
      if (trailer.readUInt32LE(4) !== size) throw new CorruptGzipError('incorrect length check');
      await input.skipZeros();
    } while ((await input.peek()).length > 0);
  } finally {
    await input.close();
  }
}

/** Decompresses zstd. What it yields is not overwritten. */
export async function* decodeZstd(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = new Input(chunks);
  try {
    yield* unzstd(input);
  } finally {
    await input.close();
  }
}

async function readHeader(input: Input): Promise<void> {
  const magic = await input.take(2);
  if (magic[0] !== MAGIC[0] || magic[1] !== MAGIC[1]) throw new CorruptGzipError('incorrect header check');
  const [method, flags] = await input.take(8);
  if (method !== DEFLATE) throw new CorruptGzipError('unknown compression method');
  if ((flags! & ~KNOWN_FLAGS) !== 0) throw new CorruptGzipError('unknown header flags set');
  if ((flags! & FEXTRA) !== 0) await input.take((await input.take(2)).readUInt16LE());
  for (const flag of [FNAME, FCOMMENT]) {
    if ((flags! & flag) !== 0) await input.skipText();
  }
  if ((flags! & FHCRC) !== 0) await input.take(2);
}

/** Decompresses up to the end of the deflated data. */
async function* inflate(input: Input): AsyncGenerator<Buffer> {
  const inflater = createInflateRaw({ chunkSize: 65_536 });
  let output: Buffer[] = [];
  let fail: (error: Error) => void = () => {};
  inflater.on('data', (chunk: Buffer) => output.push(chunk));
  inflater.on('error', (error) => fail(error));
  try {
    for (;;) {
      // A step that fails has no output, so steps must not depend on how the data arrive.
      const step = (await input.peek(STEP_BYTES)).subarray(0, STEP_BYTES);
      if (step.length === 0) throw new CorruptGzipError(CUT_SHORT);
      const before = inflater.bytesWritten;
      const error = await new Promise<Error | undefined>((resolve) => {
        fail = resolve;
        inflater.write(step, () => resolve(undefined));
      });
      yield* output;
      output = [];
      if (error !== undefined) throw new CorruptGzipError(error.message);
      const consumed = inflater.bytesWritten - before;
      input.skip(consumed);
      if (consumed < step.length) return;
    }
  } finally {
    inflater.destroy();
  }
}

async function* decodeUtf16(chunks: AsyncIterable<Buffer>, encoding: Utf16): AsyncGenerator<Buffer> {
  const decoder = new Utf16Decoder(encoding);
  for await (const chunk of chunks) yield decoder.push(chunk);
  yield decoder.end();
}

/** The bytes of chunks, taken one part after the other. */
class Input {
  /** Bytes that were skipped. */
  position = 0;
  readonly #iterator: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#iterator = chunks[Symbol.asyncIterator]();
  }

  /** The next bytes, at least so many; fewer only when the chunks are over. */
  async peek(atLeast = 1): Promise<Buffer> {
    while (this.#chunk.length < atLeast) {
      const rest = Buffer.from(this.#chunk); // The next chunk may be read to where this one is.
      const next = await this.#iterator.next();
      this.#chunk = rest;
      if (next.done) break;
      this.#chunk = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
    }
    return this.#chunk;
  }

  skip(bytes: number): void {
    this.position += bytes;
    this.#chunk = this.#chunk.subarray(bytes);
  }

  async take(bytes: number): Promise<Buffer> {
    let taken: Buffer = Buffer.alloc(0);
    while (taken.length < bytes) {
      const part = (await this.peek()).subarray(0, bytes - taken.length);
      if (part.length === 0) throw new CorruptGzipError(CUT_SHORT);
      taken = Buffer.concat([taken, part]);
      this.skip(part.length);
    }
    return taken;
  }

  /** Skips zeros. */
  async skipZeros(): Promise<void> {
    for (let chunk = await this.peek(); chunk.length > 0; chunk = await this.peek()) {
      let end = 0;
      while (chunk[end] === 0) end++;
      this.skip(end);
      if (end < chunk.length) break;
    }
  }

  /** Skips bytes up to the next zero, and the zero. */
  async skipText(): Promise<void> {
    for (let chunk = await this.peek(); ; chunk = await this.peek()) {
      if (chunk.length === 0) throw new CorruptGzipError(CUT_SHORT);
      const end = chunk.indexOf(0);
      this.skip(end === -1 ? chunk.length : end + 1);
      if (end !== -1) break;
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}
