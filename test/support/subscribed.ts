/** What the tests of the Pub/Sub adapters share: a local Pub/Sub with one subscription, and the client of the functions. */

import type { TestContext } from 'node:test';
import { PubSub, type v1 } from '@google-cloud/pubsub';
import { createSubscriber } from '../../functions/pubsub/client.ts';
import { type PubSubServer, startPubSub } from '../../local-cloud/pubsub/server.ts';

const TOPIC = 'projects/p/topics/events';
/** The subscription of these tests. */
export const SUBSCRIPTION = 'projects/p/subscriptions/events';

/** A subscription and its server. */
export interface Subscribed {
  server: PubSubServer;
  subscriber: v1.SubscriberClient;
  /** Publishes so many messages, whose data are their numbers unless a message is given. */
  publish(count: number, message?: { data: Buffer | string; attributes?: Record<string, string> }): void;
  /** Messages that are waiting, handed out and acknowledged. */
  backlog(): { waiting: number; outstanding: number; acked: number };
  /** Calls of a method so far. */
  calls(method: string): number;
}

/** Starts a Pub/Sub, which ends with the test. */
export async function startSubscribed(t: TestContext): Promise<Subscribed> {
  process.env.METADATA_SERVER_DETECTION = 'none';
  const server = await startPubSub();
  process.env.PUBSUB_EMULATOR_HOST = server.host;
  const admin = new PubSub({ projectId: 'p' });
  const subscriber = await createSubscriber(SUBSCRIPTION);
  t.after(async () => {
    await Promise.all([admin.close(), subscriber.close()]);
    await server.close();
  });
  await admin.createTopic(TOPIC);
  await admin.createSubscription(TOPIC, SUBSCRIPTION, { ackDeadlineSeconds: 600 });
  const calls = new Map<string, number>();
  let hook: PubSubServer['fault'];
  // A call is counted, and then has the fault that the test asks for.
  const counting: PubSubServer['fault'] = (call) => {
    calls.set(call.method, call.sequence);
    return hook?.(call);
  };
  Object.defineProperty(server, 'fault', {
    get: () => counting,
    set: (fault: PubSubServer['fault']) => {
      hook = fault;
    },
  });
  return {
    server,
    subscriber,
    publish(count, message) {
      for (let number = 0; number < count; number++) server.publish(TOPIC, message ?? { data: String(number) });
    },
    backlog() {
      const { waiting, outstanding, acked } = server.backlog(SUBSCRIPTION);
      return { waiting, outstanding, acked };
    },
    calls: (method) => calls.get(method) ?? 0,
  };
}
