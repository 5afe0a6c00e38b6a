/** Finds out what is known of an object: what it is, how far its import has come, and what was rejected. */

import type { Bucket } from '@google-cloud/storage';
import type { ExclusionReason, ObjectFilter } from '../../functions/object-filter.ts';
import { type Checkpoint, readCheckpoint } from '../../functions/storage/checkpoint.ts';
import { createStorage } from '../../functions/storage/client.ts';
import { checkpointName, type ObjectGeneration, objectDeadLetterName } from '../../functions/storage/names.ts';
import { statusOf } from '../../functions/storage/requests.ts';
import { printable } from '../import/printable.ts';
import { formatAddress } from './address.ts';
import { findLetterFiles } from './letter-files.ts';
import { isAnyStored, listObjects } from './listing.ts';
import { type Survey, surveyLetters } from './survey.ts';

/** What is known of an object generation. */
export interface ObjectState {
  object: ObjectGeneration;
  /** The object as it is stored; undefined where that generation is not there any more. */
  stored: { size: number; createdAt: string } | undefined;
  /** Undefined where none was written. */
  checkpoint: Checkpoint | undefined;
  /** Why the function skips the object if it was not begun. */
  exclusion: ExclusionReason | undefined;
  /** Where its dead letters can be, where they are, and what is there. */
  deadLetters: { places: string[]; foundIn: string[]; survey: Survey };
  /** Checkpoints of other generations of it, the newest first. */
  others: { generation: string; state: string | undefined }[];
}

/** What is asked for. */
export interface ObjectQuery {
  bucket: string;
  object: string;
  /** Default: the live one. */
  generation: string | undefined;
  stateBucket: string;
  deadLetterBucket: string;
  storageEndpoint: string | undefined;
  /** The function's. */
  filter: ObjectFilter;
}

/**
 * @returns undefined where there neither is such an object, nor was
 * @throws ImportError `checkpoint_unreadable`; UsageError if a bucket is missing; whatever Cloud Storage refuses
 */
export async function findObjectState(query: ObjectQuery): Promise<ObjectState | undefined> {
  const { bucket, object, stateBucket, deadLetterBucket, storageEndpoint } = query;
  const storage = createStorage(storageEndpoint);
  const state = storage.bucket(stateBucket);
  const stored = await findStored(storage.bucket(bucket), object, query.generation);
  const checkpoints = await listCheckpoints(state, bucket, object);
  const generation = query.generation ?? stored?.generation ?? checkpoints[0]?.generation;
  if (generation === undefined) return undefined;
  const source = { bucket, object, generation };
  const name = checkpointName(source);
  const { checkpoint } = await readCheckpoint(state, name);
  const folder = folderOf(objectDeadLetterName(source, 0, ''));
  // Letters that were written before they had a bucket of their own are in the state bucket.
  const buckets = new Set([deadLetterBucket, stateBucket]);
  const places = [...buckets].map((bucket) => formatAddress({ bucket, name: folder }));
  const files = await findLetterFiles(places, storageEndpoint);
  const foundIn = places.filter((place) => files.some(({ name }) => name.startsWith(place)));
  const survey = await surveyLetters(files, (place, problem) => {
    process.stderr.write(`${printable(`${place}: ${problem}`)}\n`);
  });
  const others = checkpoints.filter((other) => other.generation !== generation);
  const exclusion = query.filter(object);
  return { object: source, stored, checkpoint, exclusion, deadLetters: { places, foundIn, survey }, others };
}

/** @throws UsageError if there is no such bucket */
async function findStored(bucket: Bucket, name: string, generation: string | undefined) {
  try {
    const [metadata] = await bucket.file(name, generation === undefined ? {} : { generation }).getMetadata();
    const { size, timeCreated = '' } = metadata;
    return { size: Number(size), createdAt: timeCreated, generation: String(metadata.generation) };
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    // It says whether the bucket is missing.
    await isAnyStored(bucket);
    return undefined;
  }
}

/** The newest generation first. */
async function listCheckpoints(state: Bucket, bucket: string, object: string): Promise<ObjectState['others']> {
  // Where the name would be too long another one stands in its place; a generation has 16 digits.
  const prefix = folderOf(checkpointName({ bucket, object, generation: '0'.repeat(16) }));
  const found: ObjectState['others'] = [];
  for await (const page of listObjects(state, { prefix, delimiter: '/' })) {
    for (const { name, state } of page) {
      const [, generation] = /^(\d+)\.json$/.exec(name.slice(prefix.length)) ?? [];
      if (generation !== undefined) found.push({ generation, state });
    }
  }
  return found.sort((a, b) => Number(BigInt(b.generation) - BigInt(a.generation)));
}

/** With its slash. */
function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/') + 1);
}
