/** Gives an event without `$insert_id` one that is the same whenever the event is sent again. */

import { hash } from 'node:crypto';
import type { Origin } from './block.ts';

/**
 * @param record  the record's own bytes, without white space around them
 * @param origin  what it was read from
 * @param offset  its byte offset in the decoded content
 * @param ordinal its line, or its index in the message
 * @param event   index of the event, where a transform made several of the record
 * @returns 24 hexadecimal characters
 */
export type InsertIdOf = (record: Buffer, origin: Origin, offset: number, ordinal: number, event?: number) => string;

/** Characters of the hash that make the id: 96 bits, of the 36 characters that Mixpanel allows. */
const ID_LENGTH = 24;

/** Equal records are one event: redelivery, re-upload and replay give the same id. */
export const insertIdByContent: InsertIdOf = (record, _origin, _offset, _ordinal, event) =>
  hash('sha256', event === undefined ? record : Buffer.concat([record, Buffer.from(`\n${event}`)])).slice(0, ID_LENGTH);

/** Equal records are distinct events: the id says where the record stands. */
export const insertIdByPosition: InsertIdOf = (_record, origin, offset, ordinal, event) => {
  const source = origin.sourceOf(offset, ordinal);
  let place: unknown[];
  if ('bucket' in source) place = [source.bucket, source.object, source.generation, source.offset];
  else if ('messageId' in source) place = [source.messageId, source.index];
  else place = [source.file, source.offset];
  if (event !== undefined) place.push(event);
  return hash('sha256', JSON.stringify(place)).slice(0, ID_LENGTH);
};
