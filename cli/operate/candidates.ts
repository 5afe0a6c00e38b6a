/** Finds the objects that are not imported: those under a prefix without a checkpoint that says that nothing is left to do. */

import type { Storage } from '@google-cloud/storage';
import { checkpointName, type ObjectGeneration } from '../../functions/storage/names.ts';
import type { Address } from './address.ts';
import { findOver } from './checkpoint-states.ts';
import { listObjects } from './listing.ts';

/** An object that is to be imported. */
export interface Candidate extends ObjectGeneration {
  /** Bytes as stored. */
  size: number;
  /** In milliseconds since the epoch. */
  createdAt: number;
  /** Name of its checkpoint. */
  checkpoint: string;
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
}

/** What was found. */
export interface Candidates {
  /** The newest first. */
  candidates: Candidate[];
  /** Objects that are done with, and those that were left out for their names. */
  over: number;
  skipped: number;
}

/** Lists both buckets. */
export async function findCandidates(storage: Storage, query: CandidateQuery): Promise<Candidates> {
  const { under, stateBucket, objectPrefix, since } = query;
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
      found.set(checkpoint, { ...source, size, createdAt, checkpoint });
    }
  }
  const over = await findOver(storage.bucket(stateBucket), found);
  for (const name of over.keys()) found.delete(name);
  const candidates = [...found.values()].sort((a, b) => b.createdAt - a.createdAt);
  return { candidates, over: over.size, skipped };
}
