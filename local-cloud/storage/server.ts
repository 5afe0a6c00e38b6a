/** The local Cloud Storage: as much of the JSON API (https://cloud.google.com/storage/docs/json_api) as the official client uses. */
import { EventEmitter, once } from 'node:events';
import { closeSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { finished, pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { guarded, LOOPBACK } from '../guard.ts';
import { type Answer, conditionsOf, parseRoute, type Route, readJson } from './answer.ts';
import { errorBody, StorageError } from './errors.ts';
import { type AnyFault, faultyBody, type StorageFault, type StorageRequest } from './faults.ts';
import { listObjects } from './list.ts';
import { ObjectStore } from './objects.ts';
import { parseRange, readAnswer } from './read.ts';
import type { ObjectResource, StoredObject } from './resource.ts';
import { createUploads } from './upload.ts';

export type { StorageFault, StorageRequest } from './faults.ts';
export type { ObjectResource } from './resource.ts';

/** Where a local Cloud Storage keeps its objects, and where it is found. */
export interface StorageOptions {
  /** Buckets and objects are kept here, and found again by the next server over the same folder. */
  folder: string;
  /** The port on 127.0.0.1; 0, the default, for any that is free. */
  port?: number;
  /** Called once after each object that is written, not waited for; a rejection is an unhandled one. */
  onFinalize?: (object: ObjectResource) => void | Promise<void>;
}

/**
 * Starts a local Cloud Storage. The official client reaches it with `new Storage({ apiEndpoint: server.url, projectId })`
 * and asks for no credentials then.
 *
 * @param options - Folder, port and what to call for each object written.
 * @returns The server, once it listens.
 */
export async function startStorage(options: StorageOptions): Promise<StorageServer> {
  const server = new StorageServer(options);
  await server.listen(options.port ?? 0);
  return server;
}

/**
 * A running local Cloud Storage. It emits `request` before a request is worked on, and `finalize` after each object
 * that is written.
 */
export class StorageServer extends EventEmitter<{ request: [StorageRequest]; finalize: [ObjectResource] }> {
  /** Asked once per request for the fault that shall happen to it. */
  fault: ((request: StorageRequest) => StorageFault | undefined) | undefined;
  readonly #store: ObjectStore;
  readonly #server: Server;
  readonly #upload: ReturnType<typeof createUploads>;
  readonly #counts = new Map<string, number>();

  /** @param options - As for {@link startStorage}, which also listens. */
  constructor({ folder, onFinalize }: StorageOptions) {
    super();
    this.#store = new ObjectStore(folder);
    this.#upload = createUploads(this.#store, (...upload) => {
      const object = this.#resource(this.#store.commit(...upload));
      this.emit('finalize', object);
      if (onFinalize) void Promise.resolve(object).then(onFinalize);
      return object;
    });
    // No time limit on a request, for slow uploads; and idle connections outlive the pauses between a client's requests.
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => response.destroy());
    };
    this.#server = createServer({ requestTimeout: 0, keepAliveTimeout: 120_000 }, guarded(answer));
  }

  /** The port on 127.0.0.1. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The address, for the client's `apiEndpoint`. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /**
   * Makes a bucket; one that is there already stays as it is.
   *
   * @param name - Its name.
   */
  createBucket(name: string): void {
    this.#store.createBucket(name);
  }

  /**
   * Reads an object whole, without a client.
   *
   * @param bucket - The bucket.
   * @param name - The object.
   * @param maxBytes - A larger object is not read.
   * @returns Its live content; undefined if there is none, or if it is larger.
   */
  content(bucket: string, name: string, maxBytes = Number.POSITIVE_INFINITY): Buffer | undefined {
    let descriptor: number;
    try {
      const object = this.#store.object(bucket, name);
      if (Number(object.size) > maxBytes) return undefined;
      descriptor = this.#store.openContent(object);
    } catch (error) {
      if (error instanceof StorageError && error.status === 404) return undefined;
      throw error;
    }
    try {
      return readFileSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  /**
   * @param port - The port on 127.0.0.1, 0 for any that is free.
   */
  async listen(port: number): Promise<void> {
    this.#server.listen(port, LOOPBACK);
    await once(this.#server, 'listening');
  }

  /** Ends all connections, with whatever is under way on them, and stops. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let route: Route | undefined;
    let fault: AnyFault = {};
    try {
      route = parseRoute(request);
      const described = this.#describe(route, request);
      this.emit('request', described);
      fault = this.fault?.(described) ?? {};
      if (fault.destroy === 'before') return void request.socket.destroy();
      if (fault.delayMs !== undefined) await setTimeout(fault.delayMs, undefined, { signal: closing(response) });
      await fault.after;
      if (fault.status !== undefined && !fault.apply) throw injected(fault.status, fault.headers);
      const answer = await this.#apply(route, request);
      if (fault.destroy || fault.status !== undefined) answer.body?.destroy();
      if (fault.destroy) return void request.socket.destroy();
      if (fault.status !== undefined) throw injected(fault.status, fault.headers);
      await send(request, response, answer, fault);
    } catch (error) {
      if (response.headersSent || response.destroyed) throw error;
      await send(request, response, errorAnswer(error, route), {});
    }
  }

  #describe({ kind, bucket, object }: Route, { headers }: IncomingMessage): StorageRequest {
    const key = JSON.stringify([kind, bucket, object]);
    const sequence = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, sequence);
    const range = kind === 'read' ? parseRange(headers.range) : undefined;
    return { kind, bucket, object, sequence, ...(range && { range }) };
  }

  async #apply(route: Route, request: IncomingMessage): Promise<Answer> {
    if (route.kind === 'upload') return this.#upload(route, request);
    if (route.kind === 'bucket') return this.#applyToBucket(route, request);
    if (route.kind === 'list') return this.#list(route);
    const patch = route.kind === 'patch' ? await readJson(request) : {};
    const conditions = conditionsOf(route.query);
    const object = this.#store.object(route.bucket, route.object, route.query.get('generation'), conditions);
    if (route.kind === 'read') return readAnswer(object, () => this.#store.openContent(object), request.headers);
    if (route.kind === 'delete') {
      this.#store.delete(object);
      return { status: 204 };
    }
    return { status: 200, json: this.#resource(route.kind === 'patch' ? this.#store.patch(object, patch) : object) };
  }

  async #applyToBucket(route: Route, request: IncomingMessage): Promise<Answer> {
    let name = route.bucket;
    if (route.method === 'POST') {
      name = String((await readJson(request)).name ?? '');
      if (!this.#store.createBucket(name)) {
        throw new StorageError(
          409,
          'conflict',
          'Your previous request to create the named bucket succeeded and you already own it.',
        );
      }
    }
    const { timeCreated } = this.#store.bucket(name);
    const selfLink = `${this.url}/storage/v1/b/${name}`;
    const resource = { kind: 'storage#bucket', id: name, name, selfLink, timeCreated, updated: timeCreated };
    return { status: 200, json: { ...resource, metageneration: '1', location: 'US', storageClass: 'STANDARD' } };
  }

  #list(route: Route): Answer {
    const { objects, prefixes, nextPageToken } = listObjects(this.#store, route.bucket, route.query);
    const json = {
      kind: 'storage#objects',
      ...(nextPageToken && { nextPageToken }),
      ...(prefixes.length > 0 && { prefixes }),
      ...(objects.length > 0 && { items: objects.map((object) => this.#resource(object)) }),
    };
    return { status: 200, json };
  }

  #resource(object: StoredObject): ObjectResource {
    const path = `storage/v1/b/${object.bucket}/o/${encodeURIComponent(object.name)}`;
    const mediaLink = `${this.url}/download/${path}?generation=${object.generation}&alt=media`;
    return { ...object, mediaLink, selfLink: `${this.url}/${path}` };
  }
}

async function send(request: IncomingMessage, response: ServerResponse, answer: Answer, fault: AnyFault) {
  // An answer before the end of the request's body reaches a client that is still writing as a broken connection.
  if (!request.readableEnded && !request.destroyed) {
    request.resume();
    await finished(request, { writable: false });
  }
  const headers = { ...answer.headers };
  if (fault.endAfterBytes !== undefined) delete headers['content-length'];
  if (!answer.body) {
    const text = answer.text ?? (answer.json === undefined ? '' : JSON.stringify(answer.json));
    if (text) headers['content-type'] = answer.text ? 'text/plain; charset=UTF-8' : 'application/json; charset=UTF-8';
    if (answer.status !== 204) headers['content-length'] = String(Buffer.byteLength(text));
    response.writeHead(answer.status, headers).end(text);
    return;
  }
  response.writeHead(answer.status, headers).flushHeaders();
  await pipeline(faultyBody(answer.body, fault, answer.offset ?? 0, response), response);
}

function errorAnswer(error: unknown, route: Route | undefined): Answer {
  const known =
    error instanceof StorageError ? error : new StorageError(500, 'backendError', `Local Cloud Storage: ${error}`);
  const { status, headers, message } = known;
  // A read that fails is answered in plain text by the real service too; the client makes it its error's message.
  return route?.kind === 'read' ? { status, headers, text: message } : { status, headers, json: errorBody(known) };
}

function injected(status: number, headers: Record<string, string> | undefined): StorageError {
  return new StorageError(status, 'injectedFault', `A fault on request: ${status}`, headers);
}

/** Aborts when the connection of a response is gone. */
function closing(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  return controller.signal;
}
