/** Reads a request's body into memory, up to a limit. */

import type { IncomingMessage } from 'node:http';

/** The body is larger than it is allowed to be. */
export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError';

  /** @param maxBytes the limit */
  constructor(maxBytes: number) {
    super(`The request is larger than ${maxBytes / 1_000_000} MB, which is the limit here`);
  }
}

/**
 * Reads the body, with or without a `Content-Length`. If it throws, the connection is still open for an answer.
 *
 * @param maxBytes how many bytes it may have
 * @throws {@link BodyTooLargeError} as soon as the body is known to be larger; whatever reading throws
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw new BodyTooLargeError(maxBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new BodyTooLargeError(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
