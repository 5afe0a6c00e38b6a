import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { startRun, systemClock } from '../../../functions/core/run.ts';
import { pullMessages, type ReceivedMessage } from '../../../functions/pubsub/pull.ts';
import { SUBSCRIPTION, startSubscribed } from '../../support/subscribed.ts';

async function start(t: TestContext, { idleMs = 0 } = {}) {
  const subscribed = await startSubscribed(t);
  const slept: number[] = [];
  const run = startRun(undefined, {
    ...systemClock,
    async sleep(ms) {
      slept.push(ms);
    },
  });
  const givenBack: ReceivedMessage[] = [];
  const giveBack = (messages: ReceivedMessage[]) => givenBack.push(...messages);
  const pulled = pullMessages({ subscriber: subscribed.subscriber, subscription: SUBSCRIPTION, idleMs, run, giveBack });
  return { ...subscribed, run, slept, givenBack, pulled };
}

const numbers = (messages: ReceivedMessage[]) => messages.map(({ message }) => Number(String(message?.data)));

describe('pullMessages', () => {
  test('yields every message once, and ends when nothing comes', async (t) => {
    const { publish, pulled, backlog } = await start(t);
    publish(3_500);
    const messages = (await Array.fromAsync(pulled)).flat();
    assert.deepEqual(
      numbers(messages).sort((a, b) => a - b),
      Array.from({ length: 3_500 }, (_, number) => number),
    );
    assert.equal(new Set(messages.map(({ ackId }) => ackId)).size, 3_500);
    assert.equal(backlog().outstanding, 3_500);
  });

  test('pulls once at a time while there is nothing, and a few times side by side once messages come', async (t) => {
    const { publish, pulled, calls, server, run } = await start(t);
    const first = pulled.next();
    await new Promise<void>((resolve) => {
      const check = () => (calls('Pull') > 0 ? resolve() : setImmediate(check));
      check();
    });
    assert.equal(calls('Pull'), 1);
    publish(1);
    assert.equal((await first).value?.length, 1);
    const second = pulled.next();
    publish(1);
    await once(server, 'deliver');
    await second;
    assert.ok(calls('Pull') >= 3);
    run.stop('end');
    await pulled.return(undefined);
  });

  for (const code of [8, 14]) {
    test(`waits a second and goes on when a pull fails with gRPC status ${code}`, async (t) => {
      const { publish, pulled, server, slept } = await start(t, { idleMs: 100 });
      server.fault = ({ method, sequence }) => (method === 'Pull' && sequence === 1 ? { code } : undefined);
      publish(2);
      assert.deepEqual(numbers((await Array.fromAsync(pulled)).flat()), [0, 1]);
      assert.deepEqual(slept, [1_000]);
    });
  }

  test('throws when not one pull could ask whether there is anything', async (t) => {
    const { pulled, server } = await start(t);
    server.fault = ({ method }) => (method === 'Pull' ? { code: 14 } : undefined);
    await assert.rejects(Array.fromAsync(pulled), { code: 14 });
  });

  test('throws when not one pull could ask whether there is something', async (t) => {
    const { pulled, server } = await start(t);
    server.fault = ({ method }) => (method === 'Pull' ? { code: 14 } : undefined);
    await assert.rejects(Array.fromAsync(pulled), { code: 14 });
  });

  test('throws when it may not pull', async (t) => {
    const { pulled, server, slept } = await start(t);
    server.fault = ({ method }) => (method === 'Pull' ? { code: 7 } : undefined);
    await assert.rejects(Array.fromAsync(pulled), { code: 7 });
    assert.deepEqual(slept, []);
  });

  test('ends when the run winds down, though a pull is still waiting', async (t) => {
    const { pulled, run, publish } = await start(t, { idleMs: 60_000 });
    publish(1);
    assert.equal((await pulled.next()).value?.length, 1);
    const next = pulled.next();
    const stoppedAt = Date.now();
    run.stop('deadline');
    assert.equal((await next).done, true);
    assert.ok(Date.now() - stoppedAt < 5_000);
  });

  test('gives back what pulls bring that are still waiting when the run winds down', async (t) => {
    const { pulled, run, publish, givenBack, calls } = await start(t, { idleMs: 60_000 });
    publish(1);
    assert.equal((await pulled.next()).value?.length, 1);
    const next = pulled.next();
    await new Promise<void>((resolve) => {
      const check = () => (calls('Pull') >= 4 ? resolve() : setImmediate(check));
      check();
    });
    run.stop('deadline');
    publish(1);
    assert.equal((await next).done, true);
    assert.equal(givenBack.length, 1);
  });
});
