/** The floor: the least that an import can do. It reads, splits at newlines, compresses and posts, and looks at nothing. */

import { createReadStream } from 'node:fs';
import { postAll } from './posting.ts';

const MAX_EVENTS = 2_000;
const MAX_BYTES = 10_000_000;
const READ_BYTES = 1_048_576;
const NEWLINE = 0x0a;

const { BENCH_FILE: file = '' } = process.env;

await postAll(batches());

/** Yields the parts of the file that are one batch each, in the pieces in which they were read. */
async function* batches(): AsyncGenerator<Buffer[]> {
  let pieces: Buffer[] = [];
  let events = 0;
  let bytes = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) {
      events++;
      // What is left of the limit is at least one event.
      if (events < MAX_EVENTS && bytes + at - from < MAX_BYTES - 1_000_000) continue;
      pieces.push(chunk.subarray(from, at + 1));
      yield pieces;
      pieces = [];
      events = bytes = 0;
      from = at + 1;
    }
    if (from === chunk.length) continue;
    pieces.push(chunk.subarray(from));
    bytes += chunk.length - from;
  }
  if (bytes > 0) yield pieces;
}
