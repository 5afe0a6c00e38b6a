/** Reads a request of the local Mixpanel: who sends it, its body uncompressed, and the records in that. */

import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** Beyond this a body is read but not kept, unless the server's own limit is higher. */
const MIN_READ_LIMIT_BYTES = 100_000_000;

const inflate = promisify(gunzip);

/** Whom the server lets in; with neither, anybody who gives a user name. */
export interface Credentials {
  /** A service account, and the project for which it is allowed; `aliases` are user names with the same secret. */
  serviceAccount?: { username: string; secret: string; projectId: string; aliases?: readonly string[] };
  /** A project token, which comes as the user name with an empty password. */
  token?: string;
}

/** One event of a request. */
export interface ImportRecord {
  /** Its JSON as it came. */
  raw: string;
  /** What `JSON.parse` makes of it; undefined where it is no JSON. */
  value: unknown;
}

/** The body of a request. */
export interface ImportBody {
  /** The uncompressed text; empty where it could not be decoded. */
  text: string;
  /** The size of the uncompressed body. */
  bytes: number;
  /** The events. */
  records: ImportRecord[];
  /** Why the request is refused as a whole. */
  error?: string;
}

/**
 * Whether the credentials of a request are right.
 *
 * @param authorization - The header of this name.
 * @param projectId - The query parameter `project_id`.
 * @param credentials - Whom the server lets in.
 * @returns True where one of the credentials fits.
 */
export function isAuthorized(
  authorization: string | undefined,
  projectId: string | null,
  { serviceAccount, token }: Credentials,
): boolean {
  const { username, password } = readBasic(authorization);
  if (username === '') return false;
  if (!serviceAccount && token === undefined) return true;
  if (token !== undefined && username === token && password === '') return true;
  return (
    serviceAccount !== undefined &&
    [serviceAccount.username, ...(serviceAccount.aliases ?? [])].includes(username) &&
    password === serviceAccount.secret &&
    projectId === serviceAccount.projectId
  );
}

/** The user name and password of an `authorization` header; empty if it has none. */
export function readBasic(authorization: string | undefined): { username: string; password: string } {
  const basic = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1] ?? '';
  const decoded = Buffer.from(basic, 'base64').toString();
  const colon = decoded.indexOf(':');
  if (colon < 1) return { username: '', password: '' };
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/**
 * Reads the body of a request to its end, so that the client always gets to read the answer.
 *
 * @param request - The request.
 * @param maxBytes - The limit of the server; a body is kept at least up to this.
 * @returns The body with its records, or with the error for which it is refused.
 * @throws When the client goes away in the middle.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<ImportBody> {
  const readLimitBytes = Math.max(MIN_READ_LIMIT_BYTES, maxBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= readLimitBytes) chunks.push(chunk);
  }
  const tooLarge: ImportBody = { text: '', bytes: readLimitBytes + 1, records: [] };
  if (size > readLimitBytes) return tooLarge;

  const stored = Buffer.concat(chunks);
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return parseBody(stored, request.headers);
  if (encoding !== 'gzip') return refused(stored.length, 'Content-Encoding must be gzip or left out');
  try {
    return parseBody(await inflate(stored, { maxOutputLength: readLimitBytes }), request.headers);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return tooLarge;
    return refused(stored.length, 'request body is no valid gzip');
  }
}

/**
 * The `$insert_id` of what may be an event.
 *
 * @param value - What `JSON.parse` made of a record.
 * @returns The id, or `''` where there is none.
 */
export function insertIdOf(value: unknown): string {
  const insertId = (value as { properties?: { $insert_id?: unknown } | null } | null)?.properties?.$insert_id;
  return typeof insertId === 'string' ? insertId : '';
}

function refused(bytes: number, error: string): ImportBody {
  return { text: '', bytes, records: [], error };
}

function parseBody(content: Buffer, headers: IncomingHttpHeaders): ImportBody {
  if (!isUtf8(content)) return refused(content.length, 'request body is no valid UTF-8');
  const body = { text: content.toString(), bytes: content.length };
  const contentType = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  const parsed = contentType === 'application/x-ndjson' ? parseLines(body.text) : parseArray(body.text, contentType);
  // OpenAPI: minItems is 1.
  if (!parsed.error && parsed.records.length === 0) return { ...body, records: [], error: 'request has no events' };
  return { ...body, ...parsed };
}

function parseLines(text: string): Pick<ImportBody, 'records' | 'error'> {
  const records: ImportRecord[] = [];
  let error: string | undefined;
  for (const raw of text.split('\n')) {
    if (raw.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(raw);
    } catch {
      error ??= `request body is no valid NDJSON: event ${records.length} is no JSON`;
    }
    records.push({ raw, value });
  }
  return error === undefined ? { records } : { records, error };
}

function parseArray(text: string, contentType: string | undefined): Pick<ImportBody, 'records' | 'error'> {
  if (contentType !== 'application/json') {
    return { records: [], error: 'Content-Type must be application/json or application/x-ndjson' };
  }
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    return { records: [], error: 'request body is no valid JSON' };
  }
  if (!Array.isArray(values)) return { records: [], error: 'request body must be a JSON array of events' };
  const raws = splitArray(text);
  return { records: values.map((value, index) => ({ value, raw: raws[index] ?? '' })) };
}

/** The texts of the elements of an array that is known to be valid, since serialising anew would lose digits. */
function splitArray(text: string): string[] {
  const elements: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') {
      while (text[++at] !== '"') if (text[at] === '\\') at += 1;
    } else if (character === '[' || character === '{') {
      depth += 1;
      if (depth === 1) start = at + 1;
    } else if (character === ']' || character === '}') {
      depth -= 1;
      if (depth === 0) elements.push(text.slice(start, at).trim());
    } else if (character === ',' && depth === 1) {
      elements.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  return elements;
}
