import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type MixpanelOptions, type MixpanelServer, startMixpanel } from '../../../local-cloud/mixpanel/server.ts';

const time = 1_700_000_000;
const anybody = basic('user', 'secret');
let server: MixpanelServer;

beforeEach(async () => {
  server = await startMixpanel();
});

afterEach(async () => {
  await server.close();
});

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function event(id: string, properties: Record<string, unknown> = {}): unknown {
  return { event: 'Signup', properties: { time, distinct_id: 'u', $insert_id: id, ...properties } };
}

function lines(...events: unknown[]): string {
  return events.map((value) => `${typeof value === 'string' ? value : JSON.stringify(value)}\n`).join('');
}

interface PostOptions {
  to?: MixpanelServer;
  query?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

function post(
  body: string | Uint8Array<ArrayBuffer>,
  { to = server, query = '?strict=1&project_id=1', headers, signal }: PostOptions = {},
) {
  return fetch(`${to.url}/import${query}`, {
    method: 'POST',
    headers: { authorization: anybody, 'content-type': 'application/x-ndjson', ...headers },
    body,
    signal: signal ?? null,
  });
}

/** The status and the parsed body of an answer. */
async function read(response: Promise<Response>): Promise<Record<string, unknown>> {
  const answer = await response;
  const body = (await answer.json()) as Record<string, unknown>;
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.equal(body.code, answer.status);
  return body;
}

/** Restarts the server with other options. */
async function restart(options: MixpanelOptions): Promise<void> {
  await server.close();
  server = await startMixpanel(options);
}

describe('credentials', () => {
  const serviceAccount = { username: 'account', secret: 'hush', projectId: '42' };
  const token = 'abcdef';
  const ofProject = '?strict=1&project_id=42';
  const rows: { name: string; options: MixpanelOptions; query?: string; authorization?: string; expected: number }[] = [
    { name: 'any user at a server without credentials', options: {}, authorization: basic('a', ''), expected: 200 },
    { name: 'an empty user name', options: {}, authorization: basic('', 'a'), expected: 401 },
    { name: 'no authorization header', options: {}, expected: 401 },
    { name: 'another authorization scheme', options: {}, authorization: 'Bearer abc', expected: 401 },
    {
      name: 'the service account with its project',
      options: { serviceAccount },
      authorization: basic('account', 'hush'),
      expected: 200,
    },
    {
      name: 'the service account without a project',
      options: { serviceAccount },
      query: '?strict=1',
      authorization: basic('account', 'hush'),
      expected: 401,
    },
    {
      name: 'the service account with another project',
      options: { serviceAccount },
      query: '?strict=1&project_id=43',
      authorization: basic('account', 'hush'),
      expected: 401,
    },
    {
      name: 'the service account with another secret',
      options: { serviceAccount },
      authorization: basic('account', 'loud'),
      expected: 401,
    },
    {
      name: 'another service account',
      options: { serviceAccount },
      authorization: basic('other', 'hush'),
      expected: 401,
    },
    {
      name: 'the token without a project',
      options: { token },
      query: '?strict=1',
      authorization: basic(token, ''),
      expected: 200,
    },
    { name: 'the token with a password', options: { token }, authorization: basic(token, 'a'), expected: 401 },
    { name: 'another token', options: { token }, authorization: basic('other', ''), expected: 401 },
    {
      name: 'the token at a server that also has a service account',
      options: { token, serviceAccount },
      authorization: basic(token, ''),
      expected: 200,
    },
  ];
  for (const { name, options, query = ofProject, authorization = '', expected } of rows) {
    test(`a request with ${name} is answered ${expected}`, async () => {
      await restart(options);
      const answer = await read(post(lines(event('a')), { query, headers: { authorization } }));
      assert.equal(answer.code, expected);
      assert.equal(server.received, expected === 200 ? 1 : 0);
      if (expected === 401)
        assert.deepEqual(answer, { code: 401, error: 'Invalid credentials', status: 'Unauthorized' });
    });
  }
});

describe('bodies', () => {
  const array = ` [ ${JSON.stringify(event('a', { text: 'a,]}"\\' }))} , ${JSON.stringify(event('b', { list: [1, { x: [] }] }))} ] `;
  const ndjson = `${lines(event('a'))}\n${lines(event('b')).replace('\n', '\r\n')}`;
  const json = { 'content-type': 'application/json; charset=utf-8' };
  const rows: { name: string; body: string | Uint8Array<ArrayBuffer>; headers?: Record<string, string> }[] = [
    { name: 'NDJSON with a blank line and CRLF', body: ndjson },
    { name: 'NDJSON without a last line feed', body: ndjson.trimEnd() },
    { name: 'a JSON array', body: array, headers: json },
    { name: 'NDJSON in gzip', body: new Uint8Array(gzipSync(ndjson)), headers: { 'content-encoding': 'gzip' } },
    {
      name: 'an array in gzip',
      body: new Uint8Array(gzipSync(array)),
      headers: { ...json, 'content-encoding': 'gzip' },
    },
  ];
  for (const { name, body, headers = {} } of rows) {
    test(`a body of ${name} is ingested`, async () => {
      assert.deepEqual(await read(post(body, { headers })), { code: 200, num_records_imported: 2, status: 'OK' });
      const events = server.events();
      assert.deepEqual(
        events.map(({ properties }) => properties.$insert_id),
        ['a', 'b'],
      );
      for (const { event, properties, raw } of events) assert.deepEqual(JSON.parse(raw), { event, properties });
    });
  }

  test('the text of an event is kept with all its digits, from an array and from lines', async () => {
    const raw = JSON.stringify(event('a')).replace('}}', ',"n":12345678901234567890.10}}');
    await post(lines(raw));
    assert.equal(server.events()[0]?.raw, raw);
    await post(`[${raw}]`, { headers: json });
    assert.equal(server.events()[0]?.raw, raw);
  });

  const good = lines(event('a'));
  const malformed: { name: string; body: string | Uint8Array<ArrayBuffer>; headers?: Record<string, string> }[] = [
    { name: 'one line that is not JSON', body: `${good}{"event":\n${lines(event('b'))}` },
    { name: 'an array that breaks off', body: `[${good}`, headers: json },
    { name: 'an object instead of an array', body: good, headers: json },
    { name: 'no events', body: '\n' },
    { name: 'an empty array', body: '[]', headers: json },
    { name: 'invalid UTF-8', body: new Uint8Array(Buffer.from(good.replace('Signup', '\xff'), 'latin1')) },
    { name: 'a body that is not gzip', body: good, headers: { 'content-encoding': 'gzip' } },
    {
      name: 'gzip that is cut short',
      body: new Uint8Array(gzipSync(good).subarray(0, -4)),
      headers: { 'content-encoding': 'gzip' },
    },
    { name: 'another content encoding', body: good, headers: { 'content-encoding': 'br' } },
    { name: 'another content type', body: good, headers: { 'content-type': 'text/plain' } },
  ];
  for (const { name, body, headers = {} } of malformed) {
    test(`a request with ${name} is refused as a whole`, async () => {
      const answer = await read(post(body, { headers }));
      assert.deepEqual(Object.keys(answer), ['code', 'error', 'status']);
      assert.equal(answer.code, 400);
      assert.equal(answer.status, 'Bad Request');
      assert.equal(server.received, 0);
    });
  }

  test('a request for another path or method is answered 404', async () => {
    for (const answer of [
      fetch(server.url),
      fetch(`${server.url}/import`),
      fetch(`${server.url}/track`, { method: 'POST' }),
    ]) {
      assert.equal((await read(answer)).code, 404);
    }
    const socket = connect(server.port, '127.0.0.1', () => socket.write('POST // HTTP/1.1\r\nHost: localhost\r\n\r\n'));
    const [answer] = await once(socket, 'data');
    socket.destroy();
    assert.match(String(answer), /^HTTP\/1.1 404 /);
    assert.deepEqual(server.requests, []);
  });
});

describe('limits', () => {
  test('a request of 2,000 events is accepted, and one of 2,001 is too large', async () => {
    const events = Array.from({ length: 2001 }, (_, index) => event(`id-${index}`));
    assert.equal((await read(post(lines(...events.slice(1))))).num_records_imported, 2000);
    assert.deepEqual(await read(post(lines(...events))), {
      code: 413,
      error: 'request exceeds max limit of 2000 events',
      status: 'Request Entity Too Large',
    });
    assert.equal(server.received, 2000);
  });

  test('a request is limited by its uncompressed bytes, with gzip or without', async () => {
    const body = lines(event('a', { text: 'x'.repeat(200) }));
    await restart({ maxBytes: body.length });
    assert.equal((await read(post(body))).code, 200);
    const tooLarge = {
      code: 413,
      error: `request exceeds max limit of ${body.length} bytes`,
      status: 'Request Entity Too Large',
    };
    assert.deepEqual(await read(post(`${body}\n`)), tooLarge);
    const compressed = new Uint8Array(gzipSync(`${body}\n`));
    assert.ok(compressed.length < body.length);
    assert.deepEqual(await read(post(compressed, { headers: { 'content-encoding': 'gzip' } })), tooLarge);
  });

  test('a request whose gzip decompresses to more than 100 MB is too large', async () => {
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(100_000_001)));
    assert.equal((await read(post(bomb, { headers: { 'content-encoding': 'gzip' } }))).code, 413);
  });

  test('an event of 1 MB is accepted, and an event of one byte more is a failed record', async () => {
    const padding = 1_000_000 - JSON.stringify(event('a', { text: '' })).length;
    const fits = event('a', { text: 'x'.repeat(padding) });
    // A character of two bytes: the bytes count, not the characters.
    const tooLarge = event('b', { text: `é${'x'.repeat(padding - 1)}` });
    const answer = await read(post(lines(fits, tooLarge)));
    assert.equal(answer.num_records_imported, 1);
    assert.deepEqual(answer.failed_records, [
      {
        index: 1,
        $insert_id: 'b',
        field: 'event',
        message: "'event' is invalid: must be at most 1000000 bytes of JSON",
      },
    ]);
  });

  test('the events and bytes of a rolling minute are limited, and requests over the limit do not count', async () => {
    let now = Date.UTC(2026, 0, 1);
    await restart({ rateLimit: { eventsPerMinute: 3 }, now: () => now });
    const one = async () => (await read(post(lines(event('a'))))).code;

    assert.equal((await read(post('{\n'))).code, 400);
    now += 30_000;
    assert.equal(await one(), 200);
    assert.equal((await read(post(lines(event('b', { time: 'x' }))))).code, 400);
    assert.deepEqual(await read(post(lines(event('c')))), {
      code: 429,
      error: 'Project exceeded rate limits. Please retry the request with exponential backoff.',
      status: 'Too Many Requests',
    });
    now += 29_999;
    assert.equal(await one(), 429);
    now += 1;
    assert.equal(await one(), 200);
    assert.equal(await one(), 429);

    const body = lines(event('a'));
    await restart({ rateLimit: { bytesPerMinute: body.length * 2 - 1 }, now: () => now });
    assert.deepEqual([await one(), await one()], [200, 429]);
  });
});

describe('validation', () => {
  test('a request in strict mode ingests the valid events, and names the others by their index', async () => {
    const answer = await read(post(lines(event('a', { time: 'now' }), event('b'), event('none'), 5)));
    const messages = (answer.failed_records as { message: string }[]).map(({ message, ...rest }) => rest);
    assert.deepEqual(
      { ...answer, failed_records: messages },
      {
        code: 400,
        error: 'some data points in the request failed validation',
        failed_records: [
          { index: 0, $insert_id: 'a', field: 'properties.time' },
          { index: 2, $insert_id: 'none', field: 'properties.$insert_id' },
          { index: 3, $insert_id: '', field: 'event' },
        ],
        num_records_imported: 1,
        status: 'Bad Request',
      },
    );
    assert.deepEqual(
      server.events().map(({ properties }) => properties.$insert_id),
      ['b'],
    );
  });

  test('a request without strict mode ingests all events that have a name and properties', async () => {
    const answer = await read(
      post(lines(event('none'), { event: 'a', properties: {} }, { event: 'b' }, 5), { query: '' }),
    );
    assert.deepEqual(answer, { code: 200, num_records_imported: 2, status: 'OK' });
    assert.equal(server.events().length, 2);
  });
});

describe('simplified ID merge', () => {
  for (const name of ['$identify', '$create_alias', '$merge']) {
    const identityEvent = { event: name, properties: { distinct_id: 'u', $insert_id: 'b', time } };
    test(`a request with the event ${name} is refused as a whole, in the words of a project that uses it`, async () => {
      await restart({ simplified: true });
      assert.deepEqual(await read(post(lines(event('a'), identityEvent, event('c', { time: 'now' })))), {
        code: 400,
        error: 'some data points in the request failed validation',
        failed_records: ['identity events are not allowed when project is using simplified identity management'],
        num_records_imported: 0,
        status: 'Bad Request',
      });
      assert.equal(server.received, 0);
      assert.equal((await read(post(lines(event('a'))))).code, 200);
    });

    test(`the event ${name} is accepted by a project without it`, async () => {
      assert.equal((await read(post(lines(event('a'), identityEvent)))).num_records_imported, 2);
    });
  }
});

describe('duplicates', () => {
  test('events are duplicates if their name, time, distinct_id and $insert_id are equal, and the last of them is kept', async () => {
    await post(
      lines(
        event('a', { n: 1 }),
        event('a', { n: 2 }),
        event('a', { time: time + 1 }),
        event('a', { distinct_id: 'v' }),
      ),
    );
    await post(lines(event('a', { n: 3 }), { ...(event('a') as object), event: 'Purchase' }, event('b')));

    assert.equal(server.received, 7);
    assert.equal(server.duplicates, 2);
    assert.equal(server.count('a'), 6);
    assert.equal(server.count('c'), 0);
    assert.equal(server.events().length, 5);
    assert.equal(server.events()[0]?.properties.n, 3);
  });

  test('events without an $insert_id are never duplicates', async () => {
    const bare = { event: 'a', properties: { time } };
    await post(lines(bare, bare), { query: '' });
    assert.deepEqual([server.received, server.duplicates, server.events().length], [2, 0, 2]);
  });

  test('duplicates are counted by $insert_id alone if the server keeps only ids', async () => {
    await restart({ keep: 'ids' });
    await post(lines(event('a'), event('b'), event('a', { time: time + 1 })));
    assert.deepEqual([server.received, server.duplicates, server.count('a')], [3, 1, 2]);
    assert.deepEqual(server.events(), []);
  });
});

describe('faults', () => {
  test('the fault hook sees the number, the size, the ids and the body of each request', async () => {
    const seen: unknown[] = [];
    server.fault = ({ sequence, events, bytes, ids, body }) => {
      seen.push({ sequence, events, bytes, ids, body });
      return undefined;
    };
    const first = lines(event('a'), 5, event('b'));
    const second = `${lines(event('c'))}{\n`;
    await post(new Uint8Array(gzipSync(first)), { headers: { 'content-encoding': 'gzip' } });
    await post(second);
    assert.deepEqual(seen, [
      { sequence: 0, events: 3, bytes: first.length, ids: ['a', '', 'b'], body: first },
      { sequence: 1, events: 2, bytes: second.length, ids: ['c', ''], body: second },
    ]);
    assert.equal(server.received, 2);
  });

  test('a fault answers a status instead of ingesting, with its documented body or another', async () => {
    server.fault = () => ({ status: 503, headers: { 'retry-after': '7' } });
    const response = await post(lines(event('a')));
    assert.equal(response.headers.get('retry-after'), '7');
    assert.deepEqual(await response.json(), { code: 503, error: 'Service Unavailable', status: 'Service Unavailable' });

    server.fault = () => ({ status: 502, headers: { 'content-type': 'text/html' }, body: '<html>' });
    const page = await post(lines(event('a')));
    assert.deepEqual([page.status, page.headers.get('content-type'), await page.text()], [502, 'text/html', '<html>']);
    assert.equal(server.received, 0);
  });

  test('a fault answers a status after ingesting, as if the answer 200 were lost', async () => {
    server.fault = () => ({ status: 500, ingest: true });
    assert.equal((await read(post(lines(event('a'), event('none'))))).code, 500);
    assert.deepEqual([server.received, server.count('a')], [1, 1]);
  });

  test('a fault cuts the connection before or after ingesting', async () => {
    server.fault = ({ sequence }) => ({ destroy: sequence === 0 ? 'before' : 'after' });
    await assert.rejects(post(lines(event('a'))), TypeError);
    assert.equal(server.received, 0);
    await assert.rejects(post(lines(event('a'))), TypeError);
    assert.equal(server.received, 1);
    assert.deepEqual(
      server.requests.map(({ status }) => status),
      [0, 0],
    );
    assert.equal(server.inFlight, 0);
  });

  test('a fault delays a request, and then the request continues or the next fault applies', async () => {
    const started = performance.now();
    server.fault = ({ sequence }) => ({
      delayMs: 30,
      ...(sequence === 1 && { next: { delayMs: 1, next: { status: 500 } } }),
    });
    assert.equal((await read(post(lines(event('a'))))).code, 200);
    assert.ok(performance.now() - started >= 25);
    assert.equal((await read(post(lines(event('b'))))).code, 500);
    assert.equal(server.received, 1);
  });

  for (const fault of [{ delayMs: 20_000 }, { hang: true } as const]) {
    test(`a fault with ${Object.keys(fault)[0]} ends when the client disconnects, and nothing is ingested`, async () => {
      const client = new AbortController();
      server.fault = () => {
        setImmediate(() => client.abort());
        return fault;
      };
      const seen = once(server, 'request');
      await assert.rejects(post(lines(event('a')), { signal: client.signal }), { name: 'AbortError' });
      const [request] = await seen;
      assert.equal(request.status, 0);
      assert.equal(server.received, 0);
    });

    test(`a fault with ${Object.keys(fault)[0]} ends when the server closes`, async () => {
      server.fault = () => {
        setImmediate(() => server.close());
        return fault;
      };
      await assert.rejects(post(lines(event('a'))), TypeError);
      await server.close();
      assert.equal(server.inFlight, 0);
    });
  }

  test('a fault reports a wrong count although the events are ingested', async () => {
    server.fault = () => ({ report: 1 });
    const answer = await read(post(lines(event('a'), event('b'))));
    assert.deepEqual(answer, { code: 200, num_records_imported: 1, status: 'OK' });
    assert.equal(server.received, 2);
  });

  test('an exception in the fault hook is an error of the server, and cuts the connection', async () => {
    const failed = once(server, 'error');
    server.fault = () => {
      throw new Error('a mistake in a test');
    };
    await assert.rejects(post(lines(event('a'))), TypeError);
    assert.match(String(await failed), /a mistake in a test/);
  });
});

describe('observing', () => {
  test('requests are listed with their status, and are counted while they are in flight', async () => {
    const client = new AbortController();
    const arrived = Promise.withResolvers<void>();
    server.fault = ({ sequence }) => {
      arrived.resolve();
      return sequence === 0 ? { hang: true } : undefined;
    };
    const refused = assert.rejects(post(lines(event('a')), { signal: client.signal }), { name: 'AbortError' });
    await arrived.promise;
    assert.equal(server.inFlight, 1);
    const before = Date.now();
    const body = lines(event('b'), event('c'));
    await read(post(body));
    assert.deepEqual([server.inFlight, server.maxInFlight], [1, 2]);
    const aborted = once(server, 'request');
    client.abort();
    await refused;
    await aborted;

    assert.deepEqual(
      server.requests.map(({ at, ...rest }) => rest),
      [
        { sequence: 1, status: 200, events: 2, bytes: body.length },
        { sequence: 0, status: 0, events: 1, bytes: lines(event('a')).length },
      ],
    );
    assert.ok((server.requests[0]?.at ?? 0) >= before);
    assert.deepEqual([server.inFlight, server.maxInFlight], [0, 2]);
  });

  test('the server emits an event for each Mixpanel event and each request', async () => {
    const events: unknown[] = [];
    server.on('event', ({ event, properties, receivedAt }, duplicate) => {
      assert.ok(receivedAt <= Date.now());
      events.push([event, properties.$insert_id, duplicate]);
    });
    server.on('request', () => events.push(`in flight: ${server.inFlight}`));
    const announced = once(server, 'request');
    await post(lines(event('a'), event('b'), event('a')));
    assert.deepEqual(events, [['Signup', 'a', false], ['Signup', 'b', false], ['Signup', 'a', true], 'in flight: 0']);
    assert.equal((await announced)[0], server.requests[0]);
  });

  test('a server that is reset forgets everything', async () => {
    await restart({ rateLimit: { eventsPerMinute: 1 } });
    await post(lines(event('a')));
    server.fault = () => ({ status: 500 });
    server.reset();
    assert.deepEqual(
      [server.received, server.duplicates, server.count('a'), server.events(), server.requests, server.maxInFlight],
      [0, 0, 0, [], [], 0],
    );
    assert.equal((await read(post(lines(event('a'))))).code, 200);
    assert.equal(server.requests[0]?.sequence, 0);
  });

  test('connections are kept alive until the server closes', async () => {
    const response = await post(lines(event('a')));
    assert.equal(response.headers.get('connection'), 'keep-alive');
    await response.body?.cancel();

    const idle = connect(server.port, '127.0.0.1');
    await once(idle, 'connect');
    const ended = once(idle, 'close');
    await Promise.all([server.close(), server.close()]);
    await ended;
    await assert.rejects(post(lines(event('b'))), TypeError);
  });
});
