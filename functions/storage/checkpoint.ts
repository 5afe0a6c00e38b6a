/** The checkpoint of an object generation: what it says, and how it is read and written. */

import type { Bucket } from '@google-cloud/storage';
import { type Counts, isBalanced, noCounts, type Position, START } from '../core/block.ts';
import { ImportError } from '../core/errors.ts';
import { statusOf } from './requests.ts';

/**
 * `running` while an import is in progress or will continue; `done` when it is over; `gone` when its object was not there
 * any more; `stalled` when it was set aside because it never got on.
 */
export type State = 'running' | 'done' | 'gone' | 'stalled';

/** How far an import has come. */
export interface Progress {
  /** Name of the format; null until it is known. */
  format: string | null;
  /** Layers of compression, the outermost first; null until they are known. */
  compression: readonly string[] | null;
  /** Everything before it, in the decoded content, is settled. */
  position: Position;
  /** Counts of exactly the range before `position`. */
  counts: Counts;
  /** Custom metadata of the object, as the first invocation read it; null until then. */
  metadata: Readonly<Record<string, string>> | null;
}

/** What the last invocation failed with. */
export interface LastError {
  code: string;
  message: string;
  /** When it failed, and since when invocations have failed with this code. */
  time: string;
  since: string;
}

/** The content of a checkpoint. */
export interface Checkpoint extends Progress {
  state: State;
  /** The invocation that wrote it. */
  holder: string;
  /** Until when no other invocation may take over; null if the lease was released. */
  leaseExpiresAt: string | null;
  /** Leases that have expired since the import last moved. */
  takeovers: number;
  /**
   * Invocations in a row that settled nothing although nothing kept them from it. While a lease is held its invocation is
   * among them, until it settles something: so the number is right if it crashes.
   */
  fruitless: number;
  /** Null if the last invocation did not fail. */
  lastError: LastError | null;
}

/** A checkpoint, and the generation of the storage object that holds it: 0 if there is none. */
export interface StoredCheckpoint {
  checkpoint: Checkpoint | undefined;
  /** As it is stored; empty if there is none. */
  text: string;
  generation: number | string;
}

const STATES: readonly State[] = ['running', 'done', 'gone', 'stalled'];
const ERROR_FIELDS = ['code', 'message', 'time', 'since'] as const;

/** Whether more is settled than was `before`. Several rows may have the same offset, so records count too. */
export function hasMoved(progress: Progress, before: Progress): boolean {
  return settledUpTo(progress) > settledUpTo(before) || progress.counts.read > before.counts.read;
}

/** Offset in the decoded content up to which everything is settled, with the part of a block after the position. */
function settledUpTo({ position: { offset, settledTo = 0 } }: Progress): number {
  return Math.max(offset, settledTo);
}

/** Nothing is settled yet. */
export function noProgress(): Progress {
  return { format: null, compression: null, position: { ...START }, counts: noCounts(), metadata: null };
}

/**
 * Reads the checkpoint with that name.
 *
 * @throws {@link ImportError} `checkpoint_unreadable` if it is not JSON, or of an unknown version
 */
export async function readCheckpoint(bucket: Bucket, name: string): Promise<StoredCheckpoint> {
  for (;;) {
    let generation: number | string;
    let content: Buffer;
    try {
      const [metadata] = await bucket.file(name).getMetadata();
      generation = metadata.generation!;
    } catch (error) {
      if (statusOf(error) === 404) return { checkpoint: undefined, text: '', generation: 0 };
      throw error;
    }
    try {
      [content] = await bucket.file(name, { generation }).download();
    } catch (error) {
      if (statusOf(error) === 404) continue; // It was rewritten in between.
      throw error;
    }
    const text = content.toString();
    const checkpoint = parseCheckpoint(text);
    if (typeof checkpoint === 'string') throw unreadable(name, checkpoint);
    return { checkpoint, text, generation };
  }
}

/**
 * The text of a checkpoint. `done` and `gone` are written as version 1, so that the previous release reads them. It ignores
 * the exact position that `gone` has besides, from which the import continues if the object is there again.
 */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const { state, holder, leaseExpiresAt, format, compression, position, counts, takeovers } = checkpoint;
  const place = { format, compression, ...position };
  const { metadata } = checkpoint;
  if (state === 'running' || state === 'stalled') {
    const { fruitless, lastError } = checkpoint;
    return JSON.stringify({
      version: 2,
      state,
      holder,
      leaseExpiresAt,
      position: place,
      counts,
      takeovers,
      fruitless,
      metadata,
      lastError,
    });
  }
  const { offset, line, checksum } = position;
  const gzip = compression === null ? null : compression.length > 0;
  const framing = format === null ? null : isArray(position) ? 'array' : 'ndjson';
  return JSON.stringify({
    version: 1,
    state,
    holder,
    leaseExpiresAt,
    format: framing,
    gzip,
    offset,
    line,
    checksum,
    counts,
    takeovers,
    ...(state === 'gone' ? { position: place, metadata } : {}),
  });
}

/** Reads the text of a checkpoint of either version; returns why if it cannot be used. */
export function parseCheckpoint(text: string): Checkpoint | string {
  let value: Record<string, unknown> | null;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  const version = value?.version;
  if (version !== 1 && version !== 2) return `its version is ${JSON.stringify(version)}, and this code knows 1 and 2`;
  const checkpoint = version === 1 ? fromVersion1(value!) : fromVersion2(value!);
  return isComplete(checkpoint) ? checkpoint : 'some fields are missing or invalid';
}

function fromVersion2(value: Record<string, unknown>): Partial<Checkpoint> {
  const { position: place, version: _, ...rest } = value;
  return { ...rest, ...fromPlace(place) };
}

function fromPlace(place: unknown): Pick<Checkpoint, 'format' | 'compression' | 'position'> {
  const { format, compression, ...position } = Object(place);
  return { format, compression, position };
}

function fromVersion1(value: Record<string, unknown>): Partial<Checkpoint> {
  const { version: _, format, gzip, offset, line, checksum, position: place, metadata, ...rest } = value;
  if (!(format === null || format === 'ndjson' || format === 'array')) return {};
  if (!(gzip === null || typeof gzip === 'boolean')) return {};
  const state = format === 'array' ? { state: { array: true } } : {};
  const known = { ...rest, fruitless: 0, lastError: null };
  if (place !== undefined) return { ...known, ...fromPlace(place), metadata: metadata as Progress['metadata'] };
  return {
    ...known,
    format: format === null ? null : 'json',
    compression: gzip === null ? null : gzip ? ['gzip'] : [],
    position: { offset, line, checksum, ...state } as Position,
    metadata: null,
  };
}

function isComplete(value: Partial<Checkpoint>): value is Checkpoint {
  const { state, holder, leaseExpiresAt, format, compression, position, counts, metadata, lastError } = value;
  return (
    STATES.some((known) => known === state) &&
    typeof holder === 'string' &&
    (leaseExpiresAt === null || (typeof leaseExpiresAt === 'string' && !Number.isNaN(Date.parse(leaseExpiresAt)))) &&
    (format === null || typeof format === 'string') &&
    (compression === null || (Array.isArray(compression) && compression.every((layer) => typeof layer === 'string'))) &&
    isCount(position?.offset) &&
    isCount(position?.line) &&
    isCount(position?.checksum) &&
    (position?.settledTo === undefined || isCount(position.settledTo)) &&
    isCount(value.takeovers) &&
    isCount(value.fruitless) &&
    (metadata === null || isTexts(metadata)) &&
    (lastError === null || (isTexts(lastError) && ERROR_FIELDS.every((field) => lastError![field] !== undefined))) &&
    typeof counts === 'object' &&
    counts !== null &&
    Object.keys(noCounts()).every((key) => isCount(counts[key as keyof Counts])) &&
    isBalanced(counts)
  );
}

function isTexts(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((text: unknown) => typeof text === 'string')
  );
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isArray({ state }: Position): boolean {
  return (state as { array?: boolean } | undefined)?.array === true;
}

function unreadable(name: string, why: string): ImportError {
  return new ImportError(
    'checkpoint_unreadable',
    `The checkpoint ${name} cannot be used: ${why}. Nothing was overwritten. Deploy the version that wrote it, or delete it to import the object from its beginning`,
  );
}
