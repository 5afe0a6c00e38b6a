import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { ImportError } from '../../../functions/core/errors.ts';
import { type StopReason, startRun, systemClock } from '../../../functions/core/run.ts';
import { virtualClock } from '../../support/sending.ts';

describe('a run', () => {
  test('a run begins with empty accounts and without a reason to stop', () => {
    const clock = virtualClock();
    clock.advance(1_000);
    const run = startRun(5_000, clock);
    assert.deepEqual(run.stats, { batches: 0, attempts: 0, throttled: 0, bytes: 0, accepted: 0, deferred: 0 });
    assert.equal(run.stopReason, undefined);
    assert.ok(!run.stopping.aborted);
    assert.ok(!run.aborted.aborted);
    assert.equal(run.startedAt, 1_000);
    assert.equal(run.deadline, 6_000);
    run.end();
  });

  test('a run stops at its deadline, and does not abort what is in flight', async () => {
    const clock = virtualClock();
    const run = startRun(5_000, clock);
    clock.advance(4_999);
    await Promise.resolve();
    assert.ok(!run.stopping.aborted);
    clock.advance(1);
    await Promise.resolve();
    assert.ok(run.stopping.aborted);
    assert.equal(run.stopReason, 'deadline');
    assert.ok(!run.aborted.aborted);
  });

  test('a run without a deadline does not sleep', () => {
    const clock = virtualClock();
    const run = startRun(undefined, clock);
    assert.equal(clock.sleepers, 0);
    assert.equal(run.deadline, Number.POSITIVE_INFINITY);
  });

  for (const reason of ['retry-after', 'shutdown', 'lease-lost', 'failure'] satisfies StopReason[]) {
    test(`a run that stops because of ${reason} says so in an ImportError, and does not wait for its deadline any more`, () => {
      const clock = virtualClock();
      const run = startRun(5_000, clock);
      run.stop(reason);
      assert.equal(run.stopReason, reason);
      const error: unknown = run.stopping.reason;
      assert.ok(error instanceof ImportError);
      assert.equal(error.code, 'stopped');
      assert.match(error.message, new RegExp(`\\(${reason}\\)`));
      assert.equal(clock.sleepers, 0);
    });
  }

  test('a run keeps the first of several reasons to stop', async () => {
    const clock = virtualClock();
    const run = startRun(5_000, clock);
    run.stop('lease-lost');
    const error: unknown = run.stopping.reason;
    run.stop('failure');
    run.abort();
    clock.advance(5_000);
    run.end();
    await Promise.resolve();
    assert.equal(run.stopReason, 'lease-lost');
    assert.equal(run.stopping.reason, error);
    assert.equal(run.aborted.reason, error);
  });

  test('a run that is aborted before it is stopped ends as at a shutdown', () => {
    const run = startRun(undefined, virtualClock());
    run.abort();
    assert.equal(run.stopReason, 'shutdown');
    assert.ok(run.aborted.aborted);
    assert.equal(run.aborted.reason, run.stopping.reason);
  });

  test('a run that has ended does not hold a timer', () => {
    const clock = virtualClock();
    const run = startRun(5_000, clock);
    assert.equal(clock.sleepers, 1);
    run.end();
    assert.equal(clock.sleepers, 0);
  });

  test('a run can have any number of listeners without a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const run = startRun();
    const sleeps = Array.from({ length: 100 }, () => systemClock.sleep(60_000, run.stopping));
    for (let listener = 0; listener < 100; listener++) run.aborted.addEventListener('abort', () => {});
    run.stop('shutdown');
    const settled = await Promise.allSettled(sleeps);
    process.off('warning', onWarning);
    assert.ok(settled.every(({ status }) => status === 'rejected'));
    assert.deepEqual(warnings, []);
  });
});

describe('the system clock', () => {
  test('the system clock sleeps as long as it is asked to, and leaves no listener', async () => {
    const { signal } = new AbortController();
    const start = systemClock.now();
    await systemClock.sleep(20, signal);
    // A timer may be up to a millisecond early by this clock.
    assert.ok(systemClock.now() - start >= 19);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  test('the system clock wakes with the reason of the signal, and leaves no timer', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const timers = timersOf();
    const sleep = systemClock.sleep(60_000, controller.signal);
    assert.equal(timersOf(), timers + 1);
    controller.abort(reason);
    await assert.rejects(sleep, reason);
    assert.equal(timersOf(), timers);
  });

  test('the system clock does not sleep if the signal is already aborted', async () => {
    const reason = new Error('enough');
    await assert.rejects(systemClock.sleep(60_000, AbortSignal.abort(reason)), reason);
  });

  for (const ms of [2 ** 31, 90 * 86_400_000, Number.POSITIVE_INFINITY]) {
    test(`the system clock sleeps ${ms} ms although a timer cannot be that long`, async () => {
      const controller = new AbortController();
      const sleep = systemClock.sleep(ms, controller.signal).then(
        () => 'woke',
        () => 'was woken',
      );
      await systemClock.sleep(10, new AbortController().signal);
      controller.abort();
      assert.equal(await sleep, 'was woken');
    });
  }
});

/** Timers that keep the process alive. */
function timersOf(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}
