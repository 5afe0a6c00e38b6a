/** A declared mapping: chooses, once for each source, what becomes of its records. */

import { passThrough, type RecordContext, type Transform } from '../event.ts';
import { globMatcher } from '../glob.ts';
import { compileRule, type RecordMap } from './compile.ts';
import { compileEventRule } from './event-rule.ts';
import { hmacWith } from './hashing.ts';
import { type MappedRecords, type Mapping, Misfit, mappingOf } from './mapping.ts';
import { PRESETS } from './presets.ts';
import { parseRules, type Rule } from './rules.ts';

/** Chooses the mapping of a source by its context. */
export type MappingOf = (context: RecordContext) => Mapping;

/** What a mapping is made of. */
export interface MappingOptions {
  /** The mapping, JSON; undefined if there is none. */
  mapping?: string | undefined;
  /** Key of the hashes. */
  hashKey?: string | undefined;
  /** Is handed what the mapping made. */
  transform: Transform<never>;
  /** Told of the first source for which no rule holds. */
  onUnmatched?: ((context: RecordContext) => void) | undefined;
}

/** Keys that say which records are meant and how they are read, but not what becomes of them. */
const NOTHING_MADE = new Set<keyof Rule>(['when', 'format']);
/** Names of a record that are told, and characters of each. */
const MAX_NAMES = 50;
const MAX_NAME = 50;
const REFUSED = new Misfit('mapping.when', 'no rule of the mapping holds for the record but one that refuses it');

/** What is wrong with a mapping, all of it; nothing if it can be used. */
export function mappingProblems(mapping: string, hashKey: string | undefined): readonly string[] {
  const parsed = parseRules(mapping, hashKey !== undefined);
  return 'problems' in parsed ? parsed.problems : [];
}

/** @throws TypeError if the mapping has problems: look at {@link mappingProblems} first */
export function createMappings({ mapping, hashKey, transform, onUnmatched }: MappingOptions): MappingOf {
  const otherwise = mappingOf(transform);
  if (mapping === undefined) return () => otherwise;
  const parsed = parseRules(mapping, hashKey !== undefined);
  if ('problems' in parsed) throw new TypeError(parsed.problems.join('; '));
  const rules = parsed.rules.map((rule) => ({
    holds: conditionOf(rule),
    mapped: mappedBy(rule, hashKey, transform),
  }));
  let isTold = false;
  return (context) => {
    const rule = rules.find(({ holds }) => holds(context));
    if (rule !== undefined) return context.kind === 'message' ? rule.mapped : watched(rule.mapped);
    if (!isTold) onUnmatched?.(context);
    isTold = true;
    return otherwise;
  };
}

function conditionOf({ when }: Rule): (context: RecordContext) => boolean {
  if (when === undefined) return () => true;
  if ('object' in when) {
    const matches = globMatcher(when.object);
    return (context) =>
      (context.kind === 'object' && matches(context.object)) || (context.kind === 'file' && matches(context.path));
  }
  const wanted = Object.entries(when.attributes);
  return (context) => context.kind === 'message' && wanted.every(([name, value]) => context.attributes[name] === value);
}

function mappedBy(rule: Rule, hashKey: string | undefined, transform: Transform<never>): MappedRecords {
  const format = rule.format ?? (rule.from === undefined ? undefined : PRESETS[rule.from]!.format);
  if (rule.refuse) return { kind: 'mapped', through: ['mapping'], format, map: () => REFUSED };
  const hasTransform = transform !== passThrough;
  if (Object.keys(rule).every((key) => NOTHING_MADE.has(key as keyof Rule))) {
    const through = hasTransform ? ['transform'] : [];
    return {
      kind: 'mapped',
      through,
      format,
      hides: hasTransform,
      map: (record, context) => transform(record as never, context),
    };
  }
  const map = recordMapOf(rule, hashKey);
  const hides = hasTransform || rule.hash !== undefined || rule.drop !== undefined || rule.pick !== undefined;
  if (!hasTransform) return { kind: 'mapped', through: ['mapping'], format, hides, map };
  return {
    kind: 'mapped',
    through: ['mapping', 'transform'],
    format,
    hides,
    map(record, context) {
      const event = map(record);
      return event === null || event instanceof Misfit ? event : transform(event as never, context);
    },
  };
}

/** The mapping of one source, which notes whether there is an event in any record. */
function watched(mapped: MappedRecords): MappedRecords {
  let names: readonly string[] | undefined;
  let hasEvent = false;
  return {
    ...mapped,
    get namesWithoutEvent() {
      return hasEvent ? undefined : names;
    },
    map(record, context) {
      const made = mapped.map(record, context);
      if (hasEvent) return made;
      if (made instanceof Misfit && made.field === 'mapping.event') {
        names ??= Object.keys(record as object)
          .slice(0, MAX_NAMES)
          .map((name) => name.slice(0, MAX_NAME));
      } else hasEvent = true;
      return made;
    },
  };
}

function recordMapOf(rule: Rule, hashKey: string | undefined): RecordMap {
  const hash = hashKey === undefined ? undefined : hmacWith(hashKey);
  const makesEvents = rule.from !== undefined || rule.event !== undefined;
  return makesEvents ? compileRule(rule, hash) : compileEventRule(rule, hash);
}
