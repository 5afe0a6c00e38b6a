import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { validateEvent } from '../../../local-cloud/mixpanel/rules.ts';

const now = Date.UTC(2026, 10, 23, 12);
const good = { time: now, distinct_id: 'user-1', $insert_id: 'id-1' };

function withProperties(properties: Record<string, unknown>): unknown {
  return { event: 'Signup', properties: { ...good, ...properties } };
}

function without(name: string): unknown {
  return { event: 'Signup', properties: Object.fromEntries(Object.entries(good).filter(([key]) => key !== name)) };
}

function objectOf(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]));
}

const placeholders = [
  '00000000-0000-0000-0000-000000000000',
  ...['anon', 'anonymous', 'nil', 'none', 'null', 'n/a', 'na', 'undefined', 'unknown'],
  ...['<nil>', '0', '-1', 'true', 'false', '[]', '{}'],
];

/** `expected` is the field of the failure, or undefined for an event that is accepted. */
const rows: { name: string; input: unknown; expected: string | undefined }[] = [
  { name: 'the three properties that it needs', input: withProperties({}), expected: undefined },

  { name: 'null in its place', input: null, expected: 'event' },
  { name: 'a number in its place', input: 5, expected: 'event' },
  { name: 'an array in its place', input: [], expected: 'event' },
  { name: 'a missing name', input: { properties: good }, expected: 'event' },
  { name: 'an empty name', input: { event: '', properties: good }, expected: 'event' },
  { name: 'a name that is a number', input: { event: 1, properties: good }, expected: 'event' },

  { name: 'missing properties', input: { event: 'a' }, expected: 'properties' },
  { name: 'properties that are null', input: { event: 'a', properties: null }, expected: 'properties' },
  { name: 'properties that are an array', input: { event: 'a', properties: [] }, expected: 'properties' },
  { name: '254 properties', input: withProperties(objectOf(251)), expected: undefined },
  { name: '255 properties', input: withProperties(objectOf(252)), expected: 'properties' },

  { name: 'a missing time', input: without('time'), expected: 'properties.time' },
  { name: 'a time that is a string', input: withProperties({ time: '1700000000' }), expected: 'properties.time' },
  { name: 'a time that is not a number', input: withProperties({ time: Number.NaN }), expected: 'properties.time' },
  { name: 'a time in seconds', input: withProperties({ time: now / 1000 }), expected: undefined },
  { name: 'a time in seconds with a fraction', input: withProperties({ time: 1_700_000_000.25 }), expected: undefined },
  { name: 'a time in the first second of 1971', input: withProperties({ time: 31_536_000 }), expected: undefined },
  {
    name: 'a time in the second before 1971',
    input: withProperties({ time: 31_535_999 }),
    expected: 'properties.time',
  },
  {
    name: 'a time in the first millisecond of 1971',
    input: withProperties({ time: 31_536_000_000 }),
    expected: undefined,
  },
  {
    name: 'a time in the millisecond before 1971',
    input: withProperties({ time: 31_535_999_999 }),
    expected: 'properties.time',
  },
  { name: 'a negative time', input: withProperties({ time: -1 }), expected: 'properties.time' },
  { name: 'a time of zero', input: withProperties({ time: 0 }), expected: 'properties.time' },
  { name: 'a time one hour ahead in seconds', input: withProperties({ time: now / 1000 + 3600 }), expected: undefined },
  {
    name: 'a time one hour and a second ahead',
    input: withProperties({ time: now / 1000 + 3601 }),
    expected: 'properties.time',
  },
  {
    name: 'a time one hour ahead in milliseconds',
    input: withProperties({ time: now + 3_600_000 }),
    expected: undefined,
  },
  {
    name: 'a time one hour and a millisecond ahead',
    input: withProperties({ time: now + 3_600_001 }),
    expected: 'properties.time',
  },
  { name: 'a time in microseconds', input: withProperties({ time: now * 1000 }), expected: 'properties.time' },
  { name: 'an infinite time', input: withProperties({ time: JSON.parse('1e999') }), expected: 'properties.time' },

  { name: 'a missing distinct_id', input: without('distinct_id'), expected: 'properties.distinct_id' },
  { name: 'a distinct_id of null', input: withProperties({ distinct_id: null }), expected: 'properties.distinct_id' },
  {
    name: 'a distinct_id that is a number',
    input: withProperties({ distinct_id: 7 }),
    expected: 'properties.distinct_id',
  },
  { name: 'an empty distinct_id, for no user', input: withProperties({ distinct_id: '' }), expected: undefined },

  { name: 'a missing $insert_id', input: without('$insert_id'), expected: 'properties.$insert_id' },
  { name: 'an empty $insert_id', input: withProperties({ $insert_id: '' }), expected: 'properties.$insert_id' },
  {
    name: 'an $insert_id that is a number',
    input: withProperties({ $insert_id: 5 }),
    expected: 'properties.$insert_id',
  },
  { name: 'an $insert_id of 36 bytes', input: withProperties({ $insert_id: 'a'.repeat(36) }), expected: undefined },
  {
    name: 'an $insert_id of 37 bytes',
    input: withProperties({ $insert_id: 'a'.repeat(37) }),
    expected: 'properties.$insert_id',
  },
  {
    name: 'an $insert_id with an underscore',
    input: withProperties({ $insert_id: 'a_b' }),
    expected: 'properties.$insert_id',
  },
  {
    name: 'an $insert_id with a letter beyond ASCII',
    input: withProperties({ $insert_id: 'é' }),
    expected: 'properties.$insert_id',
  },
  {
    name: 'an $insert_id with a line feed at its end',
    input: withProperties({ $insert_id: 'a\n' }),
    expected: 'properties.$insert_id',
  },

  ...placeholders.flatMap((value) => [
    {
      name: `the distinct_id ${value}`,
      input: withProperties({ distinct_id: value }),
      expected: 'properties.distinct_id',
    },
    {
      name: `the $insert_id ${value}`,
      input: withProperties({ $insert_id: value }),
      expected: 'properties.$insert_id',
    },
  ]),

  { name: 'objects three levels deep', input: withProperties({ a: { b: { c: { d: 1 } } } }), expected: undefined },
  { name: 'objects four levels deep', input: withProperties({ a: { b: { c: { d: {} } } } }), expected: 'properties.a' },
  {
    name: 'objects four levels deep in arrays',
    input: withProperties({ ok: 1, a: [{ b: [{ c: [{ d: [{}] }] }] }] }),
    expected: 'properties.a',
  },
  { name: 'arrays four levels deep', input: withProperties({ a: [[[[1]]]] }), expected: undefined },
  { name: 'a nested object with 254 keys', input: withProperties({ a: objectOf(254) }), expected: undefined },
  { name: 'a nested object with 255 keys', input: withProperties({ a: objectOf(255) }), expected: 'properties.a' },
  { name: 'an array of 254 elements', input: withProperties({ a: Array(254).fill(1) }), expected: undefined },
  { name: 'an array of 255 elements', input: withProperties({ a: Array(255).fill(1) }), expected: 'properties.a' },
  {
    name: 'an array of 255 elements within an object',
    input: withProperties({ a: { b: Array(255).fill(1) } }),
    expected: 'properties.a',
  },
  {
    name: 'null, a boolean and a long string',
    input: withProperties({ a: null, b: true, c: 'x'.repeat(999) }),
    expected: undefined,
  },
];

describe('the rules for events', () => {
  for (const { name, input, expected } of rows) {
    test(`an event with ${name} is ${expected ? `refused for ${expected}` : 'accepted'}`, () => {
      assert.equal(validateEvent(input, now)?.field, expected);
    });
  }
});

test('a value nested 200,000 levels deep is judged without a deep call stack', () => {
  const arrays = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
  const objects = JSON.parse(`${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`);

  assert.equal(validateEvent(withProperties({ arrays }), now), undefined);
  assert.equal(validateEvent(withProperties({ objects }), now)?.field, 'properties.objects');
  assert.equal(validateEvent(withProperties({ time: arrays }), now)?.field, 'properties.time');
});

test('a message names its field and says what is allowed', () => {
  assert.deepEqual(validateEvent(withProperties({ time: 'x' }), now), {
    field: 'properties.time',
    message: "'properties.time' is invalid: must be specified as seconds or milliseconds since epoch, a number",
  });
  assert.match(validateEvent(withProperties({ time: 1 }), now)?.message ?? '', /must not be before 1971-01-01$/);
  assert.match(validateEvent(withProperties({ time: now * 2 }), now)?.message ?? '', /more than 1 hour in the future$/);
});

test('a message never quotes the value', () => {
  const secret = 'jane.doe@example.com';
  for (const input of [withProperties({ time: secret }), withProperties({ $insert_id: secret })]) {
    assert.doesNotMatch(validateEvent(input, now)?.message ?? '', /jane/);
  }
});
