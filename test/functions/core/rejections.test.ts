import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Rejection, Source } from '../../../functions/core/block.ts';
import { formatDeadLetter } from '../../../functions/core/dead-letter.ts';
import { addRejection, countAll, mergeRejections, RejectionLimit } from '../../../functions/core/rejections.ts';
import { messageSource, objectSource } from '../../support/parsing.ts';

/** Adds so many rejections of three bytes, one after the other from `from` on. */
function reject(
  source: Source,
  count: number,
  { from = 0, stored }: { from?: number; stored?: Buffer } = {},
): Rejection[] {
  const rejections: Rejection[] = [];
  for (let n = 0; n < count; n++) {
    const offset = from + 3 * n;
    addRejection(rejections, { source, from: offset, to: offset + 3, canExtend: true, stored }, () => ({
      reason: { field: 'event', message: 'missing' },
      location: source.locate(offset, n),
      insertId: 'id',
      record: Buffer.from('{}'),
      bytes: 2,
      through: undefined,
    }));
  }
  return rejections;
}

describe('rejections', () => {
  test('Rejections beyond 10,000 are summed up in one that knows its range', () => {
    const limit = new RejectionLimit();
    limit.read = 20_000;
    const rejections = reject({ ...objectSource, limit }, 20_000);
    // More than nine tenths of what was read is needed too.
    assert.equal(rejections.length, 18_002);
    assert.equal(countAll(rejections), 20_000);
    assert.deepEqual(rejections.at(-1)!.range, { from: 3 * 18_001, to: 60_000, rejected: 1_999 });
  });

  test('Rejections are not summed up while a tenth of what was read is good', () => {
    const limit = new RejectionLimit();
    limit.read = 40_000;
    assert.equal(reject({ ...objectSource, limit }, 30_000).length, 30_000);
  });

  test('The memory of rejections that are held is counted, and released', () => {
    const limit = new RejectionLimit();
    const rejections = reject({ ...objectSource, limit }, 50_000);
    assert.equal(rejections.length, 10_001);
    assert.ok(limit.heldBytes < 7_000_000);
    limit.release(rejections);
    assert.equal(limit.heldBytes, 0);
  });

  test('Rejections of a message are summed up only if the letter can hold all of it', () => {
    const limit = new RejectionLimit();
    assert.equal(reject({ ...messageSource, limit }, 12_000).length, 12_000);
    const stored = Buffer.from('all of it');
    const [rejection, ...others] = reject({ ...messageSource, limit }, 12_000, { stored });
    assert.deepEqual(others, []);
    const letter = JSON.parse(formatDeadLetter(rejection!, new Date(0)));
    assert.deepEqual(
      [letter.record, letter.rejected, letter.insertId, letter.truncated],
      ['all of it', 12_000, undefined, undefined],
    );
  });

  test('Rejections that are summed up are merged in the order of the source, and never across messages', () => {
    const limit = new RejectionLimit();
    const source = { ...objectSource, limit };
    reject(source, 10_000);
    const [first] = reject(source, 5, { from: 100 });
    const [second] = reject(source, 7, { from: 1_000 });
    assert.ok(!mergeRejections(structuredClone(second!), first!));
    assert.ok(mergeRejections(first!, second!));
    assert.deepEqual(first!.range, { from: 100, to: 1_021, rejected: 12 });
    const stored = Buffer.from('m');
    const [one] = reject({ ...messageSource, limit }, 2, { stored });
    const other = {
      ...one!,
      location: { ...one!.location, messageId: 'other' },
      range: { from: 10_000, to: 10_001, rejected: 1 },
    };
    assert.ok(!mergeRejections(one!, other));
  });

  test('A letter of two bad records of a message holds all of it, even if a good record is between them', () => {
    const limit = new RejectionLimit();
    const source = { ...messageSource, limit };
    reject(source, 10_000);
    const stored = Buffer.from('bad\ngood\nalso bad');
    const [first] = reject(source, 1, { from: 0, stored });
    const [second] = reject(source, 1, { from: 6, stored });
    assert.ok(mergeRejections(first!, second!));
    const { record, rejected } = JSON.parse(formatDeadLetter(first!, new Date(0)));
    assert.deepEqual([record, rejected], [stored.toString(), 2]);
  });

  test('A rejection that stands for itself alone is a dead letter like any other', () => {
    const limit = new RejectionLimit();
    reject({ ...objectSource, limit }, 10_000);
    const [rejection] = reject({ ...objectSource, limit }, 1);
    const letter = JSON.parse(formatDeadLetter(rejection!, new Date(0)));
    assert.deepEqual([letter.range, letter.rejected, letter.insertId], [undefined, undefined, 'id']);
  });
});
