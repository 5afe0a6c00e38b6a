import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { PubSub, v1 } from '@google-cloud/pubsub';
import { status } from '@grpc/grpc-js';
import { type PubSubServer, startPubSub } from '../../../local-cloud/pubsub/server.ts';

let server: PubSubServer;
let pubsub: PubSub;
let publisher: v1.PublisherClient;
let subscriber: v1.SubscriberClient;
let project: string;
let topic: string;
let subscription: string;
let projects = 0;

before(async () => {
  process.env.METADATA_SERVER_DETECTION = 'none';
  server = await startPubSub();
  process.env.PUBSUB_EMULATOR_HOST = server.host;
  const library = await import('@google-cloud/pubsub');
  pubsub = new library.PubSub({ projectId: 'p' });
  const config = (await pubsub.getClientConfig()) as ConstructorParameters<typeof v1.SubscriberClient>[0];
  publisher = new library.v1.PublisherClient(config);
  subscriber = new library.v1.SubscriberClient(config);
});

after(async () => {
  await Promise.all([pubsub.close(), publisher.close(), subscriber.close()]);
  await server.close();
});

beforeEach(async () => {
  projects += 1;
  project = `projects/p${projects}`;
  topic = `${project}/topics/topic`;
  subscription = `${project}/subscriptions/subscription`;
  await publisher.createTopic({ name: topic });
  await subscriber.createSubscription({ name: subscription, topic });
});

const pushConfig = (pushEndpoint: string) => ({ name: `${subscription}-2`, topic, pushConfig: { pushEndpoint } });
const attributes = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));

const lastSegments = (resources: { name?: string | null }[]) => resources.map(({ name }) => name?.split('/').at(-1));

const refusals: { name: string; call: () => Promise<unknown>; code: number; message?: RegExp }[] = [
  ...['to', 'goog-topic', '1topic', 'to/pic', 'to pic', 't'.repeat(256)].map((id) => ({
    name: `a topic called ${id.slice(0, 20)}`,
    call: () => publisher.createTopic({ name: `${project}/topics/${id}` }),
    code: status.INVALID_ARGUMENT,
    message: /Invalid resource name/,
  })),
  {
    name: 'a subscription whose name is one of a topic',
    call: () => subscriber.createSubscription({ name: topic, topic }),
    code: status.INVALID_ARGUMENT,
  },
  {
    name: 'a topic that exists',
    call: () => publisher.createTopic({ name: topic }),
    code: status.ALREADY_EXISTS,
    message: /resource=topic/,
  },
  {
    name: 'a subscription that exists',
    call: () => subscriber.createSubscription({ name: subscription, topic }),
    code: status.ALREADY_EXISTS,
  },
  {
    name: 'a subscription to a topic that does not exist',
    call: () => subscriber.createSubscription({ name: `${subscription}-2`, topic: `${topic}-2` }),
    code: status.NOT_FOUND,
  },
  ...(
    [
      ['publishing to', () => publisher.publish({ topic: `${topic}-2`, messages: [{ data: Buffer.from('x') }] })],
      ['getting', () => publisher.getTopic({ topic: `${topic}-2` })],
      ['deleting', () => publisher.deleteTopic({ topic: `${topic}-2` })],
    ] as const
  ).map(([what, call]) => ({ name: `${what} a topic that does not exist`, call, code: status.NOT_FOUND })),
  ...(
    [
      ['pulling from', () => subscriber.pull({ subscription: `${subscription}-2`, maxMessages: 1 })],
      ['acking on', () => subscriber.acknowledge({ subscription: `${subscription}-2`, ackIds: ['x'] })],
      ['getting', () => subscriber.getSubscription({ subscription: `${subscription}-2` })],
      ['deleting', () => subscriber.deleteSubscription({ subscription: `${subscription}-2` })],
    ] as const
  ).map(([what, call]) => ({ name: `${what} a subscription that does not exist`, call, code: status.NOT_FOUND })),
  ...[9, 601].map((ackDeadlineSeconds) => ({
    name: `an ack deadline of ${ackDeadlineSeconds} s`,
    call: () => subscriber.createSubscription({ name: `${subscription}-2`, topic, ackDeadlineSeconds }),
    code: status.INVALID_ARGUMENT,
  })),
  {
    name: 'a modified ack deadline of 601 s',
    call: () => subscriber.modifyAckDeadline({ subscription, ackIds: ['x'], ackDeadlineSeconds: 601 }),
    code: status.INVALID_ARGUMENT,
  },
  {
    name: 'a retry policy whose minimum is above its maximum',
    call: () =>
      subscriber.createSubscription({
        name: `${subscription}-2`,
        topic,
        retryPolicy: { minimumBackoff: { seconds: 20 }, maximumBackoff: { seconds: 10 } },
      }),
    code: status.INVALID_ARGUMENT,
  },
  ...['ftp://localhost/', 'localhost'].map((endpoint) => ({
    name: `the push endpoint ${endpoint}`,
    call: () => subscriber.createSubscription(pushConfig(endpoint)),
    code: status.INVALID_ARGUMENT,
  })),
  {
    name: 'a pull from a push subscription',
    call: async () => {
      await subscriber.createSubscription(pushConfig('http://127.0.0.1:1/'));
      await subscriber.pull({ subscription: `${subscription}-2`, maxMessages: 1 });
    },
    code: status.FAILED_PRECONDITION,
  },
  {
    name: 'a pull of 0 messages',
    call: () => subscriber.pull({ subscription, maxMessages: 0 }),
    code: status.INVALID_ARGUMENT,
  },
  {
    name: 'a publish without messages',
    call: () => publisher.publish({ topic, messages: [] }),
    code: status.INVALID_ARGUMENT,
  },
  {
    name: 'a message without data and attributes',
    call: () => publisher.publish({ topic, messages: [{}] }),
    code: status.INVALID_ARGUMENT,
  },
  {
    name: 'a publish of 1,001 messages',
    call: () => publisher.publish({ topic, messages: Array(1001).fill({ data: Buffer.from('x') }) }),
    code: status.INVALID_ARGUMENT,
    message: /message_count is too large. You passed 1001/,
  },
  {
    name: 'a publish of more than 10 MB',
    call: () => publisher.publish({ topic, messages: [{ data: Buffer.alloc(10_000_001) }] }),
    code: status.INVALID_ARGUMENT,
    message: /request_size is too large/,
  },
  ...(
    [
      ['101 attributes', attributes(101)],
      ['an attribute key of 257 bytes', { ['k'.repeat(257)]: 'v' }],
      ['an attribute value of 1,025 bytes', { k: 'v'.repeat(1025) }],
    ] as const
  ).map(([name, attributes]) => ({
    name,
    call: () => publisher.publish({ topic, messages: [{ attributes: attributes as Record<string, string> }] }),
    code: status.INVALID_ARGUMENT,
  })),
  {
    name: 'an acknowledgement without ack ids',
    call: () => subscriber.acknowledge({ subscription, ackIds: [] }),
    code: status.INVALID_ARGUMENT,
  },
  {
    name: 'an acknowledgement with more than 512 KiB of ack ids',
    call: () => subscriber.acknowledge({ subscription, ackIds: Array(3000).fill('x'.repeat(180)) }),
    code: status.INVALID_ARGUMENT,
    message: /524288 bytes/,
  },
];

describe('refusals', () => {
  for (const { name, call, code, message = /./ } of refusals) {
    it(`the server refuses ${name}`, async () => {
      await assert.rejects(call(), (error: Error & { code: number }) => {
        assert.equal(error.code, code, error.message);
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

describe('limits', () => {
  it('the server accepts 1,000 messages and 10 MB, and gives the messages ids that increase as text', async () => {
    const messages = Array.from({ length: 1000 }, () => ({ data: Buffer.alloc(10_000) }));
    const [{ messageIds }] = await publisher.publish({ topic, messages });
    assert.equal(new Set(messageIds).size, 1000);
    assert.deepEqual(messageIds?.toSorted(), messageIds);
  });

  it('the server accepts names of 3 and of 255 characters', async () => {
    for (const id of ['abc', `a${'-_.~+%'.repeat(42)}bc`])
      await publisher.createTopic({ name: `${project}/topics/${id}` });
  });
});

describe('topics and subscriptions', () => {
  it('topics and subscriptions are listed by project, page by page', async () => {
    for (const id of ['one', 'two', 'six']) {
      await publisher.createTopic({ name: `${project}/topics/${id}` });
      await subscriber.createSubscription({ name: `${project}/subscriptions/${id}`, topic });
    }
    const onePage = { autoPaginate: false };
    const [topics, moreTopics] = await publisher.listTopics({ project, pageSize: 3 }, onePage);
    const [lastTopics, noMore] = await publisher.listTopics(moreTopics ?? {}, onePage);
    assert.deepEqual([topics, lastTopics].map(lastSegments), [['topic', 'one', 'two'], ['six']]);
    assert.equal(noMore, null);
    const [subscriptions] = await subscriber.listSubscriptions({ project });
    assert.deepEqual(lastSegments(subscriptions), ['subscription', 'one', 'two', 'six']);
    const [ofTopic] = await publisher.listTopicSubscriptions({ topic });
    assert.equal(ofTopic.length, 4);
  });

  it('a subscription has an ack deadline of 10 s by default, and keeps what it is created and updated with', async () => {
    const [created] = await subscriber.getSubscription({ subscription });
    assert.equal(created.ackDeadlineSeconds, 10);
    await subscriber.updateSubscription({
      subscription: {
        name: subscription,
        ackDeadlineSeconds: 600,
        retryPolicy: { minimumBackoff: { seconds: 10 }, maximumBackoff: { seconds: 600 } },
        labels: { ignored: 'not in the mask' },
      },
      updateMask: { paths: ['ack_deadline_seconds', 'retry_policy'] },
    });
    const [updated] = await subscriber.getSubscription({ subscription });
    assert.equal(updated.ackDeadlineSeconds, 600);
    assert.equal(Number(updated.retryPolicy?.maximumBackoff?.seconds), 600);
    assert.deepEqual(updated.labels, {});
  });

  it('a subscription receives what is published after its creation, and outlives its topic', async () => {
    server.publish(topic, { data: 'before' });
    await subscriber.createSubscription({ name: `${subscription}-2`, topic });
    server.publish(topic, { data: 'after' });
    assert.equal(server.backlog(`${subscription}-2`).waiting, 1);
    await publisher.deleteTopic({ topic });
    const [{ topic: gone }] = await subscriber.getSubscription({ subscription });
    assert.equal(gone, '_deleted-topic_');
    assert.equal(server.backlog(subscription).waiting, 2);
  });

  it('a pull that waits ends in NOT_FOUND if its subscription is deleted', async () => {
    const arrived = new Promise<void>((resolve) => {
      server.fault = ({ method }) => {
        if (method === 'Pull') resolve();
        return undefined;
      };
    });
    const waiting = subscriber.pull({ subscription, maxMessages: 1 }, { timeout: 5000, retry: null });
    const ended = assert.rejects(waiting, { code: status.NOT_FOUND });
    await arrived;
    await subscriber.deleteSubscription({ subscription });
    await ended;
    server.fault = undefined;
    assert.throws(() => server.backlog(subscription), /not found/);
  });
});
