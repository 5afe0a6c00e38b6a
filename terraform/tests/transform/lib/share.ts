import { hash } from 'node:crypto';

/** A number from 0 to 1 that is always the same for the same text. */
export function share(text: string): number {
  return Number.parseInt(hash('sha256', text).slice(0, 8), 16) / 2 ** 32;
}
