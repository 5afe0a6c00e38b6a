import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { PubSub } from '@google-cloud/pubsub';
import { type PubSubServer, startPubSub } from '../../../local-cloud/pubsub/server.ts';

interface Push {
  headers: IncomingHttpHeaders;
  body: { message: Record<string, unknown>; subscription: string; deliveryAttempt?: number };
  at: number;
  response: ServerResponse;
}

const topic = 'projects/p/topics/pushed';
const subscription = 'projects/p/subscriptions/pushed';
let server: PubSubServer;
let pubsub: PubSub;
let receiver: Server;
let endpoint: string;
let pushes: Push[];
let arrivals: EventEmitter<{ push: [Push] }>;
/** Answers the push of this number, from 0. */
let answer: (push: Push, number: number) => void;

before(async () => {
  process.env.METADATA_SERVER_DETECTION = 'none';
  receiver = createServer(async (request, response) => {
    const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
    const push = { headers: request.headers, body, at: Date.now(), response };
    pushes.push(push);
    answer(push, pushes.length - 1);
    arrivals.emit('push', push);
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/projects/p/topics/pushed`;
});

after(() => receiver.close());

beforeEach(async () => {
  pushes = [];
  arrivals = new EventEmitter();
  server = await startPubSub({ minAckDeadlineSeconds: 1, maxOutstandingPushes: 2 });
  process.env.PUBSUB_EMULATOR_HOST = server.host;
  const library = await import('@google-cloud/pubsub');
  pubsub = new library.PubSub({ projectId: 'p' });
  await pubsub.createTopic(topic);
});

afterEach(async () => {
  await pubsub.close();
  await server.close();
  receiver.closeAllConnections();
});

async function createPushSubscription(options: object = {}) {
  await pubsub.createSubscription(topic, subscription, { pushConfig: { pushEndpoint: endpoint }, ...options });
}

const respond =
  (...statuses: number[]) =>
  ({ response }: Push, number: number) =>
    void response.writeHead(statuses[number] ?? 204).end();

async function statuses(count: number): Promise<number[]> {
  const seen: number[] = [];
  while (seen.length < count) seen.push((await once(server, 'push'))[0].status);
  return seen;
}

describe('a push subscription', { timeout: 15_000 }, () => {
  it('a push posts the message as the real service does, and 204 is an ack', async () => {
    answer = respond(204);
    await createPushSubscription();
    const settled = statuses(1);
    const messageId = server.publish(topic, { data: 'hello', attributes: { eventType: 'OBJECT_FINALIZE' } });
    await settled;

    const [{ headers, body }] = pushes as [Push];
    assert.equal(headers['content-type'], 'application/json');
    assert.match(headers['user-agent'] as string, /^APIs-Google/);
    const { publishTime, publish_time, ...message } = body.message;
    assert.match(publishTime as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal(publish_time, publishTime);
    const data = Buffer.from('hello').toString('base64');
    assert.deepEqual(message, { attributes: { eventType: 'OBJECT_FINALIZE' }, data, messageId, message_id: messageId });
    assert.equal(body.subscription, subscription);
    assert.deepEqual(server.backlog(subscription), { waiting: 0, outstanding: 0, acked: 1 });
  });

  for (const status of [200, 201, 202, 204]) {
    it(`the answer ${status} to a push is an ack`, async () => {
      answer = respond(status);
      await createPushSubscription();
      const settled = statuses(1);
      server.publish(topic, { data: 'x' });
      assert.deepEqual(await settled, [status]);
      assert.equal(server.backlog(subscription).acked, 1);
    });
  }

  it('the interim answer 102 to a push is an ack', async () => {
    answer = ({ response }) => response.writeProcessing();
    await createPushSubscription();
    const settled = statuses(1);
    server.publish(topic, { data: 'x' });
    assert.deepEqual(await settled, [102]);
    assert.equal(server.backlog(subscription).acked, 1);
  });

  for (const status of [203, 301, 400, 429, 500, 503]) {
    it(`the answer ${status} to a push is a nack, and the message is pushed again`, async () => {
      answer = respond(status, 204);
      await createPushSubscription();
      const settled = statuses(2);
      const messageId = server.publish(topic, { data: 'x' });
      assert.deepEqual(await settled, [status, 204]);
      assert.deepEqual(
        pushes.map(({ body }) => body.message.messageId),
        [messageId, messageId],
      );
      assert.equal(server.backlog(subscription).acked, 1);
    });
  }

  it('a push backs off from 100 ms and doubles it if there is no retry policy', async () => {
    answer = respond(500, 500, 204);
    await createPushSubscription();
    const settled = statuses(3);
    server.publish(topic, { data: 'x' });
    await settled;
    const [first, second, third] = pushes as [Push, Push, Push];
    assert.ok(second.at - first.at >= 95, `${second.at - first.at} ms`);
    assert.ok(third.at - second.at >= 195, `${third.at - second.at} ms`);
  });

  it('a push backs off as the retry policy says', async () => {
    answer = respond(500, 204);
    await createPushSubscription({ retryPolicy: { minimumBackoff: { nanos: 400e6 }, maximumBackoff: { seconds: 1 } } });
    const settled = statuses(2);
    server.publish(topic, { data: 'x' });
    await settled;
    assert.ok(pushes[1]!.at - pushes[0]!.at >= 390, `${pushes[1]!.at - pushes[0]!.at} ms`);
  });

  it('a push is repeated at the ack deadline, and at once if its connection breaks', async () => {
    answer = (push, number) => {
      if (number === 0) push.response.destroy();
      if (number === 2) respond()(push, number);
    };
    await createPushSubscription({ ackDeadlineSeconds: 1 });
    const settled = statuses(3);
    server.publish(topic, { data: 'x' });
    assert.deepEqual(await settled, [0, 0, 204]);
    assert.ok(pushes[1]!.at - pushes[0]!.at < 900);
    assert.ok(pushes[2]!.at - pushes[1]!.at >= 1000);
  });

  it('a push subscription has at most maxOutstandingPushes messages outstanding', async () => {
    answer = () => {};
    await createPushSubscription();
    for (let i = 0; i < 5; i++) server.publish(topic, { data: `${i}` });
    while (pushes.length < 2) await once(arrivals, 'push');
    assert.deepEqual(server.backlog(subscription).outstanding, 2);
    assert.equal(server.backlog(subscription).waiting, 3);
    const third = once(arrivals, 'push');
    pushes[0]!.response.writeHead(204).end();
    await third;
    assert.equal(server.backlog(subscription).outstanding, 2);
    answer = respond();
    const settled = statuses(4);
    for (const { response } of pushes.slice(1)) response.writeHead(204).end();
    await settled;
    assert.equal(server.backlog(subscription).acked, 5);
  });

  it('a push tells the delivery attempt if the subscription has a dead-letter policy', async () => {
    answer = respond(500, 204);
    await createPushSubscription({ deadLetterPolicy: { deadLetterTopic: topic, maxDeliveryAttempts: 5 } });
    const settled = statuses(2);
    server.publish(topic, { data: 'x' });
    await settled;
    assert.deepEqual(
      pushes.map(({ body }) => body.deliveryAttempt),
      [1, 2],
    );
  });

  it('a push subscription becomes a pull subscription, and a push subscription again, with its push configuration', async () => {
    answer = () => {};
    await createPushSubscription({ retryPolicy: { minimumBackoff: {}, maximumBackoff: {} } });
    const arrived = once(arrivals, 'push');
    server.publish(topic, { data: 'x' });
    await arrived;
    const client = pubsub.subscription(subscription);
    await client.modifyPushConfig({});
    const messages = new EventEmitter();
    client.on('message', (message) => messages.emit('message', message));
    const [pulled] = await once(messages, 'message');
    pulled.ack();
    await once(server, 'ack');
    await client.close();

    answer = respond();
    await client.modifyPushConfig({ pushEndpoint: endpoint });
    const settled = statuses(1);
    server.publish(topic, { data: 'y' });
    assert.deepEqual(await settled, [204]);
  });
});
