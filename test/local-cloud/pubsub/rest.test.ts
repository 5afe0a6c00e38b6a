import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, describe, test } from 'node:test';
import { PubSub } from '@google-cloud/pubsub';
import { status } from '@grpc/grpc-js';
import { NAMES } from '../../../local-cloud/cloud.ts';
import { type PubSubServer, startPubSub } from '../../../local-cloud/pubsub/server.ts';

const TOPIC = NAMES.eventTopic;
const MESSAGE = { data: Buffer.from('ü').toString('base64'), attributes: { key: 'value' } };

let server: PubSubServer;
let pubsub: PubSub;

before(async () => {
  process.env.METADATA_SERVER_DETECTION = 'none';
  server = await startPubSub();
  pubsub = new PubSub({ projectId: NAMES.project, apiEndpoint: server.host, emulatorMode: true });
  await pubsub.createTopic(TOPIC);
  await pubsub.createSubscription(TOPIC, NAMES.eventSubscription);
});
after(async () => {
  await pubsub.close();
  await server.close();
});
beforeEach(() => {
  server.fault = undefined;
});

async function post(path: string, body: unknown) {
  const response = await fetch(`http://${server.host}/v1/${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('a message that is published by REST', () => {
  test('a message that is published by REST on the port of the gRPC service reaches clients of gRPC', async () => {
    const subscription = pubsub.subscription(NAMES.eventSubscription);
    const received = new Promise<[id: string, data: string, attributes: unknown]>((resolve) => {
      subscription.once('message', (message) => {
        message.ack();
        resolve([message.id, message.data.toString(), message.attributes]);
      });
    });
    const { status, body } = await post(`${TOPIC}:publish`, { messages: [MESSAGE] });
    assert.equal(status, 200);
    const [id] = body.messageIds as string[];
    assert.deepEqual(await received, [id, 'ü', MESSAGE.attributes]);
    await subscription.close();
  });

  const refusals: [what: string, path: string, body: unknown, status: number][] = [
    ['names a topic that does not exist', `${TOPIC}-2:publish`, { messages: [MESSAGE] }, 404],
    ['has no message', `${TOPIC}:publish`, { messages: [] }, 400],
    ['is not JSON', `${TOPIC}:publish`, '{', 400],
    ['calls another method', `${TOPIC}:pull`, {}, 404],
    ['has an invalid address', '%', {}, 404],
  ];
  for (const [what, path, body, expected] of refusals) {
    test(`a request by REST is answered ${expected} if it ${what}`, async () => {
      const { status, body: answer } = await post(path, body);
      assert.deepEqual([status, (answer.error as { code: number }).code], [expected, expected]);
    });
  }

  test('a request by REST is answered 413 if it is larger than any that Pub/Sub takes', async () => {
    const { status, body } = await post(`${TOPIC}:publish`, ' '.repeat(32_000_001));
    assert.equal(status, 413);
    assert.match((body.error as { message: string }).message, /larger than 32 MB/);
  });

  test('a request by REST has the faults of the gRPC method', async () => {
    server.fault = ({ method }) => (method === 'Publish' ? { code: status.UNAVAILABLE } : undefined);
    assert.equal((await post(`${TOPIC}:publish`, { messages: [MESSAGE] })).status, 503);
  });

  test('a request by REST can name a topic with a name that is escaped in URLs', async () => {
    await pubsub.createTopic(`${TOPIC}%41`);
    assert.equal((await post(`${TOPIC}%2541:publish`, { messages: [MESSAGE] })).status, 200);
  });

  test('the server closes although connections of REST clients are open', async () => {
    const other = await startPubSub();
    const sockets = ['', 'P', 'POST /', 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'].map((beginning) => {
      const socket = connect(other.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(beginning);
      return socket;
    });
    await once(sockets.at(-1)!, 'data');
    const closed = sockets.map((socket) => once(socket, 'close'));
    for (const socket of sockets) socket.resume();
    await other.close();
    await Promise.all(closed);
  });

  test('a request by REST is read although its bytes arrive one by one', async () => {
    const socket = connect(server.port, '127.0.0.1');
    const answer = text(socket);
    const body = JSON.stringify({ messages: [MESSAGE] });
    const head = `POST /v1/${TOPIC}:publish HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`;
    socket.setNoDelay(true);
    for (const byte of head + body) await new Promise((written) => socket.write(byte, written));
    assert.match(await answer, /^HTTP\/1\.1 200 /);
  });
});
