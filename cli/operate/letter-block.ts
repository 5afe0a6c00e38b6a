/** Makes a block of a dead letter's record, whose events get the ids that they had. */

import type { Block, Source } from '../../functions/core/block.ts';
import type { RecordContext } from '../../functions/core/event.ts';
import { notJson } from '../../functions/core/formats/json/reasons.ts';
import { MessageReader, rejectedBlock } from '../../functions/core/formats/read-message.ts';
import { type InsertIdOf, insertIdByContent, insertIdByPosition } from '../../functions/core/insert-id.ts';
import type { Letter } from './letters.ts';

/** What Mixpanel takes for an id (https://developer.mixpanel.com/reference/import-events#propertiesinsert_id). */
const VALID_ID = /^[A-Za-z0-9-]{1,36}$/;

/**
 * A block with the records of a letter, usually one. If any part of it is rejected again, all of it is: a letter is sent
 * whole or not at all.
 *
 * @param source locates whatever becomes of the record where the letter says
 */
export function letterBlock({ record }: Letter, source: Source, insertIdOf: InsertIdOf): Block {
  const blocks = [...new MessageReader(insertIdOf, Number.POSITIVE_INFINITY).read(record, source)];
  const [rejection] = blocks.flatMap(({ rejections }) => rejections);
  const [block] = blocks;
  if (block !== undefined && blocks.length === 1 && rejection === undefined) return block;
  return rejectedBlock(record, source, rejection?.reason ?? notJson(0, 0), insertIdOf);
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
