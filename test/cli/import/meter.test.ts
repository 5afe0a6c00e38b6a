import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Meter } from '../../../cli/import/meter.ts';

describe('the meter', () => {
  it('the meter counts compressed bytes as far as their content is settled, not as far as they were read', () => {
    const meter = new Meter([1_000], () => 0);
    const file = meter.begin('a.gz', () => 7);
    file.read(800);
    file.opened(8_000);
    file.settled(2_000);
    const { bytes, totalBytes, events } = meter.progress();
    assert.deepEqual([bytes, totalBytes, events], [200, 1_000, 7]);
  });

  it('the meter adds up the files, and counts a finished one as a whole', () => {
    const meter = new Meter([1_000, 3_000], () => 0);
    meter.begin('a', () => 7).end();
    const file = meter.begin('b', () => 5);
    file.read(500);
    file.opened(500);
    file.settled(400);
    const { file: name, place, bytes, totalBytes, events } = meter.progress();
    assert.deepEqual([name, place, bytes, totalBytes, events], ['b', '[2/2]', 1_400, 4_000, 12]);
  });

  it('the meter knows the speed of the last ten seconds, and from it the time left', () => {
    let now = 0;
    let events = 0;
    const meter = new Meter([100_000], () => now);
    const file = meter.begin('a', () => events);
    file.read(100_000);
    file.opened(100_000);
    const settle = (bytes: number) => {
      now += 1_000;
      events += bytes / 100;
      file.settled(bytes);
      return meter.progress();
    };
    assert.equal(meter.progress().bytesPerSecond, undefined);
    for (let second = 0; second < 20; second++) settle(1_000);
    let progress = meter.progress();
    assert.deepEqual([progress.bytesPerSecond, progress.eventsPerSecond, progress.msLeft], [1_000, 10, 80_000]);
    for (let second = 0; second < 10; second++) progress = settle(2_000);
    assert.deepEqual([progress.bytesPerSecond, progress.eventsPerSecond, progress.msLeft], [2_000, 20, 30_000]);
  });

  it('the meter has no total if the size of one file is not known', () => {
    const meter = new Meter([1_000, undefined], () => 0);
    meter.begin('a', () => 0);
    assert.deepEqual([meter.progress().totalBytes, meter.progress().msLeft], [undefined, undefined]);
  });

  it('the meter says what requests wait for until their waits are over', () => {
    let now = 0;
    const meter = new Meter([1], () => now);
    meter.begin('a', () => 0);
    meter.wait('Mixpanel answered 429', 3_500);
    assert.equal(meter.progress().waiting, 'Mixpanel answered 429: waiting 4 s');
    meter.wait('Mixpanel answered 503', 2_000);
    assert.equal(meter.progress().waiting, 'Mixpanel answered 503: waiting 2 s (2 requests)');
    now = 2_000;
    assert.equal(meter.progress().waiting, 'Mixpanel answered 429: waiting 2 s');
    now = 3_500;
    assert.equal(meter.progress().waiting, undefined);
  });
});
