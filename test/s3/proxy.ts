/** Stands between a client and moto, and breaks what a test wants broken. */

import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What becomes of an answer; bytes are those of its body. */
export type S3Fault =
  | { status: number; code?: string; region?: string }
  | { cutAfter: number }
  | { stallAfter: number }
  | { corruptByte: number }
  | { ignoreRange: true };

/** A request as a test sees it. */
export interface S3Request {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
}

/** A proxy. */
export interface S3Proxy extends AsyncDisposable {
  readonly url: string;
  /** Requests so far. */
  readonly requests: S3Request[];
  fault: ((request: S3Request) => S3Fault | undefined) | undefined;
  /** Done before a request is passed on. */
  before: ((request: S3Request) => Promise<void>) | undefined;
}

/** @param target base URL of moto */
export async function startProxy(target: string): Promise<S3Proxy> {
  const { hostname, port } = new URL(target);
  const server = createServer(async (request, response) => {
    const { method = '', url: path = '', headers } = request;
    proxy.requests.push({ method, path, headers });
    const fault = proxy.fault?.({ method, path, headers });
    if (fault !== undefined && 'status' in fault) return refuse(request, response, fault);
    await proxy.before?.({ method, path, headers });
    const forwarded = { ...headers };
    if (fault !== undefined && 'ignoreRange' in fault) delete forwarded.range;
    const upstream = httpRequest({ hostname, port, method, path, headers: forwarded }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      pass(answer, response, fault).catch(() => response.destroy());
    });
    upstream.on('error', () => response.destroy());
    request.pipe(upstream);
  });
  const proxy: S3Proxy = {
    url: '',
    requests: [],
    fault: undefined,
    before: undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(proxy, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** As S3 refuses: a HEAD has no body. */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  fault: { status: number; code?: string; region?: string },
): void {
  request.resume();
  const { status, code = 'AccessDenied', region } = fault;
  response.writeHead(status, {
    'content-type': 'application/xml',
    ...(region === undefined ? {} : { 'x-amz-bucket-region': region }),
  });
  response.end(request.method === 'HEAD' ? undefined : `<Error><Code>${code}</Code><Message>refused</Message></Error>`);
}

async function pass(answer: IncomingMessage, response: ServerResponse, fault: S3Fault | undefined): Promise<void> {
  let offset = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const start = offset;
    offset += chunk.length;
    if (fault !== undefined && 'corruptByte' in fault && start <= fault.corruptByte && fault.corruptByte < offset) {
      const bytes = Buffer.from(chunk);
      // Another digit or letter: the record stays a record.
      bytes[fault.corruptByte - start]! ^= 1;
      response.write(bytes);
      continue;
    }
    const end =
      fault !== undefined && 'cutAfter' in fault
        ? fault.cutAfter
        : fault !== undefined && 'stallAfter' in fault
          ? fault.stallAfter
          : undefined;
    if (end === undefined || offset < end) {
      response.write(chunk);
      continue;
    }
    await new Promise((resolve) => response.write(chunk.subarray(0, end - start), resolve));
    if ('cutAfter' in fault!) response.destroy();
    return;
  }
  response.end();
}
