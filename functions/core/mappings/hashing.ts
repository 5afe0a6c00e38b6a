/** Hashes of what must not leave in clear, and of what is too long for an id. */

import { createHmac, hash } from 'node:crypto';

/** Hexadecimal characters of a hash: 128 bits. */
const LENGTH = 32;

/** Hashes a text to 32 hexadecimal characters. */
export type Hash = (text: string) => string;

/** HMAC-SHA-256 with a key: without it nobody can try out which text a hash is of. */
export function hmacWith(key: string): Hash {
  return (text) => createHmac('sha256', key).update(text).digest('hex').slice(0, LENGTH);
}

/** SHA-256, where the text is no secret. */
export const sha256: Hash = (text) => hash('sha256', text, 'hex').slice(0, LENGTH);

/** The exact text of a value: of a number its digits, of an object its JSON; undefined if there is nothing. */
export function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
