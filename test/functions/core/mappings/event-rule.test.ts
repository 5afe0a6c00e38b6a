import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapped } from '../../../support/mapping.ts';

const KEY = 'sixteen letters!';
const hmac = (text: string) => createHmac('sha256', KEY).update(text).digest('hex').slice(0, 32);

function propertiesOf(rule: object, properties: object): object {
  const made = mapped(rule, { event: 'e', properties, more: 1 }, { hashKey: KEY });
  assert.ok(made !== null && made !== undefined && 'properties' in made, JSON.stringify(made));
  assert.deepEqual(made, { event: 'e', properties: made.properties, more: 1 }, 'everything else is left');
  return made.properties as object;
}

describe('a rule for events as they are', () => {
  const ids = { time: 1, distinct_id: 'ada', $insert_id: 'i', $user_id: 'ada', $device_id: 'd1' };
  const cases: [what: string, rule: object, properties: object, result: object][] = [
    [
      'an empty rule changes nothing',
      {},
      { ...ids, ip: 'x', a: null, b: '', token: 't' },
      { ...ids, ip: 'x', a: null, b: '', token: 't' },
    ],
    [
      'the ids, the time and an address that is not named are outside of pick',
      { pick: ['a'] },
      { ...ids, ip: 'x', a: 1, b: 2 },
      {
        ...ids,
        ip: 'x',
        a: 1,
      },
    ],
    ['the ids and the time are outside of drop', { drop: ['*'] }, { ...ids, a: 1 }, ids],
    ['an address that is dropped by name is sent as 0', { drop: ['ip'] }, { ip: '203.0.113.7' }, { ip: 0 }],
    ['an address that was not there is not made', { drop: ['ip'] }, { a: 1 }, { a: 1 }],
    ['an address can be named', { ip: 'properties.a' }, { a: '203.0.113.7' }, { a: '203.0.113.7', ip: '203.0.113.7' }],
    [
      'properties are renamed and converted',
      { rename: { a: 'b', 'c.d': 'd' }, number: ['b'] },
      { a: '5', c: { d: 1, e: 2 } },
      {
        b: 5,
        d: 1,
        c: { e: 2 },
      },
    ],
    [
      'ids can be named',
      { user: 'properties.u', device: 'properties.v', insertId: 'properties.w' },
      { u: 'ada', v: 'd1', w: 'a_b' },
      {
        u: 'ada',
        v: 'd1',
        w: 'a_b',
        $user_id: 'ada',
        $device_id: 'd1',
        distinct_id: 'ada',
        $insert_id: hmac('a_b'),
      },
    ],
    [
      'the user is hashed wherever it stands',
      { hash: ['$user'] },
      ids,
      {
        ...ids,
        distinct_id: hmac('ada'),
        $user_id: hmac('ada'),
      },
    ],
    [
      'a distinct_id without other ids is the user',
      { hash: ['$user'] },
      { distinct_id: 'ada' },
      { distinct_id: hmac('ada') },
    ],
    [
      'a distinct_id that is a device is not the user',
      { hash: ['$user'] },
      { distinct_id: '$device:d1' },
      { distinct_id: '$device:d1' },
    ],
    [
      'a device is hashed after its prefix',
      { hash: ['$device'] },
      { distinct_id: '$device:d1', $device_id: 'd1' },
      {
        distinct_id: `$device:${hmac('d1')}`,
        $device_id: hmac('d1'),
      },
    ],
    [
      'a device without a prefix is known by $device_id',
      { hash: ['$device'] },
      { distinct_id: 'd1', $device_id: 'd1' },
      {
        distinct_id: hmac('d1'),
        $device_id: hmac('d1'),
      },
    ],
    [
      'distinct_id stands for both',
      { hash: ['distinct_id'] },
      ids,
      {
        ...ids,
        distinct_id: hmac('ada'),
        $user_id: hmac('ada'),
        $device_id: hmac('d1'),
      },
    ],
    ['a number is hashed by its digits', { hash: ['distinct_id'] }, { distinct_id: 42 }, { distinct_id: hmac('42') }],
    [
      'an empty id stays empty',
      { hash: ['distinct_id'] },
      { distinct_id: '', $user_id: null },
      { distinct_id: '', $user_id: null },
    ],
    ['an id can be hashed', { hash: ['$insert_id'] }, { $insert_id: 'i' }, { $insert_id: hmac('i') }],
    [
      'properties are hashed',
      { hash: ['a', 'b[].c'] },
      { a: 'x', b: [{ c: 'y', d: 1 }] },
      {
        a: hmac('x'),
        b: [{ c: hmac('y'), d: 1 }],
      },
    ],
  ];
  for (const [what, rule, properties, result] of cases) {
    test(`${what}: ${JSON.stringify(rule)}`, () => assert.deepEqual(propertiesOf(rule, properties), result));
  }

  test('events are skipped by their names', () => {
    assert.equal(mapped({ skip: ['pi*'] }, { event: 'ping', properties: {} }), null);
  });

  const misfits: [record: unknown, field: string][] = [
    [{}, 'event'],
    [[], 'event'],
    [{ event: 'e' }, 'properties'],
    [{ event: 'e', properties: [] }, 'properties'],
  ];
  for (const [record, field] of misfits) {
    test(`${JSON.stringify(record)} is no event: its ${field} is missing`, () => {
      const made = mapped({ drop: ['a'] }, record);
      assert.ok(made instanceof Misfit);
      assert.equal(made.field, field);
    });
  }
});
