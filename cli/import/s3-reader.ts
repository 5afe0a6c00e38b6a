/** Reads the stored bytes of one object in S3, whatever breaks on the way. */

import { addAbortSignal, type Readable } from 'node:stream';
import { ImportError } from '../../functions/core/errors.ts';
import type { RangeReader } from '../../functions/core/formats/format.ts';
import type { Run } from '../../functions/core/run.ts';
import type { RunningChecksum } from './s3-checksum.ts';
import { type BucketClients, explainS3, isTransientForSdk, statusOfSdk } from './s3-client.ts';

/** The object as it was found; no other version of it is read. */
export interface S3Object {
  bucket: string;
  key: string;
  etag: string;
  /** Bytes as stored. */
  size: number;
}

/** How long a read may bring nothing, in milliseconds. */
const IDLE_TIMEOUT_MS = 30_000;
/** Attempts in a row that bring nothing. */
const MAX_ATTEMPTS = 5;
const MIN_DELAY_MS = 500;

/**
 * Returns a function that yields the bytes that it has not yielded yet. A read that breaks, stalls or ends early continues
 * where it stopped; at the end size and checksum are compared with those of the object.
 *
 * That function throws an {@link ImportError} `checksum_mismatch` after the last byte; an error with what to do if the
 * object was overwritten or deleted, if S3 refuses, or if several attempts in a row brought nothing.
 *
 * @param checksum to be compared at the end, if S3 keeps one
 */
export function createS3Reader(
  { sdk, reading }: BucketClients,
  object: S3Object,
  checksum: RunningChecksum | undefined,
  run: Run,
  idleTimeoutMs = IDLE_TIMEOUT_MS,
): () => AsyncGenerator<Buffer> {
  let offset = 0;

  return async function* read() {
    let failures = 0;
    while (offset < object.size) {
      try {
        for await (const chunk of readPart({ sdk, reading }, object, { start: offset }, run, idleTimeoutMs)) {
          failures = 0;
          offset += chunk.length;
          checksum?.add(chunk);
          yield chunk;
        }
        if (offset < object.size) throw new Error(`the read ended after ${offset} of ${object.size} bytes`);
      } catch (error) {
        await beforeNextAttempt(error, ++failures, run);
      }
    }
    if (offset !== object.size || checksum?.matches() === false) {
      throw new ImportError(
        'checksum_mismatch',
        `What was read of the object is not what was uploaded (${offset} bytes, ${object.size} expected; ${checksum?.name}). Run the command again`,
      );
    }
  };
}

/**
 * The bytes of the object, by their ranges.
 *
 * Its `slice` throws as {@link createS3Reader}'s function does; there is no checksum of a range.
 */
export function createS3RangeReader(
  { sdk, reading }: BucketClients,
  object: S3Object,
  run: Run,
  idleTimeoutMs = IDLE_TIMEOUT_MS,
): RangeReader {
  return {
    byteLength: object.size,
    async slice(start, end) {
      const bytes = new Uint8Array(end - start);
      let length = 0;
      for (let failures = 0; length < bytes.length; ) {
        try {
          const part = { start: start + length, end };
          for await (const chunk of readPart({ sdk, reading }, object, part, run, idleTimeoutMs)) {
            failures = 0;
            bytes.set(chunk.subarray(0, bytes.length - length), length);
            length = Math.min(bytes.length, length + chunk.length);
          }
          if (length < bytes.length) throw new Error(`the read ended after ${length} of ${bytes.length} bytes`);
        } catch (error) {
          await beforeNextAttempt(error, ++failures, run);
        }
      }
      return bytes.buffer;
    },
  };
}

/** @throws if there is to be no other attempt */
async function beforeNextAttempt(error: unknown, failures: number, run: Run): Promise<void> {
  run.stopping.throwIfAborted();
  if (!isTransientForSdk(error) || failures >= MAX_ATTEMPTS) throw new Error(explain(error), { cause: error });
  run.stats.deferred++;
  await run.clock.sleep(MIN_DELAY_MS * 2 ** failures * (0.5 + run.clock.random()), run.stopping);
}

/** One read, as far as it comes; without an `end` to that of the object. */
async function* readPart(
  { sdk, reading }: Pick<BucketClients, 'sdk' | 'reading'>,
  { bucket: Bucket, key: Key, etag: IfMatch }: S3Object,
  { start, end }: { start: number; end?: number },
  run: Run,
  idleTimeoutMs: number,
): AsyncGenerator<Buffer> {
  const idle = new AbortController();
  const signal = AbortSignal.any([idle.signal, run.stopping]);
  const stalled = () => idle.abort(new Error(`the read brought nothing for ${idleTimeoutMs} ms`));
  // While whoever reads is busy with a chunk, the read is not idle.
  const watched = async <Value>(step: Promise<Value>): Promise<Value> => {
    const timer = setTimeout(stalled, idleTimeoutMs);
    try {
      return await step;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  };
  const isPart = start > 0 || end !== undefined;
  const range = isPart ? { Range: `bytes=${start}-${end === undefined ? '' : end - 1}` } : {};
  const request = new sdk.GetObjectCommand({ Bucket, Key, IfMatch, ...range });
  const { Body, ContentRange } = await watched(reading.send(request, { abortSignal: signal }));
  const body = addAbortSignal(signal, Body as Readable);
  if (isPart && !ContentRange?.startsWith(`bytes ${start}-`)) {
    body.destroy();
    throw new Error(`S3 answered a read from byte ${start} with ${ContentRange ?? 'all of the object'}`);
  }
  const chunks: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await watched(chunks.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    body.destroy();
  }
}

function explain(error: unknown): string {
  const status = statusOfSdk(error);
  if (status === 412)
    return 'the object was overwritten since it was found. Run the command again to import it as it is now';
  if (status === 404) return 'the object was deleted since it was found';
  return explainS3(error, 'object');
}
