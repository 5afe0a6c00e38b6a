/** What drainSubscription does, in whichever cloud. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { NAMES } from '../../local-cloud/cloud.ts';
import { eventLines, eventText, MARKER } from '../support/event.ts';
import { assertNothingLeaked, type CloudUnderTest } from '../support/serving.ts';

/** @param startCloud starts a cloud whose functions have these variables too */
export function testDrainSubscription(startCloud: (env: Record<string, string>) => Promise<CloudUnderTest>): void {
  let cloud: CloudUnderTest;

  before(async () => {
    cloud = await startCloud({});
  });
  beforeEach(() => cloud.reset());
  after(() => cloud?.close());
  const check = (name: string, body: () => Promise<void>) =>
    test(name, { timeout: 30_000 }, async () => {
      await body();
      assertNothingLeaked(cloud.printed);
    });

  check('drainSubscription answers 200 with its summary if the subscription is empty', async () => {
    const { status, body } = await cloud.drain();
    assert.equal(status, 200);
    const { messages, read, imported, attempts } = body as Record<string, number>;
    assert.deepEqual({ messages, read, imported, attempts }, { messages: 0, read: 0, imported: 0, attempts: 0 });
    const [line] = await cloud.logged(1);
    assert.equal(line!.message, 'subscription drained');
    assert.equal(line!.subscription, NAMES.eventSubscription);
  });

  check('drainSubscription fills batches across messages, and acknowledges each message', async () => {
    const events = 5_000;
    await cloud.publish(...eventLines(events));
    const { status, body } = await cloud.drain();
    assert.equal(status, 200);
    const { messages, imported, batches } = body as Record<string, number>;
    assert.deepEqual({ messages, imported }, { messages: events, imported: events });
    // Three, but if one pull returns only 100 messages, a batch may wait its second in vain.
    assert.ok(batches! >= 3 && batches! <= 10, `${batches} batches`);
    assert.equal(cloud.mixpanel.events().length, events);
    assert.equal(cloud.mixpanel.received, events);
    assert.equal(await cloud.backlog(), 0);
  });

  check('drainSubscription reads a message as one event, an array, lines, gzip or nothing', async () => {
    await cloud.publish(
      JSON.stringify(JSON.parse(eventText('id-1')), null, 2),
      `[${eventText('id-2')}, ${eventText('id-3')}]`,
      `${eventText('id-4')}\n${eventText('id-5')}\n`,
      { data: gzipSync(eventText('id-6')), attributes: { 'Content-Encoding': 'gzip' } },
      '[]',
      { data: Buffer.alloc(0), attributes: { empty: 'yes' } },
    );
    const { body } = await cloud.drain();
    const { messages, read, imported } = body as Record<string, number>;
    // What has attributes and no data is a rejection.
    assert.deepEqual({ messages, read, imported }, { messages: 6, read: 7, imported: 6 });
    for (let id = 1; id <= 6; id++) assert.equal(cloud.mixpanel.count(`id-${id}`), 1);
    assert.equal(await cloud.backlog(), 0);
  });

  check('drainSubscription ends with a WARNING if every record was rejected', async () => {
    await cloud.publish(`{"broken": "${MARKER}`, eventText('id-1', { time: 'never' }));
    const { status, body } = await cloud.drain();
    assert.equal(status, 200);
    const { messages, rejected } = body as Record<string, number>;
    assert.deepEqual({ messages, rejected }, { messages: 2, rejected: 2 });
    const [line] = await cloud.logged(1);
    const { severity, message, code } = line!;
    assert.deepEqual([severity, message, code], ['WARNING', 'subscription drained', 'all_rejected']);
  });

  check(
    'drainSubscription makes dead letters of records that are invalid or refused, and acknowledges their messages',
    async () => {
      await cloud.publish(
        `{"broken": "${MARKER}`,
        `[${eventText('id-1')}, 5]`,
        eventText('id-2', { time: 'never' }),
        { data: Buffer.from('no gzip'), attributes: { 'Content-Encoding': 'gzip' } },
        eventText('id-3'),
      );
      const { status, body } = await cloud.drain();
      assert.equal(status, 200);
      const { read, imported, rejected } = body as Record<string, number>;
      assert.deepEqual({ read, imported, rejected }, { read: 6, imported: 2, rejected: 4 });
      const letters = await cloud.deadLetters();
      assert.deepEqual(
        letters
          .map(({ reason, source, record }) => [
            (source as { index: number }).index,
            (reason as { field: string }).field,
            record,
          ])
          .sort((a, b) => String(a[2]).localeCompare(String(b[2]))),
        [
          [1, 'record', '5'],
          [0, 'record', 'no gzip'],
          [0, 'properties.time', eventText('id-2', { time: 'never' })],
          [0, 'record', `{"broken": "${MARKER}`],
        ].sort((a, b) => String(a[2]).localeCompare(String(b[2]))),
      );
      for (const { source } of letters) {
        const { subscription, messageId, publishTime } = source as Record<string, string>;
        assert.equal(subscription, NAMES.eventSubscription);
        assert.match(messageId!, /^\d+$/);
        assert.ok(Math.abs(Date.parse(publishTime!) - Date.now()) < 60_000);
      }
      assert.equal(await cloud.backlog(), 0);
    },
  );

  check(
    'drainSubscription answers 500 with one ERROR if the credentials are wrong, and nacks every message',
    async () => {
      cloud.mixpanel.fault = () => ({ status: 401 });
      await cloud.publish(eventText('id-1'), eventText('id-2'));
      const { status } = await cloud.drain();
      cloud.mixpanel.fault = undefined;
      assert.equal(status, 500);
      const [line] = await cloud.logged(1);
      assert.equal(cloud.printed.length, 1);
      assert.deepEqual([line!.severity, line!.code], ['ERROR', 'credentials_refused']);
      assert.deepEqual(await cloud.deadLetters(), []);
      assert.equal(await cloud.backlog(), 2);
      while ((await cloud.backlog()) > 0) await cloud.drain();
      assert.deepEqual([cloud.mixpanel.count('id-1'), cloud.mixpanel.count('id-2')], [1, 1]);
    },
  );

  check('drainSubscription loses nothing while Mixpanel answers 429 and 503', async () => {
    cloud.mixpanel.fault = ({ sequence }) => (sequence < 4 ? { status: sequence % 2 ? 503 : 429 } : undefined);
    await cloud.publish(...eventLines(3_000));
    const { status, body } = await cloud.drain();
    assert.equal(status, 200);
    const { imported, throttled } = body as Record<string, number>;
    assert.deepEqual({ imported, throttled }, { imported: 3_000, throttled: 2 });
    assert.equal(cloud.mixpanel.events().length, 3_000);
    assert.equal(await cloud.backlog(), 0);
  });

  check('drainSubscription gives an event without an id the same id if it is published twice', async () => {
    const event = eventText(undefined);
    await cloud.publish(event, `\n${event}\n`);
    await cloud.drain();
    assert.deepEqual([cloud.mixpanel.events().length, cloud.mixpanel.duplicates], [1, 1]);
  });
}
