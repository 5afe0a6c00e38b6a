/** Hashing: what a rule names under `hash` leaves as its HMAC alone. */

import { type Hash, textOf } from './hashing.ts';
import { type Fields, type Path, parsePath } from './path.ts';
import type { ValueSource } from './preset.ts';
import type { HashTarget, Rule } from './rules.ts';
import { changeIn, nestedPathOf } from './selection.ts';

/** Names of the identity, as `hash` takes them. */
const USER = new Set(['$user', '$user_id', 'distinct_id']);
const DEVICE = new Set(['$device', '$device_id', 'distinct_id']);

/** How ids are hashed. */
export interface HashedIds {
  hashUser: Hash | undefined;
  hashDevice: Hash | undefined;
  /** Whether a source is hashed elsewhere, so that it must not be an id in clear. */
  isHashed(source: readonly Path[] | ValueSource): boolean;
}

/** @returns what of the identity is hashed; distinct_id is the user, else the device, so both are for it */
export function hashedBy(rule: Rule, hash: Hash | undefined): HashedIds {
  const targets = hash === undefined ? [] : (rule.hash ?? []);
  const hashUser = hashFor(targets, USER, hash);
  const hashDevice = hashFor(targets, DEVICE, hash);
  const names = new Set(targets.map(({ name }) => keyOf(parsePath(name)!)));
  if (hashUser !== undefined) for (const path of rule.user ?? []) names.add(keyOf(path));
  if (hashDevice !== undefined) for (const path of rule.device ?? []) names.add(keyOf(path));
  const isHashed = (source: readonly Path[] | ValueSource) => {
    if (names.has(keyOf(['$insert_id']))) return true;
    if (typeof source === 'function') return false;
    const paths = typeof source === 'string' ? [source] : source;
    return paths.some((path) => names.has(keyOf(typeof path === 'string' ? parsePath(path)! : path)));
  };
  return { hashUser, hashDevice, isHashed };
}

function hashFor(targets: readonly HashTarget[], names: ReadonlySet<string>, hash: Hash | undefined): Hash | undefined {
  const target = targets.find(({ name }) => names.has(name));
  if (target === undefined || hash === undefined) return undefined;
  return target.normalize ? (text) => hash(text.trim().toLowerCase()) : hash;
}

/** Hashes properties in place; the identity is hashed where it is made. Undefined if a rule hashes no property. */
export function hashProperties(rule: Rule, hash: Hash): ((properties: Fields) => void) | undefined {
  const targets = (rule.hash ?? []).filter(({ name }) => !USER.has(name) && !DEVICE.has(name) && name !== '$insert_id');
  if (targets.length === 0) return undefined;
  const steps = targets.map(({ name, normalize }) => {
    const change = (value: unknown) => {
      const text = textOf(value);
      if (text === undefined) return value;
      return hash(normalize ? text.trim().toLowerCase() : text);
    };
    return { name, nested: nestedPathOf(name)?.[0], change };
  });
  return (properties) => {
    for (const { name, nested, change } of steps) {
      if (Object.hasOwn(properties, name)) properties[name] = change(properties[name]);
      if (nested !== undefined) changeIn(properties, nested[0] as string, nested.slice(1), change);
    }
  };
}

function keyOf(path: Path): string {
  return path.map(String).join('\n');
}
