/** The Mixpanel of the benchmark, a process of its own: it takes bodies as they come and looks into them afterwards. */

import { hash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** How the server behaves until told otherwise. */
export interface SinkOptions {
  /**
   * Bytes of an event in a body. Gzip writes the length of what it compressed behind it, so that the number of
   * events follows without decompressing; undefined for contenders that write events anew and do not look at the count.
   */
  lineBytes?: number | undefined;
  /** Whether to decompress a body and count its lines, which costs this process time, and a contender none. */
  isCounting?: boolean;
  /** How long it takes to answer. */
  delayMs?: number;
  /** Answers half of the requests with 429, in an order that no sender falls in step with. */
  isThrottling?: boolean;
}

/** What arrived since the last reset, as found after the run. */
export interface Arrivals {
  requests: number;
  /** Answers 429. */
  throttled: number;
  /** Bytes of the bodies as they came. */
  bytes: number;
  events: number;
  /** Different `$insert_id`s; undefined where there is none. */
  uniqueIds: number | undefined;
}

const gunzipAsync = promisify(gunzip);

let options: SinkOptions = {};
let bodies: { body: Buffer; isArray: boolean; isGzip: boolean }[] = [];
let requests = 0;
let throttled = 0;

const server = createServer(async (request, response) => {
  const body = await read(request);
  requests++;
  if (options.delayMs) await sleep(options.delayMs);
  if (options.isThrottling && hash('md5', String(requests)) < '8') {
    throttled++;
    response.writeHead(429, { 'content-type': 'application/json' }).end('{"code":429,"status":"Too Many Requests"}');
    return;
  }
  const isGzip = request.headers['content-encoding'] === 'gzip';
  bodies.push({ body, isGzip, isArray: request.headers['content-type'] === 'application/json' });
  const bytes = isGzip ? body.readUInt32LE(body.length - 4) : body.length;
  const count = options.isCounting
    ? linesOf(await gunzipAsync(body))
    : options.lineBytes === undefined
      ? 2_000
      : Math.round(bytes / options.lineBytes);
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(`{"code":200,"num_records_imported":${count},"status":"OK"}`);
});

server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => {
  process.send!({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});

process.on('message', async (message: { id: number; method: 'reset' | 'arrivals'; argument: SinkOptions }) => {
  const result = message.method === 'reset' ? reset(message.argument) : await arrivals();
  process.send!({ id: message.id, result });
});
process.on('disconnect', () => process.exit());

function reset(next: SinkOptions): null {
  options = next;
  bodies = [];
  requests = throttled = 0;
  return null;
}

async function arrivals(): Promise<Arrivals> {
  const ids = new Set<string>();
  let events = 0;
  let bytes = 0;
  for (const { body, isArray, isGzip } of bodies) {
    const text = isGzip ? await gunzipAsync(body) : body;
    bytes += body.length;
    const values = isArray
      ? JSON.parse(String(text))
      : String(text)
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
    for (const { properties } of values) if (properties.$insert_id !== undefined) ids.add(properties.$insert_id);
    events += values.length;
  }
  bodies = [];
  return { requests, throttled, bytes, events, uniqueIds: ids.size === 0 ? undefined : ids.size };
}

function linesOf(body: Buffer): number {
  return String(body).trimEnd().split('\n').length;
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
