import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  ConnectionError,
  createMixpanelClient,
  type MixpanelOptions,
} from '../../../../functions/core/mixpanel/client.ts';
import { answerEndlessly } from '../../../support/endless.ts';
import { eventText } from '../../../support/event.ts';
import { assertDiscreet, SECRET, USERNAME } from '../../../support/sending.ts';

const body = gzipSync(`${eventText('a')}\n`);
const never = new AbortController().signal;
const ok = '{"code":200,"num_records_imported":1,"status":"OK"}';

/** Starts a server and a client of it; both end with the test. */
async function start(t: TestContext, server: Server, options: Partial<MixpanelOptions> = {}) {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const account = { username: USERNAME, password: SECRET, projectId: '42' };
  const client = createMixpanelClient({ url, ...account, requestTimeoutMs: 5_000, ...options });
  t.after(async () => {
    client.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { client, url, sockets };
}

function startHttp(t: TestContext, listener: RequestListener, options?: Partial<MixpanelOptions>) {
  return start(t, createServer(listener), options);
}

/** A server that does as it likes with a connection on which a request begins. */
function startRaw(t: TestContext, onRequest: (socket: Socket) => void, options?: Partial<MixpanelOptions>) {
  const onConnection = (socket: Socket) => void socket.once('data', () => onRequest(socket));
  return start(t, createTcpServer(onConnection), options);
}

async function contentOf(request: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await request.toArray());
}

async function assertConnectionError(attempt: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(attempt, (error) => {
    assert.ok(error instanceof ConnectionError);
    assert.match(error.message, message);
    assert.equal(error.cause, undefined);
    assertDiscreet(error);
    return true;
  });
}

describe('an attempt', () => {
  test('an attempt is a POST of the unchanged body, with the query and the headers of /import', async (t) => {
    const seen: { request: IncomingMessage; content: Buffer }[] = [];
    const { client } = await startHttp(t, async (request, response) => {
      seen.push({ request, content: await contentOf(request) });
      response.end(ok);
    });
    await client.post(body, never);
    const { request, content } = seen[0]!;
    assert.equal(request.method, 'POST');
    assert.equal(request.url, '/import?strict=1&project_id=42');
    assert.equal(request.headers.authorization, `Basic ${Buffer.from(`${USERNAME}:${SECRET}`).toString('base64')}`);
    assert.equal(request.headers['content-type'], 'application/x-ndjson');
    assert.equal(request.headers['content-encoding'], 'gzip');
    assert.equal(request.headers['content-length'], String(body.length));
    assert.deepEqual(content, body);
  });

  test('an attempt with a project token does not name a project', async (t) => {
    const urls: (string | undefined)[] = [];
    const listener: RequestListener = (request, response) => {
      urls.push(request.url);
      response.end(ok);
    };
    const { client } = await startHttp(t, listener, { username: 'token', password: '', projectId: undefined });
    await client.post(body, never);
    assert.deepEqual(urls, ['/import?strict=1']);
  });

  for (const [path, expected] of [
    ['', '/import'],
    ['/', '/import'],
    ['/proxy', '/proxy/import'],
    ['/proxy//', '/proxy/import'],
  ] as const) {
    test(`an attempt goes to ${expected} if the base URL ends with ${JSON.stringify(path)}`, async (t) => {
      const paths: (string | undefined)[] = [];
      const server = createServer((request, response) => {
        paths.push(request.url?.split('?')[0]);
        response.end(ok);
      });
      const { url } = await start(t, server);
      const options = { username: 'token', password: '', projectId: undefined, requestTimeoutMs: 5_000 };
      const client = createMixpanelClient({ ...options, url: `${url}${path}` });
      t.after(() => client.close());
      await client.post(body, never);
      assert.deepEqual(paths, [expected]);
    });
  }

  for (const status of [200, 204, 301, 304, 307, 400, 401, 404, 413, 429, 500, 503]) {
    test(`an attempt returns an answer with the status ${status}, and does not follow a redirect`, async (t) => {
      const urls: (string | undefined)[] = [];
      const hasBody = status !== 204 && status !== 304;
      const { client } = await startHttp(t, (request, response) => {
        urls.push(request.url);
        response.writeHead(status, { location: '/elsewhere', 'retry-after': '7' });
        response.end(hasBody ? 'grüezi' : undefined);
      });
      const answer = await client.post(body, never);
      assert.deepEqual(answer, { status, retryAfter: '7', body: hasBody ? 'grüezi' : '' });
      assert.equal(urls.length, 1);
    });
  }

  test('an attempt returns no Retry-After if the answer has none', async (t) => {
    const { client } = await startHttp(t, (_request, response) => response.end(ok));
    assert.deepEqual(await client.post(body, never), { status: 200, retryAfter: undefined, body: ok });
  });

  test('an attempt returns an answer that came before the end of the body was sent', async (t) => {
    const { client } = await startRaw(t, (socket) => {
      socket.pause();
      socket.end('HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}');
    });
    const answer = await client.post(randomBytes(8_000_000), never);
    assert.deepEqual(answer, { status: 413, retryAfter: undefined, body: '{}' });
  });

  test('an attempt reads a long answer that is compressed', async (t) => {
    const many = JSON.stringify({ failed_records: Array.from({ length: 20_000 }, (_, index) => ({ index })) });
    const { client } = await startHttp(t, (_request, response) => {
      response.setHeader('content-encoding', 'gzip');
      response.end(gzipSync(many));
    });
    assert.equal((await client.post(body, never)).body, many);
  });
});

describe('an answer that is too large', () => {
  for (const how of ['plain', 'gzip'] as const) {
    test(`an endless answer (${how}) is a ConnectionError after 4 MB, and closes the connection`, async (t) => {
      const { promise: written, resolve } = Promise.withResolvers<number>();
      const { client, sockets } = await startHttp(
        t,
        (_request, response) => void answerEndlessly(response, how).then(resolve),
        { requestTimeoutMs: 20_000 },
      );
      const before = process.memoryUsage().rss;
      await assertConnectionError(client.post(body, never), /^the answer is larger than 4000000 bytes$/);
      const bytes = await written;
      for (const socket of sockets) await once(socket, 'close');
      // What is written beyond 4 MB is in the buffers of sockets, or compressed in them.
      if (how === 'plain') assert.ok(bytes < 30_000_000, `${bytes} bytes were written`);
      const grownMb = (process.memoryUsage().rss - before) / 1e6;
      assert.ok(grownMb < 80, `memory grew by ${grownMb} MB`);
    });
  }

  test('an answer of 4,000,000 bytes is read, and one of 4,000,001 is too large', async (t) => {
    const sizes = [4_000_000, 4_000_001];
    const { client } = await startHttp(t, (_request, response) => void response.end(Buffer.alloc(sizes.shift()!, 'x')));
    assert.equal((await client.post(body, never)).body.length, 4_000_000);
    await assertConnectionError(client.post(body, never), /^the answer is larger than/);
  });
});

describe('a connection', () => {
  test('a connection stays open between attempts until the client is closed', { timeout: 5_000 }, async (t) => {
    const server = createServer((_request, response) => response.end(ok));
    server.keepAliveTimeout = 0;
    const { client, sockets } = await start(t, server);
    for (let attempt = 0; attempt < 3; attempt++) await client.post(body, never);
    assert.equal(sockets.size, 1);
    const [socket] = sockets;
    const closed = once(socket!, 'close');
    client.close();
    await closed;
  });

  test('a connection that is refused is a ConnectionError', async (t) => {
    const server = createTcpServer();
    const { client } = await start(t, server);
    server.close();
    await once(server, 'close');
    await assertConnectionError(client.post(body, never), /^the connection failed \(ECONNREFUSED\)$/);
  });

  const head = 'HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n';
  const breaks: { name: string; onRequest: (socket: Socket) => void }[] = [
    { name: 'that is reset before an answer', onRequest: (socket) => socket.resetAndDestroy() },
    { name: 'that is closed before an answer', onRequest: (socket) => socket.end() },
    { name: 'that is closed in the head of an answer', onRequest: (socket) => socket.end(head) },
    {
      name: 'that is closed in an answer of known length',
      onRequest: (socket) => socket.end(`${head}content-length: 100\r\n\r\n{"code":400}`),
    },
    {
      name: 'that is closed in an answer in chunks',
      onRequest: (socket) => socket.end(`${head}transfer-encoding: chunked\r\n\r\nc\r\n{"code":400}\r\n`),
    },
    { name: 'that answers in another protocol', onRequest: (socket) => socket.end('220 smtp.example ready\r\n') },
  ];
  for (const { name, onRequest } of breaks) {
    test(`a connection ${name} is a ConnectionError`, async (t) => {
      const { client } = await startRaw(t, onRequest);
      await assertConnectionError(client.post(body, never), /^the connection failed/);
    });
  }
});

describe('time', () => {
  const stalls: { name: string; onRequest: (socket: Socket) => void }[] = [
    { name: 'before the answer', onRequest: () => {} },
    {
      name: 'within the answer',
      onRequest: (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'),
    },
  ];
  for (const { name, onRequest } of stalls) {
    test(`a time-out ${name} is a ConnectionError, and closes the connection`, async (t) => {
      const { client, sockets } = await startRaw(t, onRequest, { requestTimeoutMs: 40 });
      await assertConnectionError(client.post(body, never), /^no answer within 40 ms$/);
      for (const socket of sockets) await once(socket, 'close');
    });
  }
});

describe('a signal', () => {
  test('the client does not open a connection if the signal is already aborted', async (t) => {
    const { client, sockets } = await startRaw(t, () => {});
    await assertConnectionError(client.post(body, AbortSignal.abort()), /^the connection failed/);
    assert.equal(sockets.size, 0);
  });

  test('a signal aborts an attempt that has just begun', async (t) => {
    const { client } = await startRaw(t, () => {});
    for (const microtasks of [0, 1, 2, 3, 5, 8, 13]) {
      const controller = new AbortController();
      const attempt = assertConnectionError(client.post(body, controller.signal), /^the connection failed/);
      for (let microtask = 0; microtask < microtasks; microtask++) await Promise.resolve();
      controller.abort();
      await attempt;
    }
  });

  test('a signal aborts an attempt that waits for its answer', async (t) => {
    const controller = new AbortController();
    const { client, sockets } = await startRaw(t, () => controller.abort(new Error('enough')));
    await assertConnectionError(client.post(body, controller.signal), /^the connection failed/);
    for (const socket of sockets) await once(socket, 'close');
  });

  test('a signal aborts an attempt in the middle of its answer', async (t) => {
    const controller = new AbortController();
    const { client } = await startRaw(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{');
      setImmediate(() => controller.abort());
    });
    await assertConnectionError(client.post(body, controller.signal), /^the connection failed/);
  });

  test('a signal aborts an attempt whose body is not read', async (t) => {
    const controller = new AbortController();
    const { client } = await startRaw(t, (socket) => {
      socket.pause();
      setImmediate(() => controller.abort());
    });
    const large = Buffer.concat([body, randomBytes(20_000_000)]);
    await assertConnectionError(client.post(large, controller.signal), /^the connection failed/);
  });

  test('a signal does not affect other attempts of the client', async (t) => {
    const controller = new AbortController();
    let requests = 0;
    const { client } = await startHttp(t, async (request, response) => {
      requests++;
      await contentOf(request);
      if (requests < 2) return;
      controller.abort();
      response.end(ok);
    });
    const cut = client.post(body, controller.signal);
    const [answer] = await Promise.all([
      client.post(body, never),
      assertConnectionError(cut, /^the connection failed/),
    ]);
    assert.equal(answer.status, 200);
  });
});
