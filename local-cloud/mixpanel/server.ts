/**
 * A local Mixpanel: `/import` over HTTP as it is documented, with faults on request, for tests and runs without an account.
 *
 * @see https://developer.mixpanel.com/reference/import-events
 */

import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { guarded, LOOPBACK } from '../guard.ts';
import { type Answer, errorAnswer, okAnswer, send } from './answers.ts';
import { describe, type FaultHook, faultAnswer, type InjectedFault, pause, untilGone } from './faults.ts';
import { createRateLimit, type RateLimitOptions } from './rate-limit.ts';
import { type AcceptedEvent, replyTo } from './reply.ts';
import { type Credentials, type ImportBody, isAuthorized, readBody } from './request.ts';
import { createEventStore, type Keep, type ReceivedEvent } from './store.ts';

export type { FaultHook, InjectedFault, ReceivedEvent };

/** How a local Mixpanel behaves; without any option it takes what the real one does, from anybody. */
export interface MixpanelOptions extends Credentials {
  /** The port on 127.0.0.1; a free one by default. */
  port?: number;
  /** Events of a request, at most; 2,000 by default. */
  maxEvents?: number;
  /** Uncompressed bytes of a request, at most; 10,000,000 by default. */
  maxBytes?: number;
  /** Whether the project uses simplified ID merge: a request with an identity event is refused as a whole. */
  simplified?: boolean;
  /** What may be sent in a rolling minute; everything by default. */
  rateLimit?: RateLimitOptions;
  /** `all` by default; `ids` keeps only `$insert_id`s and their counts. */
  keep?: Keep;
  /** The clock, in milliseconds since the epoch. */
  now?: () => number;
}

/** A request that was answered, or given up. */
export interface SeenRequest {
  /** Its number, from 0. */
  sequence: number;
  /** The status of the answer; 0 where there was none. */
  status: number;
  /** Its events. */
  events: number;
  /** The size of its uncompressed body. */
  bytes: number;
  /** When it had been read, in milliseconds since the epoch. */
  at: number;
}

/** A request that has been read, and where its answer goes. */
interface Exchange {
  sequence: number;
  body: ImportBody;
  strict: boolean;
  response: ServerResponse;
}

/**
 * A running local Mixpanel. It emits `request` with a {@link SeenRequest} when that has come to its end, `event` with a
 * {@link ReceivedEvent} and whether it is a duplicate, and `error` with an exception of the fault hook or of a listener.
 */
export class MixpanelServer extends EventEmitter<{
  request: [SeenRequest];
  event: [event: ReceivedEvent, duplicate: boolean];
  error: [unknown];
}> {
  /** The port on 127.0.0.1. */
  readonly port: number;
  /** The base URL, without a slash at its end. */
  readonly url: string;
  /** Asked for each request with good credentials what shall go wrong with it. */
  fault: FaultHook | undefined;
  /** The requests to `/import` so far, in the order of their answers. */
  requests: SeenRequest[] = [];
  /** Requests to `/import` that have come and are not answered. */
  inFlight = 0;
  /** The most requests that were in flight at one time. */
  maxInFlight = 0;

  readonly #options: MixpanelOptions &
    Required<Pick<MixpanelOptions, 'maxEvents' | 'maxBytes' | 'keep' | 'simplified' | 'now'>>;
  readonly #http: Server;
  #store: ReturnType<typeof createEventStore>;
  #rateLimit: ReturnType<typeof createRateLimit>;
  #nextSequence = 0;
  #closed: Promise<unknown> | undefined;

  /** Use {@link startMixpanel}, which gives it a server that listens. */
  constructor(options: MixpanelOptions, http: Server) {
    super();
    const { maxEvents = 2_000, maxBytes = 10_000_000, keep = 'all', simplified = false, now = Date.now } = options;
    this.#options = { ...options, maxEvents, maxBytes, keep, simplified, now };
    this.#http = http;
    this.port = (http.address() as AddressInfo).port;
    this.url = `http://127.0.0.1:${this.port}`;
    this.#store = createEventStore(this.#options.keep);
    this.#rateLimit = createRateLimit(options.rateLimit);
    // Longer than clients keep an idle connection, so that none is closed here while a request is on its way.
    http.keepAliveTimeout = 60_000;
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch((error) => {
        response.destroy();
        this.emit('error', error);
      });
    };
    http.on('request', guarded(answer));
  }

  /** Events ingested, duplicates included. */
  get received(): number {
    return this.#store.received;
  }

  /** Events ingested that had been ingested before. */
  get duplicates(): number {
    return this.#store.duplicates;
  }

  /** The unique events, as a report would show them; empty with `keep: 'ids'`. */
  events(): ReceivedEvent[] {
    return this.#store.events();
  }

  /** How often an event with this `$insert_id` was ingested. */
  count(insertId: string): number {
    return this.#store.count(insertId);
  }

  /** Forgets everything: events, requests, the minute of the rate limit, and the fault hook. */
  reset(): void {
    this.fault = undefined;
    this.requests = [];
    this.maxInFlight = this.inFlight;
    this.#store = createEventStore(this.#options.keep);
    this.#rateLimit = createRateLimit(this.#options.rateLimit);
    this.#nextSequence = 0;
  }

  /** Ends open connections, answered or not, and resolves when the server has closed. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = once(this.#http, 'close');
      this.#http.close();
      this.#http.closeAllConnections();
    }
    await this.#closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(request.url ?? '/', 'http://127.0.0.1');
    if (request.method !== 'POST' || url?.pathname !== '/import') {
      request.resume();
      return send(response, errorAnswer(404));
    }
    const leave = this.#enter();
    response.once('close', leave);
    let body: ImportBody;
    try {
      body = await readBody(request, this.#options.maxBytes);
    } catch {
      return; // The client went away in the middle of its body.
    }
    const seen = { sequence: this.#nextSequence, events: body.records.length, bytes: body.bytes };
    const at = this.#options.now();
    this.#nextSequence += 1;

    const authorized = isAuthorized(request.headers.authorization, url.searchParams.get('project_id'), this.#options);
    const strict = url.searchParams.get('strict') === '1';
    const answer = authorized
      ? await this.#answer({ sequence: seen.sequence, body, strict, response })
      : errorAnswer(401);
    // Before the answer is sent, so that whoever has received it finds it counted.
    leave();
    const entry: SeenRequest = { ...seen, status: answer?.status ?? 0, at };
    this.requests.push(entry);
    this.emit('request', entry);
    if (answer) send(response, answer);
  }

  /** Counts a request as in flight, until the function that it gives is called for the first time. */
  #enter(): () => void {
    this.inFlight += 1;
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    let isIn = true;
    return () => {
      if (isIn) this.inFlight -= 1;
      isIn = false;
    };
  }

  /** Ingests what is to be ingested, and gives the answer; undefined where there is none. */
  async #answer({ sequence, body, strict, response }: Exchange): Promise<Answer | undefined> {
    let fault = this.fault?.(describe(sequence, body));
    while (fault && 'delayMs' in fault) {
      if (!(await pause(fault.delayMs, response))) return undefined;
      fault = fault.next;
    }
    if (fault && 'hang' in fault) return untilGone(response);
    if (fault && 'destroy' in fault && fault.destroy === 'before') return cut(response);
    if (fault && 'status' in fault && !fault.ingest) return faultAnswer(fault, body);

    const { answer, accepted } = replyTo(body, { ...this.#options, strict, rateLimit: this.#rateLimit });
    this.#ingest(accepted);
    if (!fault) return answer;
    if ('report' in fault) return okAnswer(fault.report);
    return 'status' in fault ? faultAnswer(fault, body) : cut(response);
  }

  #ingest(events: AcceptedEvent[]): void {
    const receivedAt = this.#options.now();
    for (const accepted of events) {
      const event: ReceivedEvent = { ...accepted, receivedAt };
      const duplicate = this.#store.add(event);
      this.emit('event', event, duplicate);
    }
  }
}

/**
 * Starts a local Mixpanel on 127.0.0.1.
 *
 * @param options - How it behaves.
 * @returns The server, listening.
 * @throws Where the port is taken.
 */
export async function startMixpanel(options: MixpanelOptions = {}): Promise<MixpanelServer> {
  const http = createServer();
  http.listen(options.port ?? 0, LOOPBACK);
  await once(http, 'listening');
  return new MixpanelServer(options, http);
}

function cut(response: ServerResponse): undefined {
  response.destroy();
}
