/** Finds out which imports are over, by the states in the metadata of their checkpoints. */

import type { Bucket } from '@google-cloud/storage';
import { listObjects } from './listing.ts';

/**
 * Lists the part of the bucket in which these checkpoints are, rather than reading each.
 *
 * @param names of checkpoints, as keys
 * @returns those that are `done` or `gone`, with that state
 */
export async function findOver(stateBucket: Bucket, names: ReadonlyMap<string, unknown>): Promise<Map<string, string>> {
  const over = new Map<string, string>();
  if (names.size === 0) return over;
  let first: Buffer | undefined;
  let last: Buffer | undefined;
  for (const name of names.keys()) {
    // In the order in which Cloud Storage lists.
    const bytes = Buffer.from(name);
    if (first === undefined || Buffer.compare(bytes, first) < 0) first = bytes;
    if (last === undefined || Buffer.compare(bytes, last) > 0) last = bytes;
  }
  const query = { prefix: 'checkpoints/', startOffset: String(first), endOffset: `${last}~` };
  for await (const page of listObjects(stateBucket, query)) {
    for (const { name, state } of page) {
      if ((state === 'done' || state === 'gone') && names.has(name)) over.set(name, state);
    }
  }
  return over;
}
