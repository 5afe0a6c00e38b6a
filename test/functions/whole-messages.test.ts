import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { NAMES } from '../../local-cloud/cloud.ts';
import { eventText } from '../support/event.ts';
import { runCommand } from '../support/operating.ts';
import { startTestCloud, type TestCloud, type TestMessage } from '../support/serving.ts';

interface Letter {
  reason: { field: string; message: string };
  source: { messageId: string; index: number; attributes?: Record<string, string> };
  record?: string;
  recordBase64?: string;
  range?: { from: number; to: number };
  rejected?: number;
}

const attributes = { origin: 'shop', kind: 'order' };
const input = (name: string) => readFileSync(new URL(`../inputs/${name}`, import.meta.url));
/** Everything that the letter holds of the message. */
const bytesOf = ({ record, recordBase64 }: Letter) =>
  recordBase64 === undefined ? Buffer.from(record!) : Buffer.from(recordBase64, 'base64');
const wrapped = (events: number) =>
  JSON.stringify({ events: Array.from({ length: events }, (_, n) => JSON.parse(eventText(`id-${n}`))) });
/** Bytes that are not text and cannot be compressed, with line ends among them. */
const noise = (bytes: number) => Buffer.from(Array.from({ length: bytes }, (_, n) => (n * n * 31 + (n >> 3)) % 251));

describe('what becomes of whole messages', () => {
  let cloud: TestCloud;
  before(async () => {
    cloud = await startTestCloud();
  });
  beforeEach(() => cloud.reset());
  after(() => cloud?.close());

  async function drained(...messages: TestMessage[]) {
    await cloud.publish(...messages);
    const { status, body } = await cloud.drain();
    assert.equal(status, 200);
    assert.equal(await cloud.backlog(), 0);
    const { read, imported, rejected } = body as Record<string, number>;
    return { counts: [read, imported, rejected], letters: (await cloud.deadLetters()) as unknown as Letter[] };
  }

  async function replay(transform?: string) {
    const { code, stdout } = await runCommand('replay', [`gs://${NAMES.stateBucket}`], {
      env: { ...cloud.env },
      cwd: '/',
      ...(transform === undefined ? {} : { transform }),
    });
    return { code, stdout, left: (await cloud.deadLetters()) as unknown as Letter[] };
  }

  const unusable: Record<string, Buffer> = {
    'protobuf with line ends in it': input('message-protobuf.bin'),
    'an object of 1.4 MB that is not an event': Buffer.from(wrapped(20_000)),
    'text of 9 MB': Buffer.alloc(9_000_000, 'not an event\n'),
    'bytes of 9 MB': noise(9_000_000),
    'gzip data that are cut short': gzipSync(wrapped(100)).subarray(0, 300),
    'no bytes, with attributes': Buffer.alloc(0),
  };
  for (const [name, data] of Object.entries(unusable)) {
    test(`a message that holds ${name} is one dead letter with all of its bytes and attributes, also after a replay`, async () => {
      const { counts, letters } = await drained({ data, attributes }, eventText('id-good'));
      assert.deepEqual(counts, [2, 1, 1]);
      for (const kept of [letters, (await replay()).left]) {
        assert.equal(kept.length, 1);
        const [letter] = kept as [Letter];
        assert.ok(bytesOf(letter).equals(data), 'all bytes');
        assert.deepEqual([letter.source.index, letter.source.attributes], [0, attributes]);
      }
    });
  }

  test('the attributes of a message are in the letter of each of its records', async () => {
    const { counts, letters } = await drained({ data: input('message-array-with-nan.json'), attributes });
    assert.deepEqual(counts, [5, 4, 1]);
    assert.deepEqual(
      letters.map(({ source: { index, attributes } }) => [index, attributes]),
      [[2, attributes]],
    );
  });

  test('gzip is told by the content of a message, whatever its Content-Encoding says', async () => {
    const gzip = { 'Content-Encoding': 'gzip' };
    const compressed = input('message-gzip-without-attribute.bin');
    const plain = input('message-plain-with-gzip-attribute.json');
    const { counts, letters } = await drained(
      { data: compressed, attributes: {} },
      { data: plain, attributes: gzip },
      { data: input('message-of-two-pretty.json'), attributes: { 'Content-Encoding': 'br' } },
    );
    assert.deepEqual([counts, letters], [[4, 4, 0], []]);
    const sent = new Set(cloud.mixpanel.events().map(({ properties }) => properties.distinct_id));
    for (const content of [gunzipSync(compressed), plain]) {
      assert.ok(sent.has(JSON.parse(content.toString()).properties.distinct_id));
    }
  });

  test('replay sends the whole message of a letter through the transform as it is now', async () => {
    const data = Buffer.from(wrapped(4_000));
    const { letters } = await drained({ data, attributes });
    assert.equal(letters.length, 1);
    const { code, left } = await replay(
      `return record.events.map((event) => ({ ...event, properties: { ...event.properties, origin: context.attributes.origin } }));`,
    );
    assert.deepEqual([code, left], [0, []]);
    const events = cloud.mixpanel.events();
    assert.equal(events.length, 4_000);
    assert.ok(events.every(({ properties }) => properties.origin === 'shop'));
  });

  test('a message that decompresses to 60 MB is imported, and its bad records are dead letters', async () => {
    const events = 300_000;
    const note = 'x'.repeat(100);
    const lines = Array.from({ length: events }, (_, n) =>
      n % 100_000 === 5 ? `bad ${n}` : eventText(undefined, { distinct_id: `u${n}`, note }),
    );
    const text = lines.join('\n');
    assert.ok(text.length > 50_000_000);
    const { counts, letters } = await drained({ data: gzipSync(text, { level: 1 }), attributes });
    assert.deepEqual(counts, [events, events - 3, 3]);
    assert.deepEqual(
      letters.map(({ source, record }) => [source.index, record]).sort(([a], [b]) => Number(a) - Number(b)),
      [5, 100_005, 200_005].map((n) => [n, `bad ${n}`]),
    );
  });

  test('a message with very many bad records is one letter of all of it besides those of single records, and replay sends its good records', async () => {
    const records = 300_000;
    const lines = Array.from({ length: records }, (_, n) =>
      n % 10_000 === 9_999 ? eventText(`id-${n}`) : `{"n":${n}}`,
    );
    const good = records / 10_000;
    const data = gzipSync(lines.join('\n'), { level: 1 });
    // The first message brings rejections beyond the limit, so that those of the second are summed up from its beginning.
    await cloud.publish(`${'{}\n'.repeat(10_001)}`);
    const { counts, letters } = await drained({ data, attributes });
    assert.deepEqual(counts, [10_001 + records, good, 10_001 + records - good]);
    const summed = letters.filter(({ range }) => range !== undefined);
    assert.equal(summed.length, 1);
    assert.ok(bytesOf(summed[0]!).equals(data));
    assert.equal(summed[0]!.rejected, counts[2]! - (letters.length - 1));

    // Half of them are right now.
    cloud.mixpanel.reset();
    const { code, left } = await replay(
      `if (record.n % 2 === 1) return { event: 'n', properties: { time: 1767225600, distinct_id: 'u', n: record.n } };
       if (record.event === undefined) throw new Error('even'); return record;`,
    );
    assert.equal(code, 1);
    const sent = cloud.mixpanel.events();
    const odd = sent.filter(({ event }) => event === 'n').map(({ properties }) => properties.n as number);
    const expected = lines.filter((text) => /^\{"n":\d*[13579]\}$/.test(text)).length;
    assert.deepEqual([odd.length, new Set(odd).size], [expected, expected]);
    const rejectedAgain = left.reduce((sum, { rejected = 1 }) => sum + rejected, 0);
    assert.equal(rejectedAgain, 10_001 + records / 2);
    // As many letters as the limit allows, and one for the others.
    assert.ok(left.length <= 20_003, `${left.length} letters`);
  });
});
