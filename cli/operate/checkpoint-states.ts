/** Finds out which imports have ended, by the states in the metadata of their checkpoints; and reopens them. */

import type { Bucket } from '@google-cloud/storage';
import { formatCheckpoint, readCheckpoint } from '../../functions/storage/checkpoint.ts';
import { statusOf } from '../../functions/storage/requests.ts';
import { listObjects } from './listing.ts';

/**
 * Lists the part of the bucket in which these checkpoints are, rather than reading each.
 *
 * @param names of checkpoints, as keys
 * @returns those that exist, with their state
 */
export async function findStates(
  stateBucket: Bucket,
  names: ReadonlyMap<string, unknown>,
): Promise<Map<string, string>> {
  const states = new Map<string, string>();
  if (names.size === 0) return states;
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
      if (names.has(name)) states.set(name, state ?? 'running');
    }
  }
  return states;
}

/**
 * Makes a checkpoint that is `gone` or `stalled` one that waits for the next delivery, which continues where it stands. One
 * that has changed meanwhile stays as it is.
 */
export async function reopen(stateBucket: Bucket, name: string): Promise<void> {
  const { checkpoint, generation } = await readCheckpoint(stateBucket, name);
  if (checkpoint?.state !== 'gone' && checkpoint?.state !== 'stalled') return;
  const state = 'running';
  const content = formatCheckpoint({ ...checkpoint, state, leaseExpiresAt: null, takeovers: 0, fruitless: 0 });
  try {
    await stateBucket.file(name).save(content, {
      resumable: false,
      contentType: 'application/json',
      preconditionOpts: { ifGenerationMatch: generation },
      metadata: { metadata: { state } },
    });
  } catch (error) {
    if (statusOf(error) !== 412) throw error;
  }
}
