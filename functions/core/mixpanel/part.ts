/** Parts of a batch: what one request carries. */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { compress } from './batch.ts';

const NEWLINE = 0x0a;
const gunzipAsync = promisify(gunzip);

/** A batch, or consecutive events of one. */
export interface Part {
  /** Newline-delimited JSON, compressed with gzip. */
  body: Buffer;
  events: number;
  /** Bytes of the uncompressed body. */
  bytes: number;
  /** Index in the batch of its first event. */
  first: number;
}

/** The uncompressed body of a part. */
export function readPart(part: Part): Promise<Buffer> {
  return gunzipAsync(part.body);
}

/**
 * Cuts a part in two.
 *
 * @param events how many the first of them gets; at least one, and not all
 * @param level  gzip's, 1 to 9
 */
export async function cutPart(part: Part, events: number, level: number): Promise<[Part, Part]> {
  const text = await readPart(part);
  let middle = 0;
  for (let event = 0; event < events; event++) middle = text.indexOf(NEWLINE, middle) + 1;
  const [head, rest] = [text.subarray(0, middle), text.subarray(middle)];
  const [first, second] = await Promise.all([compress(head, level), compress(rest, level)]);
  return [
    { body: first, events, bytes: head.length, first: part.first },
    { body: second, events: part.events - events, bytes: rest.length, first: part.first + events },
  ];
}
