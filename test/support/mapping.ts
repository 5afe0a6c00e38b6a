/** Mappings in tests: what becomes of one record. */

import { passThrough, type RecordContext } from '../../functions/core/event.ts';
import { type MapResult, VERBATIM } from '../../functions/core/mappings/mapping.ts';
import { createMappings, mappingProblems } from '../../functions/core/mappings/mappings.ts';

/** A file that no rule is particular about. */
export const FILE: RecordContext = { kind: 'file', path: 'events.ndjson' };

/** What makes a test's mapping. */
export interface MappingTest {
  hashKey?: string;
  context?: RecordContext;
}

/** Makes the function of a mapping, which must be right and must not be verbatim. */
export function mapperOf(mapping: unknown, { hashKey, context = FILE }: MappingTest = {}) {
  const made = createMappings({ mapping: JSON.stringify(mapping), hashKey, transform: passThrough })(context);
  if (made === VERBATIM || made.kind === 'verbatim') throw new Error('the mapping is verbatim');
  return (record: unknown): MapResult => made.map(record, context) as MapResult;
}

/** What a mapping makes of a record. */
export function mapped(mapping: unknown, record: unknown, options: MappingTest = {}): MapResult {
  return mapperOf(mapping, options)(record);
}

/** All that is wrong with a mapping. */
export function problemsOf(mapping: unknown, hashKey?: string): readonly string[] {
  return mappingProblems(typeof mapping === 'string' ? mapping : JSON.stringify(mapping), hashKey);
}
