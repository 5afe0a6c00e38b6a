/** Answers that are larger than any memory, for clients that must give up in time. */

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createGzip, type Gzip } from 'node:zlib';

/** 64 KiB of spaces: white space, so that a parser of JSON would have to read on. */
const CHUNK = Buffer.alloc(1 << 16, ' ');

/** How an endless answer is written: as it is, or compressed a thousandfold. */
export type Endless = 'plain' | 'gzip';

/**
 * Writes an answer until the client goes away.
 *
 * @returns how many bytes were written before compression
 */
export async function answerEndlessly(response: ServerResponse, how: Endless): Promise<number> {
  if (how === 'gzip') response.setHeader('content-encoding', 'gzip');
  response.writeHead(200, { 'content-type': 'application/json' });
  const gzip: Gzip | undefined = how === 'gzip' ? createGzip() : undefined;
  gzip?.pipe(response);
  const target = gzip ?? response;
  const closed = once(response, 'close');
  let written = 0;
  while (!response.destroyed) {
    written += CHUNK.length;
    if (!target.write(CHUNK)) await Promise.race([once(target, 'drain'), closed]);
  }
  gzip?.destroy();
  return written;
}
