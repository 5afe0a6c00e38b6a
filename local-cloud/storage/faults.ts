/** Faults of the local Cloud Storage on request: what a network or a service does to a request now and then. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** A request as faults and listeners see it. */
export interface StorageRequest {
  /** `read` is content, `metadata` an object's description; each request of a resumable upload is an `upload`. */
  kind: 'read' | 'metadata' | 'upload' | 'patch' | 'delete' | 'list' | 'bucket';
  bucket: string;
  /** The object's name; empty for a bucket, for a list, and where an upload names it in its body alone. */
  object: string;
  /** Which request of this kind for this object it is since the start of the server, from 1. */
  sequence: number;
  /** The bytes a read asks for, both inclusive; a negative start counts from the end. */
  range?: { start: number; end?: number };
}

/** What happens to a request instead of, or on top of, its answer. */
export type StorageFault =
  /** Not done, and answered with this status. */
  | { status: number; headers?: Record<string, string> }
  /** Done, and answered with this status all the same: a lost success. */
  | { status: number; headers?: Record<string, string>; apply: true }
  /** The connection is cut instead of an answer, before or after it is done. */
  | { destroy: 'before' | 'after' }
  /** The connection is cut after so many bytes of the body. */
  | { cutAfterBytes: number }
  /** The body ends after so many bytes, and nothing in the protocol shows that it is not whole. */
  | { endAfterBytes: number }
  /** So many bytes of the body come, then nothing more until the client goes away. */
  | { stallAfterBytes: number }
  /** The byte of the object at this offset has all its bits flipped. */
  | { corruptByte: number }
  /** It is done so much later. */
  | { delayMs: number }
  /** It is done once that has happened. */
  | { after: Promise<unknown> };

/** The same, with each property in reach. */
export interface AnyFault {
  status?: number;
  headers?: Record<string, string>;
  apply?: boolean;
  destroy?: 'before' | 'after';
  cutAfterBytes?: number;
  endAfterBytes?: number;
  stallAfterBytes?: number;
  corruptByte?: number;
  delayMs?: number;
  after?: Promise<unknown>;
}

/**
 * A body with its fault.
 *
 * @param body - The bytes as they should be.
 * @param fault - What to do to them.
 * @param offset - Where in the object the body begins, in bytes.
 * @param response - Where the body goes; its connection is the one that is cut, and its closing ends a stall.
 * @returns The bytes as they are sent.
 */
export async function* faultyBody(
  body: AsyncIterable<Buffer>,
  fault: AnyFault,
  offset: number,
  response: ServerResponse,
): AsyncGenerator<Buffer> {
  const limit = fault.cutAfterBytes ?? fault.endAfterBytes ?? fault.stallAfterBytes ?? Number.POSITIVE_INFINITY;
  let sent = 0;
  for await (const chunk of body) {
    const flipped = (fault.corruptByte ?? -1) - offset - sent;
    if (flipped >= 0 && flipped < chunk.length) chunk[flipped]! ^= 0xff;
    if (sent + chunk.length > limit) {
      if (limit > sent) yield chunk.subarray(0, limit - sent);
      if (fault.endAfterBytes !== undefined) return;
      // What was written is flushed before the connection ends.
      if (fault.cutAfterBytes !== undefined) response.socket?.destroySoon();
      if (!response.closed) await once(response, 'close');
      return;
    }
    yield chunk;
    sent += chunk.length;
  }
}
