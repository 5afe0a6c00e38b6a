/** Decompresses gzip, found by its first bytes, from chunks as they are stored (https://www.rfc-editor.org/rfc/rfc1952). */

import { once } from 'node:events';
import { createGunzip, type Gunzip } from 'node:zlib';

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

/** Looks at the first bytes of `stored` and decompresses where they are gzip's, twice where what comes out is gzip too. */
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

/** Decompresses members one after the other; zeros between and behind them are padding. */
async function* gunzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let member: Gunzip | undefined;
  let hasBegun = false;
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += STEP_BYTES) {
        let input = chunk.subarray(at, at + STEP_BYTES);
        while (input.length > 0) {
          if (member === undefined) {
            if (hasBegun) input = input.subarray(countZeros(input));
            if (input.length === 0) break;
            member = createGunzip({ chunkSize: 65_536 });
            hasBegun = true;
          }
          const step = await inflate(member, input);
          yield* step.output;
          if (step.error !== undefined) throw new CorruptGzipError(step.error);
          input = input.subarray(step.consumed);
          if (step.isOver) member = undefined;
        }
      }
    }
    if (member === undefined) return;
    const step = await inflate(member, undefined);
    yield* step.output;
    if (step.error !== undefined) throw new CorruptGzipError(step.error);
  } finally {
    member?.destroy();
  }
}

/** Decompresses `input`, or what is left at the end, and says how far that came. */
async function inflate(member: Gunzip, input: Buffer | undefined) {
  const output: Buffer[] = [];
  const collect = (chunk: Buffer) => output.push(chunk);
  const before = member.bytesWritten;
  member.on('data', collect);
  let error: string | undefined;
  let isOver = false;
  const stop = new AbortController();
  try {
    const over = once(member, 'end', { signal: stop.signal }).then(() => {
      isOver = true;
    });
    over.catch(() => {});
    const written = Promise.withResolvers<void>();
    if (input === undefined) {
      member.end();
      await over;
    } else {
      member.write(input, (failure) => (failure ? written.reject(failure) : written.resolve()));
      await Promise.race([written.promise, over]);
    }
  } catch (failure) {
    error = (failure as Error).message;
  } finally {
    stop.abort();
    member.off('data', collect);
  }
  return { output, consumed: member.bytesWritten - before, isOver, error };
}

function countZeros(bytes: Buffer): number {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? bytes.length : first;
}
