import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startRun } from '../../functions/core/run.ts';
import type { InjectedFault } from '../../local-cloud/mixpanel/server.ts';
import { eventLines, ndjson } from '../support/event.ts';
import { startGenerations } from '../support/generations.ts';

type Generations = Awaited<ReturnType<typeof startGenerations>>;
type Object = Awaited<ReturnType<Generations['upload']>>;

const EVENTS = 400;

/** Declares tests that share a cloud, in which each has an object of its own. */
function suite(name: string, body: (cloud: () => Generations) => void): void {
  describe(name, { timeout: 120_000, concurrency: false }, () => {
    let generations: Generations;
    before(async () => {
      generations = await startGenerations({ IMPORT_MAX_BATCH_EVENTS: '50', IMPORT_MAX_CONCURRENCY: '1' });
    });
    beforeEach(() => {
      generations.mixpanel.reset();
      generations.storage.fault = undefined;
      generations.logged.length = 0;
    });
    after(() => generations.close());
    body(() => generations);
  });
}

const content = (prefix: string, properties: object = {}) =>
  Buffer.from(ndjson(eventLines(EVENTS, prefix, properties)));

/** An invocation whose deadline comes while it reads, before anything is sent. */
async function getNowhere(cloud: Generations, object: Object): Promise<void> {
  const run = startRun();
  const onRequest = ({ kind, bucket }: { kind: string; bucket: string }) => {
    if (kind === 'read' && bucket === 'import') run.stop('deadline');
  };
  cloud.storage.on('request', onRequest);
  await cloud.invoke(object, run);
  cloud.storage.off('request', onRequest);
}

/** An invocation whose deadline comes once so many batches were accepted. */
async function getOn(cloud: Generations, object: Object, batches: number): Promise<void> {
  const run = startRun();
  let left = batches;
  const onRequest = () => {
    if (--left === 0) run.stop('deadline');
  };
  cloud.mixpanel.on('request', onRequest);
  await cloud.invoke(object, run);
  cloud.mixpanel.off('request', onRequest);
}

suite('an object that never gets on', (cloud) => {
  test('is set aside with one ERROR after five invocations that reached their deadline with nothing settled', async () => {
    const object = await cloud().upload('stalled', content('stalled'));
    for (let count = 1; count <= 4; count++) {
      await getNowhere(cloud(), object);
      const { state, fruitless } = await cloud().checkpoint(object);
      assert.deepEqual([state, fruitless], ['running', count]);
    }
    await getNowhere(cloud(), object);
    const { state, lastError } = await cloud().checkpoint(object);
    assert.deepEqual([state, lastError?.code], ['stalled', 'stalled']);
    assert.deepEqual(
      cloud().logged.map(({ severity, message, code }) => [severity, message, code]),
      [...Array(4).fill(['WARNING', 'object refused', undefined]), ['ERROR', 'object stalled', 'stalled']],
    );
    assert.equal(await cloud().invoke(object), false);
    assert.deepEqual([cloud().logged.at(-1)?.message, cloud().logged.at(-1)?.reason], ['object skipped', 'stalled']);
    assert.equal(cloud().mixpanel.received, 0);
  });

  test('is not set aside if one invocation in five settles something', async () => {
    const object = await cloud().upload('slow', content('slow'));
    for (let round = 0; round < 3; round++) {
      for (let count = 0; count < 4; count++) await getNowhere(cloud(), object);
      await getOn(cloud(), object, 1);
      const { state, fruitless } = await cloud().checkpoint(object);
      assert.deepEqual([state, fruitless], ['running', 0]);
    }
    assert.equal(await cloud().invoke(object), true);
    assert.equal(cloud().mixpanel.received, EVENTS);
  });

  const outages: Record<string, InjectedFault> = {
    'answers 503': { status: 503 },
    'answers 429': { status: 429 },
    'answers 408': { status: 408 },
    'answers 401': { status: 401 },
    'breaks every connection': { destroy: 'before' },
  };
  for (const [what, fault] of Object.entries(outages)) {
    test(`is not set aside by an outage in which Mixpanel ${what}, however long`, async () => {
      const object = await cloud().upload(what, content(what.replaceAll(' ', '-')));
      let asked = 0;
      cloud().mixpanel.fault = () => {
        asked++;
        return fault;
      };
      for (let count = 0; count < 12; count++) {
        const before = asked;
        const run = startRun(1_000);
        cloud().mixpanel.once('request', () => setTimeout(() => run.stop('deadline'), 50));
        await cloud().invoke(object, run);
        assert.ok(asked > before, 'Mixpanel was asked before the deadline');
        const { state, fruitless } = await cloud().checkpoint(object);
        assert.deepEqual([state, fruitless], ['running', 0]);
      }
      cloud().mixpanel.fault = undefined;
      assert.equal(await cloud().invoke(object), true);
      assert.equal(cloud().mixpanel.events().length, EVENTS);
    });
  }

  test('is not set aside by an outage of Cloud Storage, or because the instance is told to end', async () => {
    const object = await cloud().upload('outage', content('outage'));
    cloud().storage.fault = ({ kind, bucket }) =>
      kind === 'read' && bucket === 'import' ? { status: 503 } : undefined;
    for (let count = 0; count < 6; count++) await cloud().invoke(object, startRun(150));
    cloud().storage.fault = undefined;
    for (let count = 0; count < 6; count++) {
      const run = startRun();
      cloud().storage.once('request', () => setImmediate(() => run.stop('shutdown')));
      await cloud().invoke(object, run);
    }
    const { state, fruitless } = await cloud().checkpoint(object);
    assert.deepEqual([state, fruitless], ['running', 0]);
    assert.equal(await cloud().invoke(object), true);
  });
});

suite('an object that fails', (cloud) => {
  /** Writes to the state bucket in one invocation. */
  async function writesOf(invocation: Promise<unknown>): Promise<number> {
    let writes = 0;
    const onRequest = ({ kind, bucket }: { kind: string; bucket: string }) => {
      if (kind === 'upload' && bucket === 'state') writes++;
    };
    cloud().storage.on('request', onRequest);
    await invocation;
    cloud().storage.off('request', onRequest);
    return writes;
  }

  test('says in its checkpoint what it fails with, in as many writes as one that continues, until it gets on', async () => {
    const object = await cloud().upload('refused', content('refused'));
    cloud().mixpanel.fault = () => ({ status: 401 });
    assert.equal(await writesOf(cloud().invoke(object)), 2);
    const { lastError: first, fruitless, position } = await cloud().checkpoint(object);
    assert.equal(first?.code, 'credentials_refused');
    assert.match(first.message, /check MIXPANEL_SERVICE_ACCOUNT_USERNAME/);
    assert.deepEqual([fruitless, position.offset], [0, 0]);
    await cloud().invoke(object);
    const { lastError: second } = await cloud().checkpoint(object);
    assert.equal(second?.since, first.since);
    assert.ok(Date.parse(second.time) > Date.parse(first.time));

    cloud().mixpanel.fault = undefined;
    assert.equal(await writesOf(getOn(cloud(), object, 1)), 2);
    const continued = await cloud().checkpoint(object);
    assert.deepEqual([continued.state, continued.lastError], ['running', null]);
    assert.ok(continued.position.offset > 0);
  });

  test('says that time ran out if an outage lets it settle nothing, and an instance that ends clears that not', async () => {
    const object = await cloud().upload('unanswered', content('unanswered'));
    cloud().mixpanel.fault = () => ({ status: 429 });
    const run = startRun();
    cloud().mixpanel.once('request', () => setTimeout(() => run.stop('deadline'), 50));
    await cloud().invoke(object, run);
    const { lastError } = await cloud().checkpoint(object);
    assert.equal(lastError?.code, 'deadline');
    assert.match(lastError.message, /before anything was settled, after \d+ requests with [1-9]\d* answers 429: check/);
    const ended = startRun();
    cloud().mixpanel.once('request', () => ended.stop('shutdown'));
    await cloud().invoke(object, ended);
    assert.deepEqual((await cloud().checkpoint(object)).lastError, lastError);
  });

  test('says that its continuation could not be published, and keeps what was settled', async () => {
    const object = await cloud().upload('unpublished', content('unpublished'));
    const run = startRun();
    cloud().mixpanel.once('request', () => run.stop('deadline'));
    await cloud().invoke(object, run, () => Promise.reject(new Error('the topic is not there')));
    const { lastError, position, fruitless } = await cloud().checkpoint(object);
    assert.deepEqual([lastError?.code, lastError?.message], ['unexpected', 'the topic is not there']);
    assert.ok(position.offset > 0);
    assert.equal(fruitless, 0);
  });

  test('keeps no more of an endless message than its beginning', async () => {
    const object = await cloud().upload('endless', content('endless'));
    const run = startRun();
    cloud().mixpanel.once('request', () => run.stop('deadline'));
    await cloud().invoke(object, run, () => Promise.reject(new Error('x'.repeat(100_000))));
    assert.equal((await cloud().checkpoint(object)).lastError?.message.length, 1_000);
  });
});

suite('an object whose records are all rejected', (cloud) => {
  const untimely = (prefix: string) => content(prefix, { time: 'today' });
  const ends = () => cloud().logged.map(({ severity, message, code, rejected }) => [severity, message, code, rejected]);

  test('ends with a WARNING', async () => {
    const object = await cloud().upload('rejected', untimely('rejected'));
    assert.equal(await cloud().invoke(object), true);
    assert.deepEqual(ends(), [['WARNING', 'object imported', 'all_rejected', EVENTS]]);
  });

  test('ends with a WARNING over two invocations, and without one if the first imported something', async () => {
    for (const [name, bytes, batches, severity, code] of [
      ['all', untimely('all'), 1, 'WARNING', 'all_rejected'],
      ['most', Buffer.concat([content('good'), untimely('most')]), EVENTS / 50, 'INFO', undefined],
    ] as const) {
      const object = await cloud().upload(name, bytes);
      await getOn(cloud(), object, batches);
      assert.equal((await cloud().checkpoint(object)).state, 'running');
      cloud().logged.length = 0;
      await cloud().invoke(object);
      assert.deepEqual(
        ends().map(([...end]) => end.slice(0, 3)),
        [[severity, 'object imported', code]],
      );
    }
  });
});

suite('an object that is not there', (cloud) => {
  test('is imported from where it stood if it was called gone by mistake and is notified again', async () => {
    const object = await cloud().upload('back', content('back'));
    await getOn(cloud(), object, 2);
    const { received } = cloud().mixpanel;
    assert.ok(received > 0 && received < EVENTS);
    cloud().storage.fault = ({ bucket }) => (bucket === 'import' ? { status: 404 } : undefined);
    await cloud().invoke(object);
    assert.equal((await cloud().checkpoint(object)).state, 'gone');
    await cloud().invoke(object);
    assert.deepEqual([cloud().logged.at(-1)?.message, cloud().logged.at(-1)?.reason], ['object skipped', 'gone']);
    cloud().storage.fault = undefined;
    assert.equal(await cloud().invoke(object), true);
    assert.equal(cloud().mixpanel.received, EVENTS, 'no event is sent again');
    const { counts } = await cloud().checkpoint(object);
    assert.deepEqual([counts.read, counts.imported], [EVENTS, EVENTS]);
  });

  test('is the older generation if two are delivered out of order: the newer one is imported whole, the older one is gone', async () => {
    const older = await cloud().upload('ordered', content('older'));
    await getOn(cloud(), older, 1);
    const before = cloud().mixpanel.received;
    const newer = await cloud().upload('ordered', content('newer'));
    assert.equal(await cloud().invoke(newer), true);
    assert.equal(cloud().mixpanel.received - before, EVENTS);
    assert.equal(await cloud().invoke(older), false);
    assert.equal((await cloud().checkpoint(older)).state, 'gone');
    assert.equal((await cloud().checkpoint(newer)).state, 'done');
    const { message, code, generation } = cloud().logged.at(-1)!;
    assert.deepEqual([message, code, generation], ['object gone', 'object_gone', older.generation]);
    assert.equal(cloud().mixpanel.received - before, EVENTS);
  });

  test('is one that was overwritten in mid-read: nothing of the new content counts for the old generation', async () => {
    const old = await cloud().upload('overwritten', content('old', { text: 'x'.repeat(5_000) }));
    const newer = Promise.withResolvers<Object>();
    cloud().storage.fault = ({ kind, bucket, sequence }) => {
      if (kind !== 'read' || bucket !== 'import') return undefined;
      if (sequence === 1) return { cutAfterBytes: 1_000_000 };
      // The rest of the old generation is asked for, and looked up only once the new one is there.
      cloud()
        .upload('overwritten', content('new', { text: 'x'.repeat(5_000) }))
        .then(newer.resolve, newer.reject);
      return { after: newer.promise };
    };
    assert.equal(await cloud().invoke(old), false);
    const { state, counts, position } = await cloud().checkpoint(old);
    assert.equal(state, 'gone');
    assert.ok(position.offset > 0 && position.offset <= 1_000_000);
    assert.equal(cloud().mixpanel.received, counts.imported);
    assert.ok(
      cloud()
        .mixpanel.events()
        .every(({ raw }) => raw.includes('"old-')),
      'all are of the old generation',
    );
    assert.equal(await cloud().invoke(await newer.promise), true);
    assert.equal(cloud().mixpanel.received, counts.imported + EVENTS);
  });
});

suite('a large object with a wrong last byte', (cloud) => {
  for (const stops of [0, 3]) {
    test(`is read again from its beginning, and every event counts once, after ${stops} continuations`, async () => {
      const bytes = content(`crc-${stops}`, { text: 'x'.repeat(50_000) });
      const object = await cloud().upload(`crc-${stops}`, bytes);
      let isCorrupt = true;
      cloud().storage.fault = ({ kind, bucket }) =>
        kind === 'read' && bucket === 'import' && isCorrupt ? { corruptByte: bytes.length - 1 } : undefined;
      for (let stop = 0; stop < stops; stop++) await getOn(cloud(), object, 1);
      assert.equal(
        (
          await cloud()
            .checkpoint(object)
            .catch(() => undefined)
        )?.position.offset !== 0,
        true,
      );
      assert.equal(await cloud().invoke(object), false);
      const { code, message } = cloud().logged.at(-1)!;
      assert.deepEqual([message, code], ['object failed', 'checksum_mismatch']);
      const { position, counts } = await cloud().checkpoint(object);
      assert.deepEqual([position.offset, counts.read], [0, 0]);
      isCorrupt = false;
      assert.equal(await cloud().invoke(object), true);
      assert.equal(cloud().mixpanel.events().length, EVENTS);
      assert.equal((await cloud().checkpoint(object)).counts.imported, EVENTS);
    });
  }
});

suite('a continuation', (cloud) => {
  test('that was lost before it was published is made up for by the delivery, which is refused', async () => {
    const object = await cloud().upload('lost', content('lost'));
    const run = startRun();
    cloud().mixpanel.once('request', () => run.stop('deadline'));
    await cloud().invoke(object, run, () => Promise.reject(new Error('the topic is not there')));
    assert.equal(cloud().logged.at(-1)?.message, 'object failed');
    assert.equal(await cloud().invoke(object), true);
    assert.equal(cloud().mixpanel.received, EVENTS);
  });

  test('that is doubled sends no event twice: one is refused or skipped', async () => {
    const object = await cloud().upload('doubled', content('doubled'));
    await getOn(cloud(), object, 1);
    await Promise.all([cloud().invoke(object), cloud().invoke(object), cloud().invoke(object)]);
    assert.equal((await cloud().checkpoint(object)).state, 'done');
    assert.equal(cloud().mixpanel.received, EVENTS);
    const messages = cloud().logged.map(({ message }) => message);
    assert.equal(messages.filter((message) => message === 'object imported').length, 1);
    assert.equal(messages.filter((message) => message === 'object failed').length, 0);
  });
});
