/** The server of the view: the page, the stream of what happens, and what the page can ask for. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LocalCloud } from '../local-cloud/cloud.ts';
import { LOOPBACK } from '../local-cloud/guard.ts';
import { BodyTooLargeError, readBody } from '../local-cloud/read-body.ts';
import { kill, publish, RefusedError, setSwitch, upload, uploadMade, uploadSamples } from './actions.ts';
import { readAsset } from './assets.ts';
import { refusalOf, SECURITY_HEADERS } from './guard.ts';
import { groupLetters, replayGroup } from './letters.ts';
import { mappingInUse, tryMapping, useMapping } from './mapping.ts';
import { createStream } from './stream.ts';
import type { Watch } from './watch.ts';

/** A message of 10 MB, as JSON. */
const MAX_BODY_BYTES = 64_000_000;

/** What is shown, and where. */
export interface ViewOptions {
  cloud: LocalCloud;
  watch: Watch;
  /** The port on 127.0.0.1; 0 for any that is free. */
  port: number;
}

/** A view that is being served. */
export interface ViewServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** What a handler is given. */
interface Asked {
  request: IncomingMessage;
  query: URLSearchParams;
  /** The body as JSON. */
  body(): Promise<Record<string, unknown>>;
}

/**
 * Serves the view on loopback, to its own page alone.
 *
 * @throws where the port is taken
 */
export async function serveView({ cloud, watch, port: wanted }: ViewOptions): Promise<ViewServer> {
  const stream = createStream(watch);
  let rounds = 0;
  const said = async (text: string | Promise<string>) => ({ text: await text });
  const handlers: Record<string, (asked: Asked) => Promise<object>> = {
    'GET /letters': async ({ query }) => {
      const object = query.get('object');
      const only = object === null ? undefined : { object, generation: query.get('generation') ?? '' };
      return { groups: await groupLetters(cloud, only) };
    },
    'POST /upload': ({ request, query }) =>
      said(upload(cloud, query.get('name') ?? '', request, request.headers['content-length'])),
    'POST /samples': () => said(uploadSamples(cloud, ++rounds)),
    'POST /made': async ({ body }) => said(uploadMade(cloud, Number((await body()).count))),
    'POST /publish': async ({ body }) => said(publish(cloud, await body())),
    'POST /switch': async ({ body }) => said(setSwitch(watch, await body())),
    'POST /kill': async ({ body }) => said(kill(cloud, (await body()).target)),
    'GET /mapping': async () => ({ mapping: mappingInUse(cloud) }),
    'POST /mapping': async ({ body }) => said(useMapping(cloud, watch, (await body()).mapping)),
    'POST /mapping/try': async ({ body }) => tryMapping(cloud, watch.recent, (await body()).mapping),
    'POST /replay': async ({ body }) => said(replayGroup(cloud, watch, String((await body()).reason))),
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    response.setHeader('cache-control', 'no-store');
    const refusal = refusalOf(request);
    if (refusal !== undefined) return send(request, response, 403, { error: refusal });
    const { pathname, searchParams: query } = new URL(`http://view${request.url}`);
    if (request.method === 'GET' && pathname === '/stream') {
      return stream.open(response, String(request.headers['last-event-id'] ?? query.get('last') ?? ''));
    }
    const handler = handlers[`${request.method} ${pathname}`];
    if (handler !== undefined) {
      return send(request, response, 200, await handler({ request, query, body: () => readObject(request) }));
    }
    const asset = request.method === 'GET' ? await readAsset(pathname) : undefined;
    if (asset === undefined) return send(request, response, 404, { error: 'There is no such thing here' });
    response.setHeader('content-type', asset.type);
    response.end(asset.content);
  }

  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    answer(request, response).catch((error) => {
      const text = error instanceof Error ? error.message : String(error);
      send(request, response, statusOf(error), { error: text });
    });
  });
  server.listen(wanted, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK}:${port}`,
    port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      stream.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function send(request: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  // A browser that is still sending must get to read the answer.
  request.resume();
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function statusOf(error: unknown): number {
  if (error instanceof BodyTooLargeError) return 413;
  return error instanceof RefusedError ? 400 : 500;
}

async function readObject(request: IncomingMessage): Promise<Record<string, unknown>> {
  const body = parse(await readBody(request, MAX_BODY_BYTES));
  if (typeof body !== 'object' || body === null) throw new RefusedError('That is no JSON object');
  return body as Record<string, unknown>;
}

function parse(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString());
  } catch {
    return undefined;
  }
}
