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
  const nacked: ReceivedMessage[] = [];
  const nack = (messages: ReceivedMessage[]) => nacked.push(...messages);
  const pulled = pullMessages({
    subscriber: subscribed.subscriber,
    subscription: SUBSCRIPTION,
    idleMs,
    run,
    isCautious: () => false,
    nack,
  });
  return { ...subscribed, run, slept, nacked, pulled };
}

const numbers = (messages: ReceivedMessage[]) => messages.map(({ message }) => Number(String(message?.data)));

describe('pullMessages', () => {
  test('pullMessages yields every message once, and ends when no more arrive', async (t) => {
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

  test('pullMessages makes one pull at a time while there are no messages, and several side by side once messages arrive', async (t) => {
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
    test(`pullMessages waits a second and continues if a pull fails with gRPC status ${code}`, async (t) => {
      const { publish, pulled, server, slept } = await start(t, { idleMs: 100 });
      server.fault = ({ method, sequence }) => (method === 'Pull' && sequence === 1 ? { code } : undefined);
      publish(2);
      assert.deepEqual(numbers((await Array.fromAsync(pulled)).flat()), [0, 1]);
      assert.deepEqual(slept, [1_000]);
    });
  }

  test('pullMessages throws if not a single pull succeeded', async (t) => {
    const { pulled, server } = await start(t);
    server.fault = ({ method }) => (method === 'Pull' ? { code: 14 } : undefined);
    await assert.rejects(Array.fromAsync(pulled), { code: 14 });
  });

  test('pullMessages throws at once if pulling is forbidden', async (t) => {
    const { pulled, server, slept } = await start(t);
    server.fault = ({ method }) => (method === 'Pull' ? { code: 7 } : undefined);
    await assert.rejects(Array.fromAsync(pulled), { code: 7 });
    assert.deepEqual(slept, []);
  });

  test('pullMessages ends when the run winds down, although a pull is still waiting', async (t) => {
    const { pulled, run, publish } = await start(t, { idleMs: 60_000 });
    publish(1);
    assert.equal((await pulled.next()).value?.length, 1);
    const next = pulled.next();
    const stoppedAt = Date.now();
    run.stop('deadline');
    assert.equal((await next).done, true);
    assert.ok(Date.now() - stoppedAt < 5_000);
  });

  test('messages that a pull brings after the run began to wind down are nacked', async (t) => {
    const { pulled, run, publish, nacked, calls } = await start(t, { idleMs: 60_000 });
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
    assert.equal(nacked.length, 1);
  });
});
