import { createHmac } from 'node:crypto';

/** 32 hexadecimal characters that are always the same for a text and a key. */
export function hashed(text: string, key: string): string {
  return createHmac('sha256', key).update(text).digest('hex').slice(0, 32);
}
