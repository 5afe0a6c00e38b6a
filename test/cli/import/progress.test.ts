import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Progress } from '../../../cli/import/meter.ts';
import { columnsOf, renderBar, renderLine } from '../../../cli/import/progress.ts';

const halfway: Progress = {
  file: 'events.ndjson',
  place: undefined,
  bytes: 21_000_000,
  totalBytes: 42_000_000,
  events: 123_456,
  eventsPerSecond: 41_234.5,
  bytesPerSecond: 9_800_000,
  msLeft: 2_140,
  waiting: undefined,
};
const waiting = 'Mixpanel answered 429: waiting 4 s';

describe('the bar', () => {
  const rows: { name: string; progress: Partial<Progress>; width: number; expected: string }[] = [
    {
      name: 'shows everything if there is room',
      progress: {},
      width: 120,
      expected: 'events.ndjson  ━━━━━━━━━━━━━━━─────────────── 50%  123,456 events  41,235/s  9.8 MB/s  3 s left',
    },
    {
      name: 'is shorter on a terminal of 80 columns',
      progress: {},
      width: 79,
      expected: 'events.ndjson  ━━━━━───── 50%  123,456 events  41,235/s  9.8 MB/s  3 s left',
    },
    {
      name: 'leaves the name out, then speeds, then the time left, as columns get fewer',
      progress: {},
      width: 61,
      expected: '━━━━━───── 50%  123,456 events  41,235/s  9.8 MB/s  3 s left',
    },
    {
      name: 'drops the bytes per second first',
      progress: {},
      width: 52,
      expected: '━━━━━───── 50%  123,456 events  41,235/s  3 s left',
    },
    {
      name: 'has no speeds on a narrow terminal',
      progress: {},
      width: 43,
      expected: '━━━━━───── 50%  123,456 events  3 s left',
    },
    { name: 'has only a percentage on a very narrow terminal', progress: {}, width: 15, expected: '━━━━━───── 50%' },
    {
      name: 'keeps the end of a long name',
      progress: { file: 'exports/2026/11/23/events-of-the-day.ndjson' },
      width: 90,
      expected: '…3/events-of-the-day.ndjson  ━━━━━───── 50%  123,456 events  41,235/s  9.8 MB/s  3 s left',
    },
    {
      name: 'shows which of several files it is',
      progress: { place: '[2/5]' },
      width: 86,
      expected: '[2/5] events.ndjson  ━━━━━───── 50%  123,456 events  41,235/s  9.8 MB/s  3 s left',
    },
    {
      name: 'shows what it waits for in place of the time left, and no speed that is 0',
      progress: { waiting, eventsPerSecond: 0.2, bytesPerSecond: 0 },
      width: 100,
      expected: `events.ndjson  ━━━━━━━━━━────────── 50%  123,456 events  ${waiting}`,
    },
    {
      name: 'drops what it waits for last',
      progress: { waiting },
      width: 52,
      expected: `━━━━━───── 50%  ${waiting}`,
    },
    {
      name: 'has no bar without a size',
      progress: { file: 'stdin', totalBytes: undefined, msLeft: undefined },
      width: 100,
      expected: 'stdin  21.0 MB  123,456 events  41,235/s  9.8 MB/s',
    },
    {
      name: 'is full at the end, also for an empty file',
      progress: {
        bytes: 0,
        totalBytes: 0,
        events: 1,
        eventsPerSecond: undefined,
        bytesPerSecond: undefined,
        msLeft: undefined,
      },
      width: 60,
      expected: 'events.ndjson  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100%  1 event',
    },
  ];
  for (const { name, progress, width, expected } of rows) {
    it(`the bar ${name} (${width} columns)`, () => {
      assert.equal(renderBar({ ...halfway, ...progress }, width).replace(/ +(?=\d+%)/, ' '), expected);
    });
  }

  it('the bar never takes more columns than there are', () => {
    const names = fc.string({ unit: fc.constantFrom('a', '/', 'é', '漢', '🎉', '\u001b', '\n'), maxLength: 60 });
    fc.assert(
      fc.property(
        names,
        fc.integer({ min: 4, max: 200 }),
        fc.boolean(),
        fc.boolean(),
        (file, width, hasSize, waits) => {
          const bar = renderBar(
            {
              ...halfway,
              file,
              totalBytes: hasSize ? 42_000_000 : undefined,
              waiting: waits ? `${waiting}${file}` : undefined,
            },
            hasSize ? width : width + 3,
          );
          assert.ok(columnsOf(bar) <= (hasSize ? width : width + 3), bar);
          assert.doesNotMatch(bar, /\p{Cc}/u);
        },
      ),
    );
  });

  it('the bar paints its parts', () => {
    const bar = renderBar({ ...halfway, waiting, file: '' }, 100, (part, text) => `<${part} ${text}>`);
    assert.match(bar, /^<done ━+><left ─+> <plain {2}50%> {2}<plain 123,456 events>.*<waiting Mixpanel answered/);
  });
});

describe('the line', () => {
  it('the line shows everything', () => {
    assert.equal(
      renderLine({ ...halfway, place: '[2/5]' }),
      '[2/5] events.ndjson: 50% of 42.0 MB, 123,456 events, 41,235/s, 9.8 MB/s, 3 s left',
    );
  });

  it('the line shows what it waits for, and no percentage without a size', () => {
    assert.equal(
      renderLine({ ...halfway, totalBytes: undefined, eventsPerSecond: 0, bytesPerSecond: 0, waiting }),
      `events.ndjson: 21.0 MB, 123,456 events, ${waiting}`,
    );
  });
});
