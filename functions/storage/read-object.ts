/** Reads the stored bytes of one object generation, whatever breaks on the way. */

import type { Readable } from 'node:stream';
import type { File } from '@google-cloud/storage';
import { crc32c } from '@node-rs/crc32';
import { ImportError } from '../import/errors.ts';
import type { Run } from '../import/run.ts';
import { statusOf } from './client.ts';

/** What is known of an object before it is read. */
export interface ObjectMetadata {
  /** Bytes as stored. */
  size: number;
  /** Base64 of the big-endian checksum of the bytes as stored. */
  crc32c: string | undefined;
}

/** How long a read may bring nothing, in milliseconds. */
const IDLE_TIMEOUT_MS = 30_000;
/** Attempts in a row that bring nothing. */
const MAX_ATTEMPTS = 5;
const MIN_DELAY_MS = 500;

/** There is no such object generation (any more). */
export class ObjectGoneError extends Error {
  override readonly name = 'ObjectGoneError';
}

/**
 * Looks an object generation up.
 *
 * @throws {@link ObjectGoneError} when there is none
 */
export async function getMetadata(file: File): Promise<ObjectMetadata> {
  try {
    const [{ size, crc32c: checksum }] = await file.getMetadata();
    return { size: Number(size), crc32c: checksum };
  } catch (error) {
    if (statusOf(error) === 404) throw new ObjectGoneError(`there is no object generation ${file.name}`);
    throw error;
  }
}

/**
 * Yields an object's bytes as they are stored. A read that breaks, stalls or ends early goes on where it stopped; at
 * the end of one that began at the beginning, size and checksum are compared with what was uploaded.
 *
 * @param file a file with its generation, of a client that does not try reads again by itself
 * @throws {@link ObjectGoneError}; {@link ImportError} `checksum_mismatch`, behind the last byte; the last read's error
 *   when several in a row brought nothing
 */
export async function* readObject(
  file: File,
  metadata: ObjectMetadata,
  run: Run,
  { start = 0, idleTimeoutMs = IDLE_TIMEOUT_MS }: { start?: number; idleTimeoutMs?: number } = {},
): AsyncGenerator<Buffer> {
  let offset = start;
  let checksum = 0;
  let failures = 0;
  while (offset < metadata.size) {
    try {
      for await (const chunk of readFrom(file, offset, idleTimeoutMs)) {
        failures = 0;
        offset += chunk.length;
        checksum = crc32c(chunk, checksum);
        yield chunk;
      }
      if (offset < metadata.size) throw new Error(`the read ended after ${offset} of ${metadata.size} bytes`);
    } catch (error) {
      const status = statusOf(error);
      if (status === 404) throw new ObjectGoneError(`the object generation ${file.name} is gone`);
      const isFinal = status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;
      if (isFinal || ++failures >= MAX_ATTEMPTS) throw error;
      await run.clock.sleep(MIN_DELAY_MS * 2 ** failures * (0.5 + run.clock.random()), run.stopping);
    }
  }
  if (start > 0) return;
  if (offset !== metadata.size || (metadata.crc32c !== undefined && encode(checksum) !== metadata.crc32c)) {
    throw new ImportError(
      'checksum_mismatch',
      `What was read of the object is not what was uploaded (${offset} bytes, ${metadata.size} expected): it will be read again from the beginning`,
    );
  }
}

function encode(checksum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(checksum);
  return bytes.toString('base64');
}

/** One read, as far as it comes. */
async function* readFrom(file: File, start: number, idleTimeoutMs: number): AsyncGenerator<Buffer> {
  const stream = file.createReadStream({ start, validation: false, decompress: false });
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
    discard(stream, hasResponse);
  }
}

/** Destroys a stream, but not before its response is there: on Node 24 that would end the process. */
function discard(stream: Readable, hasResponse: boolean): void {
  stream.on('error', () => {});
  if (hasResponse) stream.destroy();
  else stream.once('response', () => stream.destroy());
}
