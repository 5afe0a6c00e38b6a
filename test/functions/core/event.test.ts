import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type MixpanelEvent, passThrough, serialize } from '../../../functions/core/event.ts';

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
