import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { NAMES } from '../../local-cloud/cloud.ts';
import type { StorageRequest } from '../../local-cloud/storage/server.ts';
import { eventText } from '../support/event.ts';
import { contentsOf } from '../support/operating.ts';
import { startTestCloud, type TestCloud } from '../support/serving.ts';

const LETTERS = 'local-letters';
const OBJECTS = `dead-letters/objects/${NAMES.importBucket}/`;

describe('with a bucket of their own for dead letters, in which the functions may create objects and do nothing else', () => {
  let cloud: TestCloud;

  before(async () => {
    cloud = await startTestCloud({ env: { DEAD_LETTER_BUCKET: LETTERS } });
    cloud.storage.createBucket(LETTERS);
  });
  beforeEach(async () => {
    await cloud.reset();
    await cloud.storageClient.bucket(LETTERS).deleteFiles();
    cloud.storage.fault = asCreator;
  });
  after(() => cloud?.close());

  /** What was written to either bucket. */
  async function written() {
    cloud.storage.fault = undefined;
    const { storageClient } = cloud;
    return {
      letters: await contentsOf(storageClient.bucket(LETTERS), ''),
      state: await contentsOf(storageClient.bucket(NAMES.stateBucket), ''),
    };
  }

  test('importObject writes dead letters there, and checkpoints to the state bucket', async () => {
    assert.equal(await cloud.upload('a.ndjson', `no event\n${eventText('id-1')}\n`), 204);
    const { letters, state } = await written();
    assert.deepEqual(
      Object.keys(letters).map((name) => name.startsWith(`${OBJECTS}a.ndjson/`)),
      [true],
    );
    assert.deepEqual(
      Object.keys(state).map((name) => name.split('/')[0]),
      ['checkpoints'],
    );
    assert.equal(cloud.mixpanel.count('id-1'), 1);
  });

  test('drainSubscription writes dead letters there, and none to the state bucket', async () => {
    await cloud.publish('no event', eventText('id-1'));
    assert.equal((await cloud.drain()).status, 200);
    const { letters, state } = await written();
    assert.deepEqual(
      Object.keys(letters).map((name) => name.startsWith('dead-letters/messages/')),
      [true],
    );
    assert.deepEqual(
      Object.keys(state).filter((name) => !name.startsWith('suspects/')),
      [],
    );
  });

  test('each file of an object has an id of its own, so that no name is used twice', async () => {
    const lines = Array.from({ length: 40 }, (_, index) => `${index} ${'x'.repeat(250_000)}`);
    assert.equal(await cloud.upload('many.ndjson', `${eventText('id-1')}\n${lines.join('\n')}\n`), 204);
    const { letters } = await written();
    const ids = Object.keys(letters).map((name) => /\/\d{15}-([0-9a-f-]{36})\.ndjson$/.exec(name)?.[1]);
    assert.ok(ids.length > 1);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(!ids.includes(undefined));
    assert.equal(Object.values(letters).flatMap((content) => content.trimEnd().split('\n')).length, lines.length);
  });

  test('importObject refuses to import dead letters with an ERROR, and acknowledges the notification', async () => {
    const type = 'google.cloud.storage.object.v1.finalized';
    const headers = { 'content-type': 'application/cloudevents+json' };
    const event = { specversion: '1.0', id: '1', source: '//storage', type };
    const data = { bucket: LETTERS, name: `${OBJECTS}x`, generation: '1' };
    assert.equal(await cloud.post({ ...event, data }, headers), 204);
    const [line] = await cloud.logged(1);
    assert.deepEqual([line?.severity, line?.code, line?.bucket], ['ERROR', 'state_bucket_watched', LETTERS]);
  });
});

/** Refuses what roles/storage.objectCreator does not allow in the bucket of dead letters. */
function asCreator({ bucket, kind }: StorageRequest) {
  return bucket === LETTERS && kind !== 'upload' ? { status: 403 } : undefined;
}
