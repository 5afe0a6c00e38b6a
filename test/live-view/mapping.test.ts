import assert from 'node:assert/strict';
import { EventEmitter, on, once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import { upload } from '../../live-view/actions.ts';
import { type Live, startLive } from '../../live-view/live.ts';
import { mappingInUse, tryMapping, useMapping } from '../../live-view/mapping.ts';
import type { Trial } from '../../live-view/page/frames.ts';
import { NAMES } from '../../local-cloud/cloud.ts';

let live: Live;
let folder: string;
/** Tells, by its name, of each function that was started. */
const started = new EventEmitter<Record<string, []>>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixpanel-view-'));
  live = await startLive({
    folder,
    port: 0,
    env: { IMPORT_HASH_KEY: 'sixteen letters!' },
    onLine(target, line) {
      if (line.startsWith('URL: ')) started.emit(target);
    },
  });
});

after(async () => {
  await live.close();
  await rm(folder, { recursive: true });
});

const ORDER = { type: 'Order', at: 1_767_225_600, customer: 'ada', mail: 'ada@example.com' };
const MAPPING = { event: 'type', time: 'at', user: 'customer', drop: ['mail'] };

const trial = (mapping: unknown): Promise<Trial> =>
  tryMapping(live.cloud, live.watch.recent, typeof mapping === 'string' ? mapping : JSON.stringify(mapping));
const publish = (record: object, attributes = {}) =>
  live.cloud.pubsub.publish(NAMES.eventTopic, { data: JSON.stringify(record), attributes });

/** Listens from now on; the function resolves when the local Mixpanel has taken that event, before others or after them. */
function listen(): (event: object) => Promise<void> {
  const events = on(live.cloud.mixpanel, 'event');
  return async (event) => {
    for await (const [{ raw: _, receivedAt: __, ...taken }] of events) if (isDeepStrictEqual(taken, event)) return;
  };
}

test('before anything came a mapping is checked all the same', async () => {
  assert.deepEqual(await trial(''), { problems: [], isInUse: true, records: [] });
  assert.deepEqual(await trial(MAPPING), { problems: [], isInUse: false, records: [] });
  assert.deepEqual((await trial('{')).problems, ['the mapping is not JSON']);
  assert.deepEqual((await trial({ evnt: 'x', identity: 'none' })).problems, [
    'evnt: unknown key. Is event meant?',
    'identity: must be one of simplified, original',
  ]);
  await assert.rejects(tryMapping(live.cloud, live.watch.recent, undefined), /must be a text/);
});

test('the last messages are shown with what becomes of them, the newest first', async () => {
  const ids = ['a', 'b', 'c', 'd'].map((customer) => publish({ ...ORDER, customer }));
  const { records } = await trial(MAPPING);
  assert.deepEqual(
    records.map(({ place }) => place),
    [3, 2, 1].map((index) => `message ${ids[index]} of ${NAMES.eventSubscription}, record 0`),
  );
  assert.deepEqual(JSON.parse(records[0]!.record), { ...ORDER, customer: 'd' });
  assert.equal(records[0]!.outcome, 'sent');
  const { event, properties } = JSON.parse(records[0]!.result) as { event: string; properties: object };
  assert.deepEqual(
    { event, properties: { ...properties, $insert_id: '' } },
    { event: 'Order', properties: { time: 1_767_225_600_000, distinct_id: 'd', $user_id: 'd', $insert_id: '', ip: 0 } },
  );
});

test('what is left out, what does not fit and what Mixpanel would refuse are told apart', async () => {
  publish({ ...ORDER, type: 'Ping' });
  publish({ ...ORDER, at: 'soon' });
  publish({ ...ORDER, at: 4_000_000_000 });
  const { records } = await trial({ ...MAPPING, skip: ['Ping'] });
  assert.deepEqual(
    records.map(({ outcome, result }) => [outcome, result.split('\n')[0]]),
    [
      [
        'rejected',
        "rejected: properties.time: 'properties.time' is invalid: must not be more than 1 hour in the future",
      ],
      ['rejected', 'rejected: mapping.time: not a time at at'],
      ['left out', 'left out'],
    ],
  );
});

test('without a mapping records are events, and the rules of a list are chosen by the attributes of a message', async () => {
  publish(ORDER, { source: 'shop' });
  const [verbatim] = (await trial('')).records;
  assert.match(verbatim!.result, /^rejected: event: /);
  assert.equal(verbatim!.record, JSON.stringify(ORDER, null, 2));
  const rule = { ...MAPPING, when: { attributes: { source: 'shop' } } };
  const [first, second] = (await trial([rule, { refuse: true }])).records;
  assert.equal(first!.outcome, 'sent');
  assert.match(second!.result, /^rejected: mapping.when: /);
});

test('files are read as the functions read them: compressed, of other formats, and what is no record', async () => {
  const lines = `${JSON.stringify(ORDER)}\nnot JSON\n${JSON.stringify(ORDER)}\n${JSON.stringify(ORDER)}\n`.repeat(
    10_000,
  );
  await upload(live.cloud, 'orders.ndjson.gz', Readable.from([gzipSync(lines)]));
  const ofFile = (records: Trial['records'], name: string) => records.filter(({ place }) => place.includes(name));
  const orders = ofFile((await trial(MAPPING)).records, 'orders.ndjson.gz');
  assert.deepEqual(
    orders.map(({ outcome }) => outcome),
    ['sent', 'sent', 'sent'],
  );
  assert.match(orders[0]!.place, /^gs:\/\/local-mixpanel-import\/orders.ndjson.gz#\d+ line 1, byte 0$/);
  await upload(live.cloud, 'bad.ndjson', Readable.from(['{"a":1}\nnot JSON\n']));
  assert.deepEqual(
    ofFile((await trial(MAPPING)).records, 'bad.ndjson').map(({ record, outcome }) => [record.trim(), outcome]),
    [
      ['{\n  "a": 1\n}', 'rejected'],
      ['not JSON', 'rejected'],
    ],
  );
  const sample = new URL('../../samples/snowplow.tsv', import.meta.url);
  await upload(live.cloud, 'snowplow.tsv', createReadStream(sample));
  const [view] = ofFile((await trial({ from: 'snowplow' })).records, 'snowplow.tsv');
  assert.equal((JSON.parse(view!.result) as { event: string }).event, 'page_view');
  assert.ok(readFileSync(sample, 'utf8').includes((JSON.parse(view!.record) as { event_id: string }).event_id));
});

test('an object that is gone is passed over', async () => {
  await live.cloud.storageClient.bucket(NAMES.importBucket).file('bad.ndjson').delete();
  const { records } = await trial(MAPPING);
  assert.ok(records.length > 0);
  assert.ok(records.every(({ place }) => !place.includes('bad.ndjson')));
});

test('the functions start again with a mapping, keep it for the session, and lose it when it is taken away', async () => {
  const restarted = () => Promise.all([once(started, 'importObject'), once(started, 'drainSubscription')]);
  assert.throws(() => useMapping(live.cloud, live.watch, '{"evnt":1}'), /evnt: unknown key/);
  assert.equal(mappingInUse(live.cloud), '');

  const hashing = { ...MAPPING, hash: ['$user'] };
  const text = JSON.stringify(hashing);
  const begun = restarted();
  assert.equal(useMapping(live.cloud, live.watch, ` ${text}\n`), 'Both functions are started again with the mapping');
  assert.equal(useMapping(live.cloud, live.watch, text), 'The functions have this mapping already');
  await begun;
  assert.equal((await trial(hashing)).isInUse, true);
  const untilHashed = listen();
  publish({ ...ORDER, customer: 'grace' });
  const result = (await trial(hashing)).records[0]!.result;
  assert.doesNotMatch(result, /grace|example/);
  await untilHashed(JSON.parse(result) as object);

  const without = restarted();
  assert.equal(useMapping(live.cloud, live.watch, ''), 'Both functions are started again without a mapping');
  await without;
  assert.equal(live.cloud.env.IMPORT_MAPPING, undefined);
  const plain = { event: 'Plain', properties: { time: 1_767_225_600, distinct_id: 'ada', $insert_id: 'p1' } };
  const untilPlain = listen();
  publish(plain);
  await untilPlain(plain);
});

test('the page asks for these over the server of the view', async () => {
  const ask = async (path: string, body?: object) => {
    const headers = { origin: live.view.url, 'content-type': 'application/json' };
    const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(live.view.url + path, init);
    return [response.status, await response.json()] as const;
  };
  assert.deepEqual(await ask('/mapping'), [200, { mapping: '' }]);
  const [status, answer] = await ask('/mapping/try', { mapping: JSON.stringify(MAPPING) });
  assert.deepEqual([status, (answer as Trial).problems], [200, []]);
  assert.deepEqual(await ask('/mapping', { mapping: '{' }), [400, { error: 'the mapping is not JSON' }]);
});
