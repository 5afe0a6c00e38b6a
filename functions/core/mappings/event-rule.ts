/** Rules for records that are Mixpanel's events already: they change properties and ids, and leave the rest as it is. */

import { isEvent, type MixpanelEvent } from '../event.ts';
import { addressOf } from './address.ts';
import type { RecordMap } from './compile.ts';
import { converterOf } from './convert.ts';
import { type Hash, sha256, textOf } from './hashing.ts';
import { DEVICE_PREFIX, deviceIdOf, idOf, isInsertId, isTooLong } from './identity.ts';
import { Misfit } from './mapping.ts';
import { hashedBy, hashProperties } from './never-in-clear.ts';
import { type Fields, getterOf, isFields, type Path, pathOf } from './path.ts';
import { newProperties } from './properties.ts';
import type { Rule } from './rules.ts';
import { nameMatcher, namesOf, narrowerOf } from './selection.ts';
import { putProperty } from './slots.ts';
import { spreadOf } from './spread.ts';

/** Names that `pick` and `drop` leave alone. */
const KEPT = new Set(['time', 'distinct_id', '$insert_id', '$user_id', '$device_id']);
const NO_EVENT = new Misfit('event', 'missing: not a Mixpanel event');
const NO_PROPERTIES = new Misfit('properties', 'not an object: not a Mixpanel event');

/** @param hash hashes with the key; undefined if there is none */
export function compileEventRule(rule: Rule, hash: Hash | undefined): RecordMap {
  const isSkipped = nameMatcher(rule.skip ?? []);
  const names = namesOf(rule, true);
  const isIpDropped = nameMatcher(rule.drop ?? [])('ip');
  const renamed = [...(rule.rename ?? [])].map(([path, name]) => ({ name, get: getterOf(pathOf(path)) }));
  const spread = spreadOf('*', [...(rule.rename?.keys() ?? [])].map(pathOf));
  const convert = converterOf(rule);
  const narrow = narrowerOf(rule);
  const identify = identifier(rule, hash);
  const hashAll = hash && hashProperties(rule, hash);
  const getIp = rule.ip && getterOf(rule.ip);

  return (record) => {
    if (!isEvent(record)) return isFields(record) && record.event !== undefined ? NO_PROPERTIES : NO_EVENT;
    if (isSkipped(String(record.event))) return null;
    const properties = newProperties();
    const put = (name: string, value: unknown) => {
      if (KEPT.has(name)) properties[name] = value;
      else if (name === 'ip') properties.ip = isIpDropped ? 0 : value;
      else {
        const final = names(name);
        if (final !== undefined) putProperty(properties, final, value);
      }
    };
    spread(record.properties, put);
    for (const { name, get } of renamed) {
      const value = get(record.properties);
      if (value !== undefined) put(name, value);
    }
    const misfit = convert?.(properties);
    if (misfit !== undefined) return misfit;
    narrow?.(properties);
    if (getIp !== undefined) properties.ip = addressOf(getIp(record)) ?? 0;
    identify?.(record, properties);
    hashAll?.(properties);
    return { ...record, properties };
  };
}

/** Sets the ids that the rule names, and hashes those that it says. */
function identifier(
  rule: Rule,
  hash: Hash | undefined,
): ((record: MixpanelEvent, properties: Fields) => void) | undefined {
  const { user, device, insertId } = rule;
  const hashed = hashedBy(rule, hash);
  const names = new Set((rule.hash ?? []).map(({ name }) => name));
  const ids = idsOf(rule, hash);
  const prefix = rule.identity === 'original' ? '' : DEVICE_PREFIX;
  const makeInsertId = insertId && insertIdReader(insertId, hash, hashed.isHashed(insertId));
  if (user === undefined && device === undefined) {
    if (makeInsertId === undefined && hashed.hashUser === undefined && hashed.hashDevice === undefined) {
      return names.has('$insert_id') && hash !== undefined
        ? (_, properties) => hashInsertId(properties, hash)
        : undefined;
    }
  }
  return (record, properties) => {
    if (user !== undefined || device !== undefined) {
      const userId = ids.user(record);
      const deviceId = ids.device(record);
      if (deviceId !== undefined) properties.$device_id = deviceId;
      if (userId !== undefined) properties.$user_id = userId;
      properties.distinct_id = userId ?? (deviceId === undefined ? '' : prefix + deviceId);
    }
    const id = makeInsertId?.(record);
    if (id !== undefined) properties.$insert_id = id;
    hashIds(properties, hashed.hashUser, hashed.hashDevice);
    if (names.has('$insert_id') && hash !== undefined && makeInsertId === undefined) hashInsertId(properties, hash);
  };
}

/** The first id of those that the rule names, in clear: all ids are hashed together. */
function idsOf({ user = [], device = [] }: Rule, hash: Hash | undefined) {
  const shorten = (id: string | undefined) => (id === undefined || !isTooLong(id) ? id : (hash ?? sha256)(id));
  const first = (paths: readonly Path[], read: (value: unknown) => string | undefined) => {
    const getters = paths.map(getterOf);
    return (record: Fields) => {
      for (const get of getters) {
        const id = read(get(record));
        if (id !== undefined) return shorten(id);
      }
      return undefined;
    };
  };
  return { user: first(user, idOf), device: first(device, deviceIdOf) };
}

/**
 * distinct_id is the user's if it is `$user_id`, or neither a device's nor `$device_id`; each id is hashed as what it is, so
 * that those that were equal still are.
 */
function hashIds(properties: Fields, hashUser: Hash | undefined, hashDevice: Hash | undefined): void {
  const user = textOf(properties.$user_id);
  const device = textOf(properties.$device_id);
  const distinct = textOf(properties.distinct_id);
  const hashedDevice = (text: string) =>
    text.startsWith(DEVICE_PREFIX) ? DEVICE_PREFIX + hashDevice!(text.slice(DEVICE_PREFIX.length)) : hashDevice!(text);
  if (user !== undefined && hashUser !== undefined) properties.$user_id = hashUser(user);
  if (device !== undefined && hashDevice !== undefined) properties.$device_id = hashedDevice(device);
  if (distinct === undefined) return;
  const isDevice = distinct !== user && (distinct.startsWith(DEVICE_PREFIX) || distinct === device);
  if (isDevice && hashDevice !== undefined) properties.distinct_id = hashedDevice(distinct);
  if (!isDevice && hashUser !== undefined) properties.distinct_id = hashUser(distinct);
}

function hashInsertId(properties: Fields, hash: Hash): void {
  const id = textOf(properties.$insert_id);
  if (id !== undefined) properties.$insert_id = hash(id);
}

function insertIdReader(
  paths: readonly Path[],
  hash: Hash | undefined,
  isHashed: boolean,
): (record: Fields) => string | undefined {
  const getters = paths.map(getterOf);
  const hashId = hash ?? sha256;
  if (getters.length > 1) {
    return (record) => {
      const texts = getters.map((get) => textOf(get(record)) ?? null);
      return texts.every((text) => text === null) ? undefined : hashId(JSON.stringify(texts));
    };
  }
  return (record) => {
    const id = idOf(getters[0]!(record));
    return id === undefined || (!isHashed && isInsertId(id)) ? id : hashId(id);
  };
}
