/** Finds the objects that are not imported: those under a prefix whose checkpoint does not say that nothing is left to do. */

import type { Storage } from '@google-cloud/storage';
import { checkpointName, type ObjectGeneration } from '../../functions/storage/names.ts';
import type { Address } from './address.ts';
import { findStates } from './checkpoint-states.ts';
import { listObjects } from './listing.ts';

/** An object that is to be imported. */
export interface Candidate extends ObjectGeneration {
  /** Bytes as stored. */
  size: number;
  /** In milliseconds since the epoch. */
  createdAt: number;
  /** Name of its checkpoint. */
  checkpoint: string;
  /** Whether its checkpoint has to be reopened before the function takes it up. */
  isClosed: boolean;
}

/** What is looked for. */
export interface CandidateQuery {
  /** The bucket, and the beginning of the names. */
  under: Address;
  stateBucket: string;
  /** Objects whose names do not begin so are not imported by the function. */
  objectPrefix: string;
  /** Only what was written since, in milliseconds since the epoch. */
  since: number;
  /** Whether what was set aside is to be taken up. */
  again: boolean;
}

/** What was found. */
export interface Candidates {
  /** The newest first. */
  candidates: Candidate[];
  /** Objects that are done, those that stay set aside, and those that were left out for their names. */
  done: number;
  stalled: number;
  skipped: number;
}

/** Lists both buckets. */
export async function findCandidates(storage: Storage, query: CandidateQuery): Promise<Candidates> {
  const { under, stateBucket, objectPrefix, since, again } = query;
  const found = new Map<string, Candidate>();
  let skipped = 0;
  for await (const page of listObjects(storage.bucket(under.bucket), { prefix: under.name })) {
    for (const { name: object, generation, size, createdAt } of page) {
      if (createdAt < since) continue;
      if (!object.startsWith(objectPrefix)) {
        skipped++;
        continue;
      }
      const source = { bucket: under.bucket, object, generation };
      const checkpoint = checkpointName(source);
      found.set(checkpoint, { ...source, size, createdAt, checkpoint, isClosed: false });
    }
  }
  let done = 0;
  let stalled = 0;
  for (const [name, state] of await findStates(storage.bucket(stateBucket), found)) {
    // What is listed is there, so what is gone has come back.
    if (state === 'gone' || (state === 'stalled' && again)) found.get(name)!.isClosed = true;
    else found.delete(name);
    if (state === 'done') done++;
    if (state === 'stalled' && !again) stalled++;
  }
  const candidates = [...found.values()].sort((a, b) => b.createdAt - a.createdAt);
  return { candidates, done, stalled, skipped };
}
