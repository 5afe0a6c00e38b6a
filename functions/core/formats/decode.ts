/** Decompresses gzip, found by its first bytes, from chunks as they are stored (https://www.rfc-editor.org/rfc/rfc1952). */

import { crc32, createInflateRaw } from 'node:zlib';

/** The data are no valid gzip from some byte on, although they began as such. */
export class CorruptGzipError extends Error {
  override readonly name = 'CorruptGzipError';
}

/** Content as records are read from it. */
export interface Decoded {
  /** Whether the stored bytes are compressed. */
  isGzip: boolean;
  /** The decoded bytes; throws {@link CorruptGzipError} behind the last that could be decoded. */
  chunks: AsyncIterable<Buffer>;
}

const MAGIC = [0x1f, 0x8b] as const;
/** Bytes decompressed in one step: what comes out of a step is held at once, up to about a thousand times as much. */
const STEP_BYTES = 16_384;
const DEFLATE = 8;
const [FHCRC, FEXTRA, FNAME, FCOMMENT] = [2, 4, 8, 16] as const;
/** All flags but the reserved ones; what is flagged as text is no different. */
const KNOWN_FLAGS = 0x1f;
const CUT_SHORT = 'unexpected end of file';

/**
 * Looks at the first bytes of `stored` and decompresses where they are gzip's, twice where what comes out is gzip too.
 *
 * @param stored of which each chunk may be overwritten by the next; so may each of what this yields
 * @throws whatever `stored` throws before its first bytes
 */
export async function decode(stored: AsyncIterable<Buffer>): Promise<Decoded> {
  const outer = await startsWithMagic(stored);
  if (!outer.isGzip) return outer;
  const inner = await startsWithMagic(gunzip(outer.chunks));
  return { isGzip: true, chunks: inner.isGzip ? gunzip(inner.chunks) : inner.chunks };
}

async function startsWithMagic(chunks: AsyncIterable<Buffer>): Promise<Decoded> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let failure: { error: unknown } | undefined;
  try {
    while (head.length < MAGIC.length) {
      const next = await iterator.next();
      if (next.done) break;
      head = Buffer.concat([head, next.value]);
    }
  } catch (error) {
    // Of what could not be read it is not known what it is; of what could not be decompressed it is.
    if (!(error instanceof CorruptGzipError)) throw error;
    failure = { error };
  }
  const isGzip = head[0] === MAGIC[0] && head[1] === MAGIC[1];
  return { isGzip, chunks: continued(head, iterator, failure) };
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
 * Decompresses members one after the other; zeros between and behind them are padding. Their frames are read here, since
 * zlib, where it checks them, gives out nothing of a step in which it finds a checksum wrong or garbage behind a member.
 */
async function* gunzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = new Input(chunks);
  try {
    do {
      await readHeader(input);
      let checksum = 0;
      let size = 0;
      for await (const output of inflate(input)) {
        checksum = crc32(output, checksum);
        size = (size + output.length) % 2 ** 32;
        yield output;
      }
      const trailer = await input.take(8);
      if (trailer.readUInt32LE(0) !== checksum) throw new CorruptGzipError('incorrect data check');
      if (trailer.readUInt32LE(4) !== size) throw new CorruptGzipError('incorrect length check');
      await input.skipWhile((byte) => byte === 0);
    } while ((await input.peek()).length > 0);
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
    if ((flags! & flag) === 0) continue;
    await input.skipWhile((byte) => byte !== 0);
    await input.take(1);
  }
  if ((flags! & FHCRC) !== 0) await input.take(2);
}

/** Decompresses what comes next, up to the end of the deflated data. */
async function* inflate(input: Input): AsyncGenerator<Buffer> {
  const inflater = createInflateRaw({ chunkSize: 65_536 });
  let output: Buffer[] = [];
  let fail: (error: Error) => void = () => {};
  inflater.on('data', (chunk: Buffer) => output.push(chunk));
  inflater.on('error', (error) => fail(error));
  try {
    for (;;) {
      // Of a step that fails nothing comes out: steps must not depend on how the data arrive.
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

/** The bytes of chunks, to be taken one part after the other. */
class Input {
  readonly #iterator: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#iterator = chunks[Symbol.asyncIterator]();
  }

  /** The bytes that come next, at least so many; fewer only when the chunks are over. */
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

  /** Skips bytes up to the first for which `isSkipped` does not hold. */
  async skipWhile(isSkipped: (byte: number) => boolean): Promise<void> {
    for (let chunk = await this.peek(); chunk.length > 0; chunk = await this.peek()) {
      const end = chunk.findIndex((byte) => !isSkipped(byte));
      this.skip(end === -1 ? chunk.length : end);
      if (end !== -1) break;
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}
