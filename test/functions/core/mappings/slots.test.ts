import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { numberFrom } from '../../../../functions/core/formats/json/numbers.ts';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { newProperties } from '../../../../functions/core/mappings/properties.ts';
import { mapperOf } from '../../../support/mapping.ts';

const BASE = { event: 'e', time: '2023-11-14T22:13:20.500Z' };
const EVENT = { time: 1_700_000_000_500, distinct_id: '', ip: 0 };

describe('the properties of an event', () => {
  test('are an object as any other', () => {
    assert.deepEqual(newProperties(), {});
    assert.equal(newProperties().constructor, Object);
    assert.equal(JSON.stringify(newProperties()), '{}');
  });

  test('are those of its own record, whatever the one before had', () => {
    const map = mapperOf({ event: 'event', time: 'time' });
    const events = [{ a: 1, b: 2 }, { b: 3 }, { a: 4 }].map((properties) => map({ ...BASE, ...properties }));
    assert.deepEqual(events, [
      { event: 'e', properties: { ...EVENT, a: 1, b: 2 } },
      { event: 'e', properties: { ...EVENT, b: 3 } },
      { event: 'e', properties: { ...EVENT, a: 4 } },
    ]);
  });

  test('have the first of two values of one name, also if a record before was rejected between them', () => {
    const map = mapperOf({ event: 'event', time: 'time', properties: ['x', 'y'], rename: { 'z.c': 'a' }, json: ['j'] });
    assert.deepEqual(map({ ...BASE, x: { a: 1, j: '{' } }), new Misfit('mapping.json', 'not JSON in j'));
    assert.deepEqual(map({ ...BASE, x: { a: null }, y: { a: 2 }, z: { c: 3 } }), {
      event: 'e',
      properties: { ...EVENT, a: 2 },
    });
    assert.deepEqual(map({ ...BASE, z: { c: 3 } }), { event: 'e', properties: { ...EVENT, a: 3 } });
  });

  test('have the first of two values whose names become one', () => {
    const map = mapperOf({ event: 'event', time: 'time', properties: ['x'], rename: { b: 'a' } });
    assert.deepEqual(map({ ...BASE, x: { a: 1, b: 2, source_time: 3, time: 4 } }), {
      event: 'e',
      properties: { ...EVENT, a: 1, source_time: 3 },
    });
  });

  test('may have more different names than are remembered', () => {
    const map = mapperOf({ event: 'event', time: 'time', rename: { 'z.c': 'late' } });
    for (let index = 0; index < 5_000; index++) map({ ...BASE, [`name${index}`]: index });
    assert.deepEqual(map({ ...BASE, name4999: 1, name1: 2, late: 3, z: { c: 4 } }), {
      event: 'e',
      properties: { ...EVENT, name4999: 1, name1: 2, late: 3 },
    });
  });

  test('may be called __proto__, constructor or toString', () => {
    const map = mapperOf({ event: 'event', time: 'time', properties: ['x', 'y'] });
    const record = { ...BASE, x: JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3}'), y: { toString: 4 } };
    const { properties } = map(record) as { properties: object };
    assert.equal(
      JSON.stringify(properties),
      `${JSON.stringify(EVENT).slice(0, -1)},"__proto__":{"a":1},"constructor":2,"toString":3}`,
    );
  });
});

describe('the path of an id', () => {
  for (const [path, user] of [
    ['a.length', { a: [1, 2] }],
    ['a.rawJSON', { a: numberFrom('12345678901234567890') }],
    ['a.toString', { a: {} }],
    ['a.b', { a: 'text' }],
  ] as const) {
    test(`finds nothing at ${path} of ${JSON.stringify(user)}`, () => {
      const map = mapperOf({ event: 'event', time: 'time', user: path, properties: 'none' });
      assert.deepEqual(map({ ...BASE, ...user }), { event: 'e', properties: EVENT });
    });
  }
});
