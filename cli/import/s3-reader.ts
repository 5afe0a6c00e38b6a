/** Reads the stored bytes of one object in S3, whatever breaks on the way. */

import { addAbortSignal, type Readable } from 'node:stream';
import { ImportError } from '../../functions/core/errors.ts';
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
        for await (const chunk of readFrom(offset)) {
          failures = 0;
          offset += chunk.length;
          checksum?.add(chunk);
          yield chunk;
        }
        if (offset < object.size) throw new Error(`the read ended after ${offset} of ${object.size} bytes`);
      } catch (error) {
        run.stopping.throwIfAborted();
        if (!isTransientForSdk(error) || ++failures >= MAX_ATTEMPTS) throw new Error(explain(error), { cause: error });
        run.stats.deferred++;
        await run.clock.sleep(MIN_DELAY_MS * 2 ** failures * (0.5 + run.clock.random()), run.stopping);
      }
    }
    if (offset !== object.size || checksum?.matches() === false) {
      throw new ImportError(
        'checksum_mismatch',
        `What was read of the object is not what was uploaded (${offset} bytes, ${object.size} expected; ${checksum?.name}). Run the command again`,
      );
    }
  };

  /** One read, as far as it comes. */
  async function* readFrom(start: number): AsyncGenerator<Buffer> {
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
    const { Body, ContentRange } = await watched(reading.send(request(start), { abortSignal: signal }));
    const body = addAbortSignal(signal, Body as Readable);
    if (start > 0 && !ContentRange?.startsWith(`bytes ${start}-`)) {
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

  function request(start: number) {
    const { bucket: Bucket, key: Key, etag: IfMatch } = object;
    return new sdk.GetObjectCommand({ Bucket, Key, IfMatch, ...(start > 0 ? { Range: `bytes=${start}-` } : {}) });
  }
}

function explain(error: unknown): string {
  const status = statusOfSdk(error);
  if (status === 412)
    return 'the object was overwritten since it was found. Run the command again to import it as it is now';
  if (status === 404) return 'the object was deleted since it was found';
  return explainS3(error, 'object');
}
