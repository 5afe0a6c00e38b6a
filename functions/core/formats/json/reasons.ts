/** Why a record is rejected while it is read; docs/formats.md lists every reason. */

import type { Reason } from '../../block.ts';
import { ADVICE } from '../../event.ts';
import type { Mapping } from '../../mappings/mapping.ts';
import { lookOf, lookOfLine } from './known-records.ts';
import { MAX_DEPTH, type Scanner, type ScanStatus } from './scanner.ts';

/** The most bytes that a record may have: Mixpanel takes events under 1 MB (https://developer.mixpanel.com/reference/import-events). */
export const MAX_RECORD_BYTES = 1_000_000;

const NOT_JSON = 'not JSON';

export const NOT_UTF8 = record('not valid UTF-8');
export const TOO_LARGE = record(`larger than ${MAX_RECORD_BYTES} bytes`);
export const TOO_DEEP = record(`nested more than ${MAX_DEPTH} levels deep`);
export const NOT_AN_OBJECT = record('not an object');
export const ARRAY_NOT_CLOSED = record('the array is not closed: the data may be cut short');

/** Something that is not JSON. */
export function notJson(bytes: number, failedAt: number): Reason {
  return record(
    failedAt >= bytes
      ? `${NOT_JSON}: it ends in the middle, after ${bytes} bytes`
      : `${NOT_JSON}: unexpected character at byte ${failedAt + 1}`,
  );
}

/** Content in which no object was found. How many records it has is not said, so that equal reasons are counted together. */
export function noObject(first: Reason): Reason {
  return record(`no JSON object among the first records. The first one: ${first.message}`);
}

/**
 * The reason with what the record looks like, if that is known: in the place of general advice, or after what Mixpanel says.
 *
 * @param mapping what becomes of the record; an object is explained only if it is sent as it arrived
 */
export function explained(reason: Reason, record: Buffer, mapping: Mapping): Reason {
  const { field, message } = reason;
  if (field === 'record') {
    const look = message.startsWith(NOT_JSON) ? lookOfLine(record) : undefined;
    return look === undefined ? reason : { field, message: look };
  }
  const look = mapping.kind === 'mapped' ? undefined : lookOf(record);
  if (look === undefined) return reason;
  return { field, message: message.includes(ADVICE) ? message.replace(ADVICE, look) : `${message}; ${look}` };
}

/**
 * What makes a complete JSON value unusable, if anything does; the first that applies.
 *
 * @param isMapped whether a mapping or a transform will make an event of it
 */
export function reasonAgainst(scanner: Scanner, isValidUtf8: boolean, isMapped: boolean): Reason | undefined {
  if (!isValidUtf8) return NOT_UTF8;
  if (!scanner.isObject) return NOT_AN_OBJECT;
  if (isMapped) return undefined;
  if (!scanner.hasEvent) return { field: 'event', message: `missing: ${ADVICE}` };
  if (scanner.properties === 'absent') return { field: 'properties', message: `missing: ${ADVICE}` };
  if (scanner.properties === 'other') return { field: 'properties', message: `not an object: ${ADVICE}` };
  return undefined;
}

/** What makes text that does not begin an object unusable, by a scan of all of it. */
export function reasonAgainstText(scanner: Scanner, status: ScanStatus, bytes: number): Reason {
  return status === 'value' && scanner.end === bytes ? NOT_AN_OBJECT : notJson(bytes, scanner.end);
}

function record(message: string): Reason {
  return { field: 'record', message };
}
