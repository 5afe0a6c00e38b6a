/** The floor: the least that an import can do. It reads, splits at newlines, compresses and posts, and looks at nothing. */

import { createReadStream } from 'node:fs';
import { Agent, request } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const MAX_EVENTS = 2_000;
const MAX_BYTES = 10_000_000;
const CONCURRENCY = 10;
const READ_BYTES = 1_048_576;
const NEWLINE = 0x0a;

const { BENCH_FILE: file = '', BENCH_URL: base = '' } = process.env;
const url = new URL('/import?strict=1&project_id=1', base);
const agent = new Agent({ keepAlive: true });
const gzipAsync = promisify(gzip);
const sending = new Set<Promise<void>>();

for await (const batch of batches()) {
  const sent = send(batch).finally(() => sending.delete(sent));
  sending.add(sent);
  if (sending.size >= CONCURRENCY) await Promise.race(sending);
}
await Promise.all(sending);
agent.destroy();

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

async function send(pieces: Buffer[]): Promise<void> {
  const body = await gzipAsync(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces), { level: 6 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = {
    authorization: 'Basic YmVuY2g6YmVuY2g=',
    'content-type': 'application/x-ndjson',
    'content-encoding': 'gzip',
    'content-length': body.length,
  };
  request(url, { method: 'POST', agent, headers }, (response) => {
    if (response.statusCode !== 200) reject(new Error(`the server answered ${response.statusCode}`));
    response.resume().on('end', resolve).on('error', reject);
  })
    .on('error', reject)
    .end(body);
  return promise;
}
