/** Spreading: the entries of an object, or of an array of keys and values, become properties. */

import { numberFrom } from '../formats/json/numbers.ts';
import { changeAt, type Fields, getterOf, isFields, type Path } from './path.ts';
import type { Put } from './preset.ts';

/** Puts what a record, or an object in it, has. */
export type Spread = (record: Fields, put: Put) => void;

/** What is left out of an object: names, and paths into what they hold. */
type Left = Map<string, Path[] | 'all'>;

/** Types of GA4's values: exactly one of them is not null. */
const VALUE_KEYS = ['string_value', 'int_value', 'float_value', 'double_value'] as const;
const INTEGER = /^-?\d{1,19}$/;

/**
 * Spreads all of a record or the object at a path; any other value becomes a property with the path's last name.
 *
 * @param used paths that are left out
 */
export function spreadOf(entry: '*' | Path, used: readonly Path[]): Spread {
  if (entry === '*') {
    const left = leftOf([], used);
    return (record, put) => spread(record, left, put);
  }
  const get = getterOf(entry);
  const name = String(entry.findLast((part) => typeof part === 'string'));
  const left = leftOf(entry, used);
  return (record, put) => {
    const value = get(record);
    if (isFields(value)) spread(value, left, put);
    else put(name, value);
  };
}

function spread(object: Fields, left: Left, put: Put): void {
  for (const name in object) {
    const rest = left.size === 0 ? undefined : left.get(name);
    if (rest === undefined) put(name, object[name]);
    else if (rest !== 'all') {
      const value = rest.reduce((part, path) => changeAt(part, path, () => undefined), object[name]);
      if (!isFields(value) || Object.keys(value).length > 0) put(name, value);
    }
  }
}

function leftOf(path: Path, used: readonly Path[]): Left {
  const left: Left = new Map();
  for (const use of used) {
    if (use.length <= path.length || path.some((part, index) => use[index] !== part)) continue;
    const [name, ...rest] = use.slice(path.length);
    if (typeof name !== 'string') continue;
    const before = left.get(name);
    if (rest.length === 0) left.set(name, 'all');
    else if (before !== 'all') left.set(name, [...(before ?? []), rest]);
  }
  return left;
}

/** Puts the entries of an array of `{ key, value }`, where a value may be a structure of which one member is not null. */
export function spreadParams(params: unknown, put: Put): void {
  if (!Array.isArray(params)) return;
  for (const param of params) {
    if (isFields(param) && typeof param.key === 'string' && param.key !== '') put(param.key, paramValue(param.value));
  }
}

/** The one value of a parameter. Integers are text where JSON was exported by BigQuery. */
export function paramValue(value: unknown): unknown {
  if (!isFields(value)) return value;
  for (const key of VALUE_KEYS) {
    const one = value[key];
    if (one === null || one === undefined) continue;
    return key === 'int_value' && typeof one === 'string' && INTEGER.test(one) ? numberFrom(one) : one;
  }
  return undefined;
}
