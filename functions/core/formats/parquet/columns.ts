/** Decides how the values of columns are rendered, and has the library hand them over unrendered. */

import type { FileMetaData, SchemaElement, SchemaTree } from 'hyparquet';
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
  type Unit,
  uuid,
} from '../values.ts';

/**
 * Renders a value.
 *
 * @param isExact whether decimals keep zeros at the end of their fraction
 */
type Render = (value: unknown, isExact: boolean) => unknown;

/** A column of rows. */
export interface Column {
  name: string;
  render: Render;
}

const TEXT_TYPES: readonly (string | undefined)[] = ['UTF8', 'ENUM', 'JSON'];
const TEXT_LOGICAL_TYPES: readonly (string | undefined)[] = ['STRING', 'ENUM', 'JSON'];
const KEPT_TYPES: readonly (string | undefined)[] = [
  'UINT_8',
  'UINT_16',
  'UINT_32',
  'UINT_64',
  'INT_8',
  'INT_16',
  'INT_32',
  'INT_64',
];
const LOGICAL_UNITS: Readonly<Record<string, Unit>> = { MILLIS: 'millis', MICROS: 'micros', NANOS: 'nanos' };

/** The columns of a file, in its order. */
export function columnsOf(tree: SchemaTree): Column[] {
  return tree.children.map((child) => ({ name: child.element.name, render: renderOf(child) }));
}

/** The metadata with a schema in which annotations that lose digits, or are not supported, are left out. */
export function withRawTypes(metadata: FileMetaData): FileMetaData {
  return { ...metadata, schema: metadata.schema.map(rawElement) };
}

function rawElement(element: SchemaElement): SchemaElement {
  const { converted_type: converted, logical_type: logical, type } = element;
  if (type === undefined) {
    const { logical_type: _, ...group } = element;
    return group as SchemaElement;
  }
  if (isText(element)) return { ...element, converted_type: 'UTF8', logical_type: undefined } as SchemaElement;
  const isKept = KEPT_TYPES.includes(converted) || logical?.type === 'INTEGER' || logical?.type === 'FLOAT16';
  if (isKept) return element;
  return { ...element, converted_type: undefined, logical_type: undefined } as unknown as SchemaElement;
}

function isText({ type, converted_type: converted, logical_type: logical }: SchemaElement): boolean {
  return type === 'BYTE_ARRAY' && (TEXT_TYPES.includes(converted) || TEXT_LOGICAL_TYPES.includes(logical?.type));
}

function renderOf(node: SchemaTree): Render {
  const render = nullable(renderAll(node));
  if (node.element.repetition_type !== 'REPEATED') return render;
  return nullable((value, isExact) => (value as unknown[]).map((element) => render(element, isExact)));
}

function nullable(render: Render): Render {
  return (value, isExact) => (value === undefined || value === null ? null : render(value, isExact));
}

function renderAll(node: SchemaTree): Render {
  const { element, children } = node;
  if (children.length === 0) return leafOf(element);
  const [first] = children as [SchemaTree, ...SchemaTree[]];
  // As the library tells lists and maps.
  const isWrapper = children.length === 1 && first.element.repetition_type === 'REPEATED';
  if (element.converted_type === 'LIST' && isWrapper && first.children.length < 2) {
    const render = first.children.length === 1 ? renderOf(first.children[0]!) : nullable(renderAll(first));
    return (value, isExact) => (value as unknown[]).map((item) => render(item, isExact));
  }
  if (element.converted_type === 'MAP' && isWrapper && first.children.length === 2) {
    const render = renderOf(first.children.find((child) => child.element.name === 'value')!);
    return (value, isExact) => {
      const members: Record<string, unknown> = {};
      for (const [name, member] of Object.entries(value as object)) setMember(members, name, render(member, isExact));
      return members;
    };
  }
  const fields = children.map((child) => ({ name: child.element.name, render: renderOf(child) }));
  return (value, isExact) => {
    const struct: Record<string, unknown> = {};
    for (const { name, render } of fields) {
      setMember(struct, name, render((value as Record<string, unknown>)[name], isExact));
    }
    return struct;
  };
}

function leafOf(element: SchemaElement): Render {
  const { type, converted_type: converted, logical_type: logical, scale = 0 } = element;
  if (isText(element)) return (value) => String(value);
  if (converted === 'DECIMAL' || logical?.type === 'DECIMAL') {
    const digits = logical?.type === 'DECIMAL' ? logical.scale : scale;
    return (value, isExact) => decimal(unscaledOf(value), digits, isExact);
  }
  if (converted === 'DATE' || logical?.type === 'DATE') return (value) => date(value as number);
  if (logical?.type === 'TIMESTAMP') {
    const unit = LOGICAL_UNITS[logical.unit]!;
    const { isAdjustedToUTC } = logical;
    return (value) => timestamp(value as bigint, unit, isAdjustedToUTC);
  }
  if (converted === 'TIMESTAMP_MILLIS') return (value) => timestamp(value as bigint, 'millis', true);
  if (converted === 'TIMESTAMP_MICROS') return (value) => timestamp(value as bigint, 'micros', true);
  if (logical?.type === 'TIME') {
    const unit = LOGICAL_UNITS[logical.unit]!;
    return (value) => timeOfDay(value as bigint, unit);
  }
  if (converted === 'TIME_MILLIS') return (value) => timeOfDay(value as number, 'millis');
  if (converted === 'TIME_MICROS') return (value) => timeOfDay(value as bigint, 'micros');
  if (logical?.type === 'UUID') return (value) => uuid(value as Uint8Array);
  if (logical?.type === 'FLOAT16') return (value) => double(value as number);
  // Nanoseconds, made of days and nanoseconds; writers of this type mean UTC.
  if (type === 'INT96') return (value) => timestamp(value as bigint, 'nanos', true);
  if (type === 'INT64' || type === 'INT32') return (value) => integer(value as bigint | number);
  if (type === 'FLOAT') return (value) => float(value as number);
  if (type === 'DOUBLE') return (value) => double(value as number);
  if (type === 'BOOLEAN') return (value) => value === true;
  return (value) => base64(value as Uint8Array);
}

function unscaledOf(value: unknown): bigint {
  return value instanceof Uint8Array ? signedInteger(value) : BigInt(value as bigint | number);
}
