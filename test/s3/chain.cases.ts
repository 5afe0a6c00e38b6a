/** From an upload to Amazon S3 to Mixpanel: everything between is served on this machine. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { NAMES } from '../../local-cloud/cloud.ts';
import { eventLines, ndjson } from '../support/event.ts';
import { startTestCloud, type TestCloud } from '../support/serving.ts';
import { type Aws, createBucket, createStack, startAws } from './aws.ts';
import { type TransferJob, transfer } from './transfer-service.ts';

const BUCKET = 'shop-events';

/** @param tools the folder of `findTools` */
export function testChain(tools: string): void {
  describe('an upload to Amazon S3', () => {
    let aws: Aws;
    let cloud: TestCloud;
    let job: TransferJob;
    /** Statuses of pushes since the beginning of a test. */
    let pushes: number[] = [];

    before(async () => {
      aws = await startAws(tools);
      await createBucket(aws, BUCKET);
      const { outputs, resources } = await createStack(aws, 'shop', { BucketName: BUCKET });
      await aws.shell(outputs.NotificationCommand!);
      cloud = await startTestCloud();
      cloud.pubsub.on('push', ({ status }) => pushes.push(status));
      job = {
        queueUrl: resources.Queue!,
        sink: cloud.storageClient.bucket(NAMES.importBucket),
        path: `s3/${BUCKET}/`,
      };
    });
    beforeEach(async () => {
      await cloud.reset();
      pushes = [];
    });
    after(async () => {
      await cloud?.close();
      await aws?.[Symbol.asyncDispose]();
    });

    test('arrives in Mixpanel once, though every notification is handled twice and in another order', async () => {
      const plain = (name: string) => Buffer.from(ndjson(eventLines(3, name)));
      const uploads: [key: string, content: Buffer, encoding?: string][] = [
        ['plain.ndjson', plain('plain')],
        ['gzip.ndjson.gz', gzipSync(plain('gzip'))],
        ['gzip with encoding.ndjson', gzipSync(plain('encoded')), 'gzip'],
        ['2026/11/a b+c&d=e%20f.ndjson', plain('odd')],
        ['Ereignisse/größe-日本-🙂.ndjson', plain('unicode')],
        ['2026/', Buffer.alloc(0)],
        ['_SUCCESS', Buffer.alloc(0)],
      ];
      for (const upload of uploads) await put(...upload);

      const copied = await transfer(aws, job, 2);
      assert.deepEqual(copied.sort(), uploads.map(([key]) => job.path + key).sort());
      await delivered(uploads.length);
      assert.deepEqual(timesOf('plain', 'gzip', 'encoded', 'odd', 'unicode'), Array(15).fill(1));
      assert.equal(cloud.mixpanel.events().length, 15);
      assert.deepEqual(await cloud.deadLetters(), []);
    });

    test('is not imported again when its notification comes again, as its content is there', async () => {
      const content = Buffer.from(ndjson(eventLines(2, 'again')));
      await put('again.ndjson', content);
      assert.deepEqual(await transfer(aws, job), [`${job.path}again.ndjson`]);
      await delivered(1);
      await put('again.ndjson', content);
      assert.deepEqual(await transfer(aws, job), []);
      await put('last.ndjson', Buffer.from(ndjson(eventLines(1, 'last'))));
      await transfer(aws, job);
      await delivered(2);
      assert.deepEqual(timesOf('again', 'last'), [1, 1, 1]);
    });

    test('that overwrites an object is imported too, and versions that were never copied are not', async () => {
      await put('same.ndjson', Buffer.from(ndjson(eventLines(1, 'first'))));
      await transfer(aws, job);
      await delivered(1);
      await put('same.ndjson', Buffer.from(ndjson(eventLines(1, 'second'))));
      await put('same.ndjson', Buffer.from(ndjson(eventLines(1, 'third'))));
      assert.deepEqual(await transfer(aws, job), [`${job.path}same.ndjson`]);
      await delivered(2);
      assert.deepEqual(
        ['first-0', 'second-0', 'third-0'].map((id) => cloud.mixpanel.count(id)),
        [1, 0, 1],
      );
    });

    async function put(Key: string, Body: Buffer, ContentEncoding?: string): Promise<void> {
      await aws.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, ContentEncoding }));
    }

    /** Waits for so many pushes, all of which must be acknowledged. */
    async function delivered(count: number): Promise<void> {
      while (pushes.length < count) await once(cloud.pubsub, 'push');
      assert.deepEqual(pushes, Array(count).fill(204));
    }

    /** How often each event arrived whose id begins so. */
    function timesOf(...prefixes: string[]): number[] {
      const ids = cloud.mixpanel.events().map(({ properties }) => String(properties.$insert_id));
      return ids.filter((id) => prefixes.includes(id.replace(/-\d+$/, ''))).map((id) => cloud.mixpanel.count(id));
    }
  });
}
