/** Which properties stay, and under which names: `pick`, `drop` and `rename`. */

import { changeAt, EVERY, type Fields, isFields, type Path, parsePath } from './path.ts';
import { RESERVED, type Rule } from './rules.ts';

/** Names that are remembered; an event's names are few, but nothing keeps a record from making up its own. */
const MAX_CACHED = 4_096;

/** The name under which a property is sent; undefined if it is left out. */
export type NameOf = (name: string) => string | undefined;

/** Matches names: exactly, or by `prefix*`. */
export function nameMatcher(names: readonly string[]): (name: string) => boolean {
  const exact = new Set(names.filter((name) => !name.endsWith('*')));
  const prefixes = names.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  if (prefixes.length === 0) return (name) => exact.has(name);
  return (name) => exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

/**
 * Decides on names, each once.
 *
 * @param isEvent whether the record is an event already: its reserved names mean what they say
 */
export function namesOf({ pick, drop = [], rename }: Rule, isEvent: boolean): NameOf {
  const isDropped = nameMatcher(drop);
  const isPicked = pick === undefined ? () => true : nameMatcher([...pick, ...pick.flatMap(topOf)]);
  const decide = (name: string) => {
    const unreserved = !isEvent && RESERVED.includes(name) ? `source_${name}` : name;
    const final = rename?.get(name) ?? unreserved;
    return isPicked(final) && !isDropped(final) ? final : undefined;
  };
  const cached = new Map<string, string | undefined>();
  return (name) => {
    const known = cached.get(name);
    if (known !== undefined || cached.has(name)) return known;
    const final = decide(name);
    if (cached.size < MAX_CACHED) cached.set(name, final);
    return final;
  };
}

/** Leaves out of objects what is not picked, or dropped, by a path; undefined if no path leads into one. */
export function narrowerOf({ pick, drop = [] }: Rule): ((properties: Fields) => void) | undefined {
  const tree = treeOf(pick);
  const dropped = drop.flatMap((name) => nestedPathOf(name) ?? []);
  if (tree.size === 0 && dropped.length === 0) return undefined;
  return (properties) => {
    for (const [name, part] of tree) {
      if (typeof name === 'string' && Object.hasOwn(properties, name))
        properties[name] = narrow(properties[name], part);
    }
    for (const [top, ...path] of dropped) changeIn(properties, top as string, path, () => undefined);
  };
}

/** Changes what is in the property `top` at a path, if it is there. */
export function changeIn(properties: Fields, top: string, path: Path, change: (value: unknown) => unknown): void {
  if (!Object.hasOwn(properties, top)) return;
  const before = properties[top];
  const after = changeAt(before, path, change);
  if (after !== before) properties[top] = after;
}

/** The path that a name is, if it leads into an object. */
export function nestedPathOf(name: string): [Path] | undefined {
  const path = name.endsWith('*') ? undefined : parsePath(name);
  return path === undefined || path.length < 2 ? undefined : [path];
}

function topOf(name: string): string[] {
  return nestedPathOf(name)?.map(([top]) => top as string) ?? [];
}

interface Tree extends Map<Path[number], Tree> {}

/** The picked paths; a property that is picked whole has no part in it. */
function treeOf(pick: readonly string[] = []): Tree {
  const root: Tree = new Map();
  const isWhole = nameMatcher(pick);
  for (const path of pick.flatMap((name) => nestedPathOf(name) ?? [])) {
    if (isWhole(path[0] as string)) continue;
    let tree = root;
    for (const part of path) {
      const next: Tree = tree.get(part) ?? new Map();
      tree.set(part, next);
      tree = next;
    }
  }
  return root;
}

function narrow(value: unknown, tree: Tree): unknown {
  if (tree.size === 0) return value;
  if (Array.isArray(value)) {
    const every = tree.get(EVERY);
    if (every !== undefined) return value.map((element) => narrow(element, every));
    return value.flatMap((element, index) => (tree.has(index) ? [narrow(element, tree.get(index)!)] : []));
  }
  if (!isFields(value)) return undefined;
  const picked: Fields = {};
  for (const [name, part] of tree) {
    if (typeof name === 'string' && Object.hasOwn(value, name)) picked[name] = narrow(value[name], part);
  }
  return picked;
}
