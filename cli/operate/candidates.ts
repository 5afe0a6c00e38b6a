/** Finds the objects that are not imported: those under a prefix whose checkpoint does not say that nothing is left to do. */

import type { Storage } from '@google-cloud/storage';
import type { ExclusionReason, ObjectFilter } from '../../functions/object-filter.ts';
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
  /** The function's filter: an excluded object that was not begun is not a candidate. */
  filter: ObjectFilter;
  /** Only what was written since, in milliseconds since the epoch. */
  since: number;
  /** Whether what was set aside is to be taken up. */
  again: boolean;
}

/** What was found. */
export interface Candidates {
  /** The newest first. */
  candidates: Candidate[];
  /** Objects that are done, and those that stay set aside. */
  done: number;
  stalled: number;
  /** Objects that are skipped because of their names, by why. */
  skipped: Record<ExclusionReason, number>;
}

/** Lists both buckets. */
export async function findCandidates(storage: Storage, query: CandidateQuery): Promise<Candidates> {
  const { under, stateBucket, filter, since, again } = query;
  const found = new Map<string, Candidate>();
  for await (const page of listObjects(storage.bucket(under.bucket), { prefix: under.name })) {
    for (const { name: object, generation, size, createdAt } of page) {
      if (createdAt < since) continue;
      const source = { bucket: under.bucket, object, generation };
      const checkpoint = checkpointName(source);
      found.set(checkpoint, { ...source, size, createdAt, checkpoint, isClosed: false });
    }
  }
  const states = await findStates(storage.bucket(stateBucket), found);
  let done = 0;
  let stalled = 0;
  const skipped = { prefix: 0, excluded: 0 };
  for (const [name, candidate] of found) {
    const state = states.get(name);
    const exclusion = state === undefined ? filter(candidate.object) : undefined;
    // What is listed is there, so what is gone has come back.
    candidate.isClosed = state === 'gone' || (state === 'stalled' && again);
    if (exclusion !== undefined) skipped[exclusion]++;
    else if (state === 'done') done++;
    else if (state === 'stalled' && !again) stalled++;
    else continue;
    found.delete(name);
  }
  const candidates = [...found.values()].sort((a, b) => b.createdAt - a.createdAt);
  return { candidates, done, stalled, skipped };
}
