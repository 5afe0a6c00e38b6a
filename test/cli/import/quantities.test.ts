import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { countOf, formatBytes, formatDuration, formatTimeLeft } from '../../../cli/import/quantities.ts';

describe('quantities', () => {
  const rows: [actual: string, expected: string][] = [
    [countOf(1, 'event'), '1 event'],
    [countOf(1_234_567, 'event'), '1,234,567 events'],
    [formatBytes(999), '999 B'],
    [formatBytes(1_000), '1.0 kB'],
    [formatBytes(99_949), '99.9 kB'],
    [formatBytes(99_950), '100 kB'],
    [formatBytes(999_500), '1.0 MB'],
    [formatBytes(5_500_000_000_000_000), '5,500 TB'],
    [formatDuration(0), '0.0 s'],
    [formatDuration(9_949), '9.9 s'],
    [formatDuration(9_950), '10 s'],
    [formatDuration(59_600), '1 min 00 s'],
    [formatDuration(3_599_000), '59 min 59 s'],
    [formatDuration(7_500_000), '2 h 05 min'],
    [formatTimeLeft(10), '1 s'],
    [formatTimeLeft(3_001), '4 s'],
    [formatTimeLeft(61_000), '1 min 01 s'],
  ];
  for (const [actual, expected] of rows)
    it(`a quantity is written as ${expected}`, () => assert.equal(actual, expected));
});
