import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapperOf } from '../../../support/mapping.ts';

const hashKey = 'sixteen letters!';
const SECRET = 'quetzalcoatl';

/** A value with the secret in it: text, or something that holds some. */
const secret = fc.oneof(
  fc.string({ maxLength: 5 }).map((text) => `${SECRET}${text}`),
  fc.record({ inner: fc.constant(SECRET) }),
  fc.array(fc.constant(SECRET), { minLength: 1, maxLength: 3 }),
);
const other = fc.oneof(fc.string({ maxLength: 8 }), fc.integer(), fc.boolean(), fc.constant(null));

describe('what a mapping hashes or drops', () => {
  const rule = {
    event: 'e',
    time: 't',
    user: ['customer.id', 'user'],
    device: 'devices[0].id',
    insertId: 'user',
    properties: ['*', 'more'],
    rename: { old: 'new', 'address.street': 'street' },
    drop: ['dropped', 'dropped_*', 'person.mail', 'people[].mail'],
    hash: ['$user', '$device', 'new', 'street', 'hashed', 'items[].code'],
  };
  const record = fc.record(
    {
      e: fc.constant('Order'),
      t: fc.oneof(fc.constant(1_700_000_000_000), fc.constant('soon')),
      user: fc.string().map((text) => `${SECRET}${text}`),
      customer: fc.record({ id: fc.oneof(fc.constant(''), fc.constant(SECRET)), plan: other }),
      devices: fc.array(fc.record({ id: fc.constant(SECRET), kind: other }), { maxLength: 1 }),
      old: secret,
      address: fc.record({ street: secret, city: other }),
      dropped: secret,
      dropped_too: secret,
      person: fc.record({ mail: secret, age: other }),
      people: fc.array(fc.record({ mail: secret, age: other }), { maxLength: 2 }),
      hashed: secret,
      items: fc.array(fc.record({ code: secret, price: other }), { maxLength: 2 }),
      more: fc.record({ hashed: secret, dropped: secret, fine: other }),
    },
    { requiredKeys: ['e', 't'] },
  );

  test('what a mapping hashes or drops is neither in its events nor in its reasons', () => {
    const map = mapperOf(rule, { hashKey });
    let sent = 0;
    fc.assert(
      fc.property(record, (value) => {
        const made = map(value);
        if (!(made instanceof Misfit)) sent++;
        assert.ok(!JSON.stringify(made).includes(SECRET), JSON.stringify(made));
      }),
    );
    assert.ok(sent > 0);
  });

  test('the same is true of events as they are', () => {
    const map = mapperOf(
      { drop: ['dropped', 'person.mail', 'ip'], hash: ['distinct_id', '$insert_id', 'hashed', 'items[].code'] },
      { hashKey },
    );
    const id = fc.constantFrom(SECRET, `$device:${SECRET}`, `${SECRET}2`);
    const properties = fc.record(
      {
        distinct_id: id,
        $user_id: id,
        $device_id: id,
        $insert_id: id,
        ip: secret,
        dropped: secret,
        person: fc.record({ mail: secret, age: other }),
        hashed: secret,
        items: fc.array(fc.record({ code: secret, price: other }), { maxLength: 2 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(properties, (value) => {
        const made = map({ event: 'e', properties: value });
        assert.ok(!JSON.stringify(made).includes(SECRET), JSON.stringify(made));
      }),
    );
  });

  test('equal texts have equal hashes, and another key gives others', () => {
    const hashes = (key: string) =>
      ['a', 'a', 'b'].map((text) => {
        const made = mapperOf({ hash: ['x'] }, { hashKey: key })({ event: 'e', properties: { x: text } });
        return (made as { properties: Record<string, unknown> }).properties.x;
      });
    const [first, second, third] = hashes(hashKey);
    assert.equal(first, second);
    assert.equal(new Set([first, third, ...hashes(`${hashKey}!`)]).size, 4);
  });
});
