import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Ring } from '../../live-view/page/ring.ts';

test('a ring holds the newest items, as many as its number and its weight allow', () => {
  const weights = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 60 });
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 10 }), (items, maxItems) => {
      const maxWeight = 50;
      const ring = new Ring<number>({ maxItems, maxWeight, weightOf: (item) => item });
      for (const item of items) ring.push(item);
      let kept: number[] = [];
      for (const item of items) {
        kept = [...kept, item].slice(-maxItems);
        while (kept.reduce((sum, weight) => sum + weight, 0) > maxWeight && kept.length > 1) kept = kept.slice(1);
      }
      const held = Array.from({ length: ring.size }, (_, index) => ring.at(ring.first + index));
      assert.deepEqual(held, kept);
      assert.equal(ring.next, items.length);
      assert.equal(ring.at(ring.first - 1), undefined);
      assert.equal(ring.at(ring.next), undefined);
    }),
  );
});

test('one item is held however heavy it is', () => {
  const ring = new Ring<number>({ maxItems: 10, maxWeight: 50, weightOf: (item) => item });
  for (const item of [1, 2, 1_000]) ring.push(item);
  assert.deepEqual([ring.first, ring.size, ring.at(2)], [2, 1, 1_000]);
});

test('a ring that was reset continues to count from the number that it is given', () => {
  const ring = new Ring<string>({ maxItems: 3, maxWeight: 50, weightOf: () => 1 });
  ring.push('a');
  ring.reset(70);
  ring.push('b');
  assert.deepEqual([ring.first, ring.next, ring.at(70), ring.at(0)], [70, 71, 'b', undefined]);
});
