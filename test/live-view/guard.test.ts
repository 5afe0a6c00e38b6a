import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import { type Live, startLive } from '../../live-view/live.ts';

let live: Live;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixpanel-guard-'));
  live = await startLive({ folder });
});

after(async () => {
  await live.close();
  await rm(folder, { recursive: true });
});

/** Asks as any program can, with whatever headers; a stream is left as soon as it has begun. */
async function ask(method: string, path: string, headers: Record<string, string> = {}, body = '') {
  const sent = request(live.view.url + path, { method, headers, agent: false });
  sent.end(body);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject);
  });
  const isStream = response.headers['content-type'] === 'text/event-stream';
  const content = isStream ? '' : await text(response);
  sent.destroy();
  return { status: response.statusCode, headers: response.headers, content };
}

const own = () => ({ origin: live.view.url, 'content-type': 'application/json' });

test('the page may ask for everything, under both names of this machine', async () => {
  const { port } = live.view;
  assert.equal((await ask('GET', '/')).status, 200);
  assert.equal((await ask('GET', '/', { host: `localhost:${port}` })).status, 200);
  assert.equal((await ask('GET', '/stream', { 'sec-fetch-site': 'same-origin' })).status, 200);
  assert.equal((await ask('POST', '/switch', own(), '{"name":"slow","on":false}')).status, 200);
});

test('a name that was made to point here (DNS rebinding) is refused, whatever is asked for', async () => {
  for (const host of [
    'attacker.example',
    `attacker.example:${live.view.port}`,
    'localhost.attacker.example',
    '192.0.2.1',
  ]) {
    for (const path of ['/', '/stream', '/letters', '/page.ts']) {
      assert.equal((await ask('GET', path, { host })).status, 403, `${host} ${path}`);
    }
    assert.equal((await ask('POST', '/samples', { ...own(), host, origin: `http://${host}` }, '{}')).status, 403, host);
  }
});

test('a page of another origin can neither do nor read anything', async () => {
  const elsewhere = ['https://attacker.example', 'null', 'http://127.0.0.1:1', `https://127.0.0.1:${live.view.port}`];
  for (const origin of elsewhere) {
    for (const path of ['/samples', '/made', '/publish', '/switch', '/kill', '/replay', '/upload?name=a']) {
      assert.equal((await ask('POST', path, { origin }, '{}')).status, 403, `${origin} ${path}`);
    }
    for (const path of ['/stream', '/letters']) assert.equal((await ask('GET', path, { origin })).status, 403, path);
  }
  assert.equal((await ask('POST', '/samples', {}, '{}')).status, 403);
  for (const site of ['cross-site', 'same-site']) {
    for (const path of ['/stream', '/letters', '/page.ts']) {
      assert.equal((await ask('GET', path, { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors' })).status, 403, path);
    }
    assert.equal((await ask('GET', '/', { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate' })).status, 200);
  }
  assert.equal(live.cloud.mixpanel.received, 0);
});

test('every answer forbids everything that is not part of the page', async () => {
  for (const path of ['/', '/page.css', '/page.ts', '/letters', '/nothing']) {
    const { headers } = await ask('GET', path);
    assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'self'; /, path);
    assert.equal(headers['x-content-type-options'], 'nosniff', path);
  }
});

test('only the files of the page are served, and no path leads elsewhere', async () => {
  assert.match((await ask('GET', '/page.ts')).content, /^\/\*\* The page of the view/);
  assert.doesNotMatch((await ask('GET', '/ring.ts')).content, /readonly #limits: RingLimits/);
  for (const path of [
    '/tsconfig.json',
    '/../server.ts',
    '/..%2fserver.ts',
    '/%2e%2e/dev.ts',
    '/page',
    '//page.ts',
    '/cli/import.ts',
  ]) {
    assert.equal((await ask('GET', path)).status, 404, path);
  }
});

test('a body that is read whole is refused with 413 and the limit, whether its length is announced or not', async () => {
  const chunk = Buffer.alloc(1_000_000, 0x20);
  for (const [headers, megabytes] of [
    [{ 'content-length': '64000001' }, 1],
    [{ 'transfer-encoding': 'chunked' }, 65],
  ] as const) {
    const sent = request(`${live.view.url}/publish`, {
      method: 'POST',
      headers: { ...own(), ...headers },
      agent: false,
    });
    for (const bytes of bytesOf(chunk, megabytes)) sent.write(bytes);
    const [response] = await once(sent, 'response');
    assert.equal(response.statusCode, 413, JSON.stringify(headers));
    assert.match(await text(response), /larger than 64 MB, which is the limit here/);
    sent.on('error', () => {}).destroy();
  }
});

test('a file of any size is uploaded, as it is not read whole', async () => {
  const sent = request(`${live.view.url}/upload?name=large.bin`, { method: 'POST', headers: own(), agent: false });
  const [[response]] = await Promise.all([
    once(sent, 'response'),
    pipeline(bytesOf(Buffer.alloc(1_000_000, 0x20), 70), sent),
  ]);
  assert.equal(response.statusCode, 200);
  assert.match(await text(response), /large.bin is uploaded/);
});

function* bytesOf(chunk: Buffer, times: number): Generator<Buffer> {
  for (let time = 0; time < times; time++) yield chunk;
}

test('an invalid request is refused with words', async () => {
  for (const [path, body, words] of [
    ['/publish', '{"data":"","count":1}', /must not be empty/],
    ['/publish', '{"data":"x","count":1000000}', /from 1 to 10000/],
    ['/publish', 'not JSON', /not a JSON object/],
    ['/switch', '{"name":"toString","on":true}', /no such switch/],
    ['/kill', '{"target":"init"}', /no such function/],
    ['/made', '{"count":0}', /from 1 to/],
    ['/upload?name=', 'x', /name/],
  ] as const) {
    const { status, content } = await ask('POST', path, own(), body);
    assert.equal(status, 400, path);
    assert.match((JSON.parse(content) as { error: string }).error, words, path);
  }
});
