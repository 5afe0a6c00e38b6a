/** Gives an event without `$insert_id` one that is the same whenever the event is sent again. */

import { createHmac, hash } from 'node:crypto';
import type { Source } from './block.ts';

/**
 * @param record  the record's own bytes, without white space around them
 * @param source  what it was read from
 * @param offset  its byte offset in the decoded content
 * @param ordinal its line, or its index in the message
 * @param event   index of the event if a transform made several of the record
 * @returns 24 hexadecimal characters
 */
export type InsertIdOf = (record: Buffer, source: Source, offset: number, ordinal: number, event?: number) => string;

/** Characters of the hash that make the id: 96 bits, of the 36 characters that Mixpanel allows. */
const ID_LENGTH = 24;

/** Equal records are one event: redelivery, re-upload and replay give the same id. */
export const insertIdByContent: InsertIdOf = (record, _source, _offset, _ordinal, event) =>
  hash('sha256', contentOf(record, event)).slice(0, ID_LENGTH);

/** As {@link insertIdByContent}, but without the key nobody can try out which record an id is of. */
export function insertIdByKeyedContent(key: string): InsertIdOf {
  return (record, _source, _offset, _ordinal, event) =>
    createHmac('sha256', key).update(contentOf(record, event)).digest('hex').slice(0, ID_LENGTH);
}

/** Equal records are distinct events: the id depends on where the record is. */
export const insertIdByPosition: InsertIdOf = (_record, source, offset, ordinal, event) => {
  const location = source.locate(offset, ordinal);
  let place: unknown[];
  if ('bucket' in location) place = [location.bucket, location.object, location.generation, location.offset];
  else if ('messageId' in location) place = [location.messageId, location.index];
  else place = [location.file, location.offset];
  if ('row' in location) place.push(location.row);
  if (event !== undefined) place.push(event);
  return hash('sha256', JSON.stringify(place)).slice(0, ID_LENGTH);
};

function contentOf(record: Buffer, event: number | undefined): Buffer {
  return event === undefined ? record : Buffer.concat([record, Buffer.from(`\n${event}`)]);
}
