/** Recognizes records and lines that other tools export, to say what reads them. */

import { SIGNATURE_BYTES } from '../signatures.ts';

/** The most bytes of a record that are looked at. */
const MAX_BYTES = 100_000;
/** Lines of text that have to agree. */
const MAX_LINES = 20;
/** Fields that a line of Snowplow's has, and how many it has at least if it was cut at its first JSON. */
const SNOWPLOW_FIELDS = { min: 108, max: 131, cut: 20 };
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const SNOWPLOW = 'Snowplow enriched events: use the mapping {"from":"snowplow"}';
const TRANSFORM = 'use a transform (see docs/transform.md)';

type Members = Readonly<Record<string, unknown>>;

/** Objects, the first that applies. */
const KNOWN: readonly { isKnown(members: Members): boolean; what: string }[] = [
  {
    isKnown: (members) => 'event_name' in members && ('event_timestamp' in members || 'event_params' in members),
    what: 'a row of the GA4 export: use the mapping {"from":"ga4"}',
  },
  {
    isKnown: (members) => 'collector_tstamp' in members || isIglu(members.schema),
    what: SNOWPLOW,
  },
  {
    isKnown: (members) => 'event_type' in members && ('event_properties' in members || 'amplitude_id' in members),
    what: 'an event of the Amplitude export: use the mapping {"from":"amplitude"}',
  },
  {
    isKnown: (members) => isCall(members) && ('rudderId' in members || 'request_ip' in members),
    what: 'a RudderStack call: use the mapping {"from":"rudderstack"}',
  },
  {
    isKnown: isCall,
    what: 'a Segment call: use the mapping {"from":"segment"}',
  },
  {
    isKnown: ({ event, properties, distinct_id: id, timestamp, uuid }) =>
      [event, properties, id, timestamp, uuid].every((value) => value !== undefined),
    what: 'an event of the PostHog export: use the mapping {"from":"posthog"}',
  },
  {
    isKnown: (members) => 'logName' in members && ('insertId' in members || 'timestamp' in members),
    what: `a Cloud Logging entry: ${TRANSFORM}`,
  },
  {
    isKnown: (members) => Object.values(members).some((value) => Array.isArray(value) && isEvent(value[0])),
    what: `an object around events: ${TRANSFORM}`,
  },
];

/** What a JSON object that is not a valid event looks like, and what to do; undefined if it is not known. */
export function lookOf(record: Buffer): string | undefined {
  if (record.length > MAX_BYTES) return undefined;
  const members = membersOf(record);
  const known = members && KNOWN.find(({ isKnown }) => isKnown(members));
  return known && looksLike(known.what);
}

/** The same for a line that is not JSON. */
export function lookOfLine(line: Buffer): string | undefined {
  return line.length <= MAX_BYTES && isSnowplow(line.toString()) ? looksLike(SNOWPLOW) : undefined;
}

/** What content looks like that begins with `head` and may hold JSON inside its lines; undefined if it is not known. */
export function lookOfLines(head: Buffer): string | undefined {
  const lines = linesOf(head);
  return lines.some(isSnowplow) ? looksLike(SNOWPLOW) : undefined;
}

/** What content looks like that begins with `head` and holds no JSON object at all; undefined if it is not known. */
export function lookOfText(head: Buffer): string | undefined {
  const lines = linesOf(head);
  if (head.includes(0)) return undefined;
  for (const [delimiter, format] of [
    ['\t', '"tsv"'],
    [',', '"csv"'],
    [';', '{"delimiter":";"}'],
    ['|', '{"delimiter":"|"}'],
  ] as const) {
    const fields = lines.map((line) => fieldsIn(line, delimiter));
    const alike = fields.filter((count) => count === fields[0]).length;
    // A field may span lines.
    if (lines.length >= 2 && fields[0]! >= 2 && alike >= 0.75 * lines.length) {
      return looksLike(`${delimiter === '\t' ? 'TSV' : 'CSV'}: use a mapping with "format":${format}`);
    }
  }
  return undefined;
}

function looksLike(what: string): string {
  return `looks like ${what}`;
}

function isSnowplow(line: string): boolean {
  const { min, max, cut } = SNOWPLOW_FIELDS;
  const fields = line.split('\t', max + 1);
  return (fields.length >= cut && UUID.test(fields[6]!)) || (fields.length >= min && fields.length <= max);
}

/** The first whole lines that are not empty; none if one begins like JSON. */
function linesOf(head: Buffer): string[] {
  const text = head.toString().replace(/^\ufeff/, '');
  const lines = text.split(/\r?\n/);
  if (lines.length > 1 && head.length >= SIGNATURE_BYTES) lines.pop();
  const filled = lines.filter((line) => line.trim() !== '');
  return filled.some((line) => /^\s*[{[]/.test(line)) ? [] : filled.slice(0, MAX_LINES);
}

/** Fields of a line, those in quotes being one whatever they contain. */
function fieldsIn(line: string, delimiter: string): number {
  return line.replaceAll(/"(?:[^"]|"")*"/g, '').split(delimiter).length;
}

function membersOf(record: Buffer): Members | undefined {
  try {
    return JSON.parse(record.toString());
  } catch {
    return undefined;
  }
}

/** A call of an analytics.js library: https://segment.com/docs/connections/spec/common/. */
function isCall({ type, anonymousId, userId, messageId }: Members): boolean {
  const isType = ['track', 'page', 'screen', 'identify', 'group', 'alias'].includes(type as string);
  return isType && [anonymousId, userId, messageId].some((id) => id !== undefined);
}

function isIglu(schema: unknown): boolean {
  return typeof schema === 'string' && schema.startsWith('iglu:');
}

function isEvent(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'event' in value && 'properties' in value;
}
