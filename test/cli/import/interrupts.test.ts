import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { handleInterrupts } from '../../../cli/import/interrupts.ts';
import { startRun } from '../../../functions/core/run.ts';

afterEach(() => {
  process.removeAllListeners('SIGINT');
});

describe('Ctrl-C', () => {
  let now = 0;
  let told = 0;

  function start() {
    now = told = 0;
    const interrupts = handleInterrupts(
      () => {
        told++;
      },
      () => now,
    );
    const run = startRun();
    interrupts.watch(run);
    return { interrupts, run };
  }

  it('Ctrl-C winds the run down, and does not abort it', () => {
    const { interrupts, run } = start();
    assert.equal(interrupts.isInterrupted, false);
    process.emit('SIGINT');
    assert.deepEqual([interrupts.isInterrupted, run.stopReason, run.aborted.aborted], [true, 'shutdown', false]);
  });

  it('two signals at once count as one Ctrl-C, as npm sends them', () => {
    const { run } = start();
    process.emit('SIGINT');
    now = 50;
    process.emit('SIGINT');
    assert.deepEqual([told, run.aborted.aborted], [1, false]);
  });

  it('a second Ctrl-C aborts the run', () => {
    const { run } = start();
    process.emit('SIGINT');
    now = 400;
    process.emit('SIGINT');
    assert.deepEqual([told, run.aborted.aborted], [1, true]);
  });

  it('Ctrl-C winds down the run in progress, not one before it', () => {
    const { interrupts, run } = start();
    const next = startRun();
    interrupts.watch(next);
    process.emit('SIGINT');
    assert.deepEqual([run.stopReason, next.stopReason], [undefined, 'shutdown']);
  });
});
