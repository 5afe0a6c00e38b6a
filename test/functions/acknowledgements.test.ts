import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { v1 } from '@google-cloud/pubsub';
import { readDrainSubscriptionConfig } from '../../functions/config.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender } from '../../functions/core/mixpanel/sender.ts';
import { createDrainSubscription } from '../../functions/drain-subscription.ts';
import type { ReceivedMessage } from '../../functions/pubsub/pull.ts';
import type { Logger } from '../../functions/runtime/log.ts';
import { startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { startStorage } from '../../local-cloud/storage/server.ts';
import { eventText } from '../support/event.ts';
import { FUNCTION_ENV, SERVICE_ACCOUNT } from '../support/serving.ts';
import { SUBSCRIPTION, startSubscribed } from '../support/subscribed.ts';

const INTERNAL = 13;
const PERMISSION_DENIED = 7;

/** A drain in this process, with the official client and a Pub/Sub of its own; what pulls bring can be changed. */
async function start(t: TestContext, change: (messages: ReceivedMessage[]) => ReceivedMessage[] = (it) => it) {
  const subscribed = await startSubscribed(t);
  const mixpanel = await startMixpanel({ serviceAccount: SERVICE_ACCOUNT });
  const folder = await mkdtemp(join(tmpdir(), 'acknowledgements-'));
  const storage = await startStorage({ folder });
  storage.createBucket('state');
  const config = readDrainSubscriptionConfig({
    ...FUNCTION_ENV,
    EVENT_SUBSCRIPTION: SUBSCRIPTION,
    STATE_BUCKET: 'state',
    STORAGE_API_ENDPOINT: storage.url,
    MIXPANEL_API_URL: mixpanel.url,
  });
  const client = createMixpanelClient(config.mixpanel);
  t.after(async () => {
    client.close();
    await Promise.all([mixpanel.close(), storage.close()]);
    await rm(folder, { recursive: true });
  });
  const { subscriber } = subscribed;
  const requested: string[][] = [];
  const proxied = {
    async pull(request: object, options: object) {
      const [response] = await subscriber.pull(request, options);
      return [{ ...response, receivedMessages: change(response.receivedMessages ?? []) }];
    },
    acknowledge(request: { ackIds: string[] }, options: object) {
      requested.push(request.ackIds);
      return subscriber.acknowledge(request as never, options);
    },
    modifyAckDeadline(request: { ackIds: string[] }, options: object) {
      requested.push(request.ackIds);
      return subscriber.modifyAckDeadline(request as never, options);
    },
  } as unknown as v1.SubscriberClient;
  const lines: Record<string, unknown>[] = [];
  const log = (severity: string) => (fields: object) => lines.push({ severity, ...fields });
  const logger = { info: log('INFO'), warn: log('WARNING'), error: log('ERROR') } as unknown as Logger;
  const drain = createDrainSubscription(config, createSender(client, { ...config, onNotice() {} }), proxied);
  return { ...subscribed, mixpanel, requested, lines, drain: () => drain(logger) as Promise<Record<string, unknown>> };
}

const event = (n: number) => ({ data: eventText(`id-${n}`) });

test('a message without an ack id comes again, and the others of its pull are acknowledged', async (t) => {
  let isEmpty = true;
  const { publish, drain, backlog, server, mixpanel, requested, lines } = await start(t, (messages) => {
    const [first, ...others] = messages;
    if (!isEmpty || others.length === 0) return messages;
    isEmpty = false;
    return [{ ...first, ackId: '' }, ...others];
  });
  for (let n = 0; n < 20; n++) publish(1, event(n));
  await drain();
  assert.deepEqual(backlog(), { waiting: 0, outstanding: 1, acked: 19 });
  assert.ok(!requested.flat().includes(''));
  assert.deepEqual(
    lines.filter(({ severity }) => severity === 'WARNING'),
    [],
  );
  server.expire(SUBSCRIPTION);
  await drain();
  assert.equal(backlog().acked, 20);
  assert.deepEqual([mixpanel.events().length, mixpanel.received], [20, 21]);
});

test('a message that one pull brings twice counts once, and is acknowledged', async (t) => {
  const { publish, drain, backlog, mixpanel } = await start(t, (messages) => [...messages, ...messages]);
  for (let n = 0; n < 20; n++) publish(1, event(n));
  publish(1, { data: 'no event' });
  const { read, imported, rejected } = await drain();
  assert.deepEqual([read, imported, rejected], [42, 40, 2]);
  assert.deepEqual(backlog(), { waiting: 0, outstanding: 0, acked: 21 });
  assert.equal(mixpanel.events().length, 20);
});

for (const [name, code] of Object.entries({
  'with an error': INTERNAL,
  'because a permission is missing': PERMISSION_DENIED,
})) {
  test(`every event counts once if no acknowledgement succeeds during six drains, as in six minutes, ${name}`, async (t) => {
    const { publish, drain, backlog, server, mixpanel, lines } = await start(t);
    server.fault = ({ method }) => (method === 'Acknowledge' ? { code } : undefined);
    for (let n = 0; n < 20; n++) publish(1, event(n));
    for (let minute = 1; minute <= 6; minute++) {
      const { messages, imported } = await drain();
      assert.deepEqual([messages, imported], [0, 20]);
      assert.deepEqual(backlog(), { waiting: 0, outstanding: 20, acked: 0 });
      assert.equal(lines.filter(({ severity }) => severity === 'WARNING').length, minute);
      server.expire(SUBSCRIPTION);
    }
    server.fault = undefined;
    assert.equal((await drain()).messages, 20);
    assert.deepEqual(backlog(), { waiting: 0, outstanding: 0, acked: 20 });
    assert.deepEqual([mixpanel.events().length, mixpanel.received], [20, 140]);
  });
}
