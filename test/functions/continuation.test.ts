import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { formatCheckpoint } from '../../functions/storage/checkpoint.ts';
import { NAMES } from '../../local-cloud/cloud.ts';
import type { PubSubCall, PubSubFault } from '../../local-cloud/pubsub/server.ts';
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

const UNAVAILABLE = 14;
const PERMISSION_DENIED = 7;
const BATCH = 50;

/** Declares tests with a cloud of their own. */
function withCloud(name: string, env: Record<string, string>, body: (cloud: () => TestCloud) => void): void {
  describe(name, { concurrency: false }, () => {
    let cloud: TestCloud;
    before(async () => {
      cloud = await startTestCloud({ env: { IMPORT_MAX_BATCH_EVENTS: String(BATCH), ...env } });
    });
    beforeEach(() => cloud.reset());
    after(() => cloud?.close());
    body(() => cloud);
  });
}

/** The notification of an object as Pub/Sub pushes it. */
async function pushOf(cloud: TestCloud, object: string) {
  const [{ generation }] = await cloud.storageClient.bucket(NAMES.importBucket).file(object).getMetadata();
  const data = Buffer.from(
    JSON.stringify({ bucket: NAMES.importBucket, name: object, generation: String(generation) }),
  );
  const attributes = { eventType: 'OBJECT_FINALIZE', payloadFormat: 'JSON_API_V1' };
  const message = { data: data.toString('base64'), attributes, messageId: '1', publishTime: '2026-01-01T00:00:00Z' };
  return { subscription: NAMES.objectSubscription, message };
}

describe('an import in more than one invocation', { concurrency: true }, () => {
  withCloud('because of its size', { IMPORT_DEADLINE_SECONDS: '1', IMPORT_MAX_CONCURRENCY: '2' }, (cloud) => {
    const formats: Record<string, (lines: string[]) => string | Buffer> = {
      lines: (lines) => `${lines.join('\n')}\n`,
      'an array': (lines) => `[\n  ${lines.join(',\n  ')}\n]\n`,
      'compressed lines': (lines) => gzipSync(lines.join('\r\n'), { level: 1 }),
    };
    for (const [name, content] of Object.entries(formats)) {
      test(`an import of ${name} continues from its checkpoint after each deadline, and its summaries add up`, {
        timeout: 60_000,
      }, async () => {
        const given = givenLines(name.replaceAll(' ', '-'), 2_000, 5_000);
        cloud().mixpanel.fault = () => ({ delayMs: 100 });
        const delivered = deliveredAll(cloud());
        await save(cloud().storageClient, name, content(given.lines));
        await delivered;
        await assertArrived(cloud(), given);
        await assertDone(cloud(), name, given);
        const summaries = structured(cloud());
        const continued = summaries.filter(({ message }) => message === 'object continued');
        assert.ok(continued.length >= 2);
        for (const { reason } of continued) assert.equal(reason, 'deadline');
        const sum = (field: string) => summaries.reduce((total, line) => total + Number(line[field]), 0);
        assert.deepEqual(
          [sum('read'), sum('imported'), sum('rejected')],
          [given.lines.length, given.ids.length, given.bad.length],
        );
        assert.ok(sum('bytes') < 25_000_000, 'what is settled is not sent again');
        assert.deepEqual(errorCodes(cloud()), []);
      });
    }
  });

  withCloud('because of its deadline', { IMPORT_DEADLINE_SECONDS: '2' }, (cloud) => {
    test('the same notification comes again if Mixpanel is down for three deadlines, and no continuation is published', async () => {
      const given = givenLines('down', 200, 10);
      const published: string[] = [];
      const onPublish = ({ messageIds }: { messageIds: string[] }) => published.push(...messageIds);
      cloud().pubsub.on('publish', onPublish);
      cloud().mixpanel.fault = () => ({ status: 503 });
      const delivered: unknown[] = [];
      await save(cloud().storageClient, 'down', given.lines.join('\n'));
      while (delivered.length < 3) {
        const [{ messageId, status }] = await once(cloud().pubsub, 'push');
        delivered.push([messageId, status]);
      }
      assert.deepEqual(delivered, Array(3).fill([published[0], 500]));
      assert.equal(cloud().mixpanel.received, 0);
      cloud().mixpanel.fault = undefined;
      await deliveredAll(cloud());
      cloud().pubsub.off('publish', onPublish);
      assert.equal(published.length, 1, 'no continuation');
      await assertArrived(cloud(), given);
      await assertDone(cloud(), 'down', given);
      const refusals = structured(cloud()).filter(({ message }) => message === 'object refused');
      assert.ok(refusals.length >= 3);
      for (const { severity, reason } of refusals) assert.deepEqual([severity, reason], ['WARNING', 'deadline']);
      assert.deepEqual(errorCodes(cloud()), []);
    });

    const publishing: [what: string, fault: PubSubFault, error?: string][] = [
      ['is answered UNAVAILABLE', { code: UNAVAILABLE }],
      ['succeeds and is answered UNAVAILABLE', { applyThen: UNAVAILABLE }],
      ['is refused', { code: PERMISSION_DENIED }, 'unexpected'],
    ];
    for (const [what, fault, error] of publishing) {
      test(`every event arrives although the publishing of a continuation ${what}`, { timeout: 30_000 }, async () => {
        const object = `continued-${what.length}`;
        const given = givenLines(object, 400, 10_000);
        // The first half is taken, and then nothing more until the first delivery has ended.
        let isOpen = false;
        cloud().mixpanel.fault = ({ sequence }) => (sequence < 4 || isOpen ? undefined : { status: 503 });
        cloud().pubsub.fault = firstPublish(fault);
        const first = once(cloud().pubsub, 'push');
        const delivered = deliveredAll(cloud());
        await save(cloud().storageClient, object, `${given.lines.join('\n')}\n`);
        assert.equal((await first)[0].status, error === undefined ? 204 : 500);
        isOpen = true;
        await delivered;
        cloud().pubsub.fault = undefined;
        await assertArrived(cloud(), given);
        await assertDone(cloud(), object, given);
        assert.deepEqual(errorCodes(cloud()), error === undefined ? [] : [error]);
      });
    }

    for (const [what, isGzip] of [
      ['lines', false],
      ['compressed lines', true],
    ] as const) {
      test(`importObject starts again if a byte of ${what} changed in transit and was settled before the end was read`, {
        timeout: 60_000,
      }, async () => {
        const object = `corrupt-${isGzip}`;
        // More than is read ahead, in compressed data that do not tell of the byte before their end.
        const given = givenLines(object, 100, 800_000);
        const content = Buffer.from(given.lines.join('\n'));
        let reads = 0;
        cloud().storage.fault = ({ kind, object: name }) =>
          kind === 'read' && name === object && ++reads === 1 ? { corruptByte: 100 } : undefined;
        let isOpen = false;
        cloud().mixpanel.fault = ({ sequence }) => (sequence < 3 || isOpen ? undefined : { status: 503 });
        const first = once(cloud().pubsub, 'push');
        const delivered = deliveredAll(cloud());
        await save(cloud().storageClient, object, isGzip ? gzipSync(content, { level: 0 }) : content);
        assert.equal((await first)[0].status, 204, 'it continues in another invocation');
        assert.ok((await checkpointOf(cloud(), object)).position.offset > 0);
        isOpen = true;
        await delivered;
        cloud().storage.fault = undefined;
        assert.deepEqual(errorCodes(cloud()), ['checksum_mismatch']);
        await assertDone(cloud(), object, given);
        assert.deepEqual(
          given.ids.filter((id) => cloud().mixpanel.count(id) === 0),
          [],
        );
      });
    }

    test('a drain nacks the messages that are not settled at its deadline, and the next drain imports them', async () => {
      const ids = Array.from({ length: 300 }, (_, index) => `drained-${index}`);
      cloud().mixpanel.fault = ({ ids }) => (ids.includes('drained-120') ? { status: 503 } : undefined);
      await cloud().publish(...ids.map((id) => eventText(id)));
      const { status, body } = await cloud().drain();
      const { messages, givenBack, reason } = body as { messages: number; givenBack: number; reason: string };
      assert.deepEqual([status, reason, messages + givenBack], [200, 'deadline', ids.length]);
      assert.ok(givenBack >= BATCH && givenBack < ids.length);
      assert.equal(await cloud().backlog(), givenBack);
      cloud().mixpanel.fault = undefined;
      while ((await cloud().backlog()) > 0) assert.equal((await cloud().drain()).status, 200);
      await assertArrived(cloud(), { lines: [], ids, bad: [] });
      assertNothingLeaked(cloud().printed);
    });
  });

  withCloud('because its instance ends', { IMPORT_MAX_CONCURRENCY: '2' }, (cloud) => {
    test('importObject releases its lease at SIGTERM and refuses the delivery, and another instance continues', {
      timeout: 30_000,
    }, async () => {
      const given = givenLines('ended', 1_000, 5_000);
      const restarted = Promise.withResolvers<void>();
      cloud().mixpanel.fault = ({ sequence }) => {
        if (sequence === 10) cloud().importObject.restart('SIGTERM').then(restarted.resolve, restarted.reject);
        return { delayMs: 50 };
      };
      const first = once(cloud().pubsub, 'push');
      const delivered = deliveredAll(cloud());
      await save(cloud().storageClient, 'ended', given.lines.join('\n'));
      assert.equal((await first)[0].status, 500);
      const { leaseExpiresAt, position, state } = await checkpointOf(cloud(), 'ended');
      assert.deepEqual([state, leaseExpiresAt], ['running', null]);
      assert.ok(position.offset > 0);
      await restarted.promise;
      assert.equal((await delivered).at(-1), 204);
      await assertArrived(cloud(), given);
      await assertDone(cloud(), 'ended', given);
      const [refused, imported] = structured(cloud());
      assert.deepEqual(
        [refused?.severity, refused?.message, refused?.reason],
        ['WARNING', 'object refused', 'shutdown'],
      );
      assert.equal(Number(refused?.read) + Number(imported?.read), given.lines.length);
      assert.equal(cloud().mixpanel.received, given.ids.length, 'what was settled is not sent again');
      assert.equal(structured(cloud()).length, 2);
    });

    test('drainSubscription nacks its messages at SIGTERM and answers 500, and the next drain imports them', {
      timeout: 30_000,
    }, async () => {
      const given = givenLines('drained', 400, 10);
      const restarted = Promise.withResolvers<void>();
      cloud().mixpanel.fault = ({ sequence }) => {
        if (sequence === 3) cloud().drainSubscription.restart('SIGTERM').then(restarted.resolve, restarted.reject);
        return { delayMs: 50 };
      };
      await cloud().publish(...given.lines);
      assert.equal((await cloud().drain()).status, 500);
      const { outstanding, waiting } = cloud().pubsub.backlog(NAMES.eventSubscription);
      assert.equal(outstanding, 0);
      assert.ok(waiting > 0);
      await restarted.promise;
      while ((await cloud().backlog()) > 0) assert.equal((await cloud().drain()).status, 200);
      await assertArrived(cloud(), given);
    });

    test('a notification is refused while another delivery of it is in progress, and skipped when the object is done', async () => {
      const given = givenLines('twice', 100, 10);
      let isOpen = false;
      cloud().mixpanel.fault = () => (isOpen ? undefined : { status: 503 });
      const delivered = deliveredAll(cloud());
      await save(cloud().storageClient, 'twice', given.lines.join('\n'));
      await once(cloud().mixpanel, 'request');
      const push = await pushOf(cloud(), 'twice');
      const post = () => cloud().post(push, {}, `/${NAMES.objectTopic}`);
      assert.equal(await post(), 500);
      isOpen = true;
      assert.deepEqual(await delivered, [204]);
      assert.equal(await post(), 204);
      const found = structured(cloud()).map(({ severity, message, reason }) => [severity, message, reason]);
      assert.deepEqual(found, [
        ['INFO', 'object refused', 'lease'],
        ['INFO', 'object imported', undefined],
        ['INFO', 'object skipped', 'done'],
      ]);
      assert.equal(cloud().mixpanel.received, given.ids.length);
      await assertArrived(cloud(), given);
    });

    test('importObject sets an object aside with an ERROR that has the offset if five invocations in a row crashed, and acknowledges it', async () => {
      const given = givenLines('stuck', 100, 10);
      cloud().mixpanel.fault = () => ({ status: 401 });
      const first = once(cloud().pubsub, 'push');
      await save(cloud().storageClient, 'stuck', given.lines.join('\n'));
      await first;
      const [[file]] = await cloud().storageClient.bucket(NAMES.stateBucket).getFiles({ prefix: 'checkpoints/' });
      const checkpoint = await checkpointOf(cloud(), 'stuck');
      const leaseExpiresAt = '2020-01-01T00:00:00.000Z';
      await file!.save(formatCheckpoint({ ...checkpoint, leaseExpiresAt, fruitless: 5 }), { resumable: false });
      cloud().mixpanel.fault = undefined;
      await deliveredAll(cloud());
      const alarm = structured(cloud()).find(({ code }) => code === 'stalled');
      assert.deepEqual([alarm?.severity, alarm?.message, alarm?.offset], ['ERROR', 'object stalled', 0]);
      assert.equal((await checkpointOf(cloud(), 'stuck')).state, 'stalled');
      assert.equal(cloud().mixpanel.received, 0);
    });
  });
});

/** The first call of Publish has the fault. */
function firstPublish(fault: PubSubFault) {
  let isOver = false;
  return ({ method }: PubSubCall): PubSubFault | undefined => {
    if (isOver || method !== 'Publish') return undefined;
    isOver = true;
    return fault;
  };
}
