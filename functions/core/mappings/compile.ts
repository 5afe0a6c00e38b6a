/** Compiles a rule, once, to a function from a record to its event. */

import type { MixpanelEvent } from '../event.ts';
import { addressOf } from './address.ts';
import { converterOf } from './convert.ts';
import { type Field, fieldsPutter } from './fields.ts';
import { type Hash, sha256, textOf } from './hashing.ts';
import { DEVICE_PREFIX, deviceIdOf, idOf, isInsertId, isTooLong } from './identity.ts';
import { Misfit } from './mapping.ts';
import { hashedBy, hashProperties } from './never-in-clear.ts';
import { type Fields, type Getter, getterOf, isFields, type Path, pathOf } from './path.ts';
import type { Preset, ValueSource } from './preset.ts';
import { PRESETS } from './presets.ts';
import { newProperties } from './properties.ts';
import type { EventSource, Rule } from './rules.ts';
import { nameMatcher, namesOf, narrowerOf } from './selection.ts';
import { Slots } from './slots.ts';
import { type Spread, spreadOf, spreadParams } from './spread.ts';
import { timeReader } from './time.ts';

/** Makes of a record its event; null leaves it out. */
export type RecordMap = (record: unknown) => MixpanelEvent | null | Misfit;

/** @param hash hashes with the key; undefined if there is none */
export function compileRule(rule: Rule, hash: Hash | undefined): RecordMap {
  const preset = rule.from === undefined ? undefined : PRESETS[rule.from]!;
  const merged = preset === undefined ? rule : withPreset(rule, preset);
  const makeEvent = eventReader(rule.event ?? preset!.event);
  const makeTime = readTime(rule, preset);
  const identify = identifier(rule, preset, hash);
  const makeInsertId = insertIdReader(rule, preset, hash);
  const makeIp = ipReader(merged, preset);
  const isSkipped = nameMatcher(rule.skip ?? preset?.skip ?? []);
  const addProperties = propertiesAdder(merged, preset);
  const convert = converterOf(rule);
  const narrow = narrowerOf(merged);
  const hashAll = hash && hashProperties(rule, hash);

  return (record) => {
    if (!isFields(record)) return new Misfit('record', 'not an object');
    const begun = preset?.begin === undefined ? record : preset.begin(record);
    if (begun === null || begun instanceof Misfit) return begun;
    const event = makeEvent(begun);
    if (event instanceof Misfit) return event;
    if (isSkipped(event)) return null;
    const time = makeTime(begun);
    if (time instanceof Misfit) return time;
    const properties = newProperties();
    properties.time = time;
    properties.distinct_id = '';
    identify(begun, properties);
    const insertId = makeInsertId(begun);
    if (insertId !== undefined) properties.$insert_id = insertId;
    properties.ip = makeIp(begun);
    const misfit = addProperties(begun, properties) ?? convert?.(properties);
    if (misfit !== undefined) return misfit;
    narrow?.(properties);
    hashAll?.(properties);
    return { event, properties };
  };
}

/** What the user's rule adds to the preset's. */
function withPreset(rule: Rule, { drop = [] }: Preset): Rule {
  return drop.length === 0 ? rule : { ...rule, drop: [...drop, ...(rule.drop ?? [])] };
}

function eventReader(source: EventSource | ValueSource): (record: Fields) => string | Misfit {
  if (isFields(source) && 'value' in source) {
    const { value } = source as { value: string };
    return () => value;
  }
  const missing = new Misfit('mapping.event', `nothing at ${nameOf(source)}`);
  const other = new Misfit('mapping.event', `not a text at ${nameOf(source)}`);
  if (isFields(source) && 'template' in source) {
    const parts = (source as { template: readonly (string | Path)[] }).template.map((part) =>
      typeof part === 'string' ? part : getterOf(part),
    );
    return (record) => {
      let text = '';
      let found = false;
      for (const part of parts) {
        if (typeof part === 'string') text += part;
        else {
          const value = nameFrom(part(record));
          if (value === undefined) continue;
          text += value;
          found = true;
        }
      }
      return found || parts.every((part) => typeof part === 'string') ? text.trim() : missing;
    };
  }
  const get = isFields(source) ? getterOf((source as { path: Path }).path) : getterFor(source as ValueSource);
  return (record) => {
    const value = get(record);
    if (value instanceof Misfit) return value;
    const name = nameFrom(value);
    return name ?? (value === undefined || value === null || value === '' ? missing : other);
  };
}

/** A value as a part of an event's name. */
function nameFrom(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim() === '' ? undefined : value;
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined;
}

function readTime({ time }: Rule, preset: Preset | undefined): (record: Fields) => number | Misfit {
  const source = time?.path === undefined ? preset!.time : undefined;
  const get = source === undefined ? getterOf(time!.path!) : getterFor(source);
  const name = source === undefined ? nameOf({ path: time!.path! }) : nameOf(source);
  const read = timeReader({ ...time, numbersAreLocal: source !== undefined && preset?.numbersAreLocal });
  const missing = new Misfit('mapping.time', `nothing at ${name}`);
  const other = new Misfit('mapping.time', `not a time at ${name}`);
  return (record) => {
    const value = get(record);
    if (value === undefined || value === null || value === '') return missing;
    return value instanceof Misfit ? value : (read(value) ?? other);
  };
}

/** Sets `$user_id`, `$device_id` and `distinct_id`. */
function identifier(
  rule: Rule,
  preset: Preset | undefined,
  hash: Hash | undefined,
): (record: Fields, properties: Fields) => void {
  const getUser = firstId(rule.user ?? preset?.user, idOf);
  const getDevice = firstId(rule.device ?? preset?.device, deviceIdOf);
  const { hashUser, hashDevice } = hashedBy(rule, hash);
  const prefix = rule.identity === 'original' ? '' : DEVICE_PREFIX;
  const shorten = (id: string) => (isTooLong(id) ? (hash ?? sha256)(id) : id);
  return (record, properties) => {
    const user = getUser(record);
    const device = getDevice(record);
    if (device !== undefined) {
      const id = hashDevice === undefined ? shorten(device) : hashDevice(device);
      properties.$device_id = id;
      properties.distinct_id = prefix + id;
    }
    if (user !== undefined) {
      const id = hashUser === undefined ? shorten(user) : hashUser(user);
      properties.$user_id = id;
      properties.distinct_id = id;
    }
  };
}

function firstId(
  source: readonly Path[] | ValueSource | undefined,
  read: (value: unknown) => string | undefined,
): (record: Fields) => string | undefined {
  const getters = gettersFor(source ?? []);
  return (record) => {
    for (const get of getters) {
      const id = read(get(record));
      if (id !== undefined) return id;
    }
    return undefined;
  };
}

function insertIdReader(
  rule: Rule,
  preset: Preset | undefined,
  hash: Hash | undefined,
): (record: Fields) => string | undefined {
  const source = rule.insertId ?? preset?.insertId;
  if (source === undefined) return () => undefined;
  const hashId = hash ?? sha256;
  const parts = isFields(source)
    ? (source as { hashOf: readonly ValueSource[] }).hashOf.map(getterFor)
    : rule.insertId !== undefined && rule.insertId.length > 1
      ? rule.insertId.map(getterOf)
      : undefined;
  if (parts !== undefined) {
    return (record) => {
      const texts = parts.map((get) => textOf(get(record)) ?? null);
      return texts.every((text) => text === null) ? undefined : hashId(JSON.stringify(texts));
    };
  }
  const get = firstId(source as readonly Path[] | ValueSource, idOf);
  const isHashed = hash !== undefined && hashedBy(rule, hash).isHashed(source as readonly Path[] | ValueSource);
  return (record) => {
    const id = get(record);
    return id === undefined || (!isHashed && isInsertId(id)) ? id : hashId(id);
  };
}

/** The user's address; 0 where there is none, for the address of the request would count then. */
function ipReader(rule: Rule, preset: Preset | undefined): (record: Fields) => string | 0 {
  const source = rule.ip === undefined ? preset?.ip : [rule.ip];
  const isLeftOut = nameMatcher(rule.drop ?? [])('ip') || (rule.pick !== undefined && !nameMatcher(rule.pick)('ip'));
  if (source === undefined || isLeftOut) return () => 0;
  const getters = gettersFor(source);
  return (record) => {
    for (const get of getters) {
      const address = addressOf(get(record));
      if (address !== undefined) return address;
    }
    return 0;
  };
}

/** Adds all properties that are not reserved. */
function propertiesAdder(
  rule: Rule,
  preset: Preset | undefined,
): (record: Fields, properties: Fields) => Misfit | undefined {
  const used = usedPaths(rule, preset);
  const slots = new Slots(namesOf(rule, false), preset !== undefined);
  const { put, putSlot } = slots;
  const putFields = fieldsPutter(
    Object.entries(preset?.fields ?? {}).flatMap(([name, source]): Field[] => {
      const slot = slots.slotOf(name);
      return slot ? [{ slot, source: typeof source === 'string' ? pathOf(source) : getterFor(source) }] : [];
    }),
  );
  const listed = rule.properties ?? preset?.properties ?? (preset === undefined ? '*' : []);
  const spreads: Spread[] = (typeof listed === 'string' ? [listed] : listed).map((entry) =>
    spreadOf(typeof entry === 'string' && entry !== '*' ? pathOf(entry) : entry, used),
  );
  const params = rule.params ?? (preset?.params === undefined ? undefined : pathOf(preset.params));
  const getParams = params && getterOf(params);
  const renamed = [...(rule.rename ?? [])].map(([path, name]) => ({ name, get: getterOf(pathOf(path)) }));
  const { addFirst, add } = rule.properties === undefined && preset !== undefined ? preset : ({} as Partial<Preset>);

  return (record, properties) => {
    slots.begin(properties);
    const misfitting = putFields(record, putSlot);
    if (misfitting !== undefined) return misfitting;
    const first = addFirst?.(record, put);
    if (first !== undefined) return first;
    for (const spread of spreads) spread(record, put);
    if (getParams !== undefined) spreadParams(getParams(record), put);
    const misfit = add?.(record, put);
    if (misfit !== undefined) return misfit;
    for (const { name, get } of renamed) put(name, get(record));
    return undefined;
  };
}

/** Paths that a key names: `*` leaves them out. */
function usedPaths(rule: Rule, preset: Preset | undefined): Path[] {
  const ofEvent = rule.event === undefined ? pathsOf(preset!.event) : pathsOfEvent(rule.event);
  const { insertId } = preset ?? {};
  return [
    ...ofEvent,
    ...(rule.time?.path === undefined ? pathsOf(preset!.time) : [rule.time.path]),
    ...(rule.user ?? pathsOf(preset?.user)),
    ...(rule.device ?? pathsOf(preset?.device)),
    ...(rule.insertId ??
      (isFields(insertId) ? (insertId.hashOf as ValueSource[]).flatMap(pathsOf) : pathsOf(insertId as ValueSource))),
    ...(rule.ip === undefined ? pathsOf(preset?.ip) : [rule.ip]),
    ...(rule.params === undefined ? pathsOf(preset?.params) : [rule.params]),
    ...(rule.properties ?? []).flatMap((entry) => (entry === '*' ? [] : [entry])),
    ...[...(rule.rename?.keys() ?? [])].map(pathOf),
    ...Object.values(preset?.fields ?? {}).flatMap(pathsOf),
    ...(preset?.uses ?? []).map(pathOf),
  ];
}

function pathsOfEvent(event: EventSource): Path[] {
  if ('path' in event) return [event.path];
  return 'template' in event ? event.template.flatMap((part) => (typeof part === 'string' ? [] : [part])) : [];
}

function pathsOf(source: ValueSource | undefined): Path[] {
  if (source === undefined || typeof source === 'function') return [];
  return (typeof source === 'string' ? [source] : source).map(pathOf);
}

function gettersFor(source: readonly Path[] | ValueSource): Getter[] {
  if (typeof source === 'function') return [source];
  return (typeof source === 'string' ? [source] : source).map((path) =>
    getterOf(typeof path === 'string' ? pathOf(path) : path),
  );
}

/** The first value that is not empty. */
function getterFor(source: ValueSource): Getter {
  const getters = gettersFor(source);
  if (getters.length === 1) return getters[0]!;
  return (record) => {
    for (const get of getters) {
      const value = get(record);
      if (value !== undefined && value !== null && value !== '') return value;
    }
    return undefined;
  };
}

/** A source as messages name it. */
function nameOf(source: EventSource | ValueSource | { path: Path }): string {
  if (typeof source === 'function') return 'what the preset looks for';
  if (typeof source === 'string') return source;
  if ('path' in source) return textOfPath(source.path);
  if ('template' in source) return 'the paths of the template';
  return 'value' in source ? source.value : source.join(', ');
}

function textOfPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = String(part);
      if (!/^[^.[\]"]+$/.test(name)) return `[${JSON.stringify(name)}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}
