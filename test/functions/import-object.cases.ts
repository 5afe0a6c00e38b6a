/** What importObject does, in whichever cloud. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { NAMES } from '../../local-cloud/cloud.ts';
import { eventLines, eventText, MARKER, ndjson } from '../support/event.ts';
import { assertNothingLeaked, type CloudUnderTest, type LogLine } from '../support/serving.ts';

const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const ENVELOPE = {
  specversion: '1.0',
  id: 'id-of-envelope',
  source: '//storage.googleapis.com/projects/_/buckets/b',
  type: 'google.cloud.storage.object.v1.finalized',
};

/** @param startCloud starts a cloud whose functions have these variables too */
export function testImportObject(startCloud: (env: Record<string, string>) => Promise<CloudUnderTest>): void {
  let cloud: CloudUnderTest;
  const summary = async () => {
    const found = await cloud.logged(1);
    assert.equal(found.length, 1, `one line: ${JSON.stringify(found)}`);
    return found[0]!;
  };

  before(async () => {
    cloud = await startCloud({ OBJECT_PREFIX: 'events/' });
  });
  beforeEach(() => cloud.reset());
  after(() => cloud?.close());
  const check = (name: string, body: () => Promise<void>) =>
    test(name, { timeout: 30_000 }, async () => {
      await body();
      assertNothingLeaked(cloud.printed);
    });

  const contents = {
    'newline-delimited JSON': ndjson([eventText('id-1'), eventText('id-2')]),
    'a pretty-printed JSON array': `[\n${eventText('id-1')},\n${JSON.stringify(JSON.parse(eventText('id-2')), null, 2)}\n]\n`,
    'gzip without an extension in the name': gzipSync(ndjson([eventText('id-1'), eventText('id-2')])),
    'lines that end in CRLF, after a byte order mark': `\ufeff${eventText('id-1')}\r\n\r\n${eventText('id-2')}`,
  };
  for (const [name, content] of Object.entries(contents)) {
    check(`importObject imports ${name}`, async () => {
      assert.equal(await cloud.upload('events/a.json', content), 204);
      assert.deepEqual([cloud.mixpanel.count('id-1'), cloud.mixpanel.count('id-2')], [1, 1]);
      const { severity, message, read, imported, bucket, object } = await summary();
      assert.deepEqual(
        { severity, message, read, imported, bucket, object },
        {
          severity: 'INFO',
          message: 'object imported',
          read: 2,
          imported: 2,
          bucket: NAMES.importBucket,
          object: 'events/a.json',
        },
      );
    });
  }

  check('importObject reads an object with the content encoding gzip as it is stored', async () => {
    assert.equal(
      await cloud.upload('events/b', gzipSync(ndjson([eventText('id-3')])), { contentEncoding: 'gzip' }),
      204,
    );
    assert.equal(cloud.mixpanel.count('id-3'), 1);
  });

  check('importObject makes a dead letter of each line that is not a valid event, and continues', async () => {
    const content = ndjson([
      eventText('id-1'),
      `{"broken": "${MARKER}`,
      '[1]',
      `{"event":"${MARKER}"}`,
      eventText('id-2', { time: 'x' }),
      eventText('id-3'),
    ]);
    assert.equal(await cloud.upload('events/c', content), 204);
    assert.deepEqual([cloud.mixpanel.count('id-1'), cloud.mixpanel.count('id-3')], [1, 1]);
    const letters = await cloud.deadLetters();
    assert.deepEqual(
      letters
        .map(({ reason, source, record }) => [
          (source as { line: number }).line,
          (reason as { field: string }).field,
          record,
        ])
        .sort(),
      [
        [2, 'record', `{"broken": "${MARKER}`],
        [3, 'record', '[1]'],
        [4, 'properties', `{"event":"${MARKER}"}`],
        [5, 'properties.time', eventText('id-2', { time: 'x' })],
      ],
    );
    const { read, imported, rejected, dropped } = await summary();
    assert.deepEqual({ read, imported, rejected, dropped }, { read: 6, imported: 2, rejected: 4, dropped: 0 });
  });

  check('importObject makes one dead letter of an object that does not contain any JSON objects', async () => {
    const image = Buffer.alloc(300_000, '\x89PNG\n\x00\xff');
    assert.equal(await cloud.upload('events/picture.png', image), 204);
    const letters = await cloud.deadLetters();
    assert.equal(letters.length, 1);
    assert.equal(letters[0]!.bytes, image.length);
    assert.equal(letters[0]!.truncated, true);
    assert.equal(cloud.mixpanel.received, 0);
  });

  check('importObject gives an event without an id the same id each time that it is uploaded', async () => {
    const event = ndjson([eventText(undefined)]);
    await cloud.upload('events/d', event);
    await cloud.upload('events/e', event);
    assert.equal(cloud.mixpanel.events().length, 1);
    assert.equal(cloud.mixpanel.duplicates, 1);
    assert.match(String(cloud.mixpanel.events()[0]!.properties.$insert_id), /^[0-9a-f]{24}$/);
  });

  check('importObject imports nothing if the generation that was notified does not exist any more', async () => {
    const file = cloud.storageClient.bucket(NAMES.importBucket).file('events/f');
    await cloud.upload('events/f', ndjson([eventText('old')]));
    const generation = String(file.metadata.generation ?? (await file.getMetadata())[0].generation);
    await cloud.upload('events/f', ndjson([eventText('new')]));
    await cloud.reset();
    const data = { bucket: NAMES.importBucket, name: 'events/f', generation };
    assert.equal(await cloud.post({ ...ENVELOPE, data }, STRUCTURED), 204);
    assert.equal(cloud.mixpanel.received, 0);
    const { severity, message, state } = await summary();
    assert.deepEqual({ severity, message, state }, { severity: 'WARNING', message: 'object gone', state: 'gone' });
  });

  check('importObject accepts binary and structured CloudEvents of a finalized object', async () => {
    await cloud.upload('events/g', ndjson([eventText('g')]));
    const [{ generation }] = await cloud.storageClient.bucket(NAMES.importBucket).file('events/g').getMetadata();
    const data = { bucket: NAMES.importBucket, name: 'events/g', generation: String(generation) };
    await cloud.reset();
    assert.equal(await cloud.post({ ...ENVELOPE, data }, STRUCTURED), 204);
    assert.equal(cloud.mixpanel.count('g'), 1);
    await cloud.reset();
    const headers = { 'ce-id': '1', 'ce-type': ENVELOPE.type, 'ce-source': 'x', 'ce-specversion': '1.0' };
    assert.equal(await cloud.post(data, headers), 204);
    assert.equal(cloud.mixpanel.count('g'), 1);
  });

  check('importObject skips objects outside OBJECT_PREFIX, and logs a summary', async () => {
    assert.equal(await cloud.upload('elsewhere/a', ndjson([eventText('id-1')])), 204);
    assert.equal(cloud.mixpanel.received, 0);
    const { message, reason, read, imported, rejected, dropped, batches } = await summary();
    assert.deepEqual([message, reason], ['object skipped', 'prefix']);
    assert.deepEqual([read, imported, rejected, dropped, batches], [0, 0, 0, 0, 0]);
  });

  check('importObject rejects an event that Mixpanel accounts for in no way, with an ERROR', async () => {
    cloud.mixpanel.fault = ({ ids, events }) => (ids.includes('id-1') ? { report: events - 1 } : undefined);
    assert.equal(await cloud.upload('events/a', ndjson([eventText('id-2'), eventText('id-1')])), 204);
    const logged = await cloud.loggedUntil('object imported');
    const told = logged.map(({ severity, code, sent, imported, attempts }) => [
      severity,
      code,
      sent,
      imported,
      attempts,
    ]);
    assert.deepEqual(told, [
      ['ERROR', 'miscounted', 1, 0, undefined],
      ['INFO', undefined, undefined, 1, 9],
    ]);
  });

  check(
    'importObject refuses to import its own state bucket with an ERROR, and acknowledges the notification',
    async () => {
      const data = { bucket: NAMES.stateBucket, name: 'events/x', generation: '1' };
      assert.equal(await cloud.post({ ...ENVELOPE, data }, STRUCTURED), 204);
      const errors = (await cloud.logged(1)).filter(({ severity }) => severity === 'ERROR');
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['state_bucket_watched'],
      );
    },
  );

  const foreign = {
    'a CloudEvent of another type': { ...ENVELOPE, type: 'google.cloud.audit.log.v1.written', data: {} },
    'an object without a bucket': { ...ENVELOPE, data: { name: 'x', generation: '1' } },
    'an object without a generation': { ...ENVELOPE, data: { bucket: 'b', name: 'x' } },
    'a message of another kind of event': push({ eventType: 'OBJECT_DELETE' }, '{}'),
    'a message whose data are not JSON': push({ eventType: 'OBJECT_FINALIZE' }, MARKER),
    'a message without data': push({ eventType: 'OBJECT_FINALIZE' }, ''),
  };
  for (const [name, body] of Object.entries(foreign)) {
    check(`importObject acknowledges ${name} with one WARNING that names its id`, async () => {
      const isPush = 'message' in body;
      const path = isPush ? `/${NAMES.objectTopic}` : '';
      assert.equal(await cloud.post(body, isPush ? {} : STRUCTURED, path), 204);
      assert.deepEqual(
        (await cloud.logged(1)).map(({ severity, id }) => [severity, id]),
        [['WARNING', 'id-of-envelope']],
      );
      assert.equal(cloud.printed.length, 1);
    });
  }

  check('importObject imports every event in spite of 429, 503 and broken connections', async () => {
    cloud.mixpanel.fault = ({ sequence }) =>
      [{ status: 429 }, { status: 503 }, { destroy: 'before' } as const, { destroy: 'after' } as const][sequence];
    assert.equal(await cloud.upload('events/h', ndjson([eventText('id-1'), eventText('id-2')])), 204);
    assert.equal(cloud.mixpanel.events().length, 2);
    const { attempts, throttled, batches } = await summary();
    assert.deepEqual({ attempts, throttled, batches }, { attempts: 5, throttled: 1, batches: 1 });
  });

  check(
    'importObject refuses the delivery with one ERROR if the credentials are wrong, and rejects nothing',
    async () => {
      let refusals = 0;
      cloud.mixpanel.fault = () => {
        refusals++;
        return { status: 401 };
      };
      assert.equal(await cloud.upload('events/i', ndjson([eventText('id-1')])), 500);
      const [{ severity, message, code, error }] = (await cloud.logged(1)) as [LogLine];
      assert.deepEqual(
        { severity, message, code },
        { severity: 'ERROR', message: 'object failed', code: 'credentials_refused' },
      );
      assert.match(String(error), /MIXPANEL_SERVICE_ACCOUNT_SECRET/);
      assert.deepEqual(await cloud.deadLetters(), []);
      // If the back-off is not honoured, more deliveries than one have been refused by now.
      cloud.mixpanel.fault = undefined;
      const found = await cloud.loggedUntil('object imported');
      assert.equal(cloud.mixpanel.count('id-1'), 1);
      assert.deepEqual(
        found.map(({ message }) => message),
        [...Array(refusals).fill('object failed'), 'object imported'],
      );
    },
  );

  check('importObject imports an object of many megabytes in full batches, each event once', async () => {
    const events = 60_000;
    const content = ndjson(eventLines(events, 'id', { text: 'x'.repeat(300) }));
    assert.equal(await cloud.upload('events/large', gzipSync(content, { level: 1 })), 204);
    assert.equal(cloud.mixpanel.events().length, events);
    assert.equal(cloud.mixpanel.received, events);
    const { read, imported, batches, bytes } = await summary();
    assert.deepEqual(
      { read, imported, batches, bytes },
      { read: events, imported: events, batches: 30, bytes: content.length },
    );
  });
}

/** The body of a Pub/Sub push. */
function push(attributes: Record<string, string>, data: string) {
  const message = { messageId: 'id-of-envelope', publishTime: '2026-01-01T00:00:00Z', attributes };
  return {
    subscription: NAMES.objectSubscription,
    message: data === '' ? message : { ...message, data: Buffer.from(data).toString('base64') },
  };
}
