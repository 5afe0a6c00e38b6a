/** Turns the records of a block into events: as they arrived, or through a mapping. */

import {
  type Block,
  EMPTY_ID,
  EMPTY_PROPERTIES,
  type JsonRecords,
  LINE_BREAK,
  LONG_NUMBER,
  type Location,
  NEEDS_ID,
  NOT_VERBATIM,
  type Reason,
  type Rejection,
  type RowRecords,
  throughOf,
} from './block.ts';
import { type MixpanelEvent, NotAnEventError, serialize, type TransformResult } from './event.ts';
import { parseKeepingDigits } from './formats/json/numbers.ts';
import type { InsertIdOf } from './insert-id.ts';
import { type MappedRecords, type MapResult, Misfit } from './mappings/mapping.ts';
import type { BatchBuilder, BatchLimits } from './mixpanel/batch.ts';
import type { RejectedPlace } from './rejections.ts';

/** What it takes to read a record again. */
type Readable = Pick<Block, 'source' | 'records'>;

/** `"$insert_id":"`, 24 characters, `",`. */
const MAX_SPLICE_BYTES = 40;

/**
 * Adds records to a batch as they arrived, from `record` on, with a `$insert_id` where it is missing.
 *
 * @returns the number of records added: a run of verbatim ones, or a single one that had to be changed; 0 if the batch is full
 */
export function addRecords(
  builder: BatchBuilder,
  block: Block,
  records: JsonRecords,
  record: number,
  limits: BatchLimits,
  insertIdOf: InsertIdOf,
): number {
  const flags = records.flags[record]!;
  if ((flags & NOT_VERBATIM) === 0) return builder.addVerbatim(block, records, record, limits);
  const from = records.starts[record]!;
  const to = records.ends[record]!;
  if (!builder.fits(to - from + MAX_SPLICE_BYTES, limits)) return 0;
  const isChanged = (flags & (EMPTY_ID | LINE_BREAK)) !== 0;
  const original = isChanged ? Buffer.from(originalAt(records, record)) : undefined;
  const makeId = () => insertIdAt(block, record, insertIdOf);
  if ((flags & EMPTY_ID) !== 0) {
    builder.addText(block, record, serialize(valueAt(records, record), makeId), undefined, original);
    return 1;
  }
  const splice =
    (flags & NEEDS_ID) === 0 ? undefined : { at: from + records.splices[record]!, text: spliceOf(makeId(), flags) };
  const lineBreaks = (flags & LINE_BREAK) !== 0;
  builder.add(block, records, record, { splice, lineBreaks, original });
  return 1;
}

/** The record of an event that {@link addRecords} gave an id, and changed nothing else. */
export function withoutSplice(event: Buffer, { flags, splices }: JsonRecords, record: number): Buffer {
  const at = splices[record]!;
  return Buffer.concat([event.subarray(0, at), event.subarray(at + spliceOf(' '.repeat(24), flags[record]!).length)]);
}

/** What a mapping made of one record, unless that is a single event. */
export interface MappedRecord {
  /** Events to be sent, serialized. */
  texts: readonly string[];
  /** Their indexes among the events made of the record; undefined if it is the only one. */
  indexes: readonly number[] | undefined;
  /** What was not an event. */
  rejections: readonly Rejection[];
  /** Events beyond the first, rejected ones included; -1 if the mapping left the record out. */
  expanded: number;
}

/** Events of one record that are serialized at once; more are serialized as they are added to batches. */
const MAX_HELD_EVENTS = 1_000;

/** What became of one of many events. */
export type MadeEvent = { index: number; text: string } | { index: number; rejection: Rejection };

/** Many events that a mapping made of one record: serialized as they are asked for, so that their texts are never all held. */
export class ManyEvents {
  /** Events, rejected ones included. */
  readonly length: number;
  readonly #events: readonly MixpanelEvent[];
  readonly #make: (event: MixpanelEvent, index: number) => MadeEvent;

  constructor(events: readonly MixpanelEvent[], make: (event: MixpanelEvent, index: number) => MadeEvent) {
    this.length = events.length;
    this.#events = events;
    this.#make = make;
  }

  /** The first of them, to be shown. */
  first(count: number): MappedRecord {
    const made = [...Iterator.from(this).take(count)];
    return {
      texts: made.flatMap((event) => ('text' in event ? [event.text] : [])),
      indexes: made.flatMap((event) => ('text' in event ? [event.index] : [])),
      rejections: made.flatMap((event) => ('rejection' in event ? [event.rejection] : [])),
      expanded: made.length - 1,
    };
  }

  *[Symbol.iterator](): Generator<MadeEvent> {
    for (let index = 0; index < this.length; index++) yield this.#make(this.#events[index]!, index);
  }
}

/** What became of a record: the text of its only event, several, or many. */
export type Mapped = string | MappedRecord | ManyEvents;

const NONE: readonly never[] = [];
const LEFT_OUT: MappedRecord = { texts: NONE, indexes: undefined, rejections: NONE, expanded: -1 };

/** Maps the records of a block one by one, so that only one parsed record is alive at a time. */
export class RecordMapper {
  readonly #block: Readable;
  readonly #mapping: MappedRecords;
  readonly #insertIdOf: InsertIdOf;

  /** @param block may be cut while its records are mapped; indexes are those that it has now */
  constructor({ source, records }: Block, mapping: MappedRecords, insertIdOf: InsertIdOf) {
    this.#block = { source, records };
    this.#mapping = mapping;
    this.#insertIdOf = insertIdOf;
  }

  /** @returns the serialized event if it is a single one; or a promise, which is never rejected */
  map(record: number): Mapped | Promise<Mapped> {
    let result: MapResult | Promise<MapResult>;
    try {
      const value = valueAt(this.#block.records, record);
      result = value instanceof Misfit ? value : this.#mapping.map(value, this.#block.source.context);
    } catch (error) {
      return this.#failed(record, error);
    }
    if (!isThenable(result)) return this.#made(record, result);
    return Promise.resolve(result).then(
      (settled) => this.#made(record, settled),
      (error: unknown) => this.#failed(record, error),
    );
  }

  #made(record: number, result: MapResult): Mapped {
    if (result === null || result === undefined) return LEFT_OUT;
    if (result instanceof Misfit) return this.#rejected(record, { field: result.field, message: result.message });
    if (!isList(result)) return this.#single(record, result);
    if (result.length < 2) return result.length === 0 ? LEFT_OUT : this.#single(record, result[0]!);
    if (result.length > MAX_HELD_EVENTS) {
      return new ManyEvents(result, (event, index) => this.#makeOne(record, event, index));
    }
    const texts: string[] = [];
    const indexes: number[] = [];
    const rejections: Rejection[] = [];
    for (const [index, event] of result.entries()) {
      const made = this.#makeOne(record, event, index);
      if ('rejection' in made) {
        rejections.push(made.rejection);
      } else {
        texts.push(made.text);
        indexes.push(index);
      }
    }
    return { texts, indexes, rejections, expanded: result.length - 1 };
  }

  /** Serializes one of several events. */
  #makeOne(record: number, event: MixpanelEvent, index: number): MadeEvent {
    try {
      return { index, text: serialize(event, () => insertIdAt(this.#block, record, this.#insertIdOf, index)) };
    } catch (error) {
      return { index, rejection: rejectionAt(this.#block, record, failureOf(error), this.#insertIdOf, index) };
    }
  }

  #single(record: number, event: MixpanelEvent): string | MappedRecord {
    try {
      return serialize(event, () => insertIdAt(this.#block, record, this.#insertIdOf));
    } catch (error) {
      return this.#failed(record, error);
    }
  }

  #failed(record: number, error: unknown): MappedRecord {
    return this.#rejected(record, failureOf(error));
  }

  #rejected(record: number, reason: Reason): MappedRecord {
    const rejections = [rejectionAt(this.#block, record, reason, this.#insertIdOf)];
    return { texts: NONE, indexes: undefined, rejections, expanded: 0 };
  }
}

/** A rejection of a record while the block has its bytes, or of one event that was made of it. */
function rejectionAt(
  block: Readable,
  record: number,
  reason: Reason,
  insertIdOf: InsertIdOf,
  index?: number,
): Rejection {
  const original = originalAt(block.records, record);
  return {
    reason,
    location: locationOf(block, record, index),
    insertId: insertIdAt(block, record, insertIdOf, index),
    record: original,
    bytes: original.length,
    through: throughOf(block.source),
  };
}

function insertIdAt(block: Readable, record: number, insertIdOf: InsertIdOf, event?: number): string {
  const { records, source } = block;
  return insertIdOf(originalAt(records, record), source, offsetAt(records, record), records.ordinals[record]!, event);
}

/** The record's own bytes, while the block has them. */
export function originalAt(records: JsonRecords | RowRecords, record: number): Buffer {
  if (records.form === 'rows') return records.original(records.first + record);
  return records.bytes.subarray(records.starts[record]!, records.ends[record]!);
}

/** Where a record begins and ends, as rejections are summed up. */
export function placeOf({ source, records }: Readable, record: number): Omit<RejectedPlace, 'canExtend'> {
  const isMessage = source.context.kind === 'message';
  const from = isMessage ? records.ordinals[record]! : offsetAt(records, record);
  // Several rows may have the same offset.
  const to = isMessage ? from + 1 : records.form === 'rows' ? from : records.offset + records.ends[record]!;
  return { source, from, to, stored: source.stored };
}

/** Where a record is, and which of its events is meant. */
export function locationOf({ source, records }: Readable, record: number, eventIndex?: number): Location {
  const location = source.locate(offsetAt(records, record), records.ordinals[record]!);
  return eventIndex === undefined ? location : { ...location, event: eventIndex };
}

function offsetAt(records: JsonRecords | RowRecords, record: number): number {
  return records.form === 'rows' ? records.offsets[record]! : records.offset + records.starts[record]!;
}

/** The record, parsed. */
export function valueAt(records: JsonRecords | RowRecords, record: number): unknown {
  if (records.form === 'rows') return records.rows[records.first + record];
  const text = records.bytes.toString('utf8', records.starts[record]!, records.ends[record]!);
  if (records.parse !== undefined) return records.parse(text);
  return (records.flags[record]! & LONG_NUMBER) === 0 ? JSON.parse(text) : parseKeepingDigits(text);
}

function spliceOf(insertId: string, flags: number): string {
  return `"$insert_id":"${insertId}"${(flags & EMPTY_PROPERTIES) === 0 ? ',' : ''}`;
}

/** Array.isArray does not narrow a read-only array. */
function isList(result: TransformResult): result is readonly MixpanelEvent[] {
  return Array.isArray(result);
}

/** A promise need not be the runtime's own. */
function isThenable(result: MapResult | Promise<MapResult>): result is Promise<MapResult> {
  return typeof (result as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Anything can be thrown, even a value that has no text. */
function failureOf(error: unknown): Reason {
  if (error instanceof NotAnEventError) return { field: error.field, message: error.message };
  try {
    return { field: 'transform', message: String(error instanceof Error ? error.message : error) };
  } catch {
    return { field: 'transform', message: 'the transform threw a value that has no text' };
  }
}
