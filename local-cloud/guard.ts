/**
 * Refuses whatever a web page elsewhere can send to the local servers. Listening on loopback is not enough: any page in a
 * browser on this machine can send requests there, and a page whose name is made to point here (DNS rebinding) can read
 * the answers.
 */

import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';

/** The address that every local server listens on. */
export const LOOPBACK = '127.0.0.1';
const LOCAL_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i;

/** The headers that say whom a request is for and who sends it. */
export interface Sender {
  host?: string | undefined;
  /** Browsers send it with every POST and with every request of another origin; other clients do not send it. */
  origin?: string | undefined;
}

/**
 * Whether a request must be refused.
 *
 * @returns the reason, as a sentence; undefined if the request is for this machine and not from a page of another origin
 */
export function refusalOf({ host = '', origin }: Sender): string | undefined {
  if (!LOCAL_HOST.test(host)) return 'Host must be localhost, 127.0.0.1 or [::1]';
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
    return 'A page of another origin must not send requests here';
  }
  return undefined;
}

/** The listener, behind a guard that answers 403 to every request that {@link refusalOf} refuses. */
export function guarded(listener: RequestListener): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    const refusal = refusalOf(request.headers);
    if (refusal === undefined) return listener(request, response);
    // A client that is still sending must get to read the answer.
    request.resume();
    response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ error: refusal }));
  };
}

/** Puts the guard before the listeners that a server has now. */
export function guardServer(server: Server): void {
  const listeners = server.listeners('request') as RequestListener[];
  server.removeAllListeners('request');
  for (const listener of listeners) server.on('request', guarded(listener));
}
