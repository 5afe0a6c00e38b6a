import assert from 'node:assert/strict';
import { createReadStream, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { kill, publish, setSwitch, upload as uploadDropped } from '../../live-view/actions.ts';
import { groupLetters, replayGroup } from '../../live-view/letters.ts';
import { type Live, startLive } from '../../live-view/live.ts';
import type { FileRow, LetterGroup, State } from '../../live-view/page/frames.ts';
import { NAMES } from '../../local-cloud/cloud.ts';
import { letterLine } from '../support/operating.ts';

let live: Live;
let folder: string;
const printed: string[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixpanel-live-'));
  live = await startLive({ folder, onLine: (_target, line) => printed.push(line) });
});

after(async () => {
  await live.close();
  await rm(folder, { recursive: true });
  assert.ok(printed.some((line) => line.includes('object imported')));
  // It is in every event here.
  assert.deepEqual(
    printed.filter((line) => line.includes('distinct_id')),
    [],
  );
});

/** Looks at the state as the stream does, until it is as wanted. */
async function until(isWanted: (state: State) => boolean): Promise<State> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const state = live.watch.state();
    if (isWanted(state)) return state;
    assert.ok(Date.now() < deadline, `not in time: ${JSON.stringify({ ...state, log: [], mixpanel: undefined })}`);
    await sleep(100);
  }
}

async function upload(name: string, records: readonly string[]): Promise<void> {
  await live.cloud.storageClient.bucket(NAMES.importBucket).file(name).save(records.join('\n'));
}

function listed(filter: Partial<Parameters<Live['watch']['files']['page']>[0]> = {}): FileRow[] {
  return live.watch.files.page({ name: '', show: 'all', from: 0, ...filter }).rows;
}

const valid = (user: string) => `{"event":"Fine","properties":{"time":1767225600,"distinct_id":"${user}"}}`;
const untimely = (user: string) => `{"event":"Bad","properties":{"time":"today","distinct_id":"${user}"}}`;

test('there is nothing to balance before anything arrives', () => {
  assert.equal(live.watch.state().accounts.verdict, 'empty');
});

test('a file is followed from its upload to its counts', async () => {
  await upload('a.ndjson', [valid('1'), valid('2'), untimely('3'), 'not JSON']);
  const { accounts, mixpanel } = await until(({ accounts }) => accounts.verdict === 'balanced');
  const counts = { read: 4, expanded: 0, imported: 2, rejected: 2, dropped: 0 };
  assert.deepEqual(accounts.files, counts);
  assert.deepEqual(
    listed().map(({ name, state, counts }) => ({ name, state, counts })),
    [{ name: 'a.ndjson', state: 'done', counts }],
  );
  assert.equal(mixpanel.received, 2);
});

test('a Parquet file that is dropped on the page is followed row by row', async () => {
  const { files: before, mixpanel } = live.watch.state();
  const path = new URL('../../samples/shop.parquet', import.meta.url);
  const { size } = statSync(path);
  assert.equal(
    await uploadDropped(live.cloud, 'shop.parquet', createReadStream(path), String(size)),
    'shop.parquet is uploaded',
  );
  const after = await until(({ files, accounts }) => files.done === before.done + 1 && accounts.verdict === 'balanced');
  const { state, counts } = listed().find(({ name }) => name === 'shop.parquet')!;
  assert.equal(state, 'done');
  assert.deepEqual(counts, { read: 4, expanded: 0, imported: 4, rejected: 0, dropped: 0 });
  assert.equal(after.mixpanel.received, mixpanel.received + 4);
});

test('replaying a group sends only its letters, and leaves those with other reasons where they are', async () => {
  await upload('b.ndjson', [untimely('4'), untimely('5'), 'not JSON either']);
  await until(({ files, accounts }) => files.done === 3 && accounts.verdict === 'balanced');
  const groups = await groupLetters(live.cloud);
  assert.deepEqual(
    groups.map(({ count }) => count),
    [3, 2],
  );
  const [untimelyOnes, notJson] = groups;
  assert.equal(untimelyOnes!.field, 'properties.time');
  assert.match(untimelyOnes!.letters[0]!.place, /^gs:\/\/local-mixpanel-import\/b.ndjson#\d+ line [12], byte \d+$/);
  // Mixpanel takes them now: its answer to the replay says so, whatever they contain.
  const { mixpanel } = live.cloud;
  const switched = mixpanel.fault;
  mixpanel.fault = ({ events }) => ({ report: events });
  assert.equal(
    await replayGroup(live.cloud, live.watch, untimelyOnes!.reason),
    '3 replayed: 3 imported, 0 rejected again',
  );
  mixpanel.fault = switched;
  assert.deepEqual(await groupLetters(live.cloud), [notJson]);
  assert.deepEqual(live.watch.replayed, { read: 3, expanded: 0, imported: 3, rejected: 0, dropped: 0 });
});

test('an object that is too large for a checkpoint is not read as one, whatever its name is', async () => {
  const current = () => {
    // It reads the checkpoints.
    live.watch.state();
    return listed();
  };
  const bucket = live.cloud.storageClient.bucket(NAMES.stateBucket);
  const [checkpoint] = (await bucket.getFiles({ prefix: 'checkpoints/' }))[0];
  const [text] = await checkpoint!.download();
  const files = structuredClone(current());
  const other = text.toString().replace(/"offset":\d+/, '"offset":1');
  assert.notEqual(other, text.toString());
  await checkpoint!.save(other.padEnd(1_000_001), { resumable: false });
  assert.deepEqual(current(), files);
  await checkpoint!.save(other, { resumable: false });
  assert.notDeepEqual(current(), files);
  await checkpoint!.save(text, { resumable: false });
  assert.deepEqual(current(), files);
});

test('letters with ever new reasons take no more memory than those of the first thousand', async () => {
  const name = 'dead-letters/messages/s/2026-11-23/00000000-0000-4000-8000-000000000001.ndjson';
  const source = { subscription: 'projects/p/subscriptions/s', messageId: '9', publishTime: '' };
  const letters = Array.from({ length: 1_200 }, (_, index) =>
    letterLine({ reason: { field: 'transform', message: `no. ${index}` }, source: { ...source, index } }),
  );
  // The last one comes again: it is counted if its reason is kept.
  const again = Array.from({ length: 5 }, (_, index) =>
    letterLine({ reason: { field: 'transform', message: 'no. 1199' }, source: { ...source, index: 2_000 + index } }),
  );
  const file = live.cloud.storageClient.bucket(NAMES.stateBucket).file(name);
  await file.save([...letters, ...again].join(''), { resumable: false });
  const groups = await groupLetters(live.cloud);
  assert.equal(groups.length, 200);
  assert.ok(groups.every(({ reason }) => reason !== 'transform: no. 1199'));
  await file.delete();
});

test('messages that a killed drain held are delivered again, and all of them are acknowledged', async () => {
  setSwitch(live.watch, { name: 'slow', on: true });
  publish(live.cloud, { data: valid('message-{n}'), count: 500 });
  await until(({ messages, mixpanel }) => messages.inFlight === 500 && mixpanel.inFlight > 0);
  const { pid } = live.cloud.drainSubscription;
  kill(live.cloud, 'drainSubscription');
  setSwitch(live.watch, { name: 'slow', on: false });
  const { messages, functions } = await until(({ messages }) => messages.acknowledged === 500);
  assert.deepEqual([messages.waiting, messages.inFlight], [0, 0]);
  assert.equal(functions.drainSubscription.restarts, 1);
  assert.notEqual(live.cloud.drainSubscription.pid, pid);
});

test('a message that was handed to a pull which had just given up is delivered again', async () => {
  await until(() => !live.watch.isDraining);
  let pulls = 0;
  // DEADLINE_EXCEEDED: so it looks from the side that gave up.
  live.cloud.pubsub.fault = ({ method }) => (method === 'Pull' && pulls++ === 0 ? { applyThen: 4 } : undefined);
  publish(live.cloud, { data: valid('late'), count: 1 });
  await until(({ messages }) => messages.acknowledged === 501);
  assert.ok(pulls > 1);
});

test('replaying a group sends nothing of it if a record passed a transform and there is none now', async () => {
  const { mixpanel, storageClient } = live.cloud;
  const name = 'dead-letters/messages/s/2026-11-23/00000000-0000-4000-8000-000000000000.ndjson';
  const source = { subscription: 'projects/p/subscriptions/s', messageId: '1', publishTime: '', index: 0 };
  const refused = { reason: { field: 'properties.price', message: 'not a number' }, record: valid('refused') };
  const letters = [
    letterLine({ ...refused, source, through: undefined }),
    letterLine({ ...refused, source: { ...source, index: 1 }, through: ['transform'] }),
    letterLine({ reason: { field: 'transform', message: 'failed' }, source, record: valid('other') }),
  ];
  const file = storageClient.bucket(NAMES.stateBucket).file(name);
  await file.save(letters.join(''), { resumable: false });
  const received = mixpanel.received;
  const replayed = { ...live.watch.replayed };
  assert.equal(
    await replayGroup(live.cloud, live.watch, 'properties.price: not a number'),
    'not replayed: these records passed a transform, and there is none now',
  );
  assert.equal(mixpanel.received, received);
  assert.deepEqual(live.watch.replayed, replayed);
  assert.equal(live.watch.replaying, 0);
  assert.equal(String(await file.download()), letters.join(''));

  // Letters with other reasons can be replayed all the same.
  assert.equal(
    await replayGroup(live.cloud, live.watch, 'transform: failed'),
    '1 replayed: 1 imported, 0 rejected again',
  );
  assert.equal(mixpanel.received, received + 1);
  assert.equal(String(await file.download()), letters.slice(0, 2).join(''));
});

test('a file whose every record was rejected is told from one that was imported, and its letters are had alone', async () => {
  await upload('worthless.ndjson', [untimely('6'), untimely('7')]);
  await until(() => listed().some(({ name, state }) => /^w/.test(name) && state === 'done'));
  const marks = listed().map(({ name, isAllRejected }) => [name, isAllRejected]);
  assert.deepEqual(Object.fromEntries(marks), {
    'a.ndjson': false,
    'b.ndjson': true,
    'shop.parquet': false,
    'worthless.ndjson': true,
  });
  const { name, generation } = listed().find(({ name }) => name === 'worthless.ndjson')!;
  assert.ok((await groupLetters(live.cloud)).length > 1);
  const query = new URLSearchParams({ object: name, generation });
  const response = await fetch(`${live.view.url}/letters?${query}`);
  const { groups } = (await response.json()) as { groups: LetterGroup[] };
  assert.deepEqual(
    groups.map(({ field, count, letters }) => [field, count, letters.every(({ place }) => place.includes(name))]),
    [['properties.time', 2, true]],
  );
  assert.deepEqual(await groupLetters(live.cloud, { object: name, generation: '1' }), []);
});

test('a temporary object is shown as skipped', async () => {
  await upload('a.ndjson.filepart', [valid('8')]);
  await until(({ files }) => files.skipped === 1);
  const [{ name, state, detail }] = listed() as [FileRow];
  assert.deepEqual([name, state, detail], ['a.ndjson.filepart', 'skipped', 'excluded']);
});

test('what a terminal sends is told apart in the totals, and hides nothing that the functions miss', async () => {
  const before = live.watch.state();
  const { url } = live.cloud.mixpanel;
  const response = await fetch(`${url}/import?strict=1&project_id=1`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${btoa('local-terminal:local-secret')}`,
      'content-type': 'application/x-ndjson',
    },
    body: [valid('terminal'), untimely('terminal')]
      .map((line) => line.replace('"distinct_id"', '"$insert_id":"t","distinct_id"'))
      .join('\n'),
  });
  assert.equal(response.status, 400);
  const { accounts, mixpanel } = live.watch.state();
  assert.deepEqual(accounts.terminal, { read: 2, expanded: 0, imported: 1, rejected: 1, dropped: 0 });
  assert.deepEqual(accounts.files, before.accounts.files);
  assert.equal(mixpanel.received, before.mixpanel.received + 1);
});

test('starting empty deletes files, messages, events and dead letters, and serves the same ports', async () => {
  const { url } = live.view;
  const { url: mixpanelUrl } = live.cloud.mixpanel;
  const { watch } = live;
  assert.ok(watch.state().files.uploaded > 0);
  const response = await fetch(`${url}/clean`, { method: 'POST', headers: { origin: url }, body: '{}' });
  assert.equal(response.status, 200);
  await until(() => live.watch !== watch && live.watch.state().accounts.verdict === 'empty');
  assert.deepEqual([live.view.url, live.cloud.mixpanel.url], [url, mixpanelUrl]);
  const { storageClient } = live.cloud;
  for (const name of [NAMES.importBucket, NAMES.stateBucket]) {
    assert.deepEqual((await storageClient.bucket(name).getFiles())[0], []);
  }
  await upload('a.ndjson', [valid('1')]);
  const { accounts } = await until(({ accounts }) => accounts.verdict === 'balanced');
  assert.equal(accounts.files.imported, 1);
});
