import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import * as http2 from 'node:http2';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Live, startLive } from '../../live-view/live.ts';

let live: Live;
let folder: string;
/** The ports of all servers, by their names. */
let ports: Record<string, number>;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixpanel-guard-'));
  live = await startLive({ folder });
  const { mixpanel, storage, pubsub, importObject, drainSubscription } = live.cloud;
  ports = {
    mixpanel: mixpanel.port,
    storage: storage.port,
    pubsub: pubsub.port,
    importObject: Number(new URL(importObject.url).port),
    drainSubscription: Number(new URL(drainSubscription.url).port),
    view: live.view.port,
  };
});

after(async () => {
  await live.close();
  await rm(folder, { recursive: true });
});

/** Asks with these headers; resolves with the status of the answer. */
async function ask(port: number, method: string, headers: Record<string, string>): Promise<number | undefined> {
  const sent = request({ host: '127.0.0.1', port, method, path: '/', headers, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

/** Whether something accepts connections there. */
async function isOpen(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED', `${host}:${port}`);
    return false;
  } finally {
    socket.destroy();
  }
}

test('no server accepts connections at an address other than 127.0.0.1', async () => {
  const ofInterfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const others = ofInterfaces.filter(({ address, scopeid }) => address !== '127.0.0.1' && !scopeid);
  // On Linux all of 127.0.0.0/8 leads here, so that there is another address even if the machine has no network.
  const addresses = [...others.map(({ address }) => address), ...(process.platform === 'linux' ? ['127.0.0.2'] : [])];
  for (const [name, port] of Object.entries(ports)) {
    assert.equal(await isOpen('127.0.0.1', port), true, name);
    for (const address of addresses) assert.equal(await isOpen(address, port), false, `${name} at ${address}`);
  }
});

test('every server answers 403 to a request for another host, and to one that a page of another origin sends', async () => {
  for (const [name, port] of Object.entries(ports)) {
    const refused: Record<string, string>[] = [
      { host: 'evil.example' },
      { host: `evil.example:${port}` },
      { host: 'localhost.evil.example' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `http://localhost:${port}` },
      { origin: `https://127.0.0.1:${port}` },
      { host: `evil.example:${port}`, origin: `http://evil.example:${port}` },
    ];
    for (const headers of refused) {
      for (const method of ['GET', 'POST']) {
        assert.equal(await ask(port, method, headers), 403, `${name}: ${method} ${JSON.stringify(headers)}`);
      }
    }
  }
});

test('every server answers requests for each name of this machine, with any port', async () => {
  const asked = Object.entries(ports).flatMap(([name, port]) =>
    // A port that was forwarded has another number where the client is.
    [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, 'localhost', 'LOCALHOST:1'].map(async (host) => {
      assert.notEqual(await ask(port, 'GET', { host }), 403, `${name}: ${host}`);
      assert.notEqual(await ask(port, 'GET', { host, origin: `http://${host}` }), 403, `${name}: ${host}`);
    }),
  );
  await Promise.all(asked);
});

test('a gRPC call for another host or from a page of another origin ends with PERMISSION_DENIED', async () => {
  const session = http2.connect(`http://127.0.0.1:${ports.pubsub}`);
  const statusOf = async (headers: http2.OutgoingHttpHeaders) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/google.pubsub.v1.Publisher/ListTopics',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    let status: unknown;
    const note = (answer: http2.IncomingHttpHeaders) => {
      status = answer['grpc-status'] ?? status;
    };
    stream.on('response', note).on('trailers', note);
    // An empty message: not compressed, no bytes.
    stream.end(Buffer.alloc(5));
    await once(stream.resume(), 'close');
    return Number(status);
  };
  assert.notEqual(await statusOf({}), 7);
  assert.equal(await statusOf({ ':authority': 'evil.example' }), 7);
  assert.equal(await statusOf({ origin: 'https://evil.example' }), 7);
  session.close();
});
