import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { eventText } from '../support/event.ts';
import { assertNothingLeaked, startTestCloud, type TestCloud } from '../support/serving.ts';
import { testDrainSubscription } from './drain-subscription.cases.ts';

describe('drainSubscription, served by the functions framework', () => {
  testDrainSubscription((env) => startTestCloud({ env }));
});

describe('drainSubscription, with faults of the local cloud', () => {
  let cloud: TestCloud;

  before(async () => {
    cloud = await startTestCloud();
  });
  beforeEach(() => cloud.reset());
  after(() => cloud?.close());
  const check = (name: string, body: () => Promise<void>) =>
    test(name, { timeout: 30_000 }, async () => {
      await body();
      assertNothingLeaked(cloud.printed);
    });

  check(
    'drainSubscription acknowledges a message after Mixpanel has answered and its dead letter is written',
    async () => {
      const order: string[] = [];
      cloud.mixpanel.once('request', () => order.push('taken'));
      cloud.storage.on('finalize', ({ name }) => {
        if (name.startsWith('dead-letters/')) order.push('written');
      });
      cloud.pubsub.once('ack', () => order.push('acknowledged'));
      cloud.mixpanel.fault = () => ({ delayMs: 300 });
      await cloud.publish(eventText('id-1', { time: 'never' }));
      await cloud.drain();
      assert.deepEqual(order, ['taken', 'written', 'acknowledged']);
    },
  );

  check('drainSubscription keeps a message in the subscription if its dead letter cannot be written', async () => {
    cloud.storage.fault = ({ kind }) => (kind === 'upload' ? { status: 403 } : undefined);
    await cloud.publish('no event', eventText('id-1'));
    const { status } = await cloud.drain();
    cloud.storage.fault = undefined;
    assert.equal(status, 500);
    assert.ok((await cloud.backlog()) >= 1);
    let rejected = 0;
    while ((await cloud.backlog()) > 0) rejected += ((await cloud.drain()).body as { rejected: number }).rejected;
    assert.equal(rejected, 1);
    assert.equal((await cloud.deadLetters()).length, 1);
    assert.equal(cloud.mixpanel.events().length, 1);
  });
});
