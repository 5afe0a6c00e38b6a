/** Reads the stored bytes of one object generation, whatever breaks on the way. */

import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { File } from '@google-cloud/storage';
import { crc32c } from '@node-rs/crc32';
import { ImportError } from '../core/errors.ts';
import type { RangeReader } from '../core/formats/format.ts';
import type { Run } from '../core/run.ts';
import { customMetadata } from './object-source.ts';
import { encodeChecksum, isTransient, statusOf, withTimeout } from './requests.ts';

/** What a read is held to. */
export interface StoredContent {
  /** Bytes as stored. */
  size: number;
  /** Base64 of the big-endian checksum of the bytes as stored. */
  crc32c: string | undefined;
}

/** What is known of an object before it is read. */
export interface ObjectMetadata extends StoredContent {
  generation: string;
  /** Custom metadata. */
  custom: Record<string, string>;
}

/** How long a read may bring nothing, in milliseconds. */
const IDLE_TIMEOUT_MS = 30_000;
/** Attempts in a row that bring nothing. */
const MAX_ATTEMPTS = 5;
const MIN_DELAY_MS = 500;
/** Waits before the looks that confirm a 404, in milliseconds: a single one can be a mistake. */
const CONFIRMATION_DELAYS_MS = [500, 1_000, 2_000];

/** The object generation does not exist, or not any more. */
export class ObjectGoneError extends Error {
  override readonly name = 'ObjectGoneError';
}

/**
 * Looks an object generation up, several times where that fails.
 *
 * @throws {@link ObjectGoneError} when there is none
 */
export async function getMetadata(file: File, run: Run): Promise<ObjectMetadata> {
  for (let failures = 1; ; failures++) {
    try {
      const [found] = await withTimeout(file.getMetadata(), IDLE_TIMEOUT_MS, run.stopping);
      const { size, crc32c: checksum, generation, metadata } = found;
      return { size: Number(size), crc32c: checksum, generation: String(generation), custom: customMetadata(metadata) };
    } catch (error) {
      await beforeNextAttempt(error, failures, file, run);
    }
  }
}

/**
 * Whether the object generation exists. A 404 is not believed alone: the object may be there, as that generation, if it is
 * asked for without one.
 *
 * @param file a file with its generation
 */
export async function isStored(file: File, run: Run): Promise<boolean> {
  for (const asked of [file, file.bucket.file(file.name)]) {
    try {
      const [{ generation }] = await withTimeout(asked.getMetadata(), IDLE_TIMEOUT_MS, run.stopping);
      if (Number(generation) === file.generation) return true;
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
  }
  return false;
}

/** A read that can be broken off, and gone on with. */
export interface ObjectReader {
  /** Bytes that this reader has brought. */
  readonly bytesRead: number;
  /**
   * Yields the bytes that this reader has not brought yet, as they are stored. A read that breaks, stalls or ends early
   * continues where it stopped; at the end size and checksum are compared with what was uploaded.
   *
   * @throws {@link ObjectGoneError}; {@link ImportError} `checksum_mismatch`, after the last byte; the last attempt's
   *   error when several in a row brought nothing
   */
  read(): AsyncGenerator<Buffer>;
}

/**
 * @param file    a file with its generation, of a client that does not try reads again by itself
 * @param content what the object is known to hold
 * @param start   where to begin, and the CRC32C of all that was read before; default: the beginning
 */
export function createObjectReader(
  file: File,
  content: StoredContent,
  run: Run,
  {
    start = { offset: 0, checksum: 0 },
    idleTimeoutMs = IDLE_TIMEOUT_MS,
  }: { start?: { offset: number; checksum: number }; idleTimeoutMs?: number } = {},
): ObjectReader {
  let { offset, checksum } = start;
  return {
    get bytesRead() {
      return offset - start.offset;
    },
    async *read() {
      let failures = 0;
      while (offset < content.size) {
        try {
          for await (const chunk of readFrom(file, offset, idleTimeoutMs)) {
            failures = 0;
            offset += chunk.length;
            checksum = crc32c(chunk, checksum);
            yield chunk;
          }
          if (offset < content.size) throw new Error(`the read ended after ${offset} of ${content.size} bytes`);
        } catch (error) {
          await beforeNextAttempt(error, ++failures, file, run);
        }
      }
      if (offset !== content.size || (content.crc32c !== undefined && encodeChecksum(checksum) !== content.crc32c)) {
        throw new ImportError(
          'checksum_mismatch',
          `What was read of the object is not what was uploaded (${offset} bytes, ${content.size} expected): it will be read again from the beginning`,
        );
      }
    },
  };
}

/**
 * Reads ranges of an object's stored bytes; a read that breaks, stalls or ends early continues where it stopped.
 *
 * @param file with its generation, of a client that does not try reads again by itself
 */
export function createRangeReader(file: File, { size }: StoredContent, run: Run): RangeReader {
  return {
    byteLength: size,
    async slice(start, end) {
      const bytes = new Uint8Array(end - start);
      let length = 0;
      for (let failures = 0; length < bytes.length; ) {
        try {
          for await (const chunk of readFrom(file, start + length, IDLE_TIMEOUT_MS, end - 1)) {
            failures = 0;
            run.stopping.throwIfAborted();
            bytes.set(chunk.subarray(0, bytes.length - length), length);
            length = Math.min(bytes.length, length + chunk.length);
          }
          if (length < bytes.length) throw new Error(`the read ended after ${length} of ${bytes.length} bytes`);
        } catch (error) {
          await beforeNextAttempt(error, ++failures, file, run);
        }
      }
      return bytes.buffer;
    },
  };
}

/** Yields an object's bytes as they are stored; as {@link ObjectReader.read}. */
export function readObject(file: File, content: StoredContent, run: Run): AsyncGenerator<Buffer> {
  return createObjectReader(file, content, run).read();
}

/** Waits, longer each time; throws where another attempt makes no sense. */
async function beforeNextAttempt(error: unknown, failures: number, file: File, run: Run): Promise<void> {
  const isMissing = statusOf(error) === 404;
  if (isMissing && (await isGone(file, run))) throw new ObjectGoneError(`the object generation ${file.name} is gone`);
  if (!(isMissing || isTransient(error)) || failures >= MAX_ATTEMPTS) throw error;
  run.stats.deferred++;
  await run.clock.sleep(MIN_DELAY_MS * 2 ** failures * (0.5 + run.clock.random()), run.stopping);
}

/** Whether every look over some seconds confirms that the object generation does not exist. A look that fails does not. */
async function isGone(file: File, run: Run): Promise<boolean> {
  for (const delayMs of CONFIRMATION_DELAYS_MS) {
    await run.clock.sleep(delayMs, run.stopping);
    try {
      if (await isStored(file, run)) return false;
    } catch (error) {
      if (run.stopping.aborted || !isTransient(error)) throw error;
      return false;
    }
  }
  return true;
}

/** One read, as far as it comes. `end` is the index of the last byte; default: all. */
async function* readFrom(file: File, start: number, idleTimeoutMs: number, end?: number): AsyncGenerator<Buffer> {
  const range = end === undefined ? { start } : { start, end };
  const stream = file.createReadStream({ ...range, validation: false, decompress: false });
  let hasResponse = false;
  stream.once('response', () => {
    hasResponse = true;
  });
  const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]();
  let onIdle = () => {};
  const timer = setTimeout(() => onIdle(), idleTimeoutMs);
  try {
    for (;;) {
      const idle = Promise.withResolvers<never>();
      onIdle = () => idle.reject(new Error(`the read brought nothing for ${idleTimeoutMs} ms`));
      timer.refresh();
      const next = await Promise.race([chunks.next(), idle.promise]);
      // While whoever reads is busy with a chunk, the read is not idle.
      onIdle = () => {};
      if (next.done) return;
      yield next.value;
    }
  } finally {
    clearTimeout(timer);
    await discard(stream, hasResponse);
  }
}

/** Destroys a stream, but not before the client has piped its response into it: on Node 24 that would end the process. */
async function discard(stream: Readable, hasResponse: boolean): Promise<void> {
  stream.on('error', () => {});
  if (!hasResponse) {
    stream.once('response', () => setImmediate(() => stream.destroy()));
    return;
  }
  stream.destroy();
  // The client then closes its other connections; the next request must not use one of them.
  if (!stream.closed) await once(stream, 'close').catch(() => {});
  await turn();
}
