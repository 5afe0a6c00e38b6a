/** Turns the records of a block into events: as they came, or through the transform. */

import {
  type Block,
  EMPTY_ID,
  EMPTY_PROPERTIES,
  LINE_BREAK,
  NEEDS_ID,
  type Reason,
  TOUCHED,
  UNSCANNED,
} from './block.ts';
import { type MixpanelEvent, serialize, type Transform, type TransformResult } from './event.ts';
import { parseRecord } from './formats/json/numbers.ts';
import type { InsertIdOf } from './insert-id.ts';
import type { BatchBuilder, BatchLimits, EventOrigin } from './mixpanel/batch.ts';

/** `"$insert_id":"`, 24 characters, `",`. */
const MAX_SPLICE_BYTES = 40;

/**
 * Adds records that were scanned to a batch as they came, from `record` on, with a `$insert_id` where one has none.
 *
 * @returns how many, one of those that must be touched at most; 0 where the batch has no room for another
 */
export function addPassed(
  builder: BatchBuilder,
  block: Block,
  record: number,
  limits: BatchLimits,
  insertIdOf: InsertIdOf,
): number {
  const flags = block.flags[record]!;
  if ((flags & TOUCHED) === 0) return builder.addUntouched(block, record, limits);
  if ((flags & UNSCANNED) !== 0) {
    throw new Error('A line that was left to a transform is to be sent as it is; this is a defect, please report it');
  }
  const from = block.starts[record]!;
  const to = block.ends[record]!;
  if (!builder.fits(to - from + MAX_SPLICE_BYTES, limits)) return 0;
  const isKept = (flags & (EMPTY_ID | LINE_BREAK)) !== 0;
  const kept = isKept ? Buffer.from(block.bytes.subarray(from, to)) : undefined;
  if ((flags & EMPTY_ID) !== 0) {
    builder.addText({ block, record, kept }, serialize(parseRecord(block, record)!, makeId));
    return 1;
  }
  const splice =
    (flags & NEEDS_ID) === 0 ? undefined : { at: from + block.splices[record]!, text: spliceOf(makeId(), flags) };
  builder.add({ block, record, kept }, block.bytes, [from, to], { splice, lineBreaks: (flags & LINE_BREAK) !== 0 });
  return 1;

  function makeId(): string {
    return insertIdOf(block.bytes.subarray(from, to), block.origin, block.offset + from, block.ordinals[record]!);
  }
}

/** Undoes {@link addPassed}: the record of which `event` was made, where that put in an id and did no more. */
export function recordOf(event: Buffer, block: Block, record: number): Buffer {
  const flags = block.flags[record]!;
  if ((flags & NEEDS_ID) === 0) return Buffer.from(event);
  const at = block.splices[record]!;
  return Buffer.concat([event.subarray(0, at), event.subarray(at + spliceOf(' '.repeat(24), flags).length)]);
}

/** An event that a transform made, serialised. */
export interface TransformedEvent extends EventOrigin {
  text: string;
}

/** The events of a record, at once or later. */
export type PendingEvents = TransformedEvent[] | Promise<TransformedEvent[]>;

/**
 * Transforms all records of a block, one after the other, and yields each event as it is made: what was parsed for it is
 * gone before the next. Counts in the block what that expands and drops, and adds to its rejections what is no event and
 * what fails.
 *
 * @param pending receives, from the first record on whose transform is asynchronous, the events of each; never rejected
 */
export function* transformBlock(
  block: Block,
  transform: Transform,
  insertIdOf: InsertIdOf,
  pending: PendingEvents[],
): Generator<TransformedEvent> {
  for (let record = 0; record < block.starts.length; record++) {
    let result: TransformResult | Promise<TransformResult>;
    try {
      const parsed = parseRecord(block, record, reject);
      if (parsed === undefined) continue;
      result = transform(parsed);
    } catch (error) {
      fail(record, error);
      continue;
    }
    if (isThenable(result)) {
      pending.push(
        Promise.resolve(result).then(
          (settled) => eventsOf(record, settled),
          (error: unknown) => {
            fail(record, error);
            return [];
          },
        ),
      );
    } else if (pending.length > 0) {
      pending.push(eventsOf(record, result));
    } else if (result === null || result === undefined || isList(result)) {
      yield* eventsOf(record, result);
    } else {
      const event = eventOf(record, result);
      if (event !== undefined) yield event;
    }
  }

  function eventsOf(record: number, result: TransformResult): TransformedEvent[] {
    const list = result === null || result === undefined ? [] : isList(result) ? result : [result];
    if (list.length === 0) block.counts.dropped++;
    else block.counts.expanded += list.length - 1;
    const events: TransformedEvent[] = [];
    for (let index = 0; index < list.length; index++) {
      const event = eventOf(record, list[index]!, list.length === 1 ? undefined : index);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  function eventOf(record: number, event: MixpanelEvent, eventIndex?: number): TransformedEvent | undefined {
    try {
      return { block, record, eventIndex, text: serialize(event, () => makeId(record, eventIndex)) };
    } catch (error) {
      fail(record, error, eventIndex);
      return undefined;
    }
  }

  function fail(record: number, error: unknown, eventIndex?: number): void {
    reject(record, { field: 'transform', message: messageOf(error) }, eventIndex);
  }

  function reject(record: number, reason: Reason, eventIndex?: number): void {
    const source = sourceOf(block, record, eventIndex);
    const came = recordAsItCame(block, record);
    block.counts.rejected++;
    block.rejections.push({ reason, source, insertId: makeId(record, eventIndex), record: came, bytes: came.length });
  }

  function makeId(record: number, eventIndex: number | undefined): string {
    const offset = block.offset + block.starts[record]!;
    return insertIdOf(recordAsItCame(block, record), block.origin, offset, block.ordinals[record]!, eventIndex);
  }
}

/** The record's own bytes, while the block has them. */
export function recordAsItCame(block: Block, record: number): Buffer {
  return block.bytes.subarray(block.starts[record]!, block.ends[record]!);
}

/** Where a record stands, and which of its events is meant. */
export function sourceOf(block: Block, record: number, eventIndex: number | undefined) {
  const source = block.origin.sourceOf(block.offset + block.starts[record]!, block.ordinals[record]!);
  return eventIndex === undefined ? source : { ...source, event: eventIndex };
}

function spliceOf(insertId: string, flags: number): string {
  return `"$insert_id":"${insertId}"${(flags & EMPTY_PROPERTIES) === 0 ? ',' : ''}`;
}

/** Array.isArray does not tell a read-only array. */
function isList(result: NonNullable<TransformResult>): result is readonly MixpanelEvent[] {
  return Array.isArray(result);
}

/** A promise need not be the runtime's own. */
function isThenable(result: TransformResult | Promise<TransformResult>): result is Promise<TransformResult> {
  return typeof (result as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Anything can be thrown, also what has no text. */
function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'the transform threw something that has no text';
  }
}
