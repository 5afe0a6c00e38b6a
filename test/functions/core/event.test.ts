import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isEvent, type MixpanelEvent, passThrough, serialize } from '../../../functions/core/event.ts';

describe('serialize', () => {
  const makeId = () => 'made';
  const cases: { name: string; event: unknown; expected: string }[] = [
    {
      name: 'serialize puts the id that it makes before the other properties',
      event: { event: 'e', properties: { a: 1 } },
      expected: '{"event":"e","properties":{"$insert_id":"made","a":1}}',
    },
    {
      name: 'serialize replaces an empty id',
      event: { event: 'e', properties: { a: 1, $insert_id: '' } },
      expected: '{"event":"e","properties":{"$insert_id":"made","a":1}}',
    },
    {
      name: 'serialize keeps every other id for Mixpanel to judge',
      event: { event: 'e', properties: { $insert_id: 0 } },
      expected: '{"event":"e","properties":{"$insert_id":0}}',
    },
    {
      name: 'serialize leaves an event whose name is null for Mixpanel to judge',
      event: { event: null, properties: { $insert_id: 'a' } },
      expected: '{"event":null,"properties":{"$insert_id":"a"}}',
    },
    {
      name: 'serialize keeps what an event has besides its properties',
      event: { event: 'e', more: [1], properties: { a: 1 } },
      expected: '{"event":"e","more":[1],"properties":{"$insert_id":"made","a":1}}',
    },
    {
      name: 'serialize writes half a surrogate pair as an escape',
      event: { event: '\ud800', properties: { $insert_id: 'a' } },
      expected: '{"event":"\\ud800","properties":{"$insert_id":"a"}}',
    },
    {
      name: 'serialize writes line ends as escapes',
      event: { event: 'a\nb\r\u2028', properties: { $insert_id: 'a' } },
      expected: '{"event":"a\\nb\\r\u2028","properties":{"$insert_id":"a"}}',
    },
  ];
  for (const { name, event, expected } of cases) {
    test(name, () => assert.equal(serialize(event as MixpanelEvent, makeId), expected));
  }

  test('serialize does not change the event', () => {
    const event = Object.freeze({ event: 'e', properties: Object.freeze({ $insert_id: null, a: 1 }) });
    serialize(event, makeId);
    assert.deepEqual(event, { event: 'e', properties: { $insert_id: null, a: 1 } });
  });

  test('serialize does not make an id for an event that has one', () => {
    serialize({ event: 'e', properties: { $insert_id: 'a' } }, () => assert.fail('made an id'));
  });
});

const shapes: [name: string, value: unknown, isAnEvent: boolean][] = [
  ['an object with `event` and an object as `properties`', { event: 'e', properties: {} }, true],
  ['an object whose `event` is not text', { event: 5, properties: {} }, true],
  ['an object whose `event` is null', { event: null, properties: {} }, true],
  ['an object without `event`', { properties: {} }, false],
  ['an object without `properties`', { event: 'e' }, false],
  ['an object whose `properties` are null', { event: 'e', properties: null }, false],
  ['an object whose `properties` are an array', { event: 'e', properties: [] }, false],
  ['an object whose `properties` are text', { event: 'e', properties: 'x' }, false],
  ['an array', [{ event: 'e', properties: {} }], false],
  ['text', 'e', false],
  ['null', null, false],
  ['undefined', undefined, false],
];
for (const [name, value, isAnEvent] of shapes) {
  test(`${name} ${isAnEvent ? 'has' : 'does not have'} the shape of an event`, () => {
    assert.equal(isEvent(value), isAnEvent);
    const serialized = () => serialize(value, () => 'made');
    if (isAnEvent) assert.ok(serialized().startsWith('{'));
    else assert.throws(serialized, { name: 'TypeError', message: /other than events/ });
  });
}

test('passThrough returns the record itself', () => {
  const record = { event: 'e', properties: {} };
  assert.equal(passThrough(record, { kind: 'file', path: 'events.ndjson' }), record);
});
