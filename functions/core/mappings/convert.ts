/** Conversions of text properties: `json`, `number` and `boolean`. */

import { numberFrom, parseText } from '../formats/json/numbers.ts';
import { Misfit } from './mapping.ts';
import type { Fields } from './path.ts';
import type { Rule } from './rules.ts';

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const TRUE = new Set(['true', 't', 'yes', 'y', '1']);
const FALSE = new Set(['false', 'f', 'no', 'n', '0']);

/** Converts properties in place; undefined if a rule converts none. */
export function converterOf({ json, number, boolean }: Rule): ((properties: Fields) => Misfit | undefined) | undefined {
  const steps = [
    { key: 'json', names: json ?? [], convert: jsonOf, what: 'JSON' },
    { key: 'number', names: number ?? [], convert: numberOf, what: 'a number' },
    { key: 'boolean', names: boolean ?? [], convert: booleanOf, what: 'a boolean' },
  ].filter(({ names }) => names.length > 0);
  if (steps.length === 0) return undefined;
  return (properties) => {
    for (const { key, names, convert, what } of steps) {
      for (const name of names) {
        const text = Object.hasOwn(properties, name) ? properties[name] : undefined;
        if (typeof text !== 'string') continue;
        const trimmed = text.trim();
        if (trimmed === '') {
          delete properties[name];
          continue;
        }
        const value = convert(trimmed);
        if (value === undefined) return new Misfit(`mapping.${key}`, `not ${what} in ${name}`);
        properties[name] = value;
      }
    }
    return undefined;
  };
}

function jsonOf(text: string): unknown {
  try {
    return parseText(text);
  } catch {
    return undefined;
  }
}

function numberOf(text: string): unknown {
  return NUMBER.test(text) ? numberFrom(text) : undefined;
}

function booleanOf(text: string): boolean | undefined {
  const lower = text.toLowerCase();
  return TRUE.has(lower) ? true : FALSE.has(lower) ? false : undefined;
}
