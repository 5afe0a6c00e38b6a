/** Compiles a schema of Avro (https://avro.apache.org/docs/1.12.0/specification/) to a function that reads its values. */

import {
  base64,
  date,
  decimal,
  double,
  float,
  integer,
  setMember,
  signedInteger,
  timeOfDay,
  timestamp,
  uuid,
} from '../values.ts';
import { AvroError, type Cursor } from './cursor.ts';

/** Reads one value, in the form in which a mapping is handed it. */
export type Read = (cursor: Cursor) => unknown;

/** Levels of records and collections inside each other; as in JSON. */
const MAX_DEPTH = 100;
/** Items without bytes in one block. */
const MAX_EMPTY = 1_000_000;
const MAX_SCALE = 1_000;

interface Schema {
  type?: unknown;
  name?: unknown;
  namespace?: unknown;
  fields?: unknown;
  symbols?: unknown;
  items?: unknown;
  values?: unknown;
  size?: unknown;
  logicalType?: unknown;
  scale?: unknown;
}

const PRIMITIVES: Readonly<Record<string, Read>> = {
  null: () => null,
  boolean: (cursor) => {
    const byte = cursor.byte();
    if (byte > 1) throw new AvroError('a boolean is neither 0 nor 1');
    return byte === 1;
  },
  int: (cursor) => integer(cursor.long()),
  long: (cursor) => integer(cursor.long()),
  float: (cursor) => float(cursor.bytes.readFloatLE(cursor.take(4))),
  double: (cursor) => double(cursor.bytes.readDoubleLE(cursor.take(8))),
  bytes: (cursor) => base64(cursor.slice(cursor.size())),
  string: (cursor) => cursor.text(),
};

const LOGICAL_INTEGERS: Readonly<Record<string, (value: number | bigint) => unknown>> = {
  date: (days) => date(Number(days)),
  'time-millis': (value) => timeOfDay(value, 'millis'),
  'time-micros': (value) => timeOfDay(value, 'micros'),
  'timestamp-millis': (value) => timestamp(value, 'millis', true),
  'timestamp-micros': (value) => timestamp(value, 'micros', true),
  'timestamp-nanos': (value) => timestamp(value, 'nanos', true),
  'local-timestamp-millis': (value) => timestamp(value, 'millis', false),
  'local-timestamp-micros': (value) => timestamp(value, 'micros', false),
  'local-timestamp-nanos': (value) => timestamp(value, 'nanos', false),
};

/** @throws {@link AvroError} if the schema is not valid */
export function compileSchema(schema: unknown): Read {
  return compile(schema, '', new Map(), 0);
}

/** What is known by name: a record may contain itself, so it is looked up when it is read. */
type Names = Map<string, { read: Read | undefined }>;

function compile(schema: unknown, namespace: string, names: Names, depth: number): Read {
  if (depth > MAX_DEPTH) throw new AvroError('the schema is nested too deeply');
  if (typeof schema === 'string') return named(schema, namespace, names);
  if (Array.isArray(schema)) return unionOf(schema.map((branch) => compile(branch, namespace, names, depth + 1)));
  if (typeof schema !== 'object' || schema === null) throw new AvroError('the schema has a type that is not one');
  const { type, ...about } = schema as Schema;
  switch (type) {
    case 'record':
    case 'error':
      return recordOf(about, namespace, names, depth);
    case 'enum':
      return define(about, namespace, names, () => enumOf(about.symbols));
    case 'fixed':
      return define(about, namespace, names, () => fixedOf(about));
    case 'array':
      return collectionOf(compile(about.items, namespace, names, depth + 1), false);
    case 'map':
      return collectionOf(compile(about.values, namespace, names, depth + 1), true);
  }
  const base = typeof type === 'string' && Object.hasOwn(PRIMITIVES, type) ? type : undefined;
  return (base === undefined ? undefined : logical(base, about)) ?? compile(type, namespace, names, depth + 1);
}

function named(name: string, namespace: string, names: Names): Read {
  if (Object.hasOwn(PRIMITIVES, name)) return PRIMITIVES[name]!;
  const known = names.get(name.includes('.') || namespace === '' ? name : `${namespace}.${name}`) ?? names.get(name);
  if (known === undefined) throw new AvroError(`the schema has an unknown type, ${JSON.stringify(name.slice(0, 100))}`);
  return known.read ?? ((cursor) => known.read!(cursor));
}

/** The full name of a type, and the namespace of those in it. */
function fullName({ name, namespace }: Schema, outer: string): { full: string; inner: string } {
  if (typeof name !== 'string') throw new AvroError('the schema has a type without a name');
  const dot = name.lastIndexOf('.');
  if (dot !== -1) return { full: name, inner: name.slice(0, dot) };
  const inner = typeof namespace === 'string' ? namespace : outer;
  return { full: inner === '' ? name : `${inner}.${name}`, inner };
}

function define(schema: Schema, namespace: string, names: Names, make: (inner: string) => Read): Read {
  const { full, inner } = fullName(schema, namespace);
  const entry: { read: Read | undefined } = { read: undefined };
  names.set(full, entry);
  const read = make(inner);
  entry.read = read;
  return read;
}

function recordOf(schema: Schema, namespace: string, names: Names, depth: number): Read {
  const { fields } = schema;
  if (!Array.isArray(fields)) throw new AvroError('the schema has a record without fields');
  return define(schema, namespace, names, (inner) => {
    const fieldNames: string[] = [];
    const reads: Read[] = [];
    for (const field of fields) {
      const { name, type } = Object(field) as Schema;
      if (typeof name !== 'string') throw new AvroError('the schema has a field without a name');
      if (fieldNames.includes(name)) throw new AvroError(`the schema has twice the field ${JSON.stringify(name)}`);
      fieldNames.push(name);
      reads.push(compile(type, inner, names, depth + 1));
    }
    const hasProto = fieldNames.includes('__proto__');
    return (cursor) => {
      open(cursor);
      const record: Record<string, unknown> = {};
      for (let index = 0; index < reads.length; index++) {
        const value = reads[index]!(cursor);
        if (hasProto) setMember(record, fieldNames[index]!, value);
        else record[fieldNames[index]!] = value;
      }
      cursor.depth--;
      return record;
    };
  });
}

function enumOf(symbols: unknown): Read {
  if (!Array.isArray(symbols) || !symbols.every((symbol) => typeof symbol === 'string')) {
    throw new AvroError('the schema has an enum without symbols');
  }
  return (cursor) => {
    const symbol = symbols[cursor.size()];
    if (symbol === undefined) throw new AvroError('an enum has a value that is none of its symbols');
    return symbol;
  };
}

function unionOf(branches: readonly Read[]): Read {
  return (cursor) => {
    const read = branches[cursor.size()];
    if (read === undefined) throw new AvroError('a union has a value of none of its types');
    return read(cursor);
  };
}

function collectionOf(read: Read, isMap: boolean): Read {
  return (cursor) => {
    open(cursor);
    const items: unknown[] = [];
    const members: Record<string, unknown> = {};
    for (let count = cursor.size(); count !== 0; count = cursor.size()) {
      // A negative count is followed by the bytes of the items.
      if (count < 0) cursor.size();
      for (let left = Math.abs(count); left > 0; left--) {
        const { at } = cursor;
        if (isMap) setMember(members, cursor.text(), read(cursor));
        else items.push(read(cursor));
        if (cursor.at === at) noteEmpty(cursor);
      }
    }
    cursor.depth--;
    return isMap ? members : items;
  };
}

function fixedOf(schema: Schema): Read {
  const { size, logicalType } = schema;
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw new AvroError('the schema has a fixed without a size');
  const length = size as number;
  const take = (cursor: Cursor) => cursor.slice(length);
  if (logicalType === 'decimal') return decimalOf(schema, take);
  if (logicalType === 'uuid' && length === 16) return (cursor) => uuid(take(cursor));
  return (cursor) => base64(take(cursor));
}

/** Undefined if the logical type is unknown, or does not fit: it is then ignored. */
function logical(base: string, schema: Schema): Read | undefined {
  const { logicalType } = schema;
  if (typeof logicalType !== 'string') return undefined;
  if (base === 'bytes' && logicalType === 'decimal') return decimalOf(schema, (cursor) => cursor.slice(cursor.size()));
  if (base !== 'int' && base !== 'long') return undefined;
  const isInt = logicalType === 'date' || logicalType === 'time-millis';
  const render = Object.hasOwn(LOGICAL_INTEGERS, logicalType) ? LOGICAL_INTEGERS[logicalType] : undefined;
  if (render === undefined || (base === 'int') !== isInt) return undefined;
  return (cursor) => render(cursor.long());
}

function decimalOf({ scale = 0 }: Schema, take: (cursor: Cursor) => Buffer): Read {
  if (!Number.isSafeInteger(scale) || Math.abs(scale as number) > MAX_SCALE) {
    throw new AvroError('the schema has a decimal with an invalid scale');
  }
  return (cursor) => decimal(signedInteger(take(cursor)), scale as number, cursor.isExact);
}

function open(cursor: Cursor): void {
  if (++cursor.depth > MAX_DEPTH) throw new AvroError(`a value is nested more than ${MAX_DEPTH} levels deep`);
}

/** Notes an item that takes no bytes, such as null. */
export function noteEmpty(cursor: Cursor): void {
  if (++cursor.empty > MAX_EMPTY) throw new AvroError(`a block has more than ${MAX_EMPTY} items without bytes`);
}
