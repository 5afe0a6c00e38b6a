import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { Acks } from '../../../functions/pubsub/acks.ts';
import { SUBSCRIPTION, type Subscribed, startSubscribed } from '../../support/subscribed.ts';

const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;

async function start(t: TestContext) {
  const subscribed = await startSubscribed(t);
  const failures: Error[] = [];
  const acks = new Acks(subscribed.subscriber, SUBSCRIPTION, (error) => failures.push(error));
  return { ...subscribed, acks, failures };
}

/** Publishes messages and takes them; returns their ack ids. */
async function take({ subscriber, publish }: Subscribed, count: number): Promise<string[]> {
  publish(count);
  const ids: string[] = [];
  while (ids.length < count) {
    const [{ receivedMessages }] = await subscriber.pull({ subscription: SUBSCRIPTION, maxMessages: 1_000 });
    ids.push(...(receivedMessages ?? []).map(({ ackId }) => ackId!));
  }
  return ids;
}

describe('Acks', () => {
  test('messages that are acked together are acknowledged in one call, and soon', async (t) => {
    const started = await start(t);
    for (const id of await take(started, 3)) started.acks.ack(id);
    await once(started.server, 'ack');
    assert.deepEqual(started.backlog(), { waiting: 0, outstanding: 0, acked: 3 });
    assert.equal(started.calls('Acknowledge'), 1);
    await started.acks.flush();
    assert.equal(started.acks.acknowledged, 3);
  });

  test('a call acknowledges at most 1,000 messages, and full calls do not wait', async (t) => {
    const started = await start(t);
    for (const id of await take(started, 2_500)) started.acks.ack(id);
    await started.acks.flush();
    assert.equal(started.calls('Acknowledge'), 3);
    assert.equal(started.acks.acknowledged, 2_500);
    assert.deepEqual(started.backlog(), { waiting: 0, outstanding: 0, acked: 2_500 });
  });

  const faults = {
    'is answered as unavailable': { code: UNAVAILABLE },
    'succeeds, and is answered as unavailable': { applyThen: UNAVAILABLE },
  };
  for (const [name, fault] of Object.entries(faults)) {
    test(`messages are acknowledged even if a call ${name} once`, async (t) => {
      const started = await start(t);
      started.server.fault = ({ method, sequence }) => (method === 'Acknowledge' && sequence === 1 ? fault : undefined);
      for (const id of await take(started, 1)) started.acks.ack(id);
      await started.acks.flush();
      assert.deepEqual(started.backlog(), { waiting: 0, outstanding: 0, acked: 1 });
      assert.deepEqual(started.failures, []);
      assert.equal(started.calls('Acknowledge'), 2);
    });
  }

  test('a call that fails is reported, none of its messages count as acknowledged, and others continue', async (t) => {
    const started = await start(t);
    const ids = await take(started, 1_001);
    started.server.fault = ({ method, sequence }) =>
      method === 'Acknowledge' && sequence === 1 ? { code: PERMISSION_DENIED } : undefined;
    for (const id of ids) started.acks.ack(id);
    await started.acks.flush();
    assert.equal(started.failures.length, 1);
    assert.equal(started.acks.acknowledged, 1);
    assert.deepEqual(started.backlog(), { waiting: 0, outstanding: 1_000, acked: 1 });
  });

  test('messages that are nacked are delivered again at once', async (t) => {
    const started = await start(t);
    started.acks.nack(await take(started, 1_500));
    await started.acks.flush();
    assert.equal(started.calls('ModifyAckDeadline'), 2);
    assert.deepEqual(started.backlog(), { waiting: 1_500, outstanding: 0, acked: 0 });
    started.acks.nack([]);
    await started.acks.flush();
    assert.equal(started.calls('ModifyAckDeadline'), 2, 'no call without a message');
  });

  test('a nack that fails is reported, and its messages are delivered again after their ack deadline', async (t) => {
    const started = await start(t);
    const ids = await take(started, 1);
    started.server.fault = ({ method }) => (method === 'ModifyAckDeadline' ? { code: PERMISSION_DENIED } : undefined);
    started.acks.nack(ids);
    await started.acks.flush();
    assert.equal(started.failures.length, 1);
    assert.deepEqual(started.backlog(), { waiting: 0, outstanding: 1, acked: 0 });
  });
});
