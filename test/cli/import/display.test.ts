import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { showProgress } from '../../../cli/import/display.ts';
import { Meter } from '../../../cli/import/meter.ts';

/** A stream that a display takes for standard error, and what was written to it. */
function newStream(terminal: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  const stream = Object.assign(new PassThrough(), terminal, { getColorDepth: () => 1 });
  stream.on('data', (chunk) => written.push(String(chunk)));
  return { stream: stream as unknown as NodeJS.WriteStream, written };
}

function newMeter(): Meter {
  const meter = new Meter([1_000], () => performance.now());
  meter.begin('events.ndjson', () => 5);
  return meter;
}

describe('the display', () => {
  it('the display draws a bar in place on a terminal, at most ten times a second, and removes it at the end', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { stream, written } = newStream({ isTTY: true, columns: 60 });
    const display = showProgress(stream, newMeter());
    t.mock.timers.tick(1_000);
    display.close();
    t.mock.timers.tick(1_000);
    assert.equal(written.filter((text) => text.includes('5 events')).length, 10);
    assert.ok(written.every((text) => !text.includes('\n') && text.length < 70));
    assert.equal(written.at(-1), '\r\x1b[K');
  });

  it('the display clears the bar before it prints a line that stays', () => {
    const { stream, written } = newStream({ isTTY: true, columns: 60 });
    const display = showProgress(stream, newMeter());
    display.print('a line');
    display.close();
    assert.deepEqual(written.slice(0, 2), ['\r\x1b[K', 'a line\n']);
  });

  it('the display writes a line every three seconds if there is no terminal, without any control character', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { stream, written } = newStream({ isTTY: false });
    const display = showProgress(stream, newMeter());
    t.mock.timers.tick(6_500);
    display.endFile();
    display.close();
    assert.equal(written.length, 3);
    for (const text of written) assert.match(text, /^events\.ndjson: 0% of 1\.0 kB, 5 events\P{Cc}*\n$/u);
  });

  it('the display reports retries at once, but not each of many', () => {
    const { stream, written } = newStream({ isTTY: false });
    const display = showProgress(stream, newMeter());
    for (let attempt = 1; attempt <= 5; attempt++) {
      display.notice({ kind: 'retry', what: 'Mixpanel answered 429', attempt, delayMs: 4_000 });
    }
    display.close();
    assert.equal(written.length, 1);
    assert.match(written[0]!, /Mixpanel answered 429: waiting 4 s$/m);
  });

  it('the display reports an answer whose count differs from what was sent', () => {
    const { stream, written } = newStream({ isTTY: false });
    const display = showProgress(stream, newMeter());
    display.notice({ kind: 'miscounted', status: 200, sent: 1, imported: 0 });
    display.close();
    assert.match(written[0]!, /took 0 of 1 event,/);
  });
});
