/**
 * The rules that Mixpanel documents for one event of `/import` in strict mode, as code for dry runs and the local Mixpanel.
 *
 * @see https://developer.mixpanel.com/reference/import-events
 */

/** The largest event that is taken, in bytes of uncompressed JSON. Judged on the text, so not by {@link validateEvent}. */
export const MAX_EVENT_BYTES = 1_000_000;

/** Properties, keys of a nested object and elements of an array: there must be fewer than this. */
const MAX_MEMBERS = 255;
const MAX_NESTING = 3;
const EARLIEST_SECONDS = Date.UTC(1971, 0, 1) / 1000;
const MAX_AHEAD_MS = 60 * 60 * 1000;
const INSERT_ID = /^[A-Za-z0-9-]{1,36}$/;

/** What code writes by accident where an id is unknown; Mixpanel would make one user, or one event, of all of them. */
const PLACEHOLDERS = new Set([
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

const PLACEHOLDER = "must not be a placeholder such as 'anonymous', 'null', 'unknown' or '0'";

/** Why Mixpanel refuses an event, in the words of a record of `failed_records`. */
export interface Failure {
  /** What is wrong, for example `event`, `properties` or `properties.time`. */
  field: string;
  /** What is allowed there; it never quotes the value. */
  message: string;
}

/**
 * Judges one event as Mixpanel does with `strict=1`.
 *
 * @param event - What `JSON.parse` made of the record; anything, however deep.
 * @param now - The current time in milliseconds since the epoch: an event may lie at most one hour ahead of it.
 * @returns The first rule that the event breaks, or undefined for an event that Mixpanel takes.
 */
export function validateEvent(event: unknown, now: number): Failure | undefined {
  if (!isObject(event)) return { field: 'event', message: 'the event is invalid: must be a JSON object' };
  if (typeof event.event !== 'string' || event.event === '') return invalid('event', 'must be a non-empty string');

  const { properties } = event;
  if (!isObject(properties)) return invalid('properties', 'must be an object');
  if (Object.keys(properties).length >= MAX_MEMBERS) {
    return invalid('properties', `must have fewer than ${MAX_MEMBERS} properties`);
  }
  return (
    invalid('properties.time', timeFault(properties.time, now)) ??
    invalid('properties.distinct_id', distinctIdFault(properties.distinct_id)) ??
    invalid('properties.$insert_id', insertIdFault(properties.$insert_id)) ??
    nestingFailure(properties)
  );
}

function invalid(field: string, fault: string | undefined): Failure | undefined {
  return fault === undefined ? undefined : { field, message: `'${field}' is invalid: ${fault}` };
}

function timeFault(time: unknown, now: number): string | undefined {
  if (typeof time !== 'number' || Number.isNaN(time)) {
    return 'must be specified as seconds or milliseconds since epoch, a number';
  }
  // No number is right in both readings: between 1971 and now, seconds have 8 to 10 digits and milliseconds 11 to 13.
  const latest = now + MAX_AHEAD_MS;
  const asSeconds = time >= EARLIEST_SECONDS && time * 1000 <= latest;
  const asMilliseconds = time >= EARLIEST_SECONDS * 1000 && time <= latest;
  if (asSeconds || asMilliseconds) return undefined;
  return time < EARLIEST_SECONDS ? 'must not be before 1971-01-01' : 'must not be more than 1 hour in the future';
}

function distinctIdFault(distinctId: unknown): string | undefined {
  if (typeof distinctId !== 'string') return 'must be a string, empty for an event without a user';
  return PLACEHOLDERS.has(distinctId) ? PLACEHOLDER : undefined;
}

function insertIdFault(insertId: unknown): string | undefined {
  if (typeof insertId !== 'string' || !INSERT_ID.test(insertId)) {
    return "must be a string of 1 to 36 bytes, of letters, digits and '-' alone";
  }
  return PLACEHOLDERS.has(insertId) ? PLACEHOLDER : undefined;
}

function nestingFailure(properties: Record<string, unknown>): Failure | undefined {
  for (const [name, value] of Object.entries(properties)) {
    const failure = typeof value === 'object' ? invalid(`properties.${name}`, nestingFault(value)) : undefined;
    if (failure) return failure;
  }
  return undefined;
}

/** With a list instead of the call stack, since an array may nest as deep as its 1 MB allows. Only objects count as levels. */
function nestingFault(property: unknown): string | undefined {
  const pending = [{ value: property, level: 0 }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { value } = next;
    if (typeof value !== 'object' || value === null) continue;

    const isArray = Array.isArray(value);
    const level = isArray ? next.level : next.level + 1;
    if (level > MAX_NESTING) return `must nest objects at most ${MAX_NESTING} levels deep`;

    const members: unknown[] = isArray ? value : Object.values(value);
    if (members.length >= MAX_MEMBERS) {
      return `must have fewer than ${MAX_MEMBERS} ${isArray ? 'elements in an array' : 'keys in a nested object'}`;
    }
    for (const member of members) {
      if (typeof member === 'object') pending.push({ value: member, level });
    }
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
