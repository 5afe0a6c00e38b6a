import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startRun } from '../../functions/core/run.ts';
import { NAMES } from '../../local-cloud/cloud.ts';
import { seededRandom } from '../../local-cloud/soak/random.ts';
import { ndjson } from '../support/event.ts';
import { startGenerations } from '../support/generations.ts';
import { assertNothingLeaked, startTestCloud, type TestCloud } from '../support/serving.ts';
import { snowplowLines } from '../support/snowplow.ts';

const MAPPING = { from: 'snowplow', drop: ['page_title'], hash: ['$user'] };
const KEY = 'sixteen letters!';
const USER = 'ada.lovelace@example.com';
const MOMENTS = [1, 5, 12];
const EVENTS = 200;
/** Printed, so that a failure can be repeated. */
const SEED = Number(process.env.STOPS_SEED ?? Date.now() % 1_000_000);

describe('records of a mapping, in a function that is killed', () => {
  let cloud: TestCloud;
  before(async () => {
    cloud = await startTestCloud({
      ackDeadlineSeconds: 2,
      env: {
        IMPORT_MAPPING: JSON.stringify(MAPPING),
        IMPORT_HASH_KEY: KEY,
        IMPORT_LEASE_SECONDS: '2',
        IMPORT_MAX_BATCH_EVENTS: '10',
        IMPORT_MAX_CONCURRENCY: '2',
      },
    });
  });
  after(() => cloud.close());

  for (const moment of MOMENTS) {
    test(`every event of an object arrives exactly once if importObject is killed at operation ${moment}`, {
      timeout: 60_000,
    }, async () => {
      await cloud.reset();
      const killed = killAt('importObject', moment);
      const file = cloud.storageClient.bucket(NAMES.importBucket).file(`killed-at-${moment}`);
      await file.save(ndjson([...snowplowLines(EVENTS, USER), 'no event']), { resumable: false });
      await killed;
      while (backlog(NAMES.objectSubscription) > 0) await once(cloud.pubsub, 'push');
      await assertArrived();
    });

    test(`every event of the messages arrives exactly once if drainSubscription is killed at operation ${moment}`, {
      timeout: 60_000,
    }, async () => {
      await cloud.reset();
      const killed = killAt('drainSubscription', moment);
      cloud.publish(...snowplowLines(EVENTS, USER), 'no event');
      await assert.rejects(cloud.drain(), TypeError);
      await killed;
      while (backlog(NAMES.eventSubscription) > 0) await cloud.drain();
      await assertArrived();
    });
  }

  function backlog(subscription: string): number {
    const { waiting, outstanding } = cloud.pubsub.backlog(subscription);
    return waiting + outstanding;
  }

  /** Kills a function and starts it again when it asks for the operation of that number, which is carried out all the same. */
  function killAt(target: 'importObject' | 'drainSubscription', moment: number): Promise<void> {
    const restarted = Promise.withResolvers<void>();
    let operations = 0;
    const count = () => {
      if (++operations === moment) cloud[target].restart().then(restarted.resolve, restarted.reject);
      return undefined;
    };
    cloud.mixpanel.fault = count;
    cloud.storage.fault = ({ bucket, kind }) =>
      bucket === NAMES.importBucket && kind === 'upload' ? undefined : count();
    cloud.pubsub.fault = ({ method }) => (method === 'Publish' ? undefined : count());
    return restarted.promise.finally(() => {
      cloud.mixpanel.fault = undefined;
      cloud.storage.fault = undefined;
      cloud.pubsub.fault = undefined;
    });
  }

  async function assertArrived(): Promise<void> {
    const events = cloud.mixpanel.events();
    assert.deepEqual(new Set(events.map(({ properties }) => properties['com_acme_cart.items'])).size, EVENTS);
    assert.equal(events.length, EVENTS);
    for (const { event, properties } of events) {
      assert.equal(event, 'page_view');
      assert.match(String(properties.distinct_id), /^[0-9a-f]{32}$/);
      assert.equal(properties.page_title, undefined);
    }
    assert.ok(!JSON.stringify(events).includes(USER));
    const letters = await cloud.deadLetters();
    assert.ok(letters.length > 0);
    for (const { reason, through, record } of letters as unknown as Record<string, unknown>[]) {
      assert.deepEqual(reason, {
        field: 'record',
        message: "not a line of Snowplow's: 108 to 131 fields are needed",
      });
      assert.deepEqual([through, record], [['mapping'], 'no event']);
    }
    assert.ok(!cloud.printed.includes(USER));
    assertNothingLeaked(cloud.printed);
  }
});

describe('a mapping that finds no event', () => {
  test('is told once for an object, with the names in its first record', async (t) => {
    const generations = await startGenerations({ IMPORT_MAPPING: '{"event":"name","time":"at"}' });
    t.after(() => generations.close());
    const told = async (content: string) => {
      const before = generations.logged.length;
      await generations.invoke(await generations.upload('a.ndjson', Buffer.from(content)));
      return generations.logged
        .slice(before)
        .filter(({ severity }) => severity === 'WARNING')
        .map(({ code, names }) => [code, names]);
    };
    const none = '{"event":"a","properties":{"secret":1}}\n{"other":1}\n';
    assert.deepEqual(await told(none), [
      ['all_rejected', undefined],
      ['mapping_finds_nothing', ['event', 'properties']],
    ]);
    assert.deepEqual(await told(`${none}{"name":"e","at":1793527200}\n`), []);
    assert.ok(!JSON.stringify(generations.logged).includes('secret'));
  });
});

describe('an import of mapped records that is stopped in an orderly way', { timeout: 120_000 }, () => {
  const LINES = 10_000;
  let generations: Awaited<ReturnType<typeof startGenerations>>;
  before(async () => {
    generations = await startGenerations({
      IMPORT_MAPPING: JSON.stringify(MAPPING),
      IMPORT_HASH_KEY: KEY,
      IMPORT_MAX_BATCH_EVENTS: '100',
      IMPORT_MAX_CONCURRENCY: '4',
      IMPORT_GZIP_LEVEL: '1',
    });
  });
  after(() => generations.close());

  for (const [name, encode] of [
    ['plain', Buffer.from],
    ['compressed', gzipSync],
  ] as const) {
    test(`sends no event of a ${name} file twice, and loses none`, async (t) => {
      const { mixpanel, upload, checkpoint } = generations;
      const next = seededRandom(SEED);
      t.diagnostic(`STOPS_SEED=${SEED}`);
      const object = await upload(name, encode(Buffer.from(ndjson(snowplowLines(LINES)))));
      const before = mixpanel.received;
      let stops = 0;
      for (;;) {
        const run = startRun();
        let left = 1 + Math.floor(next() * 6);
        const stop = () => run.stop(stops % 2 === 0 ? 'deadline' : 'shutdown');
        mixpanel.fault = () => {
          if (--left === 0) stop();
          return { delayMs: Math.floor(next() * 12) };
        };
        if (await generations.invoke(object, run)) break;
        stops++;
        assert.equal((await checkpoint(object)).format, 'snowplow');
      }
      assert.equal(mixpanel.received - before, LINES, 'every event is sent once');
      const { counts } = await checkpoint(object);
      assert.deepEqual(counts, { read: LINES, expanded: 0, imported: LINES, rejected: 0, dropped: 0 });
      assert.ok(stops >= 10, `${stops} stops`);
    });
  }
});
