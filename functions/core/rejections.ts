/** Rejections: held one by one, and summed up once there are too many of them. */

import type { Location, Rejection, Source } from './block.ts';

/** Rejections of an invocation, and bytes of dead letters, from which on they are summed up. */
const MAX_REJECTIONS = 10_000;
const MAX_LETTER_BYTES = 64_000_000;
/** Default for {@link RejectionLimit}. */
const MIN_SHARE = 0.9;
/** Approximate memory that a rejection takes besides its record, and approximate bytes of its dead letter. */
const REJECTION_BYTES = 600;
/** Bytes that are kept of a record that is not held whole, and of the first of those that are summed up. */
export const MAX_KEPT_BYTES = 65_536;

/** Rejections that one stands for, the first of them. */
export interface RejectedRange {
  /** Where the first begins and the last ends: offsets in the decoded content; of a message, indexes of records. */
  from: number;
  to: number;
  /** How many they are. */
  rejected: number;
}

/** Decides for an invocation whether rejections are still held one by one, and knows the memory that they take. */
export class RejectionLimit {
  /** Records that were read. */
  read = 0;
  /** Approximate memory of the rejections that are held. */
  heldBytes = 0;
  #rejected = 0;
  #letterBytes = 0;
  readonly #minShare: number;
  /** Bytes of metadata or attributes, which every dead letter of a source repeats. */
  readonly #aboutBytes = new WeakMap<object, number>();

  /** @param minShare rejections are summed up while more than this share of what was read is rejected */
  constructor(minShare = MIN_SHARE) {
    this.#minShare = minShare;
  }

  /** Whether there are many, whatever their share. */
  get hasMany(): boolean {
    return this.#rejected >= MAX_REJECTIONS || this.#letterBytes >= MAX_LETTER_BYTES;
  }

  /** @param records how many records the rejections are among */
  sumsUp(records = this.read): boolean {
    return this.hasMany && this.#rejected > this.#minShare * records;
  }

  /** Notes a rejection that is held; or, without one, a rejection that is summed up. */
  hold(rejection?: Rejection): void {
    this.#rejected++;
    if (rejection === undefined) return;
    const bytes = memoryOf([rejection]);
    this.heldBytes += bytes;
    this.#letterBytes += bytes + this.#aboutOf(rejection.location);
  }

  /** Rejections are durable and not held any more. */
  release(rejections: readonly Rejection[]): void {
    this.heldBytes -= memoryOf(rejections);
  }

  #aboutOf(location: Location): number {
    const about = 'bucket' in location ? location.metadata : 'messageId' in location ? location.attributes : undefined;
    if (about === undefined) return 0;
    const bytes = this.#aboutBytes.get(about) ?? JSON.stringify(about).length;
    this.#aboutBytes.set(about, bytes);
    return bytes;
  }
}

/** What is to be known of a rejection before it is made. */
export interface RejectedPlace {
  source: Source;
  /** As in {@link RejectedRange}. */
  from: number;
  to: number;
  /** How many records the rejections so far are among; default: those that were read. */
  records?: number | undefined;
  /** Whether the last rejection may stand for it too. */
  canExtend: boolean;
  /** The message as it was stored, which the letter of several of its rejections holds. */
  stored: Buffer | undefined;
}

/** Adds a rejection; or counts it in the last one, if rejections are summed up. */
export function addRejection(rejections: Rejection[], place: RejectedPlace, make: () => Rejection): void {
  const { source, from, to, canExtend, stored, records } = place;
  const { limit } = source;
  // The letter of a message has to hold all of it.
  const isPossible = source.context.kind !== 'message' || stored !== undefined;
  const isSummedUp = isPossible && limit?.sumsUp(records) === true;
  const last = canExtend && isSummedUp ? rejections.at(-1) : undefined;
  if (last?.range !== undefined && from >= last.range.to) {
    last.range.to = to;
    last.range.rejected++;
    limit!.hold();
    return;
  }
  const rejection = make();
  if (isSummedUp) {
    rejection.range = { from, to, rejected: 1 };
    rejection.stored = stored;
  }
  limit?.hold(rejection);
  rejections.push(rejection);
}

/** Merges `next` into `rejection`, if both are summed up and of one source. Those of a message may come in any order. */
export function mergeRejections(rejection: Rejection, next: Rejection): boolean {
  const { range } = rejection;
  if (range === undefined || next.range === undefined) return false;
  if (!isSameSource(rejection.location, next.location)) return false;
  if (next.range.from < range.to) {
    if (next.stored === undefined) return false;
    range.from = Math.min(range.from, next.range.from);
  }
  range.to = Math.max(range.to, next.range.to);
  range.rejected += next.range.rejected;
  return true;
}

/** Number of records and events that a rejection stands for. */
export function countOf({ range }: Rejection): number {
  return range?.rejected ?? 1;
}

/** Number of records and events that rejections stand for. */
export function countAll(rejections: readonly Rejection[]): number {
  let count = 0;
  for (const rejection of rejections) count += countOf(rejection);
  return count;
}

/** Approximate memory that rejections take, in bytes. */
export function memoryOf(rejections: readonly Rejection[]): number {
  let bytes = 0;
  for (const { record } of rejections) bytes += REJECTION_BYTES + record.length;
  return bytes;
}

function isSameSource(one: Location, other: Location): boolean {
  if ('messageId' in one && 'messageId' in other) return one.messageId === other.messageId;
  return !('messageId' in one) && !('messageId' in other);
}
