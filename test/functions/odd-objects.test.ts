import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { NAMES } from '../../local-cloud/cloud.ts';
import {
  assertArrived,
  assertDone,
  checkpointOf,
  deliveredAll,
  errorCodes,
  givenLines,
  structured,
} from '../support/arrivals.ts';
import { eventText } from '../support/event.ts';
import { assertNothingLeaked, save, startTestCloud, type TestCloud } from '../support/serving.ts';

describe('an object that is not as it should be', () => {
  let cloud: TestCloud;
  before(async () => {
    cloud = await startTestCloud({ env: { IMPORT_MAX_BATCH_EVENTS: '50' } });
  });
  beforeEach(() => cloud.reset());
  after(() => cloud?.close());

  /** Uploads an object, and waits until it needs no more deliveries; returns what the deliveries were answered. */
  async function deliver(object: string, content: string | Buffer): Promise<number[]> {
    const delivered = deliveredAll(cloud);
    await save(cloud.storageClient, object, content);
    return delivered;
  }

  for (const [what, isGzip, corruptByte] of [
    ['lines', false, 50_000],
    ['compressed lines', true, 4_000],
  ] as const) {
    test(`importObject logs an ERROR and starts from the beginning if a byte of ${what} changes in transit`, async () => {
      const object = `corrupt-${isGzip}`;
      const given = givenLines(object, 400, 5_000);
      const content = given.lines.join('\n');
      let isOver = false;
      cloud.storage.fault = ({ kind, object: name }) => {
        if (isOver || kind !== 'read' || name !== object) return undefined;
        isOver = true;
        return { corruptByte };
      };
      const checkpoint = once(cloud.pubsub, 'push').then(() => {
        cloud.mixpanel.fault = () => ({ delayMs: 200 }); // The next delivery is not over before it is read.
        return checkpointOf(cloud, object);
      });
      assert.deepEqual(await deliver(object, isGzip ? gzipSync(content) : content), [500, 204]);
      cloud.storage.fault = undefined;
      const { state, position, counts } = await checkpoint;
      assert.deepEqual({ state, offset: position.offset, read: counts.read }, { state: 'running', offset: 0, read: 0 });
      assert.deepEqual(errorCodes(cloud), ['checksum_mismatch']);
      await assertDone(cloud, object, given);
      assert.deepEqual(
        given.ids.filter((id) => cloud.mixpanel.count(id) === 0),
        [],
      );
      const records = (await cloud.deadLetters()).map(({ record }) => record);
      for (const record of given.bad) assert.ok(records.includes(record));
      assertNothingLeaked(cloud.printed);
    });
  }

  for (const [when, fault, severity] of [
    ['before its first byte', undefined, 'WARNING'],
    ['after its first byte', { cutAfterBytes: 50 }, 'ERROR'],
  ] as const) {
    test(`importObject abandons an object that vanishes ${when}, with severity ${severity}`, async () => {
      const object = `gone-${severity}`;
      const file = cloud.storageClient.bucket(NAMES.importBucket).file(object);
      let isRead = false;
      let isGone = false;
      cloud.storage.fault = ({ kind, object: name }) => {
        if (name !== object || kind === 'upload') return undefined;
        isGone ||= kind === 'read' && (fault === undefined || isRead);
        if (isGone) return { status: 404 };
        if (kind !== 'read') return undefined;
        isRead = true;
        return fault;
      };
      const delivered = deliveredAll(cloud);
      await file.save(`${eventText('id-1')}\n`, { resumable: false });
      assert.deepEqual(await delivered, [204]);
      cloud.storage.fault = undefined;
      const [line] = structured(cloud);
      assert.deepEqual(
        [line!.severity, line!.message, line!.state, line!.code],
        [severity, 'object gone', 'gone', severity === 'ERROR' ? 'object_gone' : undefined],
      );
      assert.equal((await checkpointOf(cloud, object)).state, 'gone');
      assert.equal(cloud.mixpanel.received, 0);
    });
  }

  test('importObject makes dead letters that stand for all of 150,000 lines that are not events', async () => {
    const garbage = 150_000;
    const delivered = deliveredAll(cloud);
    await save(cloud.storageClient, 'garbage', `${eventText('id-1')}\n${'x\n'.repeat(garbage)}`);
    assert.deepEqual(await delivered, [204]);
    const counts = { read: garbage + 1, expanded: 0, imported: 1, rejected: garbage, dropped: 0 };
    assert.deepEqual((await checkpointOf(cloud, 'garbage')).counts, counts);
    const letters = (await cloud.deadLetters()) as { rejected?: number }[];
    assert.equal(
      letters.reduce((sum, { rejected = 1 }) => sum + rejected, 0),
      garbage,
    );
    assert.ok(letters.length < 10_100, `${letters.length} letters`);
  });

  for (const [name, content] of Object.entries({
    'is not JSON': 'x',
    'is of a later version': '{"version":3,"state":"done"}',
  })) {
    test(`importObject refuses the delivery with an ERROR if the checkpoint ${name}, and does not change the checkpoint`, async () => {
      const object = `unreadable-${name.length}`;
      cloud.storage.fault = ({ kind, object: name }) =>
        kind === 'read' && name === object ? { status: 403 } : undefined;
      const first = once(cloud.pubsub, 'push');
      await save(cloud.storageClient, object, `${eventText('id-1')}\n`);
      assert.equal((await first)[0].status, 500);
      cloud.storage.fault = undefined;
      const bucket = cloud.storageClient.bucket(NAMES.stateBucket);
      const [[file]] = await bucket.getFiles({ prefix: `checkpoints/${NAMES.importBucket}/${object}/` });
      await file!.save(content, { resumable: false });
      while (!errorCodes(cloud).includes('checkpoint_unreadable')) await once(cloud.pubsub, 'push');
      assert.equal(String(await file!.download()), content);
      await file!.delete();
      await deliveredAll(cloud);
      assert.equal(cloud.mixpanel.count('id-1'), 1);
    });
  }

  const names = {
    'slashes and dots': '../a//b/./..c',
    'percent signs': '100%25%2F%',
    emoji: '🦊/é',
    '1,024 bytes': 'n'.repeat(1_024),
  };
  for (const [what, object] of Object.entries(names)) {
    test(`importObject imports an object whose name has ${what}, and writes only under its own prefixes`, async () => {
      const given = givenLines(String(what.length), 100, 10);
      const delivered = deliveredAll(cloud);
      await save(cloud.storageClient, object, given.lines.join('\n'));
      assert.deepEqual(await delivered, [204]);
      await assertArrived(cloud, given);
      const [files] = await cloud.storageClient.bucket(NAMES.stateBucket).getFiles();
      assert.equal(files.length, 2);
      const prefixes = [`checkpoints/${NAMES.importBucket}/`, `dead-letters/objects/${NAMES.importBucket}/`];
      for (const [index, { name }] of files.entries()) assert.ok(name.startsWith(prefixes[index]!), name);
    });
  }
});
