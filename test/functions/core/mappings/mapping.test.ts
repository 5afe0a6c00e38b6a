import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { passThrough, type RecordContext, type Transform } from '../../../../functions/core/event.ts';
import { type MappedRecords, mappingOf, VERBATIM } from '../../../../functions/core/mappings/mapping.ts';

const contexts: RecordContext[] = [
  { kind: 'object', bucket: 'b', object: 'o', metadata: { plan: 'x' } },
  { kind: 'message', subscription: 'projects/p/subscriptions/s', attributes: { plan: 'x' } },
  { kind: 'file', path: 'events.ndjson' },
];

function mappedBy(transform: unknown): MappedRecords {
  const mapping = mappingOf(transform as Transform);
  assert.ok(mapping.kind === 'mapped');
  return mapping;
}

describe('the mapping of a transform', () => {
  test('the mapping of the transform that leaves all records as they are is verbatim', () => {
    assert.equal(mappingOf(passThrough), VERBATIM);
    assert.deepEqual(VERBATIM, { kind: 'verbatim' });
  });

  test('the mapping of any other transform hands records to it, even if it only returns them', () => {
    assert.equal(mappedBy((record: unknown) => record).kind, 'mapped');
  });

  test('the mapping of a transform is named in dead letters as the transform', () => {
    assert.deepEqual(mappedBy(() => null).through, ['transform']);
  });

  for (const context of contexts) {
    test(`the mapping of a transform hands it the record itself and the context of a record from ${context.kind === 'object' ? 'an object' : `a ${context.kind}`}`, () => {
      const given: unknown[][] = [];
      const record = { any: 'thing' };
      mappedBy((...all: unknown[]) => given.push(all)).map(record, context);
      assert.equal(given.length, 1);
      assert.equal(given[0]!.length, 2);
      assert.equal(given[0]![0], record);
      assert.equal(given[0]![1], context);
    });
  }

  const results: [name: string, result: unknown][] = [
    ['an event', { event: 'e', properties: {} }],
    ['several events', [{ event: 'e', properties: {} }]],
    ['null', null],
    ['undefined', undefined],
    ['a promise', Promise.resolve(null)],
    ['something that is not an event', 5],
  ];
  for (const [name, result] of results) {
    test(`the mapping of a transform returns ${name} as the transform does, without a look at it`, () => {
      assert.equal(mappedBy(() => result).map({}, contexts[0]!), result);
    });
  }

  test('the mapping of a transform throws what the transform throws', () => {
    const error = new RangeError('unknown plan');
    const throwing = () => {
      throw error;
    };
    assert.throws(
      () => mappedBy(throwing).map({}, contexts[0]!),
      (thrown) => thrown === error,
    );
  });
});
