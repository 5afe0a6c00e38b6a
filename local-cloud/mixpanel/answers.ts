/** The answers of the local Mixpanel, in the words that its API documents for each status. */

import { type ServerResponse, STATUS_CODES } from 'node:http';

/** An answer that is not sent yet. */
export interface Answer {
  /** The HTTP status. */
  status: number;
  /** The body: text as it is, or an object to serialise. */
  body: string | Record<string, unknown>;
  /** Headers besides the content type. */
  headers?: Record<string, string>;
}

/** Where Mixpanel's words are not those of HTTP. */
const STATUS_NAMES: Record<number, string> = { 413: 'Request Entity Too Large' };

const ERRORS: Record<number, string> = {
  400: 'request body is malformed',
  401: 'Invalid credentials',
  413: 'request exceeds max limit of 2097152 bytes',
  429: 'Project exceeded rate limits. Please retry the request with exponential backoff.',
};

/**
 * The error answer that the API documents for a status.
 *
 * @param status - An HTTP status.
 * @param error - What went wrong, where the status alone does not say it.
 * @param more - Further members of the body.
 * @returns The answer.
 */
export function errorAnswer(status: number, error?: string, more: Record<string, unknown> = {}): Answer {
  const name = STATUS_NAMES[status] ?? STATUS_CODES[status] ?? 'Unknown';
  return { status, body: { code: status, error: error ?? ERRORS[status] ?? name, ...more, status: name } };
}

/**
 * The answer of success.
 *
 * @param imported - How many events it claims to have taken.
 * @returns The answer.
 */
export function okAnswer(imported: number): Answer {
  return { status: 200, body: { code: 200, num_records_imported: imported, status: 'OK' } };
}

/**
 * Sends an answer.
 *
 * @param response - Where to.
 * @param answer - The answer.
 */
export function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
