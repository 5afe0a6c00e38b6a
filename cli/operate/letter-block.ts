/** Makes a dead letter's record a block again, whose events get the ids that they had. */

import { isUtf8 } from 'node:buffer';
import { type Block, type Origin, START } from '../../functions/core/block.ts';
import { BlockBuilder } from '../../functions/core/formats/json/block-builder.ts';
import { scan } from '../../functions/core/formats/json/scanner.ts';
import { type InsertIdOf, insertIdByContent, insertIdByPosition } from '../../functions/core/insert-id.ts';
import type { Letter } from './letters.ts';

/** What Mixpanel takes for an id (https://developer.mixpanel.com/reference/import-events#propertiesinsert_id). */
const VALID_ID = /^[A-Za-z0-9-]{1,36}$/;

/**
 * A block with one record, be it an event or, again, a rejection.
 *
 * @param origin the letter's own, which names the letter's source for whatever becomes of the record
 */
export function letterBlock({ record }: Letter, origin: Origin, insertIdOf: InsertIdOf): Block {
  const builder = new BlockBuilder({ origin, insertIdOf, ordinal: 'index' }, START);
  builder.begin(record);
  const from = skipWhiteSpace(record, 0);
  let to = record.length;
  while (to > from && isWhiteSpace(record[to - 1]!)) to--;
  let status = scan(record, from, to, builder.scan);
  if (status === 'value' && builder.scan.end < to) {
    status = 'invalid';
    builder.scan.end = skipWhiteSpace(record, builder.scan.end);
  }
  builder.add(from, to, status, isUtf8(record));
  builder.mark(record.length);
  return builder.finish(record.length);
}

/**
 * The id of an event without one: the letter's, which is the id that the event had, also where the record was put right
 * by hand. Where a transform makes several events of a record, each gets what it would have got at the first time.
 *
 * @param preset how ids are made where the letter does not show it
 */
export function insertIdOfLetter(letter: Letter, preset: InsertIdOf): InsertIdOf {
  return (record, origin, offset, ordinal, event) => {
    const { insertId, source } = letter;
    if (event === undefined && insertId !== undefined && VALID_ID.test(insertId)) return insertId;
    const schemes = [insertIdByContent, insertIdByPosition];
    const same = schemes.find((scheme) => scheme(record, origin, offset, ordinal, source.event) === insertId);
    return (same ?? preset)(record, origin, offset, ordinal, event ?? source.event);
  };
}

function skipWhiteSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && isWhiteSpace(bytes[at]!)) at++;
  return at;
}

/** In JSON's sense. */
function isWhiteSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
