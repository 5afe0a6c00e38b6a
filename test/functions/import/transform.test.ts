import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type MixpanelEvent, parseKeepingDigits, passThrough, serialize } from '../../../functions/import/transform.ts';
import { jsonText } from './parsing.ts';

describe('parseKeepingDigits', () => {
  const kept = [
    '12345678901234567890',
    '-12345678901234567890',
    '9007199254740993',
    '0.1234567890123456789',
    '123456789.0123456789',
    '1234567890123456e2',
    '1e400',
    '-1E+400',
    '1e-400',
    '0.00000000000000012345678901234567',
  ];
  for (const number of kept) {
    test(`keeps ${number} as it is written`, () => {
      const text = `{"a":[${number}],"b":${number}}`;
      assert.equal(JSON.stringify(parseKeepingDigits(text)), text);
      assert.equal(typeof (parseKeepingDigits(text) as { b: unknown }).b, 'object');
    });
  }

  const plain: [text: string, value: unknown][] = [
    ['0', 0],
    ['0.000', 0],
    ['0e5', 0],
    ['1.50', 1.5],
    ['1e3', 1_000],
    ['123456789012345', 123_456_789_012_345],
    ['-0.00000000000123456789012345', -0.00000000000123456789012345],
    ['1700000000000', 1_700_000_000_000],
    ['"12345678901234567890"', '12345678901234567890'],
    ['true', true],
    ['null', null],
  ];
  for (const [text, value] of plain) {
    test(`gives ${text} as the value that it is`, () => {
      assert.deepEqual(parseKeepingDigits(`[${text}]`), [value]);
    });
  }

  test('sets no prototype', () => {
    const value = parseKeepingDigits('{"__proto__":{"a":12345678901234567890}}') as object;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.deepEqual(Object.keys(value), ['__proto__']);
  });

  test('means the same as JSON.parse once it is written again', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        const again = JSON.stringify(parseKeepingDigits(text));
        // Zero has no sign in JSON text that is written.
        assert.equal(JSON.stringify(JSON.parse(again)), JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 500 },
    );
  });
});

describe('serialize', () => {
  const makeId = () => 'made';
  const cases: { name: string; event: unknown; expected: string }[] = [
    {
      name: 'puts the made id first',
      event: { event: 'e', properties: { a: 1 } },
      expected: '{"event":"e","properties":{"$insert_id":"made","a":1}}',
    },
    {
      name: 'replaces an empty id',
      event: { event: 'e', properties: { a: 1, $insert_id: '' } },
      expected: '{"event":"e","properties":{"$insert_id":"made","a":1}}',
    },
    {
      name: 'keeps every other id for Mixpanel to judge',
      event: { event: 'e', properties: { $insert_id: 0 } },
      expected: '{"event":"e","properties":{"$insert_id":0}}',
    },
    {
      name: 'leaves an event without a name for Mixpanel to judge',
      event: { properties: { $insert_id: 'a' } },
      expected: '{"properties":{"$insert_id":"a"}}',
    },
    {
      name: 'writes half a surrogate pair as an escape',
      event: { event: '\ud800', properties: { $insert_id: 'a' } },
      expected: '{"event":"\\ud800","properties":{"$insert_id":"a"}}',
    },
    {
      name: 'writes line ends as escapes',
      event: { event: 'a\nb\r\u2028', properties: { $insert_id: 'a' } },
      expected: '{"event":"a\\nb\\r\u2028","properties":{"$insert_id":"a"}}',
    },
  ];
  for (const { name, event, expected } of cases) {
    test(name, () => assert.equal(serialize(event as MixpanelEvent, makeId), expected));
  }

  test('changes nothing of what it is given', () => {
    const event = Object.freeze({ event: 'e', properties: Object.freeze({ $insert_id: null, a: 1 }) });
    serialize(event, makeId);
    assert.deepEqual(event, { event: 'e', properties: { $insert_id: null, a: 1 } });
  });

  test('makes no id where there is one', () => {
    serialize({ event: 'e', properties: { $insert_id: 'a' } }, () => assert.fail('made an id'));
  });
});

test('passThrough gives the record itself', () => {
  const record = { event: 'e', properties: {} };
  assert.equal(passThrough(record), record);
});
