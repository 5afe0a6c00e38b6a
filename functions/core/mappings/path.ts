/** Paths: names joined by dots, such as `context.page.url`, `items[0].sku` or `["a.b"].c`. */

/** What a record looks like from outside: names and values. */
export type Fields = Record<string, unknown>;
/** The parts of a path: names, indexes of elements, and `[]` for every element. */
export type Path = readonly (string | number | typeof EVERY)[];
/** Finds a value in a record; undefined if there is none. */
export type Getter = (record: Fields) => unknown;

/** Every element of an array: `[]`. */
export const EVERY = Symbol('[]');

/** A part after the first: `.name`, `[0]`, `["name"]` or `[]`. */
const PART = /(?:^|(?<!^)\.)([^.[\]"]+)|\[(\d{1,6})\]|\[("(?:[^"\\]|\\.)*")\]|\[\]/uy;

/** Parses a path; undefined if it is none. */
export function parsePath(text: string): Path | undefined {
  const parts: (string | number | typeof EVERY)[] = [];
  PART.lastIndex = 0;
  while (PART.lastIndex < text.length) {
    const match = PART.exec(text);
    if (match === null) return undefined;
    const [, name, index, quoted] = match;
    if (name !== undefined) parts.push(name);
    else if (index !== undefined) parts.push(Number(index));
    else if (quoted === undefined) parts.push(EVERY);
    else {
      try {
        parts.push(JSON.parse(quoted));
      } catch {
        return undefined;
      }
    }
  }
  return typeof parts[0] === 'string' ? parts : undefined;
}

/** The path of something that is in the code: it is known to be one. */
export function pathOf(text: string): Path {
  const path = parsePath(text);
  if (path === undefined) throw new TypeError(`not a path: ${text}`);
  return path;
}

/** Compiles a path without `[]`. */
export function getterOf(path: Path): Getter {
  const [first, second, ...others] = path.map(stepOf);
  if (second === undefined) return first!;
  if (others.length === 0) return (record) => second(first!(record));
  return (record) => others.reduce((value, step) => step(value), second(first!(record)));
}

function stepOf(part: Path[number]): (value: unknown) => unknown {
  if (typeof part === 'number') return (value) => (Array.isArray(value) ? value[part] : undefined);
  const name = part as string;
  if (isOwnName(name)) {
    return (value) => (typeof value === 'object' && value !== null ? (value as Fields)[name] : undefined);
  }
  return (value) => (isFields(value) && Object.hasOwn(value, name) ? value[name] : undefined);
}

/**
 * Whether only an object with names can have a member of that name: no array has it, no number that keeps its digits, and
 * nothing inherits it. Then it is enough to look whether a value is an object, which is much faster.
 */
export function isOwnName(name: string): boolean {
  return name !== 'rawJSON' && !(name in Array.prototype) && !/^\d/.test(name);
}

/** Whether a value is an object with names, and neither an array nor a number that keeps its digits. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value);
}

/** Whether a value was made by `JSON.rawJSON`. */
export function isRawNumber(value: object): value is { rawJSON: string } {
  return Object.getPrototypeOf(value) === null && Object.isFrozen(value) && 'rawJSON' in value;
}

/**
 * The value with what `change` makes of what is at the path: a copy of whatever holds it, for the rest is shared. Undefined
 * leaves it out.
 */
export function changeAt(value: unknown, path: Path, change: (value: unknown) => unknown, depth = 0): unknown {
  if (depth === path.length) return change(value);
  const part = path[depth]!;
  if (Array.isArray(value)) {
    if (part === EVERY) return value.map((element) => changeAt(element, path, change, depth + 1) ?? null);
    if (typeof part !== 'number' || part >= value.length) return value;
    const changed = changeAt(value[part], path, change, depth + 1);
    return value.toSpliced(part, 1, ...(changed === undefined ? [] : [changed]));
  }
  if (typeof part !== 'string' || !isFields(value) || !Object.hasOwn(value, part)) return value;
  const copy = { ...value };
  const changed = changeAt(value[part], path, change, depth + 1);
  if (changed === undefined) delete copy[part];
  else copy[part] = changed;
  return copy;
}
