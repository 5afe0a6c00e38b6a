/** Presets in tests: golden events of samples, and what becomes of single records. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { mapperOf } from './mapping.ts';

/** An event that a preset made. */
export interface Made {
  event: string;
  properties: Record<string, unknown>;
}

/** The lines of a file in `test/data`. */
export function linesOf(name: string): string[] {
  const text = readFileSync(new URL(`../data/${name}`, import.meta.url), 'utf8');
  return text.split('\n').filter((line) => line !== '');
}

/** Tests that `NAME.ndjson` becomes `NAME.events.ndjson`. */
export function testGolden(name: string, mapping: object): void {
  test(`the events of ${name}.ndjson are what they always were`, () => {
    const map = mapperOf(mapping);
    const events = linesOf(`${name}.ndjson`).map((line) => map(JSON.parse(line)));
    assert.deepEqual(
      JSON.parse(JSON.stringify(events)),
      linesOf(`${name}.events.ndjson`).map((line) => JSON.parse(line) as unknown),
    );
  });
}

/** What a mapping makes of a record, which must be an event. */
export function madeOf(mapping: object, record: object): Made {
  const event = mapperOf(mapping)(record);
  assert.ok(event !== null && event !== undefined && 'event' in event, JSON.stringify(event));
  return JSON.parse(JSON.stringify(event)) as Made;
}

/** A case: what it shows, the record, the properties that it must have; those that it must not have are undefined. */
export type Case = [what: string, record: object, properties: Record<string, unknown>];

/** Tests cases, each record over one that has all that is needed. */
export function testCases(mapping: object, base: object, cases: readonly Case[]): void {
  for (const [what, record, properties] of cases) {
    test(what, () => {
      const found = madeOf(mapping, { ...base, ...record }).properties;
      for (const [name, value] of Object.entries(properties)) assert.deepEqual(found[name], value, name);
    });
  }
}
