/** The checkpoint of an object generation: what it says, and how it is read. */

import type { Bucket } from '@google-cloud/storage';
import { type Counts, isBalanced, noCounts, type Place, START } from '../core/block.ts';
import { ImportError } from '../core/errors.ts';
import type { Format } from '../core/formats/json/parser.ts';
import { statusOf } from './requests.ts';

/** `running` while an import is under way or is to go on; `done`, or `gone` with the object, when it is over. */
export type State = 'running' | 'done' | 'gone';

/** How far an import has come: up to which place of the decoded content everything is settled. */
export interface Progress extends Place {
  /** How records are told apart; null until that is known. */
  format: Format | null;
  /** Whether the stored bytes are compressed; null until that is known. */
  gzip: boolean | null;
  /** The accounts of exactly the ground before `offset`. */
  counts: Counts;
}

/** What stands in the state bucket. */
export interface Checkpoint extends Progress {
  version: 1;
  state: State;
  /** The invocation that wrote it. */
  holder: string;
  /** Until when no other invocation may take over; null when the lease was released. */
  leaseExpiresAt: string | null;
  /** Leases that have expired since the import last moved. */
  takeovers: number;
}

/** A checkpoint and the generation of the object that holds it: 0 for none. */
export interface StoredCheckpoint {
  checkpoint: Checkpoint | undefined;
  generation: number | string;
}

/** Nothing is settled yet. */
export function noProgress(): Progress {
  return { format: null, gzip: null, ...START, counts: noCounts() };
}

/**
 * Reads the checkpoint of that name.
 *
 * @throws {@link ImportError} `checkpoint_unreadable` when it is no JSON, or of another version
 */
export async function readCheckpoint(bucket: Bucket, name: string): Promise<StoredCheckpoint> {
  for (;;) {
    let generation: number | string;
    let content: Buffer;
    try {
      const [metadata] = await bucket.file(name).getMetadata();
      generation = metadata.generation!;
    } catch (error) {
      if (statusOf(error) === 404) return { checkpoint: undefined, generation: 0 };
      throw error;
    }
    try {
      [content] = await bucket.file(name, { generation }).download();
    } catch (error) {
      if (statusOf(error) === 404) continue; // It was written anew in between.
      throw error;
    }
    return { checkpoint: parse(content.toString(), name), generation };
  }
}

function parse(text: string, name: string): Checkpoint {
  let value: Partial<Checkpoint> | null;
  try {
    value = JSON.parse(text);
  } catch {
    throw unreadable(name, 'it is no JSON');
  }
  if (value?.version !== 1)
    throw unreadable(name, `its version is ${JSON.stringify(value?.version)}, and this code knows 1`);
  if (!isWhole(value)) throw unreadable(name, 'fields of it are missing or make no sense');
  return value;
}

function isWhole(value: Partial<Checkpoint>): value is Checkpoint {
  const { state, holder, leaseExpiresAt, format, gzip, offset, line, checksum, counts, takeovers } = value;
  return (
    (state === 'running' || state === 'done' || state === 'gone') &&
    typeof holder === 'string' &&
    (leaseExpiresAt === null || (typeof leaseExpiresAt === 'string' && !Number.isNaN(Date.parse(leaseExpiresAt)))) &&
    (format === null || format === 'ndjson' || format === 'array') &&
    (gzip === null || typeof gzip === 'boolean') &&
    isCount(offset) &&
    isCount(line) &&
    isCount(checksum) &&
    isCount(takeovers) &&
    typeof counts === 'object' &&
    counts !== null &&
    Object.keys(noCounts()).every((key) => isCount(counts[key as keyof Counts])) &&
    isBalanced(counts)
  );
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function unreadable(name: string, why: string): ImportError {
  return new ImportError(
    'checkpoint_unreadable',
    `The checkpoint ${name} cannot be used: ${why}; nothing was overwritten. Deploy the version that wrote it, or delete it to import the object from its beginning`,
  );
}
