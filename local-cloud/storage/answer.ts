/** What a request to the local Cloud Storage comes down to, and what its answer is made of. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { StorageError } from './errors.ts';
import type { StorageRequest } from './faults.ts';
import type { Conditions } from './resource.ts';

/** A request whose address has been understood. */
export interface Route {
  kind: StorageRequest['kind'];
  bucket: string;
  object: string;
  query: URLSearchParams;
  method: string;
}

/** An answer that has not been sent yet: a fault may still take its place. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  /** A body as JSON. */
  json?: unknown;
  /** A body as text. */
  text?: string;
  /** A body as bytes; whoever does not send it destroys it. */
  body?: Readable;
  /** Where in the object the bytes begin. */
  offset?: number;
}

/**
 * Understands a request's address.
 *
 * @param request - A request of the JSON API.
 * @returns What it is about.
 * @throws StorageError 404 for an address that is not served, 400 for one that is badly encoded.
 */
export function parseRoute(request: IncomingMessage): Route {
  const method = request.method ?? 'GET';
  const [path = '', search = ''] = request.url?.split(/\?(.*)/s, 2) ?? [];
  const query = new URLSearchParams(search);
  const parts = /^(\/upload|\/download)?\/storage\/v1\/b(?:\/([^/]+)(?:(\/o)(?:\/(.+))?)?)?$/.exec(path);
  const [, area = '', bucketPart, objectsPart = '', objectPart] = parts ?? [];
  const shape = `${method} ${area}${bucketPart ? '/b' : ''}${objectsPart}${objectPart ? '/name' : ''}`;
  const kind = shape === 'GET /b/o/name' && query.get('alt') === 'media' ? 'read' : kinds[shape];
  if (!parts || !kind) throw new StorageError(404, 'notFound', `Not served here: ${method} ${path}`);
  const object = kind === 'upload' ? (query.get('name') ?? '') : decode(objectPart ?? '');
  return { kind, bucket: decode(bucketPart ?? ''), object, query, method };
}

const kinds: Record<string, StorageRequest['kind']> = {
  'POST ': 'bucket',
  'GET /b': 'bucket',
  'GET /b/o': 'list',
  'GET /b/o/name': 'metadata',
  'PATCH /b/o/name': 'patch',
  'DELETE /b/o/name': 'delete',
  'GET /download/b/o/name': 'read',
  'POST /upload/b/o': 'upload',
  'PUT /upload/b/o': 'upload',
};

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new StorageError(400, 'invalid', 'The address is not valid percent-encoded UTF-8');
  }
}

/**
 * @param query - A request's parameters.
 * @returns The preconditions among them.
 * @throws StorageError 400 when one is no number.
 */
export function conditionsOf(query: URLSearchParams): Conditions {
  const conditions: Conditions = {};
  for (const key of [
    'ifGenerationMatch',
    'ifGenerationNotMatch',
    'ifMetagenerationMatch',
    'ifMetagenerationNotMatch',
  ] as const) {
    const value = query.get(key);
    if (value === null) continue;
    if (!/^\d+$/.test(value)) throw new StorageError(400, 'invalidParameter', `Invalid value for: ${key}`);
    conditions[key] = value;
  }
  return conditions;
}

/**
 * The chunks of a request's body. Leaving early does not end the connection, so that an error can still be answered.
 *
 * @param request - Where they come from.
 */
export function chunksOf(request: IncomingMessage): AsyncIterableIterator<Buffer> {
  return request.iterator({ destroyOnReturn: false });
}

/**
 * @param request - A request whose body is a JSON object, or nothing.
 * @returns The object; empty for nothing.
 * @throws StorageError 400 when the body is something else, or larger than 1 MiB.
 */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(request)) {
    size += chunk.length;
    if (size > 1024 * 1024) throw new StorageError(400, 'invalid', 'Metadata part is too large.');
    chunks.push(chunk);
  }
  return parseJson(Buffer.concat(chunks));
}

/**
 * @param bytes - A JSON object, or nothing.
 * @returns The object; empty for nothing.
 * @throws StorageError 400 when it is something else.
 */
export function parseJson(bytes: Buffer): Record<string, unknown> {
  if (bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(bytes.toString());
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Answered below, like JSON that is no object.
  }
  throw new StorageError(400, 'parseError', 'Parse Error');
}
