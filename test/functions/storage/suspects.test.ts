import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { systemClock } from '../../../functions/core/run.ts';
import { DrainRegistry } from '../../../functions/storage/drain-registry.ts';
import { drainRegistryName, suspectName } from '../../../functions/storage/names.ts';
import { SUSPECT_TIMES, Suspects, type SuspectTimes } from '../../../functions/storage/suspects.ts';
import { startStored, until } from '../../support/stored.ts';

const SUBSCRIPTION = 'projects/p/subscriptions/s';
const REGISTRY = drainRegistryName(SUBSCRIPTION);

/** Makes drains that share a bucket, each in a process of its own. */
async function start(t: TestContext, times: Partial<SuspectTimes> = {}) {
  const stored = await startStored(t);
  const failures: Error[] = [];
  const bucketOf = async () => stored.bucket;
  const begin = (drain: string) => {
    const suspects = new Suspects({
      registry: new DrainRegistry(bucketOf, REGISTRY),
      bucketOf,
      subscription: SUBSCRIPTION,
      drain,
      clock: systemClock,
      times: { ...SUSPECT_TIMES, ...times },
      onFailure: (error) => failures.push(error),
    });
    t.after(() => suspects.leave());
    return suspects;
  };
  const registered = async () => JSON.parse((await stored.bucket.file(REGISTRY).download())[0].toString());
  const save = (name: string, content: object | string) =>
    stored.bucket
      .file(name)
      .save(typeof content === 'string' ? content : JSON.stringify(content), { resumable: false });
  return { ...stored, begin, registered, save, failures };
}

const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

describe('Suspects', () => {
  test('drains that enter at the same time all stand in the registry, and none once all have left', async (t) => {
    const { begin, registered, failures } = await start(t, { timeoutMs: 20_000 });
    const drains = ['a', 'b', 'c', 'd', 'e'].map(begin);
    await Promise.all(drains.map((drain) => drain.enter()));
    assert.deepEqual(Object.keys((await registered()).drains).sort(), ['a', 'b', 'c', 'd', 'e']);
    await Promise.all(drains.map((drain) => drain.leave()));
    assert.deepEqual(await registered(), { drains: {}, ended: {}, carefulUntil: null });
    assert.deepEqual(failures, []);
  });

  test('a drain that was not seen for 30 s has ended, and others are careful until its messages are back', async (t) => {
    const { begin, save, registered } = await start(t);
    await save(REGISTRY, { drains: { fresh: inMs(-29_000), stale: inMs(-31_000) }, ended: {}, carefulUntil: null });
    const drain = begin('a');
    assert.ok(drain.isCautious);
    await drain.enter();
    assert.ok(drain.isCareful);
    const { drains, ended, carefulUntil } = await registered();
    assert.deepEqual([Object.keys(drains).sort(), Object.keys(ended)], [['a', 'fresh'], ['stale']]);
    const leftMs = Date.parse(carefulUntil) - Date.now();
    assert.ok(leftMs > 700_000 && leftMs <= 720_000, `${leftMs} ms`);
  });

  test('a drain at work notices that another one has ended, and is careful from then on', async (t) => {
    const { begin, save } = await start(t, { refreshMs: 20, staleMs: 3_000 });
    await save(REGISTRY, { drains: { other: inMs(0) }, ended: {}, carefulUntil: null });
    const drain = begin('a');
    await drain.enter();
    assert.equal(drain.isCareful, false);
    await until(() => drain.isCareful);
  });

  test('a drain that was taken for ended is at work again when it says so', async (t) => {
    const { begin, save, registered } = await start(t);
    await save(REGISTRY, { drains: {}, ended: { a: inMs(-1_000) }, carefulUntil: inMs(10_000) });
    await begin('a').enter();
    const { drains, ended } = await registered();
    assert.deepEqual([Object.keys(drains), ended], [['a'], {}]);
  });

  for (const content of ['', '[]', 'null', '{"drains":7,"ended":{"x":"no time"},"carefulUntil":"soon"}']) {
    test(`a registry with the content ${JSON.stringify(content)} counts as empty`, async (t) => {
      const { begin, save, registered, failures } = await start(t);
      await save(REGISTRY, content);
      await begin('a').enter();
      const { drains, ended, carefulUntil } = await registered();
      assert.deepEqual([Object.keys(drains), ended, carefulUntil], [['a'], {}, null]);
      assert.deepEqual(failures, []);
    });
  }

  test('a bucket that does not answer holds a drain up no longer than the time-out, and is told of once', async (t) => {
    const { begin, server, failures } = await start(t, { timeoutMs: 200 });
    const never = Promise.withResolvers<void>();
    server.fault = () => ({ after: never.promise });
    const drain = begin('a');
    const begun = performance.now();
    await drain.enter();
    assert.equal(await drain.mark('1'), 'handle');
    await drain.leave();
    assert.ok(performance.now() - begun < 2_000);
    assert.equal(drain.isCautious, false);
    assert.equal(failures.length, 1);
    never.resolve();
  });

  test('a marker whose creation succeeded unheard is one’s own', async (t) => {
    const { begin, failures, bucket } = await start(t);
    const drain = begin('a');
    await drain.enter();
    await bucket.file(suspectName(SUBSCRIPTION, '1')).save('{"drain":"a"}', { resumable: false });
    assert.equal(await drain.mark('1'), 'handle');
    await drain.unmarkAll();
    assert.equal((await bucket.file(suspectName(SUBSCRIPTION, '1')).exists())[0], false);
    assert.deepEqual(failures, []);
  });

  test('what is no message id does not become a path', () => {
    assert.equal(suspectName(SUBSCRIPTION, '123'), 'suspects/s/123');
    for (const id of ['', '../x', 'drains.json', '1/2', '1'.repeat(101)]) {
      assert.match(suspectName(SUBSCRIPTION, id), /^suspects\/s\/[0-9a-f]{64}$/);
    }
  });
});
