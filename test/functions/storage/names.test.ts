import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkpointName, messageDeadLetterName, objectDeadLetterName } from '../../../functions/storage/names.ts';

const ID = '01234567-89ab-cdef-0123-456789abcdef';
const of = (object: string) => ({ bucket: 'b', object, generation: '1700000000000000' });

describe('the names in the buckets of checkpoints and dead letters', () => {
  const objects = {
    'letters alone': 'events.json',
    slashes: 'a//b/c.json',
    'dots that would lead out of a folder': '../../dead-letters/x/..',
    'percent signs': '100%25%2F.json',
    emoji: '🦊/été.json',
    'as many bytes as fit': 'o'.repeat(1_024 - 'checkpoints/b//1700000000000000.json'.length),
  };
  for (const [name, object] of Object.entries(objects)) {
    test(`a name in the state bucket contains an object's name with ${name} as it is`, () => {
      assert.equal(checkpointName(of(object)), `checkpoints/b/${object}/1700000000000000.json`);
    });
  }

  test('a name in the state bucket has a hash in place of an object name that would make it too long', () => {
    const object = '🦊'.repeat(256);
    assert.equal(Buffer.byteLength(object), 1_024);
    const digest = hash('sha256', object);
    assert.equal(checkpointName(of(object)), `checkpoints/b/${digest}/1700000000000000.json`);
    assert.equal(
      objectDeadLetterName(of(object), 812, ID),
      `dead-letters/objects/b/${digest}/1700000000000000/000000000000812-${ID}.ndjson`,
    );
  });

  test('names in the state bucket begin with their prefix, are not too long, and differ if their objects do', () => {
    const object = fc.string({ unit: 'binary', minLength: 1, maxLength: 1_024 });
    const long = fc.string({ unit: 'grapheme', minLength: 900, maxLength: 1_024 });
    const generation = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String);
    const source = fc.record({
      bucket: fc.constantFrom('b', 'c'.repeat(222)),
      object: fc.oneof(object, long),
      generation,
    });
    fc.assert(
      fc.property(source, source, fc.nat(), (one, other, offset) => {
        const names = [checkpointName(one), objectDeadLetterName(one, offset, ID)];
        assert.ok(names[0]!.startsWith(`checkpoints/${one.bucket}/`));
        assert.ok(names[1]!.startsWith(`dead-letters/objects/${one.bucket}/`));
        for (const name of names) assert.ok(Buffer.byteLength(name) <= 1_024);
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        assert.equal(checkpointName(one) === checkpointName(other), isSame);
      }),
      { numRuns: 200 },
    );
  });

  test('the names of the dead letters of an object are in the order of their first records', () => {
    const names = [0, 9, 10, 99_999_999_999].map((offset) => objectDeadLetterName(of('o'), offset, ID));
    assert.deepEqual([...names].sort(), names);
  });

  test('the names of the dead letters of messages contain the day', () => {
    const now = new Date('2026-11-23T23:59:59.999Z');
    assert.equal(
      messageDeadLetterName('projects/p/subscriptions/s', now, ID),
      `dead-letters/messages/s/2026-11-23/${ID}.ndjson`,
    );
  });
});
