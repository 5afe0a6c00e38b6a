import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Limiter } from '../../../../functions/core/mixpanel/limiter.ts';
import { type Run, startRun } from '../../../../functions/core/run.ts';
import { type VirtualClock, virtualClock } from '../../../support/sending.ts';

/** What has become of a call of acquire. */
interface Asked {
  state: 'waiting' | 'started' | 'refused';
  error: unknown;
}

/** A limiter, with what it was asked for. */
function setUp(max: number) {
  const clock = virtualClock();
  const limiter = new Limiter(max);
  const ask = (run: Run): Asked => {
    const asked: Asked = { state: 'waiting', error: undefined };
    limiter.acquire(run).then(
      () => {
        asked.state = 'started';
      },
      (error: unknown) => {
        asked.state = 'refused';
        asked.error = error;
      },
    );
    return asked;
  };
  return { clock, limiter, run: startRun(undefined, clock), ask };
}

async function statesOf(asked: readonly Asked[]): Promise<string[]> {
  await turn();
  return asked.map(({ state }) => state);
}

/** Ends attempts with success until the limit is `limit`. */
async function growTo(limit: number, limiter: Limiter, run: Run): Promise<void> {
  while (limiter.limit < limit) {
    await limiter.acquire(run);
    limiter.release(true);
  }
}

describe('the limit', () => {
  for (const [max, begin] of [
    [1, 1],
    [2, 1],
    [5, 3],
    [10, 5],
  ] as const) {
    test(`the limit begins at ${begin} if the maximum is ${max}`, () => assert.equal(new Limiter(max).limit, begin));
  }

  test('attempts beyond the limit start in their order, as others end', async () => {
    const { limiter, run, ask } = setUp(4);
    const asked = Array.from({ length: 4 }, () => ask(run));
    assert.deepEqual(await statesOf(asked), ['started', 'started', 'waiting', 'waiting']);
    limiter.release(false);
    assert.deepEqual(await statesOf(asked), ['started', 'started', 'started', 'waiting']);
    limiter.release(false);
    assert.deepEqual(await statesOf(asked), ['started', 'started', 'started', 'started']);
  });

  test('the limit grows by one after as many successes as it is high, up to the maximum', async () => {
    const { limiter, run } = setUp(6);
    const limits: number[] = [];
    for (let success = 0; success < 20; success++) {
      await limiter.acquire(run);
      limiter.release(true);
      limits.push(limiter.limit);
    }
    assert.deepEqual(limits, [3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6]);
  });

  test('the limit does not grow by attempts without success', async () => {
    const { limiter, run } = setUp(4);
    for (let attempt = 0; attempt < 20; attempt++) {
      await limiter.acquire(run);
      limiter.release(false);
    }
    assert.equal(limiter.limit, 2);
  });

  test('a limit that grew lets one more attempt start than has ended', async () => {
    const { limiter, run, ask } = setUp(2);
    const asked = Array.from({ length: 4 }, () => ask(run));
    assert.deepEqual(await statesOf(asked), ['started', 'waiting', 'waiting', 'waiting']);
    limiter.release(true);
    assert.deepEqual(await statesOf(asked), ['started', 'started', 'started', 'waiting']);
  });

  test('a limit that shrank does not let an attempt start before enough others have ended', async () => {
    const { clock, limiter, run, ask } = setUp(8);
    const asked = Array.from({ length: 7 }, () => ask(run));
    await turn();
    limiter.pause(1_000, clock.now());
    clock.advance(1_000);
    assert.equal(limiter.limit, 2);
    const started: number[] = [];
    for (let ended = 0; ended < 4; ended++) {
      limiter.release(false);
      started.push((await statesOf(asked)).filter((state) => state === 'started').length);
    }
    assert.deepEqual(started, [4, 4, 5, 6]);
  });
});

describe('a pause', () => {
  test('a pause keeps every attempt from starting, and halves the limit', async () => {
    const { clock, limiter, run, ask } = setUp(8);
    limiter.pause(1_000, clock.now());
    assert.equal(limiter.limit, 2);
    const asked = Array.from({ length: 3 }, () => ask(run));
    assert.deepEqual(await statesOf(asked), ['waiting', 'waiting', 'waiting']);
    clock.advance(999);
    assert.deepEqual(await statesOf(asked), ['waiting', 'waiting', 'waiting']);
    clock.advance(1);
    assert.deepEqual(await statesOf(asked), ['started', 'started', 'waiting']);
  });

  test('a pause also holds back attempts that already waited for others to end', async () => {
    const { clock, limiter, run, ask } = setUp(2);
    const asked = [ask(run), ask(run)];
    await turn();
    limiter.pause(1_000, clock.now());
    limiter.release(false);
    assert.deepEqual(await statesOf(asked), ['started', 'waiting']);
    clock.advance(1_000);
    assert.deepEqual(await statesOf(asked), ['started', 'started']);
  });

  test('a pause can become longer while it lasts, but not shorter, and halves the limit once', async () => {
    const { clock, limiter, run, ask } = setUp(16);
    limiter.pause(1_000, clock.now());
    const asked = [ask(run)];
    clock.advance(500);
    limiter.pause(2_000, clock.now());
    limiter.pause(100, clock.now());
    assert.equal(limiter.limit, 4);
    clock.advance(1_999);
    assert.deepEqual(await statesOf(asked), ['waiting']);
    clock.advance(1);
    assert.deepEqual(await statesOf(asked), ['started']);
  });

  test('a pause after another one halves the limit again, down to one', () => {
    const { clock, limiter } = setUp(10);
    const limits: number[] = [];
    for (let pause = 0; pause < 4; pause++) {
      limiter.pause(1_000, clock.now());
      limits.push(limiter.limit);
      clock.advance(1_000);
    }
    assert.deepEqual(limits, [2, 1, 1, 1]);
  });

  test('successes before a pause do not count after it', async () => {
    const { clock, limiter, run } = setUp(8);
    await growTo(6, limiter, run);
    for (let success = 0; success < 5; success++) {
      await limiter.acquire(run);
      limiter.release(true);
    }
    limiter.pause(1_000, clock.now());
    clock.advance(1_000);
    for (const limit of [3, 3, 4]) {
      await limiter.acquire(run);
      limiter.release(true);
      assert.equal(limiter.limit, limit);
    }
  });
});

describe('a run that stops', () => {
  test('a run that stopped does not start an attempt', async () => {
    const { run, ask } = setUp(2);
    run.stop('shutdown');
    const asked = ask(run);
    assert.deepEqual(await statesOf([asked]), ['refused']);
    assert.equal(asked.error, run.stopping.reason);
  });

  test('a run that stops gives up its places in the queue, and those after it keep theirs', async () => {
    const { clock, limiter, run, ask } = setUp(2);
    const other = startRun(undefined, clock);
    const asked = [ask(run), ask(other), ask(run), ask(other), ask(run)];
    await turn();
    other.stop('deadline');
    assert.deepEqual(await statesOf(asked), ['started', 'refused', 'waiting', 'refused', 'waiting']);
    assert.equal(asked[3]!.error, other.stopping.reason);
    limiter.release(false);
    assert.deepEqual(await statesOf(asked), ['started', 'refused', 'started', 'refused', 'waiting']);
    limiter.release(false);
    assert.deepEqual(await statesOf(asked), ['started', 'refused', 'started', 'refused', 'started']);
  });

  test('a run that stops does not wait for the end of a pause', async () => {
    const { clock, limiter, run, ask } = setUp(2);
    limiter.pause(1_000, clock.now());
    const asked = ask(run);
    await turn();
    run.stop('shutdown');
    assert.deepEqual(await statesOf([asked]), ['refused']);
    assert.equal(clock.sleepers, 0);
  });

  test('a run that stops just when its turn has come leaves the turn to the next', async () => {
    const { clock, limiter, run, ask } = setUp(1);
    const other = startRun(undefined, clock);
    const asked = [ask(run), ask(other), ask(run)];
    await turn();
    limiter.release(false);
    other.stop('shutdown');
    assert.deepEqual(await statesOf(asked), ['started', 'refused', 'started']);
  });

  test('a run that stops in a pause, which began when its turn had come, leaves the turn to the next', async () => {
    const { clock, limiter, run, ask } = setUp(1);
    const other = startRun(undefined, clock);
    const asked = [ask(run), ask(other), ask(run)];
    await turn();
    limiter.pause(1_000, clock.now());
    limiter.release(false);
    await turn();
    other.stop('shutdown');
    clock.advance(1_000);
    assert.deepEqual(await statesOf(asked), ['started', 'refused', 'started']);
  });
});

test('the limit holds and nobody waits for ever, whatever happens in whatever order', async () => {
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('ask' as const), run: fc.nat(2) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('release' as const), isSuccess: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), ms: fc.integer({ min: 1, max: 50 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 50 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('stop' as const), run: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.array(action, { minLength: 30, maxLength: 90 }),
      async (max, actions) => {
        const { clock, limiter, ask } = setUp(max);
        const runs = Array.from({ length: 3 }, () => startRun(undefined, clock));
        const all: Asked[] = [];
        let released = 0;
        /** The highest limit since attempts were last given the time to start. */
        let highest = limiter.limit;
        let pausedUntil = 0;
        const inFlight = () => all.filter(({ state }) => state === 'started').length - released;
        const release = (isSuccess: boolean) => {
          released++;
          limiter.release(isSuccess);
        };
        for (const it of actions) {
          if (it.do === 'ask') all.push(ask(runs[it.run]!));
          else if (it.do === 'release' && inFlight() > 0) release(it.isSuccess);
          else if (it.do === 'pause') {
            limiter.pause(it.ms, clock.now());
            pausedUntil = Math.max(pausedUntil, clock.now() + it.ms);
          } else if (it.do === 'advance') clock.advance(it.ms);
          else if (it.do === 'stop') {
            runs[it.run]!.stop('shutdown');
            runs[it.run] = startRun(undefined, clock);
          } else if (it.do === 'turn') await turn();
          assert.ok(limiter.limit >= 1 && limiter.limit <= max);
          assert.ok(inFlight() <= Math.max(highest, limiter.limit), 'more in flight than the limit');
          highest = Math.max(it.do === 'turn' ? inFlight() : highest, limiter.limit);
          if (it.do !== 'turn' || clock.now() < pausedUntil || inFlight() >= limiter.limit) continue;
          for (const { state } of all) assert.notEqual(state, 'waiting', 'one waits although there is room');
        }
        await settle(clock, inFlight, release);
        for (const { state } of all) assert.notEqual(state, 'waiting', 'one waits for ever');
      },
    ),
    { numRuns: 300 },
  );
});

/** Lets time pass and attempts end until nothing moves any more. */
async function settle(clock: VirtualClock, inFlight: () => number, release: (isSuccess: boolean) => void) {
  do {
    while (inFlight() > 0) release(false);
    clock.advance(1_000);
    await turn();
  } while (inFlight() > 0);
}

test('a pause that another run met stops a run at once if it outlasts the deadline of that run', async () => {
  const { clock, limiter } = setUp(4);
  limiter.pause(3_600_000, clock.now());
  const run = startRun(500_000, clock);
  await assert.rejects(limiter.acquire(run), { code: 'stopped' });
  assert.equal(run.stopReason, 'retry-after');
});

describe('a pause of more than a minute', () => {
  test('one attempt a minute may start as a probe, and its end alone does not end the pause', async () => {
    const { clock, limiter, run, ask } = setUp(8);
    limiter.pause(600_000, clock.now());
    const asked = [ask(run), ask(run), ask(run)];
    await turn();
    clock.advance(59_999);
    assert.deepEqual(await statesOf(asked), ['waiting', 'waiting', 'waiting']);
    clock.advance(1);
    assert.deepEqual(await statesOf(asked), ['started', 'waiting', 'waiting']);
    limiter.release(false, 'probe');
    assert.deepEqual(await statesOf(asked), ['started', 'waiting', 'waiting']);
    clock.advance(60_000);
    assert.deepEqual(await statesOf(asked), ['started', 'started', 'waiting']);
  });

  test('an attempt says whether it is a probe', async () => {
    const { clock, limiter, run } = setUp(8);
    assert.equal(await limiter.acquire(run), 'attempt');
    limiter.pause(600_000, clock.now());
    const permit = limiter.acquire(run);
    clock.advance(60_000);
    assert.equal(await permit, 'probe');
    limiter.resume();
    limiter.release(true, 'probe');
    assert.equal(await limiter.acquire(run), 'attempt');
  });

  test('everybody who waits starts when the pause ends early, up to the limit', async () => {
    const { clock, limiter, run, ask } = setUp(8);
    limiter.pause(600_000, clock.now());
    const asked = [ask(run), ask(run), ask(run)];
    assert.deepEqual(await statesOf(asked), ['waiting', 'waiting', 'waiting']);
    limiter.resume();
    assert.deepEqual(await statesOf(asked), ['started', 'started', 'waiting']);
    assert.equal(clock.sleepers, 0);
  });

  test('a run whose probe is under way is not stopped by a pause that outlasts it, and is once the probe failed', async () => {
    const { clock, limiter, ask } = setUp(8);
    limiter.pause(600_000, clock.now());
    clock.advance(60_000);
    const run = startRun(300_000, clock);
    const asked = [ask(run), ask(run)];
    assert.deepEqual(await statesOf(asked), ['started', 'waiting']);
    limiter.pause(600_000, clock.now(), 'probe');
    limiter.release(false, 'probe');
    assert.equal(run.stopReason, undefined);
    const next = ask(run);
    assert.deepEqual(await statesOf([next]), ['refused']);
    assert.equal(run.stopReason, 'retry-after');
  });

  test('a pause that was not asked for with 429 leaves the limit as it is', () => {
    const { clock, limiter } = setUp(8);
    limiter.pause(600_000, clock.now(), 'attempt', false);
    assert.equal(limiter.limit, 4);
  });
});
