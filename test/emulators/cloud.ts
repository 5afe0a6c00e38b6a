/** The deployed chain with none of our own servers in it but Mixpanel's: as the tests of the functions ask for it. */

import { randomUUID } from 'node:crypto';
import { PubSub, v1 } from '@google-cloud/pubsub';
import { createStorage } from '../../functions/storage/client.ts';
import { createTopology, NAMES } from '../../local-cloud/cloud.ts';
import { startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { serveFunction } from '../../local-cloud/served-function.ts';
import {
  type CloudUnderTest,
  FUNCTION_ENV,
  PrintedLines,
  SERVICE_ACCOUNT,
  save,
  toMessage,
  watch,
} from '../support/serving.ts';
import { startFakeGcsServer, startPubSubEmulator } from './servers.ts';
import type { Tools } from './tools.ts';

/**
 * Starts Google's Pub/Sub emulator, fake-gcs-server, which tells a topic of the emulator of uploads, and both functions;
 * the topic's push subscription calls importObject.
 *
 * @param env variables of the functions' environment
 */
export async function startEmulatedCloud(tools: Tools, env: Record<string, string>): Promise<CloudUnderTest> {
  process.env.METADATA_SERVER_DETECTION = 'none';
  // What was started before something fails is stopped all the same.
  await using starting = new AsyncDisposableStack();
  const mixpanel = await startMixpanel({ serviceAccount: SERVICE_ACCOUNT, port: 0 });
  starting.defer(() => mixpanel.close());
  const pubsub = starting.use(await startPubSubEmulator(tools));
  const notifications = { bucket: NAMES.importBucket, topic: NAMES.objectTopic, pubsubHost: pubsub.host };
  const storage = starting.use(await startFakeGcsServer(tools, notifications));

  const storageUrl = `http://${storage.host}`;
  const lines = new PrintedLines();
  const serve = async (target: 'importObject' | 'drainSubscription') => {
    const served = await serveFunction({
      target,
      env: {
        METADATA_SERVER_DETECTION: 'none',
        MIXPANEL_API_URL: mixpanel.url,
        STORAGE_API_ENDPOINT: storageUrl,
        PUBSUB_EMULATOR_HOST: pubsub.host,
        STATE_BUCKET: NAMES.stateBucket,
        OBJECT_TOPIC: NAMES.objectTopic,
        EVENT_SUBSCRIPTION: NAMES.eventSubscription,
        ...FUNCTION_ENV,
        ...env,
      },
      onLine: (line) => lines.add(line),
    });
    starting.defer(() => served.stop());
    return served;
  };
  const importObject = await serve('importObject');
  const drainSubscription = await serve('drainSubscription');

  const storageClient = createStorage(storageUrl);
  for (const bucket of [NAMES.importBucket, NAMES.stateBucket]) await storageClient.createBucket(bucket);
  const pubsubClient = new PubSub({ projectId: NAMES.project, apiEndpoint: pubsub.host, emulatorMode: true });
  starting.defer(() => pubsubClient.close());
  await createTopology(pubsubClient, importObject.url, {});
  const subscriber = new v1.SubscriberClient(await clientConfig(pubsubClient));
  starting.defer(() => subscriber.close());

  const running = starting.move();
  return {
    mixpanel,
    storageClient,
    ...watch({ mixpanel, storageClient, importObject }, lines),
    async upload(name, content, options) {
      const before = lines.all.length;
      await save(storageClient, name, content, options);
      // The emulator does not tell what its pushes are answered: the line with which importObject ends does.
      const line = await lines.until(() =>
        lines.structured(before).find(({ message, object }) => object === name && message.startsWith('object ')),
      );
      return line.message === 'object failed' || line.message === 'object refused' ? 500 : 204;
    },
    async publish(...messages) {
      const topic = pubsubClient.topic(NAMES.eventTopic);
      await Promise.all(messages.map((message) => topic.publishMessage(toMessage(message))));
    },
    async drain() {
      const response = await fetch(drainSubscription.url, { method: 'POST' });
      const text = await response.text();
      return { status: response.status, body: response.ok ? JSON.parse(text) : text };
    },
    backlog: (subscription = NAMES.eventSubscription) => countBacklog(pubsubClient, subscriber, subscription),
    async close() {
      await running.disposeAsync();
      lines.assertNothingLeaked();
    },
  };
}

/**
 * Counts what is not acknowledged, by the emulator's own account: sought to a snapshot of itself, a subscription delivers
 * just that once more, whoever holds it. Then it is released.
 */
async function countBacklog(client: PubSub, subscriber: v1.SubscriberClient, subscription: string): Promise<number> {
  const [{ pushConfig }] = await subscriber.getSubscription({ subscription });
  // What is pushed cannot be pulled.
  await subscriber.modifyPushConfig({ subscription, pushConfig: {} });
  const snapshot = `snapshot-${randomUUID()}`;
  await client.subscription(subscription).createSnapshot(snapshot);
  await client.subscription(subscription).seek(snapshot);
  const ackIds: string[] = [];
  for (;;) {
    // One pull gives at most 100.
    const request = { subscription, maxMessages: 1_000, returnImmediately: true };
    const [{ receivedMessages }] = await subscriber.pull(request);
    if (!receivedMessages?.length) break;
    ackIds.push(...receivedMessages.map(({ ackId }) => ackId!));
  }
  if (ackIds.length > 0) await subscriber.modifyAckDeadline({ subscription, ackIds, ackDeadlineSeconds: 0 });
  await subscriber.modifyPushConfig({ subscription, pushConfig });
  return ackIds.length;
}

/** A client of the lower level does not look for the emulator by itself. */
async function clientConfig(client: PubSub) {
  return (await client.getClientConfig()) as ConstructorParameters<typeof v1.SubscriberClient>[0];
}
