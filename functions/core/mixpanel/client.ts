/** Makes one attempt at POST /import (https://developer.mixpanel.com/reference/import-events). */

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import { Gaxios } from 'gaxios';
import type { Answer } from './response.ts';

/** Where events go, and as whom. */
export interface MixpanelOptions {
  /** Base URL, such as `https://api.mixpanel.com`. */
  url: string;
  /** User name and password of Basic auth: a service account's, or a project token and an empty password. */
  username: string;
  password: string;
  /** Required with a service account. */
  projectId: string | undefined;
  /** Time for one attempt, to the last byte of its answer. */
  requestTimeoutMs: number;
}

/** The most that is read of an answer, in decoded bytes: 2,000 failed records take about 400 kB. */
const MAX_ANSWER_BYTES = 4_000_000;

/** A connection broke, time ran out, or the answer was too long, before the answer was complete. Says no more than that: what the HTTP client threw carries the body and the credentials. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** What Node calls it, such as `ECONNREFUSED`, where it has a name. */
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

/** Sends a body to /import. */
export interface MixpanelClient {
  /**
   * @param body   newline-delimited JSON, compressed with gzip
   * @param signal cuts the attempt off
   * @returns the answer, whatever its status
   * @throws {@link ConnectionError} when there is none
   */
  post(body: Buffer, signal: AbortSignal): Promise<Answer>;
  /** Closes idle connections. */
  close(): void;
}

/** A client that keeps its connections open between attempts. */
export function createMixpanelClient(options: MixpanelOptions): MixpanelClient {
  const url = new URL(`${options.url.replace(/\/+$/, '')}/import`);
  url.searchParams.set('strict', '1');
  if (options.projectId !== undefined) url.searchParams.set('project_id', options.projectId);
  const credentials = Buffer.from(`${options.username}:${options.password}`).toString('base64');
  const agent = new (url.protocol === 'https:' ? HttpsAgent : HttpAgent)({ keepAlive: true });
  const gaxios = new Gaxios();
  return {
    async post(body, signal) {
      try {
        const response = await gaxios.request<string>({
          url,
          method: 'POST',
          headers: {
            authorization: `Basic ${credentials}`,
            'content-type': 'application/x-ndjson',
            'content-encoding': 'gzip',
            'content-length': String(body.length),
            accept: 'application/json',
          },
          // A stream: that which node-fetch makes of a buffer has no handler for being cut off before it is sent.
          body: Readable.from(body),
          agent,
          responseType: 'text',
          // The HTTP client counts what it has decompressed. Its `maxContentLength` would leave the connection open.
          size: MAX_ANSWER_BYTES,
          redirect: 'manual',
          retry: false,
          timeout: options.requestTimeoutMs,
          validateStatus: () => true,
          signal,
        });
        const retryAfter = response.headers.get('retry-after') ?? undefined;
        return { status: response.status, retryAfter, body: response.data };
      } catch (error) {
        throw connectionError(error, options.requestTimeoutMs);
      }
    },
    close: () => agent.destroy(),
  };
}

function connectionError(error: unknown, timeoutMs: number): ConnectionError {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown; type?: unknown } };
  if (cause?.type === 'max-size') return new ConnectionError(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
  if (code === 'TimeoutError') return new ConnectionError(`no answer within ${timeoutMs} ms`);
  const word = cause?.code ?? code;
  if (typeof word !== 'string') return new ConnectionError('the connection failed');
  return new ConnectionError(`the connection failed (${word})`, word);
}
