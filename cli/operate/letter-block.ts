/** Makes a block of a dead letter's record, whose events get the ids that they had. */

import type { Block, Location, Source } from '../../functions/core/block.ts';
import type { RecordContext } from '../../functions/core/event.ts';
import { withNulls } from '../../functions/core/formats/csv/fields.ts';
import { NOT_AN_OBJECT, notJson } from '../../functions/core/formats/json/reasons.ts';
import { MessageReader, rejectedBlock } from '../../functions/core/formats/read-message.ts';
import { type InsertIdOf, insertIdByContent, insertIdByPosition } from '../../functions/core/insert-id.ts';
import type { MappedRecords, Mapping } from '../../functions/core/mappings/mapping.ts';
import type { Letter } from './letters.ts';

const OPENING_BRACE = 0x7b;

/** What Mixpanel takes for an id (https://developer.mixpanel.com/reference/import-events#propertiesinsert_id). */
const VALID_ID = /^[A-Za-z0-9-]{1,36}$/;

/**
 * A block with the records of a letter, usually one. If any part of it is rejected again, all of it is: a letter is sent
 * whole or not at all.
 *
 * @returns undefined if the letter holds a whole message that cannot be read at once
 */
export function letterBlock(
  { record, source: location }: Letter,
  source: Source,
  insertIdOf: InsertIdOf,
): Block | undefined {
  const blocks = new MessageReader(insertIdOf, Number.POSITIVE_INFINITY).read(record, source);
  if (Symbol.asyncIterator in blocks) {
    // What an object's letter holds beside records are parts that nothing can be read of.
    return 'messageId' in location ? undefined : rejectedBlock(record, source, notJson(record.length, 0), insertIdOf);
  }
  // A letter can hold all of a message with millions of bad records: the first one tells enough.
  const [block, next] = Iterator.from(blocks).take(2);
  const rejection = block?.rejections[0] ?? next?.rejections[0];
  if (rejection === undefined && block !== undefined && block.counts.read > 0) return block;
  const nothing = record.toString().trim() === '' ? notJson(0, 0) : NOT_AN_OBJECT;
  const reason = rejection?.reason ?? nothing;
  return rejectedBlock(record, source, reason, insertIdOf);
}

/**
 * What becomes of a letter's record, where text is told into rows: a letter holds a row as a JSON object, with the texts that
 * stand for nothing as they were. Only the letter of a whole message holds text.
 */
export function mappingOfRow({ record, source }: Letter, mapping: Mapping): Mapping {
  if (mapping.kind === 'verbatim' || typeof mapping.format !== 'object') return mapping;
  if ('messageId' in source && record[0] !== OPENING_BRACE) return mapping;
  const { null: nothing } = mapping.format;
  const map: MappedRecords['map'] = (row, context) => mapping.map(withNulls(row as object, nothing), context);
  return { ...mapping, format: undefined, map };
}

/** Where a record of a letter is. A letter that was edited may hold several, each with a location of its own. */
export function locationIn({ source }: Letter, offset: number, ordinal: number): Location {
  if (ordinal === 0) return source;
  if ('messageId' in source) return { ...source, index: source.index + ordinal };
  return { ...source, offset: source.offset + offset };
}

/** Where one of the records is for which a letter stands. */
export function locationInRange(
  { source: { event: _, ...source } }: Letter,
  offset: number,
  ordinal: number,
): Location {
  return 'messageId' in source ? { ...source, index: ordinal } : { ...source, line: ordinal, offset };
}

/** What a transform was told about the source of the letter. */
export function contextOf({ source }: Letter): RecordContext {
  if ('bucket' in source) {
    const { bucket, object, metadata = {} } = source;
    return { kind: 'object', bucket, object, metadata };
  }
  if ('messageId' in source) {
    const { subscription, attributes = {} } = source;
    return { kind: 'message', subscription, attributes };
  }
  return { kind: 'file', path: source.file };
}

/**
 * The id of an event without one: the letter's, which is the id that the event had, even if the record was edited. If a
 * transform makes several events of a record, each gets the id that it would have got the first time.
 *
 * @param fallback how ids are made if the letter does not show it
 */
export function insertIdOfLetter(letter: Letter, fallback: InsertIdOf): InsertIdOf {
  return (record, source, offset, ordinal, event) => {
    const { insertId, source: location } = letter;
    if (event === undefined && ordinal === 0 && insertId !== undefined && VALID_ID.test(insertId)) return insertId;
    const schemes = [insertIdByContent, insertIdByPosition];
    const same = schemes.find((scheme) => scheme(record, source, offset, ordinal, location.event) === insertId);
    return (same ?? fallback)(record, source, offset, ordinal, event ?? location.event);
  };
}
