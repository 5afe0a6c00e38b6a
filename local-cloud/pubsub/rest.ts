/** The one method of Pub/Sub's REST API that the functions call, on the port on which the gRPC service is too. */

import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import protos from '@google-cloud/pubsub/build/protos/protos.js';
import { type ConnectionInjector, status } from '@grpc/grpc-js';
import { guarded } from '../guard.ts';
import { BodyTooLargeError, readBody } from '../read-body.ts';
import { invalidArgument, StatusError } from './protocol.ts';

const { PublishRequest } = protos.google.pubsub.v1;

/** HTTP statuses of gRPC's (https://cloud.google.com/apis/design/errors#handling_errors). */
const HTTP_STATUSES: Record<number, number> = {
  [status.INVALID_ARGUMENT]: 400,
  [status.PERMISSION_DENIED]: 403,
  [status.NOT_FOUND]: 404,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.UNAVAILABLE]: 503,
  [status.DEADLINE_EXCEEDED]: 504,
};
/**
 * The largest request. Pub/Sub's own limit is 10 MB of messages (https://cloud.google.com/pubsub/quotas#resource_limits);
 * JSON and base64 make them longer.
 */
export const MAX_REQUEST_BYTES = 32_000_000;
/** How every connection of HTTP/2 begins, and none of HTTP/1.1. */
const PREFACE = 'PRI';

/**
 * Serves `POST /v1/projects/P/topics/T:publish`.
 *
 * @param publish does what the gRPC method of that name does
 */
export function createRestServer(publish: (request: protos.google.pubsub.v1.PublishRequest) => unknown): HttpServer {
  return createHttpServer(guarded(serve));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    try {
      const path = /^\/v1\/projects\/([^/]+)\/topics\/([^/]+):publish$/.exec(request.url!)?.slice(1);
      if (path === undefined || request.method !== 'POST') {
        throw new StatusError(status.NOT_FOUND, 'Of the REST API only publishing is here.');
      }
      const [project, id] = path.map(decodeURIComponent);
      const body = parse(await readBody(request, MAX_REQUEST_BYTES));
      answer(200, await publish(PublishRequest.fromObject({ ...body, topic: `projects/${project}/topics/${id}` })));
    } catch (error) {
      const code = error instanceof BodyTooLargeError ? 413 : (HTTP_STATUSES[(error as StatusError).code] ?? 500);
      request.resume();
      answer(code, { error: { code, message: (error as Error).message } });
    }
  }
}

function parse(body: Buffer): object {
  try {
    return JSON.parse(body.toString());
  } catch {
    throw invalidArgument('The body is not JSON.');
  }
}

/**
 * Listens for both: hands each connection to that of the two whose protocol it begins with.
 *
 * @param sockets receives the connections that are open
 */
export function createFront(grpc: ConnectionInjector, rest: HttpServer, sockets: Set<Socket>): Server {
  return createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.once('data', (beginning) => {
      socket.pause().unshift(beginning);
      if (beginning.toString('latin1').startsWith(PREFACE)) grpc.injectConnection(socket);
      else rest.emit('connection', socket.resume());
    });
  });
}
