/** Ids as Mixpanel takes them: https://docs.mixpanel.com/docs/tracking-methods/id-management. */

import { isRawNumber } from './path.ts';

/** Ids that /import refuses: https://developer.mixpanel.com/reference/import-events. */
const DISALLOWED = new Set([
  '',
  '00000000-0000-0000-0000-000000000000',
  'anon',
  'anonymous',
  'nil',
  'none',
  'null',
  'n/a',
  'na',
  'undefined',
  'unknown',
  '<nil>',
  '0',
  '-1',
  'true',
  'false',
  '[]',
  '{}',
]);
/** The longest except the one of zeros. */
const LONGEST_DISALLOWED = 9;
const ZERO = 0x30;
/** Mixpanel cuts text after so many bytes: two ids that begin alike would become one. */
const MAX_ID_BYTES = 255;
const MAX_INSERT_ID = 36;
const INSERT_ID = /^[A-Za-z0-9-]+$/;

/** What a distinct_id that is a device's begins with, with simplified id merge. */
export const DEVICE_PREFIX = '$device:';

/** The id as text, trimmed; undefined if it is none, or one that Mixpanel does not take. */
export function idOf(value: unknown): string | undefined {
  let text: string;
  if (typeof value === 'string') text = value.trim();
  else if (typeof value === 'number' || typeof value === 'bigint') text = String(value);
  else if (typeof value === 'object' && value !== null && isRawNumber(value)) text = value.rawJSON;
  else return undefined;
  if (text.length > LONGEST_DISALLOWED && text.charCodeAt(0) !== ZERO) return text;
  return DISALLOWED.has(text.toLowerCase()) ? undefined : text;
}

/** As {@link idOf}, without the prefix that Mixpanel would take away. */
export function deviceIdOf(value: unknown): string | undefined {
  const id = idOf(value);
  return id?.startsWith(DEVICE_PREFIX) ? idOf(id.slice(DEVICE_PREFIX.length)) : id;
}

/** Whether an id is longer than Mixpanel keeps. */
export function isTooLong(id: string): boolean {
  return 3 * id.length > MAX_ID_BYTES && Buffer.byteLength(id) > MAX_ID_BYTES;
}

/** Whether Mixpanel takes the text as `$insert_id`. */
export function isInsertId(text: string): boolean {
  return text.length <= MAX_INSERT_ID && INSERT_ID.test(text);
}
