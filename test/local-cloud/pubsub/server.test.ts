import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PubSub, v1 } from '@google-cloud/pubsub';
import { status } from '@grpc/grpc-js';
import { type PubSubServer, startPubSub } from '../../../local-cloud/pubsub/server.ts';

/** One attempt that ends after this long; without `retry: null` the client itself tries again until then. */
const oneAttempt = (timeout: number) => ({ timeout, retry: null });

let server: PubSubServer;
let pubsub: PubSub;
let publisher: v1.PublisherClient;
let subscriber: v1.SubscriberClient;
let topic: string;
let subscription: string;
let names = 0;

before(async () => {
  process.env.METADATA_SERVER_DETECTION = 'none';
  server = await startPubSub({ minAckDeadlineSeconds: 1 });
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
  names += 1;
  topic = `projects/p/topics/topic-${names}`;
  subscription = `projects/p/subscriptions/subscription-${names}`;
  server.fault = undefined;
  server.removeAllListeners();
  await pubsub.createTopic(topic);
});

async function pull(maxMessages = 10, timeout = 3000) {
  const [response] = await subscriber.pull({ subscription, maxMessages }, oneAttempt(timeout));
  return (response.receivedMessages ?? []).map(({ ackId, message, deliveryAttempt }) => ({
    ackId: ackId as string,
    text: String(message?.data),
    messageId: message?.messageId as string,
    message,
    deliveryAttempt,
  }));
}

async function texts(maxMessages = 10) {
  return (await pull(maxMessages)).map(({ text }) => text);
}

function rejectsWith(promise: Promise<unknown>, code: number, message = /./) {
  return assert.rejects(promise, (error: Error & { code: number }) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

describe('pull', () => {
  it('a pull returns what was published in order, and nothing after it is acked', async () => {
    await pubsub.createSubscription(topic, subscription);
    const before = Date.now();
    const published: string[] = [];
    for (const data of ['one', 'two']) {
      published.push(await pubsub.topic(topic).publishMessage({ data: Buffer.from(data), attributes: { key: data } }));
    }

    const received = await pull();

    assert.deepEqual(
      received.map(({ text, messageId, message }) => ({ text, messageId, attributes: message?.attributes })),
      [
        { text: 'one', messageId: published[0], attributes: { key: 'one' } },
        { text: 'two', messageId: published[1], attributes: { key: 'two' } },
      ],
    );
    assert.ok((published[0] as string) < (published[1] as string));
    const publishTime = Number(received[0]?.message?.publishTime?.seconds) * 1000;
    assert.ok(publishTime >= before - 1000 && publishTime <= Date.now());
    await subscriber.acknowledge({ subscription, ackIds: received.map(({ ackId }) => ackId) });
    assert.deepEqual(server.backlog(subscription), { waiting: 0, outstanding: 0, acked: 2 });
  });

  it('a pull waits until a message is published', async () => {
    await pubsub.createSubscription(topic, subscription);
    const received = texts();
    await sleep(50);
    server.publish(topic, { data: 'late' });
    assert.deepEqual(await received, ['late']);
  });

  it('a pull ends in DEADLINE_EXCEEDED at the deadline of the client, and no message is lost to it', async () => {
    await pubsub.createSubscription(topic, subscription);
    const started = Date.now();
    await rejectsWith(pull(10, 300), status.DEADLINE_EXCEEDED);
    assert.ok(Date.now() - started < 1500, `took ${Date.now() - started} ms`);
    // The client leaves a moment before the server hears of it; a call after it on the connection comes later.
    await subscriber.getSubscription({ subscription });
    server.publish(topic, { data: 'after' });
    assert.equal(server.backlog(subscription).waiting, 1);
    assert.deepEqual(await texts(), ['after']);
  });

  it('a pull with returnImmediately returns nothing if there are no messages', async () => {
    await pubsub.createSubscription(topic, subscription);
    const [empty] = await subscriber.pull({ subscription, maxMessages: 10, returnImmediately: true });
    assert.deepEqual(empty.receivedMessages, []);
    server.publish(topic, { data: 'there' });
    const [full] = await subscriber.pull({ subscription, maxMessages: 10, returnImmediately: true });
    assert.equal(full.receivedMessages?.length, 1);
  });

  it('a pull returns at most maxMessages, 1,000 messages and 10 MB', async () => {
    await pubsub.createSubscription(topic, subscription);
    for (let i = 0; i < 1001; i++) server.publish(topic, { data: 'x' });
    assert.equal((await pull(7)).length, 7);
    assert.equal((await pull(5000)).length, 994);
    for (let i = 0; i < 3; i++) server.publish(topic, { data: Buffer.alloc(4_000_000) });
    for (let i = 0; i < 1006; i++) server.publish(topic, { data: 'x' });
    const sizes = (await pull(1000)).map(({ text }) => text.length);
    assert.deepEqual(sizes, [4_000_000, 4_000_000]);
    assert.equal((await pull(5000)).length, 1000);
  });

  it('each subscription delivers each message to one pull', async () => {
    await pubsub.createSubscription(topic, subscription);
    const other = `${subscription}-other`;
    await pubsub.createSubscription(topic, other);
    const both = [texts(1), texts(1)];
    server.publish(topic, { data: 'a' });
    server.publish(topic, { data: 'b' });
    assert.deepEqual((await Promise.all(both)).flat().sort(), ['a', 'b']);
    assert.equal(server.backlog(other).waiting, 2);
  });
});

describe('redelivery', () => {
  it('a message is redelivered at once after a nack, with a new ackId and the same message id', async () => {
    await pubsub.createSubscription(topic, subscription);
    server.publish(topic, { data: 'again' });
    const [first] = await pull();
    await subscriber.modifyAckDeadline({ subscription, ackIds: [first!.ackId], ackDeadlineSeconds: 0 });
    assert.deepEqual(server.backlog(subscription).waiting, 1);
    const [second] = await pull();
    assert.equal(second!.messageId, first!.messageId);
    assert.notEqual(second!.ackId, first!.ackId);
  });

  it('a message is redelivered after its ack deadline, and a late ack is ignored', async () => {
    await pubsub.createSubscription(topic, subscription, { ackDeadlineSeconds: 1 });
    server.publish(topic, { data: 'slow' });
    const [first] = await pull();
    const handedOut = Date.now();
    const [second] = await pull();
    assert.ok(Date.now() - handedOut >= 900, `came after ${Date.now() - handedOut} ms`);
    await subscriber.acknowledge({ subscription, ackIds: [first!.ackId] });
    assert.equal(server.backlog(subscription).acked, 0);
    await subscriber.acknowledge({ subscription, ackIds: [second!.ackId] });
    assert.equal(server.backlog(subscription).acked, 1);
  });

  it('a message is redelivered after the back-off of the retry policy', async () => {
    await pubsub.createSubscription(topic, subscription, {
      retryPolicy: { minimumBackoff: { nanos: 200e6 }, maximumBackoff: { seconds: 10 } },
    });
    server.publish(topic, { data: 'held back' });
    let [received] = await pull();
    for (const backoffMs of [200, 400]) {
      await subscriber.modifyAckDeadline({ subscription, ackIds: [received!.ackId], ackDeadlineSeconds: 0 });
      const givenBackAt = Date.now();
      [received] = await pull();
      assert.ok(Date.now() - givenBackAt >= backoffMs - 20, `came after ${Date.now() - givenBackAt} ms`);
    }
  });

  it('a pull tells the delivery attempt if the subscription has a dead-letter policy, as the real service does', async () => {
    await pubsub.createSubscription(topic, subscription, {
      deadLetterPolicy: { deadLetterTopic: topic, maxDeliveryAttempts: 5 },
    });
    server.publish(topic, { data: 'counted' });
    for (const attempt of [1, 2]) {
      const [received] = await pull();
      assert.equal(received!.deliveryAttempt, attempt);
      await subscriber.modifyAckDeadline({ subscription, ackIds: [received!.ackId], ackDeadlineSeconds: 0 });
    }
  });
});

describe('streaming pull', () => {
  it('a streaming pull delivers messages to the client library, and takes its acks and nacks', async (t) => {
    await pubsub.createSubscription(topic, subscription);
    const client = pubsub.subscription(subscription);
    t.after(() => client.close());
    const received: string[] = [];
    const acked = once(server, 'ack');
    client.on('message', (message) => {
      received.push(message.data.toString());
      if (received.length === 1) message.nack();
      else message.ack();
    });
    server.publish(topic, { data: 'streamed' });
    const [{ messageIds }] = await acked;
    assert.equal(messageIds.length, 1);
    assert.deepEqual(received, ['streamed', 'streamed']);
  });

  it('a streaming pull has at most maxOutstandingMessages outstanding', async (t) => {
    await pubsub.createSubscription(topic, subscription);
    for (let i = 0; i < 5; i++) server.publish(topic, { data: `${i}` });
    const client = pubsub.subscription(subscription, {
      flowControl: { maxMessages: 2 },
      // The limit is one of each stream, here and in the real service.
      streamingOptions: { maxStreams: 1 },
    });
    t.after(() => client.close());
    const outstanding: number[] = [];
    let count = 0;
    const all = new Promise<void>((resolve) => {
      client.on('message', async (message) => {
        await sleep(20);
        outstanding.push(server.backlog(subscription).outstanding);
        message.ack();
        count += 1;
        if (count === 5) resolve();
      });
    });
    await all;
    assert.ok(
      outstanding.every((messages) => messages <= 2),
      `${outstanding}`,
    );
  });

  it('a streaming pull ends in NOT_FOUND if the subscription is deleted', async (t) => {
    await pubsub.createSubscription(topic, subscription);
    const client = pubsub.subscription(subscription);
    t.after(() => client.close());
    const failed = once(client, 'error');
    const delivered = once(server, 'deliver');
    client.on('message', (message) => message.ack());
    server.publish(topic, { data: 'x' });
    await delivered;
    await subscriber.deleteSubscription({ subscription });
    const [error] = await failed;
    assert.equal(error.code, status.NOT_FOUND);
  });
});

describe('faults', () => {
  beforeEach(() => pubsub.createSubscription(topic, subscription));

  it('a fault refuses a call with its status, and the calls of each method are counted', async () => {
    const calls: string[] = [];
    server.fault = ({ method, sequence }) => {
      calls.push(`${method} ${sequence}`);
      return method === 'Pull' ? { code: status.UNAVAILABLE, message: 'not now' } : undefined;
    };
    server.publish(topic, { data: 'x' });
    await rejectsWith(pull(), status.UNAVAILABLE, /not now/);
    await rejectsWith(pull(), status.UNAVAILABLE);
    await subscriber.acknowledge({ subscription, ackIds: ['none'] });
    const sequenceOf = (call: string | undefined) => Number(call?.split(' ')[1]);
    assert.deepEqual(
      calls.map((call) => call.split(' ')[0]),
      ['Pull', 'Pull', 'Acknowledge'],
    );
    assert.equal(sequenceOf(calls[1]), sequenceOf(calls[0]) + 1);
    assert.equal(server.backlog(subscription).outstanding, 0);
  });

  it('a fault delays a call, and a pull whose client has left meanwhile takes no message', async () => {
    server.publish(topic, { data: 'x' });
    server.fault = () => ({ delayMs: 200 });
    const started = Date.now();
    await rejectsWith(pull(10, 100), status.DEADLINE_EXCEEDED);
    assert.deepEqual(await texts(), ['x']);
    assert.ok(Date.now() - started >= 290);
    assert.equal(server.backlog(subscription).outstanding, 1);
  });

  it('a fault executes a call and answers with an error', async () => {
    server.publish(topic, { data: 'x' });
    const [received] = await pull();
    server.fault = ({ method }) => (method === 'Acknowledge' ? { applyThen: status.UNAVAILABLE } : undefined);
    const ack = subscriber.acknowledge({ subscription, ackIds: [received!.ackId] }, oneAttempt(1000));
    await rejectsWith(ack, status.UNAVAILABLE);
    assert.deepEqual(server.backlog(subscription), { waiting: 0, outstanding: 0, acked: 1 });
  });
});

describe('events', () => {
  it('the server emits events for publish, deliver and ack', async () => {
    await pubsub.createSubscription(topic, subscription);
    const seen: unknown[] = [];
    server.on('publish', ({ topic, messageIds }) => seen.push(['publish', { topic, messageIds }]));
    server.on('deliver', (event) => seen.push(['deliver', event]));
    server.on('ack', (event) => seen.push(['ack', event]));
    const before = Date.now();
    const messageId = server.publish(topic, { attributes: { only: 'attributes' } });
    const { oldestPublishTime = 0 } = server.backlog(subscription);
    assert.ok(oldestPublishTime >= before && oldestPublishTime <= Date.now());
    const [received] = await pull();
    await subscriber.acknowledge({ subscription, ackIds: [received!.ackId] });
    assert.deepEqual(seen, [
      ['publish', { topic, messageIds: [messageId] }],
      ['deliver', { subscription, messages: [{ messageId, attempt: 1 }] }],
      ['ack', { subscription, messageIds: [messageId] }],
    ]);
  });
});

describe('close', () => {
  it('a server that closes ends waiting pulls and frees its port', async () => {
    const other = await startPubSub();
    const { PubSub, v1 } = await import('@google-cloud/pubsub');
    process.env.PUBSUB_EMULATOR_HOST = other.host;
    const client = new PubSub({ projectId: 'p' });
    await client.createTopic('closing');
    await client.createSubscription('closing', 'closing');
    const pullClient = new v1.SubscriberClient(
      (await client.getClientConfig()) as ConstructorParameters<typeof v1.SubscriberClient>[0],
    );
    process.env.PUBSUB_EMULATOR_HOST = server.host;
    const waiting = pullClient.pull(
      { subscription: 'projects/p/subscriptions/closing', maxMessages: 1 },
      oneAttempt(5000),
    );
    const refused = assert.rejects(
      waiting,
      (error: Error & { code: number }) => error.code !== status.DEADLINE_EXCEEDED,
    );
    await sleep(50);
    await other.close();
    await refused;
    const again = await startPubSub({ port: other.port });
    assert.equal(again.port, other.port);
    await again.close();
    await Promise.all([client.close(), pullClient.close()]);
  });
});
