import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { ShownEvent, State } from '../../live-view/page/frames.ts';
import { Ring } from '../../live-view/page/ring.ts';
import { createStream } from '../../live-view/stream.ts';

/** A frame as a browser takes it. */
interface Frame {
  id?: string;
  event?: string;
  data: { from: number; events?: ShownEvent[] };
}

function newEvent(number: number): ShownEvent {
  const text = { name: `Event ${number}`, user: '', json: '{}', length: 2 };
  return { ...text, time: null, isDuplicate: false, receivedAt: 0 };
}

/** A stream over a log that keeps so many events, and a page that reads it. */
async function startStream(t: TestContext, maxItems: number) {
  const log = new Ring<ShownEvent>({ maxItems, maxWeight: 1_000_000, weightOf: () => 1 });
  let state = { startedAt: 0 } as State;
  const stream = createStream({ log, id: 'start', state: () => state });
  const server = createServer((request, response) => stream.open(response, String(request.headers['last-event-id'])));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.after(async () => {
    stream.close();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return {
    log,
    setState(startedAt: number) {
      state = { ...state, startedAt };
    },
    fill(count: number) {
      for (let index = 0; index < count; index++) log.push(newEvent(log.next));
    },
    /** Reads until the condition holds, and leaves. */
    async read(lastEventId: string, isEnough: (frames: Frame[]) => boolean): Promise<Frame[]> {
      const request = get({ port, headers: { 'last-event-id': lastEventId }, agent: false });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      const frames: Frame[] = [];
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) {
        text += chunk;
        const parts = text.split('\n\n');
        text = parts.pop()!;
        frames.push(...parts.filter((part) => part.includes('data: ')).map(parse));
        if (isEnough(frames)) break;
      }
      request.destroy();
      return frames;
    },
  };
}

function parse(text: string): Frame {
  const fields = Object.fromEntries(text.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)));
  return { ...fields, data: JSON.parse(fields.data as string) } as Frame;
}

const numbersIn = (frames: Frame[]) => frames.flatMap(({ data }) => data.events ?? []).map(({ name }) => name);
const hasState = (frames: Frame[]) => frames.some(({ event }) => event === 'state');

test('a page that is new gets all that is kept, in order, many events to a frame', async (t) => {
  const stream = await startStream(t, 10_000);
  stream.fill(9_000);
  const frames = await stream.read('', (frames) => numbersIn(frames).length === 9_000);
  assert.deepEqual([frames[0]?.event, frames[0]?.data], ['reset', { from: 0 }]);
  assert.deepEqual(
    numbersIn(frames),
    Array.from({ length: 9_000 }, (_, index) => `Event ${index}`),
  );
  assert.ok(frames.length < 10, `${frames.length} frames`);
});

test('a page that comes back gets the events after its last frame, and nothing twice', async (t) => {
  const stream = await startStream(t, 100);
  stream.fill(5);
  const before = await stream.read('', hasState);
  stream.fill(3);
  const lastId = before.findLast(({ id }) => id !== undefined)!.id!;
  const after = await stream.read(lastId, hasState);
  assert.deepEqual(numbersIn(after), ['Event 5', 'Event 6', 'Event 7']);
  assert.ok(after.every(({ event }) => event !== 'reset'));
});

test('a page that missed nothing gets nothing but the state', async (t) => {
  const stream = await startStream(t, 100);
  stream.fill(5);
  const frames = await stream.read('start:5', hasState);
  assert.deepEqual(
    frames.map(({ event }) => event),
    ['state'],
  );
});

for (const { lastId, says } of [
  { lastId: 'start:5', says: 'missed more than is kept' },
  { lastId: 'other:150', says: 'was connected to another start' },
  { lastId: 'start:500', says: 'names an event that does not exist' },
  { lastId: 'nonsense', says: 'names nothing' },
]) {
  test(`a page that ${says} begins again with all that is kept`, async (t) => {
    const stream = await startStream(t, 100);
    stream.fill(200);
    const frames = await stream.read(lastId, hasState);
    assert.deepEqual([frames[0]?.event, frames[0]?.data], ['reset', { from: 100 }]);
    assert.equal(numbersIn(frames).length, 100);
    assert.equal(numbersIn(frames)[0], 'Event 100');
  });
}

test('the state is sent again only if it has changed', async (t) => {
  const stream = await startStream(t, 100);
  let seen = 0;
  const frames = await stream.read('start:0', (frames) => {
    // Each event comes a frame later than the one before: meanwhile the same state is not sent.
    if (frames.length > seen && frames.length < 6) stream.fill(1);
    if (frames.length > seen && frames.length === 5) stream.setState(1);
    seen = frames.length;
    return frames.filter(({ event }) => event === 'state').length === 2;
  });
  assert.ok(numbersIn(frames).length >= 4);
  assert.deepEqual(
    frames.filter(({ event }) => event === 'state').map(({ data }) => data),
    [{ startedAt: 0 }, { startedAt: 1 }],
  );
});
