/** Snowplow's enriched events as a format: lines of TSV, or of the JSON that the analytics SDKs make of them. */

import type { StreamFormat } from '../format.ts';
import { MAX_FIELDS, MIN_FIELDS } from './columns.ts';
import { SnowplowParser } from './parser.ts';

/** Fields that a line has at least if its end is not among the bytes that are looked at. */
const MIN_FIELDS_OF_PART = 20;
const EVENT_ID = 6;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const NEWLINE = 0x0a;
/** The most bytes that are looked at. */
const MAX_HEAD = 65_536;

/** The format. */
export const snowplowFormat: StreamFormat = {
  access: 'stream',
  name: 'snowplow',
  parser: (context, from, scratch) => new SnowplowParser(context, from, scratch),
};

/** Whether the first line is one of Snowplow's TSV: so many fields, of which the seventh is a UUID. */
export function isSnowplow(head: Buffer): boolean {
  const bytes = head.subarray(0, MAX_HEAD);
  const newline = bytes.indexOf(NEWLINE);
  const line = bytes.toString('utf8', 0, newline === -1 ? bytes.length : newline);
  const fields = line.split('\t', MAX_FIELDS + 1);
  if (!UUID.test(fields[EVENT_ID] ?? '')) return false;
  if (fields.length > MAX_FIELDS) return false;
  return fields.length >= (newline === -1 ? MIN_FIELDS_OF_PART : MIN_FIELDS);
}
