/** Rules: a mapping's JSON, checked once, with all that is wrong with it at once. */

import type { TextFormat } from '../formats/csv/dialect.ts';
import { globProblem } from '../glob.ts';
import { type Fields, isFields, type Path, parsePath } from './path.ts';
import { PRESETS } from './presets.ts';
import { UNITS, type Unit } from './time.ts';
import { isZone } from './zone.ts';

/** What an event is called: by what is at a path, always the same, or by a text with paths in braces. */
export type EventSource = { path: Path } | { value: string } | { template: readonly (string | Path)[] };

/** What a property is hashed by. */
export interface HashTarget {
  name: string;
  /** Whether white space around it and capitals make no difference. */
  normalize: boolean;
}

/** A checked rule. Keys that are absent in the JSON are absent here. */
export interface Rule {
  when?: { object: string } | { attributes: Readonly<Record<string, string>> };
  refuse?: true;
  format?: TextFormat;
  from?: string;
  event?: EventSource;
  time?: { path?: Path; unit?: Unit; zone?: string };
  user?: readonly Path[];
  device?: readonly Path[];
  insertId?: readonly Path[];
  ip?: Path;
  /** `*`, or paths. */
  properties?: readonly ('*' | Path)[];
  params?: Path;
  /** By path as it is written. */
  rename?: ReadonlyMap<string, string>;
  number?: readonly string[];
  boolean?: readonly string[];
  json?: readonly string[];
  pick?: readonly string[];
  drop?: readonly string[];
  hash?: readonly HashTarget[];
  skip?: readonly string[];
  identity?: 'simplified' | 'original';
}

/** Names that only the keys of a mapping set. */
export const RESERVED: readonly string[] = [
  'time',
  'distinct_id',
  '$insert_id',
  '$user_id',
  '$device_id',
  'ip',
  'token',
];

/** What a key's value may be, and how it is read. */
type Read<Value> = (value: unknown, problems: Problems) => Value;
type Readers = { [Key in keyof Rule]-?: Read<NonNullable<Rule[Key]> | undefined> };

const READERS: Readers = {
  when: readWhen,
  refuse: (value, problems) => (value === true ? true : problems.add('must be true, or absent')),
  format: readFormat,
  from: (value, problems) => readOneOf(value, Object.keys(PRESETS), problems),
  event: readEvent,
  time: readTime,
  user: readPaths,
  device: readPaths,
  insertId: readPaths,
  ip: readPath,
  properties: readProperties,
  params: readPath,
  rename: readRename,
  number: readNames,
  boolean: readNames,
  json: readNames,
  pick: readSelectors,
  drop: readSelectors,
  hash: readHash,
  skip: readNames,
  identity: (value, problems) => readOneOf(value, ['simplified', 'original'] as const, problems),
};

/** Gathers what is wrong, each with its path in the mapping. */
class Problems {
  readonly all: string[];
  readonly #path: string;

  constructor(path = '', all: string[] = []) {
    this.#path = path;
    this.all = all;
  }

  at(key: string | number): Problems {
    if (typeof key === 'number') return new Problems(`${this.#path}[${key}]`, this.all);
    const part = /^[\w$]+$/.test(key) ? key : JSON.stringify(key);
    return new Problems(this.#path === '' ? part : `${this.#path}.${part}`, this.all);
  }

  add(problem: string): undefined {
    this.all.push(this.#path === '' ? `the mapping ${problem}` : `${this.#path}: ${problem}`);
  }
}

/**
 * Parses a mapping.
 *
 * @param text JSON
 * @param hasKey whether there is a key to hash with
 * @returns the rules, or everything that is wrong
 */
export function parseRules(text: string, hasKey: boolean): { rules: Rule[] } | { problems: string[] } {
  const problems = new Problems();
  let mapping: unknown;
  try {
    mapping = JSON.parse(text);
  } catch {
    return { problems: ['the mapping is not JSON'] };
  }
  const rules: Rule[] = [];
  if (Array.isArray(mapping)) {
    if (mapping.length === 0) problems.add('must have a rule');
    for (const [index, rule] of mapping.entries()) rules.push(readRule(rule, hasKey, problems.at(index)));
    for (const [index, { when }] of rules.slice(0, -1).entries()) {
      if (when === undefined && problems.all.length === 0) {
        problems.at(index).add('has no `when`, so the rules after it never count. Put it last');
      }
    }
  } else rules.push(readRule(mapping, hasKey, problems));
  return problems.all.length > 0 ? { problems: problems.all } : { rules };
}

function readRule(value: unknown, hasKey: boolean, problems: Problems): Rule {
  const rule: Rule = {};
  if (!isFields(value)) {
    problems.add('must be a rule, which is an object, or a list of rules');
    return rule;
  }
  readKeys(value, Object.keys(READERS), problems);
  for (const [key, read] of Object.entries(READERS) as [keyof Rule, Read<never>][]) {
    if (value[key] === undefined) continue;
    const result = read(value[key], problems.at(key));
    if (result !== undefined) rule[key] = result;
  }
  checkTogether(value, hasKey, problems);
  return rule;
}

/** What concerns several keys. */
function checkTogether(rule: Fields, hasKey: boolean, problems: Problems): void {
  const has = (key: keyof Rule) => rule[key] !== undefined;
  if (has('refuse')) {
    for (const key of Object.keys(rule)) {
      if (key !== 'refuse' && key !== 'when') problems.at(key).add('stands beside `refuse`, which makes no events');
    }
    return;
  }
  if (!has('from')) {
    if (has('event') && !has('time')) problems.add('has `event` without `time`: give a path of the time');
    if (has('time') && !has('event')) problems.add('has `time` without `event`: give a path, or { "value": "Name" }');
    if (isFields(rule.time) && rule.time.path === undefined) problems.at('time').add('must have a `path`');
    if (!has('event') && !has('time')) {
      for (const key of ['properties', 'params'] as const) {
        if (has(key))
          problems.at(key).add('needs `event` and `time`, or `from`: without them records are Mixpanel events');
      }
    }
  }
  if (has('hash') && !hasKey) problems.at('hash').add('needs the variable IMPORT_HASH_KEY');
  if (has('from') && has('format')) {
    const preset = PRESETS[String(rule.from)];
    if (preset?.format !== undefined) problems.at('format').add('stands beside a preset that has a format of its own');
  }
}

/** Checks the names of an object's keys. */
function readKeys(value: Fields, known: readonly string[], problems: Problems): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const nearest = nearestOf(key, known);
    problems
      .at(key)
      .add(nearest === undefined ? `unknown key. Known are ${known.join(', ')}` : `unknown key. Is ${nearest} meant?`);
  }
}

function readWhen(value: unknown, problems: Problems): Rule['when'] {
  if (!isFields(value)) return problems.add('must be { "object": glob } or { "attributes": { name: value } }');
  readKeys(value, ['object', 'attributes'], problems);
  const { object, attributes } = value;
  if (object !== undefined && attributes !== undefined) {
    return problems.add('has both `object` and `attributes`: no record comes from an object and from a message');
  }
  if (object !== undefined) {
    const problem = typeof object === 'string' ? globProblem(object) : 'must be a glob';
    return problem === undefined ? { object: object as string } : problems.at('object').add(problem);
  }
  if (!isFields(attributes) || Object.keys(attributes).length === 0) {
    return problems.add('must be { "object": glob } or { "attributes": { name: value } }');
  }
  for (const [name, text] of Object.entries(attributes)) {
    if (typeof text !== 'string') problems.at('attributes').at(name).add('must be a text');
  }
  return { attributes: attributes as Record<string, string> };
}

const CSV: TextFormat = { delimiter: undefined, header: true, quote: '"', null: [''] };
const TSV: TextFormat = { ...CSV, delimiter: '\t', null: ['', '\\N'] };

function readFormat(value: unknown, problems: Problems): TextFormat | undefined {
  if (value === 'csv') return CSV;
  if (value === 'tsv') return TSV;
  if (!isFields(value)) return problems.add('must be csv, tsv or an object with delimiter, header, quote, null');
  readKeys(value, ['delimiter', 'header', 'quote', 'null'], problems);
  const { delimiter, header = true, quote = '"', null: nothing = [''] } = value;
  if (delimiter !== undefined && !isAscii(delimiter)) problems.at('delimiter').add('must be one ASCII character');
  if (quote !== null && !isAscii(quote)) problems.at('quote').add('must be one ASCII character, or null');
  if (quote === delimiter) problems.at('quote').add('must differ from the delimiter');
  const isHeader = header === true || (isTexts(header) && header.length > 0 && new Set(header).size === header.length);
  if (!isHeader) problems.at('header').add('must be true, or a list of different names');
  if (!isTexts(nothing)) problems.at('null').add('must be a list of texts');
  return { delimiter, header, quote, null: nothing } as TextFormat;
}

function isAscii(value: unknown): boolean {
  return typeof value === 'string' && /^[\t\x20-\x7e]$/.test(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((element) => typeof element === 'string');
}

function readEvent(value: unknown, problems: Problems): EventSource | undefined {
  if (typeof value === 'string') {
    const path = readPath(value, problems);
    return path && { path };
  }
  const allowed = 'must be a path, { "value": "Name" } or { "template": "Viewed {path}" }';
  if (!isFields(value)) return problems.add(allowed);
  readKeys(value, ['value', 'template'], problems);
  if (typeof value.value === 'string' && value.template === undefined) {
    return value.value.trim() === '' ? problems.at('value').add('is empty') : { value: value.value };
  }
  if (typeof value.template !== 'string' || value.value !== undefined) return problems.add(allowed);
  return readTemplate(value.template, problems.at('template'));
}

function readTemplate(text: string, problems: Problems): EventSource | undefined {
  const parts: (string | Path)[] = [];
  for (const [index, part] of text.split(/\{([^{}]*)\}/).entries()) {
    if (index % 2 === 1) {
      const path = readPath(part, problems);
      if (path === undefined) return undefined;
      parts.push(path);
    } else if (/[{}]/.test(part)) return problems.add('has a brace that is not closed');
    else if (part !== '') parts.push(part);
  }
  return parts.length === 0 ? problems.add('is empty') : { template: parts };
}

function readTime(value: unknown, problems: Problems): Rule['time'] {
  if (typeof value === 'string') {
    const path = readPath(value, problems);
    return path && { path };
  }
  if (!isFields(value)) return problems.add('must be a path, or an object with path, unit, zone');
  readKeys(value, ['path', 'unit', 'zone'], problems);
  const { path, unit, zone } = value;
  const time: NonNullable<Rule['time']> = {};
  if (path !== undefined) {
    const read = readPath(path, problems.at('path'));
    if (read !== undefined) time.path = read;
  }
  if (unit !== undefined) {
    const read = readOneOf(unit, UNITS, problems.at('unit'));
    if (read !== undefined) time.unit = read;
  }
  if (zone !== undefined) {
    if (typeof zone === 'string' && isZone(zone)) time.zone = zone;
    else problems.at('zone').add('must be the IANA name of a time zone, such as Europe/Berlin');
  }
  return time;
}

function readOneOf<Value extends string>(
  value: unknown,
  values: readonly Value[],
  problems: Problems,
): Value | undefined {
  if (values.includes(value as Value)) return value as Value;
  const nearest = typeof value === 'string' ? nearestOf(value, values) : undefined;
  return problems.add(`must be one of ${values.join(', ')}${nearest === undefined ? '' : `. Is ${nearest} meant?`}`);
}

function readPath(value: unknown, problems: Problems): Path | undefined {
  const path = typeof value === 'string' ? parsePath(value) : undefined;
  if (path === undefined || path.some((part) => typeof part === 'symbol')) {
    return problems.add('must be a path, such as context.page.url, items[0].sku or ["a.b"]');
  }
  return path;
}

function readPaths(value: unknown, problems: Problems): Path[] | undefined {
  if (!Array.isArray(value)) {
    const path = readPath(value, problems);
    return path && [path];
  }
  if (value.length === 0) return problems.add('must be a path, or a list of some');
  return value.flatMap((element, index) => {
    const path = readPath(element, problems.at(index));
    return path === undefined ? [] : [path];
  });
}

function readProperties(value: unknown, problems: Problems): Rule['properties'] {
  const properties = (Array.isArray(value) ? value : [value]).map((element, index) =>
    element === '*' ? '*' : readPath(element, Array.isArray(value) ? problems.at(index) : problems),
  );
  return properties.filter((property) => property !== undefined);
}

function readRename(value: unknown, problems: Problems): Rule['rename'] {
  if (!isFields(value)) return problems.add('must be an object { path: name }');
  const names = new Map<string, string>();
  for (const [path, name] of Object.entries(value)) {
    readPath(path, problems.at(path));
    if (typeof name !== 'string' || name === '') problems.at(path).add('must be a name');
    else if (RESERVED.includes(name)) problems.at(path).add(`\`${name}\` is set by a key of its own`);
    else names.set(path, name);
  }
  return names;
}

function readNames(value: unknown, problems: Problems): string[] | undefined {
  if (isTexts(value) && !value.includes('')) return value;
  return problems.add('must be a list of names');
}

function readSelectors(value: unknown, problems: Problems): string[] | undefined {
  const names = readNames(value, problems);
  for (const [index, name] of names?.entries() ?? []) {
    const isRight = name.includes('*') ? name.indexOf('*') === name.length - 1 : parsePath(name) !== undefined;
    if (!isRight) {
      problems.at(index).add('must be a name, a path such as items[].sku, or prefix*');
    }
  }
  return names;
}

function readHash(value: unknown, problems: Problems): HashTarget[] | undefined {
  if (!Array.isArray(value)) return problems.add('must be a list of names and { "name", "normalize" }');
  return value.flatMap((element, index) => {
    const at = problems.at(index);
    const target = typeof element === 'string' ? { name: element } : element;
    if (!isFields(target) || typeof target.name !== 'string') {
      at.add('must be a name, or { "name": name, "normalize": true }');
      return [];
    }
    readKeys(target, ['name', 'normalize'], at);
    const { name, normalize = false } = target;
    if (typeof normalize !== 'boolean') at.at('normalize').add('must be true or false');
    if (parsePath(name) === undefined) at.add('must be a name, or a path such as items[].email');
    else if (name === 'ip') at.add('an address that is hashed is none: drop it, so that 0 is sent');
    else if (name === 'time' || name === 'event') at.add('cannot be hashed');
    return [{ name, normalize: normalize === true }];
  });
}

/** The known word that differs least; undefined if none is near. */
function nearestOf(word: string, known: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let least = Math.min(3, Math.ceil(word.length / 2) + 1);
  for (const candidate of known) {
    const distance = distanceOf(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Characters to insert, delete or replace: https://en.wikipedia.org/wiki/Levenshtein_distance. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
