import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { columnsOf } from '../../../../../functions/core/formats/snowplow/columns.ts';
import { readLine } from '../../../../../functions/core/formats/snowplow/row.ts';
import { Misfit } from '../../../../../functions/core/mappings/mapping.ts';

const folder = new URL('../../../../data/snowplow/', import.meta.url);
const linesOf = (name: string) =>
  readFileSync(new URL(name, folder), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
const lines = linesOf('rdb-1.tsv');
const ID = '94b86f90-7739-4f0d-bcc2-b054143abad5';

/** A line of 131 fields with some of them. */
function lineOf(fields: Record<string, string>): string {
  return columnsOf(131)!
    .map(({ name }) => fields[name] ?? '')
    .join('\t');
}

describe("Snowplow's lines", () => {
  const expected = linesOf('rdb-1.expected-json.ndjson').map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const json of expected) {
    test(`the line of ${json.event_id} is what the SDK sees in it, column by column`, () => {
      const read = readLine(lines.find((line) => line.split('\t')[6] === json.event_id)!);
      const filled = Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
      assert.deepEqual({ ...read }, filled);
    });
  }

  test('there are 131 columns, of which shredding leaves 128', () => {
    assert.equal(columnsOf(131)!.length, 131);
    assert.equal(columnsOf(128)!.length, 128);
    assert.equal(new Set(columnsOf(131)!.map(({ name }) => name)).size, 131);
  });

  test('every version of the columns is read, each at its width', () => {
    for (const [fields, lines] of [
      [108, 5],
      [120, 4],
      [128, 6],
      [131, 7],
    ] as const) {
      const read = linesOf(`legacy-${fields}-fields.tsv`).map(readLine);
      assert.equal(read.length, lines);
      for (const record of read) {
        if (record instanceof Misfit) assert.notEqual(record.field, 'record');
        else assert.match(String(record.collector_tstamp), /^20\d\d-\d\d-\d\dT[\d:.]+Z$/);
      }
    }
  });

  test('after shredding, what follows the JSON columns stands where they were', () => {
    const fields = columnsOf(128)!.map(({ name }) => (name === 'se_category' ? 'c' : name === 'event_name' ? 'n' : ''));
    assert.deepEqual({ ...readLine(fields.join('\t')) }, { se_category: 'c', event_name: 'n' });
  });

  test('columns that an editor took from the end are empty', () => {
    const line = lineOf({ event_id: ID, event_name: 'e' });
    assert.deepEqual({ ...readLine(line.split('\t').slice(0, 129).join('\t')) }, { event_id: ID, event_name: 'e' });
  });

  const values: [column: string, text: string, value: unknown][] = [
    ['collector_tstamp', '2021-10-15 09:05:41', '2021-10-15T09:05:41Z'],
    ['collector_tstamp', '2021-10-15 09:05:41.458800585', '2021-10-15T09:05:41.458800585Z'],
    ['txn_id', '7', 7],
    ['domain_sessionidx', '-3', -3],
    ['se_value', '1.50', 1.5],
    ['geo_latitude', '-54.60720134537602', -54.60720134537602],
    ['tr_total', '1e3', 1000],
    ['br_cookies', '1', true],
    ['dvce_ismobile', '0', false],
    ['user_id', '007', '007'],
  ];
  for (const [column, text, value] of values) {
    test(`${column} ${text} is ${JSON.stringify(value)}`, () =>
      assert.deepEqual({ ...readLine(lineOf({ event_id: ID, [column]: text })) }, { event_id: ID, [column]: value }));
  }

  test('an integer whose digits a double would lose keeps them', () => {
    assert.equal(
      JSON.stringify(readLine(lineOf({ txn_id: '12345678901234567891' }))),
      '{"txn_id":12345678901234567891}',
    );
  });

  const contexts = (schema: string, data: unknown) => JSON.stringify({ schema: 's', data: [{ schema, data }] });
  const keys: [schema: string, key: string][] = [
    ['iglu:com.acme/cart/jsonschema/1-0-0', 'contexts_com_acme_cart_1'],
    ['iglu:com.acme-shop.v2/checkOutStep/jsonschema/12-3-4', 'contexts_com_acme_shop_v2_check_out_step_12'],
    ['iglu:org.w3/PerformanceTiming/jsonschema/1-0-0', 'contexts_org_w3_performance_timing_1'],
    ['iglu:com.acme/HTMLPage/jsonschema/1-0-0', 'contexts_com_acme_htmlpage_1'],
    ['iglu:COM.Acme/a-b.c/jsonschema/1-0-0', 'contexts_com_acme_a_b_c_1'],
  ];
  for (const [schema, key] of keys) {
    test(`an entity of ${schema} has the key ${key}`, () =>
      assert.deepEqual({ ...readLine(lineOf({ contexts: contexts(schema, { a: 1 }) })) }, { [key]: [{ a: 1 }] }));
  }

  test('entities of one schema are in one array, and those of the later column replace those of the earlier', () => {
    const of = (...data: unknown[]) =>
      JSON.stringify({ data: data.map((one) => ({ schema: 'iglu:com.acme/cart/jsonschema/1-0-0', data: one })) });
    assert.deepEqual({ ...readLine(lineOf({ contexts: of(1, 2) })) }, { contexts_com_acme_cart_1: [1, 2] });
    const both = readLine(lineOf({ contexts: of(1, 2), derived_contexts: of(3) }));
    assert.deepEqual({ ...both }, { contexts_com_acme_cart_1: [3] });
  });

  const misfits: [what: string, line: string, field: string, message: string][] = [
    ['too few fields', lineOf({}).slice(0, 106), 'record', "not a line of Snowplow's: 108 to 131 fields are needed"],
    ['too many fields', `${lineOf({})}\t`, 'record', "not a line of Snowplow's: 108 to 131 fields are needed"],
    ['a line that is no TSV', 'secret', 'record', "not a line of Snowplow's: 108 to 131 fields are needed"],
    ['a boolean that is neither 0 nor 1', lineOf({ br_cookies: 'true' }), 'br_cookies', 'not 0 or 1'],
    ['a time that is none', lineOf({ etl_tstamp: '2021-10-15T09:05:41Z' }), 'etl_tstamp', 'not a time'],
    ['an integer with a fraction', lineOf({ txn_id: '1.5' }), 'txn_id', 'not a whole number'],
    ['a number that is none', lineOf({ se_value: 'NaN' }), 'se_value', 'not a number'],
    ['a bad JSON column', lineOf({ contexts: '{"schema":"s"' }), 'contexts', 'not JSON'],
    ['a bad JSON column', lineOf({ derived_contexts: '[]' }), 'derived_contexts', 'not self-describing JSON'],
    ['a bad JSON column', lineOf({ unstruct_event: '{"data":[]}' }), 'unstruct_event', 'not self-describing JSON'],
    [
      'an entity without a schema',
      lineOf({ contexts: '{"data":[{"data":{"secret":1}}]}' }),
      'contexts',
      'not self-describing JSON',
    ],
    ['a schema that is none', lineOf({ contexts: contexts('iglu:a/b', {}) }), 'contexts', 'not self-describing JSON'],
    ['bad JSON of an SDK', '{"event_id"', 'record', 'not JSON'],
  ];
  for (const [what, line, field, message] of misfits) {
    test(`${what} is a rejection: ${field}: ${message}`, () =>
      assert.deepEqual(readLine(line), new Misfit(field, message)));
  }

  test('no line of any width throws', () => {
    const json = fc.oneof(
      fc.json(),
      fc.constantFrom(...lines.flatMap((line) => [52, 58, 122].map((at) => line.split('\t')[at]!))),
    );
    const field = fc.oneof(
      { weight: 5, arbitrary: fc.constant('') },
      fc.string({ unit: 'binary' }),
      json,
      fc.constantFrom('0', '1', '2021-10-15 09:05:41'),
    );
    const width = fc.oneof(fc.integer({ min: 0, max: 140 }), fc.constantFrom(108, 123, 128, 131));
    const line = width
      .chain((size) => fc.array(field, { minLength: size, maxLength: size }))
      .map((fields) => fields.join('\t'));
    const changed = fc
      .tuple(fc.constantFrom(...lines), fc.array(fc.tuple(fc.nat(130), field), { maxLength: 3 }))
      .map(([text, changes]) => {
        const fields = text.split('\t');
        for (const [index, value] of changes) fields[index] = value;
        return fields.join('\t');
      });
    let read = 0;
    fc.assert(
      fc.property(fc.oneof(line, changed, fc.string({ unit: 'binary' })), (text) => {
        const record = readLine(text);
        if (!(record instanceof Misfit)) read++;
        assert.ok(record instanceof Misfit || typeof record === 'object');
      }),
      { numRuns: 500 },
    );
    assert.ok(read > 0, 'some lines can be read');
  });
});
