import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { insertIdByPosition } from '../../../functions/core/insert-id.ts';
import { VERBATIM } from '../../../functions/core/mappings/mapping.ts';
import { customMetadata, objectSource } from '../../../functions/storage/object-source.ts';

const object = { bucket: 'b', object: 'dir/o', generation: '1700000000000001' };

describe('objectSource', () => {
  test('objectSource gives a transform the bucket, the name and the metadata of the object', () => {
    const { context } = objectSource(object, { plan: 'pro' });
    assert.deepEqual(context, { kind: 'object', bucket: 'b', object: 'dir/o', metadata: { plan: 'pro' } });
  });

  test('objectSource locates a record by line and offset in the generation, with the metadata of the object', () => {
    const { locate } = objectSource(object, { plan: 'pro' });
    assert.deepEqual(locate(812, 7), { ...object, line: 7, offset: 812, metadata: { plan: 'pro' } });
  });

  test('objectSource leaves metadata out of a location if the object has none', () => {
    const { context, locate } = objectSource(object, {});
    assert.deepEqual(locate(812, 7), { ...object, line: 7, offset: 812 });
    assert.deepEqual(context, { kind: 'object', bucket: 'b', object: 'dir/o', metadata: {} });
  });

  test('objectSource locates records so that their ids by position do not depend on the metadata', () => {
    const idWith = (metadata: Record<string, string>) =>
      insertIdByPosition(Buffer.from('{}'), { ...objectSource(object, metadata), mapping: VERBATIM }, 812, 7);
    assert.equal(idWith({}), idWith({ plan: 'pro' }));
  });
});

describe('customMetadata', () => {
  const cases: [name: string, metadata: Record<string, unknown> | undefined, expected: Record<string, string>][] = [
    ['nothing', undefined, {}],
    ['texts', { a: 'b', empty: '' }, { a: 'b', empty: '' }],
    [
      'values that are not texts',
      { number: 5, boolean: true, none: null },
      { number: '5', boolean: 'true', none: 'null' },
    ],
  ];
  for (const [name, metadata, expected] of cases) {
    test(`customMetadata makes texts of ${name}`, () => assert.deepEqual(customMetadata(metadata), expected));
  }
});
