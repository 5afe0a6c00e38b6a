/**
 * Messages as Pub/Sub's Cloud Storage subscriptions write them: the data of each are a record.
 * https://docs.cloud.google.com/pubsub/docs/create-cloudstorage-subscription#file_format
 */

import { isUtf8 } from 'node:buffer';
import { Misfit } from '../../mappings/mapping.ts';
import { parseText } from '../json/numbers.ts';
import { MAX_RECORD_BYTES, NOT_AN_OBJECT, NOT_UTF8, TOO_LARGE } from '../json/reasons.ts';
import type { Cursor } from './cursor.ts';
import type { Read } from './schema.ts';

/** What such a row has if metadata are written; without them it has `data` alone. */
const METADATA = ['subscription_name', 'message_id', 'publish_time', 'attributes'];
const DATA = 'data';
const EMPTY = new Misfit('record', 'empty: the message has no data');
const BLANKS = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Whether the rows of a schema are messages. */
export function holdsMessages(schema: unknown): boolean {
  const { fields } = Object(schema) as { fields?: unknown };
  if (!Array.isArray(fields)) return false;
  const types = new Map(fields.map((field) => [Object(field).name, Object(field).type] as const));
  if (types.get(DATA) !== 'bytes') return false;
  return types.size === 1 || METADATA.every((name) => types.has(name));
}

/** The data of the row at `cursor`, without white space around them. */
export function dataOf(read: Read, cursor: Cursor): Buffer {
  const { data } = read(cursor) as { data: string };
  const bytes = Buffer.from(data, 'base64');
  let from = 0;
  let to = bytes.length;
  while (from < to && BLANKS.has(bytes[from]!)) from++;
  while (to > from && BLANKS.has(bytes[to - 1]!)) to--;
  return bytes.subarray(from, to);
}

/** The record that data are; or why they are none. */
export function recordOf(data: Buffer): unknown {
  if (data.length === 0) return EMPTY;
  if (data.length > MAX_RECORD_BYTES) return misfit(TOO_LARGE);
  if (!isUtf8(data)) return misfit(NOT_UTF8);
  let value: unknown;
  try {
    value = parseText(data.toString());
  } catch {
    return misfit({ field: 'record', message: 'the data of the message are not JSON' });
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : misfit(NOT_AN_OBJECT);
}

function misfit({ field, message }: { field: string; message: string }): Misfit {
  return new Misfit(field, message);
}
