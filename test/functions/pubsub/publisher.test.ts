import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createPublisher } from '../../../functions/pubsub/publisher.ts';
import { createStorage } from '../../../functions/storage/client.ts';
import { answerEndlessly } from '../../support/endless.ts';

const TOPIC = 'projects/p/topics/notifications';
const PUBLISHED = '{"messageIds":["1"]}';
const MESSAGE = { data: Buffer.from('{"name":"ü"}'), attributes: { eventType: 'OBJECT_FINALIZE' } };

let server: ReturnType<typeof createServer>;
let host: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let requests: { path: string; headers: IncomingMessage['headers']; body: string }[];

beforeEach(async () => {
  requests = [];
  answer = (_, response) => response.end(PUBLISHED);
  server = createServer(async (request, response) => {
    requests.push({ path: request.url!, headers: request.headers, body: await text(request) });
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** Answers the first requests with these statuses, `undefined` for a broken connection, and those behind them with 200. */
function failFirst(...statuses: (number | undefined)[]): void {
  answer = (request, response) => {
    if (statuses.length === 0) return response.end(PUBLISHED);
    const status = statuses.shift();
    if (status === undefined) return request.socket.destroy();
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(`{"error":{"message":"no${' '.repeat(1_000)}"}}`);
  };
}

const publisher = () => createPublisher({ topic: TOPIC, auth: createStorage('unused').authClient, emulatorHost: host });

describe('a message is published', () => {
  test('as the REST API has it, without credentials where the Pub/Sub is not Google’s', async () => {
    await publisher()(MESSAGE);
    assert.deepEqual(
      requests.map(({ path, body }) => [path, JSON.parse(body)]),
      [
        [
          `/v1/${TOPIC}:publish`,
          { messages: [{ data: MESSAGE.data.toString('base64'), attributes: MESSAGE.attributes }] },
        ],
      ],
    );
    assert.equal(requests[0]!.headers.authorization, undefined);
    assert.match(requests[0]!.headers['content-type']!, /^application\/json/);
  });

  test('to Google with the credentials of the instance', async () => {
    const names = ['METADATA_SERVER_DETECTION', 'GCE_METADATA_HOST', 'GOOGLE_APPLICATION_CREDENTIALS'] as const;
    const before = names.map((name) => process.env[name]);
    Object.assign(process.env, { METADATA_SERVER_DETECTION: 'assume-present', GCE_METADATA_HOST: host });
    delete process.env.GOOGLE_APPLICATION_CREDENTIALS;
    const metadata: Record<string, string> = {
      'universe/universe-domain': 'googleapis.com',
      'instance/service-accounts/default/token': '{"access_token":"of-the-instance","expires_in":3600}',
    };
    answer = ({ url }, response) => {
      const [path] = url!.replace('/computeMetadata/v1/', '').split('?');
      response.setHeader('metadata-flavor', 'Google').end(metadata[path!] ?? PUBLISHED);
    };
    try {
      const { authClient: auth } = createStorage(undefined);
      const publish = createPublisher({ topic: TOPIC, auth, emulatorHost: undefined, googleUrl: `http://${host}` });
      await publish(MESSAGE);
      const published = requests.filter(({ path }) => path === `/v1/${TOPIC}:publish`);
      assert.deepEqual(
        published.map(({ headers }) => headers.authorization),
        ['Bearer of-the-instance'],
      );
    } finally {
      for (const [index, name] of names.entries()) {
        if (before[index] === undefined) delete process.env[name];
        else process.env[name] = before[index];
      }
    }
  });

  test('again where that may help: no answer, 429, 500, 503', async () => {
    failFirst(undefined, 429, 500, 503);
    await publisher()(MESSAGE);
    assert.equal(requests.length, 5);
  });

  for (const status of [400, 403, 404]) {
    test(`once where it is refused with ${status}, and says so`, async () => {
      failFirst(status, status);
      await assert.rejects(publisher()(MESSAGE), {
        message: `The notification was not published to ${TOPIC}: ${status}: no${' '.repeat(498)}`,
      });
      assert.equal(requests.length, 1);
    });
  }

  const strangers: [what: string, answer: (response: ServerResponse) => void][] = [
    ['a page', (response) => response.end('<html></html>')],
    ['nothing', (response) => response.writeHead(204).end()],
    ['no id', (response) => response.setHeader('content-type', 'application/json').end('{"messageIds":[]}')],
    ['another address', (response) => response.writeHead(302, { location: '/elsewhere' }).end()],
  ];
  for (const [what, stranger] of strangers) {
    test(`again where the answer is ${what}`, async () => {
      const answers = [stranger];
      answer = (_, response) => (answers.shift() ?? ((last) => last.end(PUBLISHED)))(response);
      await publisher()(MESSAGE);
      assert.deepEqual(
        requests.map(({ path }) => path),
        Array(2).fill(`/v1/${TOPIC}:publish`),
      );
    });
  }

  test('to a topic whose name has a meaning in URLs, and to a host that is written as a URL', async () => {
    const { authClient: auth } = createStorage('unused');
    await createPublisher({ topic: `${TOPIC}%41+~`, auth, emulatorHost: `http://${host}/` })(MESSAGE);
    assert.equal(requests[0]!.path, `/v1/${TOPIC}%2541%2B~:publish`);
  });

  test('again where no answer comes, and says no more of a refusal than it must', { timeout: 25_000 }, async () => {
    answer = () => failFirst(403);
    await assert.rejects(publisher()(MESSAGE), ({ message }: Error) => message.length < 700);
    assert.equal(requests.length, 2);
  });

  for (const how of ['plain', 'gzip'] as const) {
    test(`again if the answer never ends (${how}), of which 4 MB are read`, { timeout: 25_000 }, async () => {
      const ends: Promise<number>[] = [];
      answer = (_, response) => {
        if (ends.length > 0) response.end(PUBLISHED);
        else ends.push(answerEndlessly(response, how));
      };
      const startedAt = performance.now();
      const before = process.memoryUsage().rss;
      await publisher()(MESSAGE);
      assert.equal(requests.length, 2);
      assert.ok(performance.now() - startedAt < 1_500, 'the size ends the attempt, not the time');
      await Promise.all(ends);
      const grownMb = (process.memoryUsage().rss - before) / 1e6;
      assert.ok(grownMb < 80, `memory grew by ${grownMb} MB`);
    });
  }

  test('nowhere, and says why, where nothing listens', { timeout: 25_000 }, async () => {
    const publish = publisher();
    server.close();
    await assert.rejects(publish(MESSAGE), /ECONNREFUSED/);
  });

  test('for some seconds and no longer', { timeout: 25_000 }, async () => {
    failFirst(...Array(100).fill(503));
    const startedAt = performance.now();
    await assert.rejects(publisher()(MESSAGE), / 503: no +$/);
    assert.ok(performance.now() - startedAt < 12_000);
    assert.ok(requests.length > 2);
  });
});
