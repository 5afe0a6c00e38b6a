/** Makes clients for Cloud Storage. */

import { EventEmitter } from 'node:events';
import { Storage } from '@google-cloud/storage';

// A download of the client puts eleven listeners on one stream; the warning that this is a leak is not true.
EventEmitter.defaultMaxListeners = 20;

/** @param endpoint base URL of another Cloud Storage; Google's, with its credentials, unless given */
export function createStorage(endpoint: string | undefined): Storage {
  return new Storage(endpoint === undefined ? {} : { apiEndpoint: endpoint, projectId: 'local' });
}

/**
 * A client for reading objects. It leaves trying again to {@link readObject}: its own way of doing so ends the process
 * on Node 24 where a read is answered 503.
 */
export function createReadingStorage(endpoint: string | undefined): Storage {
  const retryOptions = { autoRetry: false };
  return new Storage(
    endpoint === undefined ? { retryOptions } : { apiEndpoint: endpoint, projectId: 'local', retryOptions },
  );
}

/** The status that an error of the client stands for, if it stands for one. */
export function statusOf(error: unknown): number | undefined {
  const { code, status } = error as { code?: unknown; status?: unknown };
  return [code, status].map(Number).find((number) => number >= 100 && number < 600);
}

/** Whether the same request may succeed later: its connection broke, it timed out, or was put off. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || status === 408 || status === 429 || status >= 500;
}

/**
 * Waits for an answer of the client, which itself would wait for ever: its option for that has no effect.
 *
 * @param signal what else ends the waiting
 * @throws an error that {@link isTransient}, after `timeoutMs`; the signal's reason; whatever the request throws
 */
export async function inTime<Value>(request: Promise<Value>, timeoutMs: number, signal?: AbortSignal): Promise<Value> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  const onAbort = () => reject(signal!.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([request, over]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** A CRC32C as Cloud Storage writes it: base64 of its big-endian bytes. */
export function encodeChecksum(checksum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(checksum);
  return bytes.toString('base64');
}
