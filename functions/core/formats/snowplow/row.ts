/** Reads a line of Snowplow's enriched events: TSV as the analytics SDKs read it, or the JSON that they make of it. */

import { Misfit } from '../../mappings/mapping.ts';
import { type Fields, isFields } from '../../mappings/path.ts';
import { numberFrom, parseText } from '../json/numbers.ts';
import { columnsOf, MAX_FIELDS, MIN_FIELDS } from './columns.ts';

const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?$/;
const INTEGER = /^-?\d+$/;
const NUMBER = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
/** `iglu:vendor/name/format/model-revision-addition` */
const SCHEMA = /^iglu:([\w.-]+)\/([\w.-]+)\/[\w.-]+\/(\d+)-\d+-\d+$/;
/** Schemas whose keys are remembered. */
const MAX_CACHED = 4_096;
const OPEN_OBJECT = 0x7b;

const WIDTH = new Misfit('record', `not a line of Snowplow's: ${MIN_FIELDS} to ${MAX_FIELDS} fields are needed`);
const NOT_JSON = new Misfit('record', 'not JSON');
const NOT_AN_OBJECT = new Misfit('record', 'not an object');

/** The record of a line. Columns without text have no key; what cannot be read is a {@link Misfit} with the column's name. */
export function readLine(line: string): Fields | Misfit {
  if (line.charCodeAt(0) !== OPEN_OBJECT) return readTsv(line);
  try {
    const record = parseText(line);
    return isFields(record) ? record : NOT_AN_OBJECT;
  } catch {
    return NOT_JSON;
  }
}

function readTsv(line: string): Fields | Misfit {
  const fields = line.split('\t');
  const columns = columnsOf(fields.length);
  if (columns === undefined) return WIDTH;
  const record: Fields = {};
  for (let index = 0; index < fields.length; index++) {
    const text = fields[index]!;
    if (text === '') continue;
    const { name, type } = columns[index]!;
    switch (type) {
      case 'text':
        record[name] = text;
        break;
      case 'time':
        if (!TIME.test(text)) return misfit(name, 'a time');
        record[name] = `${text.slice(0, 10)}T${text.slice(11)}Z`;
        break;
      case 'integer':
        if (!INTEGER.test(text)) return misfit(name, 'a whole number');
        record[name] = numberFrom(text);
        break;
      case 'number':
        if (!NUMBER.test(text)) return misfit(name, 'a number');
        record[name] = numberFrom(text);
        break;
      case 'boolean':
        if (text !== '0' && text !== '1') return misfit(name, '0 or 1');
        record[name] = text === '1';
        break;
      default: {
        const problem = addSelfDescribing(record, name, text);
        if (problem !== undefined) return problem;
      }
    }
  }
  return record;
}

/**
 * Adds what a column of self-describing JSON holds, as the SDKs do: the entities of one schema as an array under its key, a
 * self-describing event under its own.
 *
 * @param value JSON, parsed or as text
 */
export function addSelfDescribing(record: Fields, column: string, value: unknown): Misfit | undefined {
  let parsed = value;
  if (typeof value === 'string') {
    try {
      parsed = parseText(value);
    } catch {
      return misfit(column, 'JSON');
    }
  }
  const data = isFields(parsed) ? parsed.data : undefined;
  const isEvent = column === 'unstruct_event';
  if (isEvent ? !isFields(data) : !Array.isArray(data)) return misfit(column, 'self-describing JSON');
  if (isEvent) {
    const event = data as Fields;
    const key = keyOf(event.schema);
    if (key === undefined) return misfit(column, 'self-describing JSON');
    record[`unstruct_event_${key}`] = event.data;
    return undefined;
  }
  // Entities of a later column replace those of one schema in an earlier one.
  const added = new Map<string, unknown[]>();
  for (const entity of data as unknown[]) {
    const key = isFields(entity) ? keyOf(entity.schema) : undefined;
    if (key === undefined) return misfit(column, 'self-describing JSON');
    const before = added.get(key);
    if (before === undefined) added.set(key, [(entity as Fields).data]);
    else before.push((entity as Fields).data);
  }
  for (const [key, entities] of added) record[`contexts_${key}`] = entities;
  return undefined;
}

const keys = new Map<string, string>();

/** `com_acme_check_out_1` for `iglu:com.acme/checkOut/jsonschema/1-0-2`; undefined if the schema is none. */
function keyOf(schema: unknown): string | undefined {
  if (typeof schema !== 'string') return undefined;
  const known = keys.get(schema);
  if (known !== undefined) return known;
  const [, vendor, name, model] = SCHEMA.exec(schema) ?? [];
  if (vendor === undefined || name === undefined) return undefined;
  const snake = name
    .replace(/([^A-Z_])([A-Z])/g, '$1_$2')
    .replace(/[.-]/g, '_')
    .toLowerCase();
  const key = `${vendor.replace(/[.-]/g, '_').toLowerCase()}_${snake}_${model}`;
  if (keys.size < MAX_CACHED) keys.set(schema, key);
  return key;
}

function misfit(column: string, what: string): Misfit {
  return new Misfit(column, `not ${what}`);
}
