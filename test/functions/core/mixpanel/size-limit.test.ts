import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SizeLimit } from '../../../../functions/core/mixpanel/size-limit.ts';

/** Batches as large as the limit that are accepted until the limit is raised. */
function streakOf(size: SizeLimit): number {
  const before = size.limits.maxBytes;
  for (let batches = 1; batches <= 10_000; batches++) {
    size.accept(size.limits.maxBytes);
    if (size.limits.maxBytes > before) return batches;
  }
  return assert.fail('the limit stays');
}

const newSize = () => new SizeLimit({ maxEvents: 2_000, maxBytes: 1_000 });

describe('the size that is learnt', () => {
  test('the limit becomes the size that was accepted, and never a larger one', () => {
    const size = newSize();
    size.lower(400);
    size.lower(700);
    size.lower(5_000);
    assert.deepEqual(size.limits, { maxEvents: 2_000, maxBytes: 400 });
  });

  test('the limit doubles after eight accepted batches, up to what is configured', () => {
    const size = newSize();
    size.lower(300);
    assert.deepEqual([streakOf(size), size.limits.maxBytes], [8, 600]);
    assert.deepEqual([streakOf(size), size.limits.maxBytes], [8, 1_000]);
    for (let batch = 0; batch < 100; batch++) size.accept(1_000);
    assert.equal(size.limits.maxBytes, 1_000);
  });

  test('batches smaller than half of the limit say nothing of a larger one', () => {
    const size = newSize();
    size.lower(300);
    for (let batch = 0; batch < 100; batch++) size.accept(149);
    assert.equal(size.limits.maxBytes, 300);
  });

  test('each larger size that is refused doubles the batches before the next trial, up to 1,024', () => {
    const size = newSize();
    size.lower(300);
    const streaks = Array.from({ length: 9 }, () => {
      const streak = streakOf(size);
      // Several batches of the larger size may be under way.
      size.lower(300);
      size.lower(290);
      size.lower(300);
      return streak;
    });
    assert.deepEqual(streaks, [8, 16, 32, 64, 128, 256, 512, 1_024, 1_024]);
  });
});
