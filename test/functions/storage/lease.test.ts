import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { startRun } from '../../../functions/core/run.ts';
import {
  type Checkpoint,
  formatCheckpoint,
  noProgress,
  type Progress,
  readCheckpoint,
} from '../../../functions/storage/checkpoint.ts';
import { acquireLease, type Lease } from '../../../functions/storage/lease.ts';
import type { StorageFault } from '../../../local-cloud/storage/server.ts';
import { virtualClock } from '../../support/sending.ts';
import { firstOf, startStored, until } from '../../support/stored.ts';

const NAME = 'checkpoints/b/o/1.json';
const LEASE_MS = 60_000;

const moved: Progress = {
  format: 'json',
  compression: [],
  position: { offset: 812, line: 7, checksum: 4_294_967_295, state: { array: true } },
  counts: { read: 6, expanded: 0, imported: 5, rejected: 1, dropped: 0 },
  metadata: { plan: 'pro' },
};
const released: Checkpoint = {
  state: 'running',
  holder: 'x',
  leaseExpiresAt: null,
  ...moved,
  takeovers: 0,
  fruitless: 0,
  lastError: null,
};
const times = { time: '2020-01-02T00:00:00.000Z', since: '2020-01-01T00:00:00.000Z' };
const expired: Checkpoint = { ...released, leaseExpiresAt: '2020-01-01T00:00:00.000Z' };

/** The same progress up to another offset. */
function movedTo(offset: number): Progress {
  return { ...moved, position: { ...moved.position, offset } };
}

/** A state bucket, and holders with clocks that tests advance. */
async function start(t: TestContext, before?: Checkpoint | string) {
  const stored = await startStored(t);
  const { bucket, requests } = stored;
  const write = async (content: Checkpoint | string) => {
    const text = typeof content === 'string' ? content : formatCheckpoint(content);
    await bucket.file(NAME).save(text, { resumable: false });
  };
  if (before !== undefined) await write(before);
  requests.length = 0;
  return {
    ...stored,
    write,
    checkpoint: async () => (await readCheckpoint(bucket, NAME)).checkpoint!,
    generation: async () => String((await bucket.file(NAME).getMetadata())[0].generation),
    writes: () => requests.filter(({ kind }) => kind === 'upload').length,
    holder(holder: string, leaseMs = LEASE_MS, isStored = false) {
      const clock = virtualClock();
      const run = startRun(undefined, clock);
      t.after(() => run.end());
      return {
        clock,
        run,
        acquire: () => acquireLease({ bucket, name: NAME, holder, leaseMs, run, isStored: async () => isStored }),
        async lease(): Promise<Lease> {
          const acquired = await this.acquire();
          assert.equal(acquired.kind, 'acquired');
          return (acquired as { lease: Lease }).lease;
        },
        /** Lets the time pass that somebody waits for, and the time is this long. */
        async wait(ms: number) {
          await until(() => clock.slept.at(-1) === ms);
          clock.advance(ms);
        },
      };
    },
  };
}

describe('acquireLease', { concurrency: true }, () => {
  test('acquireLease makes a checkpoint if there is none', async (t) => {
    const { holder, checkpoint, bucket } = await start(t);
    const before = Date.now();
    const lease = await holder('a').lease();
    const { leaseExpiresAt, ...rest } = await checkpoint();
    const nothing = { takeovers: 0, fruitless: 1, lastError: null };
    assert.deepEqual(rest, { state: 'running', holder: 'a', ...noProgress(), ...nothing });
    const until = Date.parse(leaseExpiresAt!) - LEASE_MS;
    assert.ok(before <= until && until <= Date.now());
    assert.deepEqual(lease.begin, noProgress());
    assert.equal((await bucket.file(NAME).getMetadata())[0].metadata?.state, 'running');
  });

  for (const state of ['done', 'gone', 'stalled'] as const) {
    test(`acquireLease finds nothing to do if the import is ${state}, and writes nothing`, async (t) => {
      const { holder, writes } = await start(t, { ...expired, state });
      assert.deepEqual(await holder('a').acquire(), { kind: 'over', state });
      assert.equal(writes(), 0);
    });
  }

  test('acquireLease leaves a live lease of another holder alone', async (t) => {
    const leaseExpiresAt = new Date(Date.now() + 60_000).toISOString();
    const { holder, writes } = await start(t, { ...released, leaseExpiresAt });
    assert.deepEqual(await holder('a').acquire(), { kind: 'held', until: leaseExpiresAt });
    assert.equal(writes(), 0);
  });

  test('acquireLease continues from where a lease was released', async (t) => {
    const { holder, checkpoint } = await start(t, released);
    const { begin } = await holder('a').lease();
    assert.deepEqual(begin, moved);
    const { holder: by, takeovers } = await checkpoint();
    assert.deepEqual([by, takeovers], ['a', 0]);
  });

  test('acquireLease takes over a lease that has expired, and counts how often that happens without movement', async (t) => {
    const { holder, checkpoint, write } = await start(t, expired);
    for (let count = 1; count <= 3; count++) {
      await holder(`h${count}`).lease();
      assert.equal((await checkpoint()).takeovers, count);
      await write({ ...(await checkpoint()), leaseExpiresAt: expired.leaseExpiresAt });
    }
  });

  test('acquireLease keeps the number of takeovers over a release without movement, and the first movement resets it', async (t) => {
    const { holder, checkpoint } = await start(t, { ...expired, takeovers: 2 });
    await (await holder('a').lease()).release('running', moved);
    assert.equal((await checkpoint()).takeovers, 3);
    const next = await holder('b').lease();
    assert.equal((await checkpoint()).takeovers, 3);
    await next.release('running', movedTo(moved.position.offset + 1));
    assert.equal((await checkpoint()).takeovers, 0);
  });

  test('acquireLease keeps the number of fruitless invocations without movement, and the first movement resets it', async (t) => {
    const { holder, checkpoint } = await start(t, { ...released, fruitless: 2 });
    await (await holder('a').lease()).release('running', moved);
    assert.equal((await checkpoint()).fruitless, 2);
    await (await holder('b').lease()).release('running', movedTo(moved.position.offset + 1));
    assert.equal((await checkpoint()).fruitless, 0);
  });

  test('acquireLease counts every invocation that crashed without movement, and sets the object aside after the fifth', async (t) => {
    const { holder, checkpoint, write, writes } = await start(t);
    for (let count = 1; count <= 5; count++) {
      await holder(`h${count}`).lease();
      const { fruitless } = await checkpoint();
      assert.equal(fruitless, count);
      await write({ ...(await checkpoint()), leaseExpiresAt: expired.leaseExpiresAt });
    }
    const written = writes();
    assert.deepEqual(await holder('a').acquire(), { kind: 'stalled', begin: noProgress() });
    const { state, leaseExpiresAt, fruitless, lastError } = await checkpoint();
    assert.deepEqual([state, leaseExpiresAt, fruitless, lastError?.code], ['stalled', null, 5, 'stalled']);
    assert.equal(writes(), written + 1);
    assert.deepEqual(await holder('b').acquire(), { kind: 'over', state: 'stalled' });
  });

  test('acquireLease does not count an invocation that moved before it crashed', async (t) => {
    const { holder, checkpoint, write } = await start(t, { ...released, fruitless: 4 });
    const a = holder('a');
    const lease = await a.lease();
    assert.equal((await checkpoint()).fruitless, 5);
    lease.keep(() => movedTo(900));
    await a.wait(10_000);
    await until(() => a.clock.slept.filter((ms) => ms === 10_000).length === 2);
    await write({ ...(await checkpoint()), leaseExpiresAt: expired.leaseExpiresAt });
    assert.equal((await holder('b').acquire()).kind, 'acquired');
    assert.equal((await checkpoint()).fruitless, 1);
  });

  test('acquireLease takes over an import that is gone if its object is there, exactly where it stands', async (t) => {
    const { holder, checkpoint } = await start(t);
    const progress = { ...moved, compression: ['zstd'] };
    await (await holder('a').lease()).release('gone', progress);
    const { begin } = await holder('b', LEASE_MS, true).lease();
    assert.deepEqual(begin, progress);
    assert.equal((await checkpoint()).state, 'running');
  });

  test('acquireLease asks a bucket that refuses every write with 412 at a pace that slows down, until the run stops', async (t) => {
    const { holder, server, writes } = await start(t);
    server.fault = ({ kind }) => (kind === 'upload' ? { status: 412 } : undefined);
    const { acquire, wait, run, clock } = holder('a');
    const acquired = acquire();
    for (const ms of [100, 200, 400, 800, 1_600, 3_200, 6_400, 8_000]) await wait(ms);
    await until(() => clock.slept.filter((ms) => ms === 8_000).length === 2);
    assert.equal(writes(), 9);
    run.stop('deadline');
    await assert.rejects(acquired, (error) => error === run.stopping.reason);
  });

  test('acquireLease takes over a checkpoint of the previous release, and writes it in the new version', async (t) => {
    const { counts } = moved;
    const place = { offset: 812, line: 7, checksum: 4_294_967_295 };
    const { holder, bucket } = await start(
      t,
      `{"version":1,"state":"running","holder":"x","leaseExpiresAt":"2020-01-01T00:00:00.000Z","format":"ndjson","gzip":true,"offset":812,"line":7,"checksum":4294967295,"counts":${JSON.stringify(counts)},"takeovers":1}`,
    );
    const { begin } = await holder('a').lease();
    assert.deepEqual(begin, { format: 'json', compression: ['gzip'], position: place, counts, metadata: null });
    const { version, position, takeovers, fruitless, metadata, lastError } = JSON.parse(
      String(await bucket.file(NAME).download()),
    );
    assert.deepEqual([version, takeovers], [2, 2]);
    assert.deepEqual(position, { format: 'json', compression: ['gzip'], ...place });
    assert.deepEqual([fruitless, metadata, lastError], [1, null, null]);
  });

  for (const [name, before] of Object.entries({
    'if there is no checkpoint': undefined,
    'if a lease has expired': expired,
  })) {
    test(`acquireLease lets exactly one of several concurrent holders have the lease ${name}`, async (t) => {
      const { holder, server, checkpoint } = await start(t, before);
      // Nobody writes before everybody has read.
      server.fault = ({ kind }) => (kind === 'upload' ? { delayMs: 100 } : undefined);
      const names = ['a', 'b', 'c', 'd'];
      const acquired = await Promise.all(
        names.map(async (name) => {
          const { acquire, clock } = holder(name);
          const acquiring = acquire();
          await until(() => clock.sleepers === 1);
          // The winner waits for its lease to run out; the others wait twice before they look again.
          while (clock.slept.at(-1) === 100) {
            const waits = clock.slept.length;
            clock.advance(100);
            if (waits === 1) await until(() => clock.slept.length === 2);
            else break;
          }
          return acquiring;
        }),
      );
      const kinds = acquired.map(({ kind }) => kind);
      assert.deepEqual([...kinds].sort(), ['acquired', 'held', 'held', 'held']);
      assert.equal((await checkpoint()).holder, names[kinds.indexOf('acquired')]);
    });
  }

  test('acquireLease refuses a checkpoint that it cannot read, and overwrites nothing', async (t) => {
    const { holder, writes } = await start(t, '{"version":3}');
    await assert.rejects(holder('a').acquire(), { code: 'checkpoint_unreadable' });
    assert.equal(writes(), 0);
  });

  test('acquireLease repeats reads that fail, first after one second', async (t) => {
    const { holder, server } = await start(t, released);
    server.fault = firstOf('metadata', { status: 503 }, { destroy: 'before' });
    const a = holder('a');
    const acquired = a.acquire();
    await a.wait(1_000);
    await a.wait(2_000);
    assert.equal((await acquired).kind, 'acquired');
  });

  test('acquireLease gives up at once if reading is forbidden', async (t) => {
    const { holder, server } = await start(t, released);
    server.fault = () => ({ status: 403 });
    await assert.rejects(holder('a').acquire(), { code: 403 });
  });

  test('acquireLease repeats its write until the run winds down', async (t) => {
    const { holder, server, writes } = await start(t);
    server.fault = ({ kind }) => (kind === 'upload' ? { status: 503 } : undefined);
    const { acquire, wait, run } = holder('a');
    const acquired = acquire();
    for (const ms of [1_000, 2_000, 4_000, 8_000, 16_000]) await wait(ms);
    await until(() => writes() === 6);
    run.stop('deadline');
    await assert.rejects(acquired, (error) => error === run.stopping.reason);
  });
});

describe('a lease', { concurrency: true }, () => {
  test('a lease is renewed with the checkpoint every 10 s until it is released', async (t) => {
    const { holder, checkpoint, writes } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    let progress = moved;
    lease.keep(() => progress);
    await a.wait(10_000);
    await until(() => a.clock.slept.filter((ms) => ms === 10_000).length === 2);
    assert.equal((await checkpoint()).position.offset, 812);
    progress = movedTo(900);
    await a.wait(10_000);
    await until(() => writes() === 3);
    await lease.release('done', movedTo(1_000));
    const { position, state, leaseExpiresAt, holder: by } = await checkpoint();
    assert.deepEqual(
      { offset: position.offset, state, leaseExpiresAt, by },
      { offset: 1_000, state: 'done', leaseExpiresAt: null, by: 'a' },
    );
    assert.equal(a.run.stopReason, undefined);
    assert.equal(a.clock.sleepers, 0, 'nothing waits any more');
  });

  test('a short lease is renewed after a third of it, but not within one second', async (t) => {
    for (const [leaseMs, interval] of [
      [9_000, 3_000],
      [2_000, 1_000],
    ] as const) {
      const { holder } = await start(t);
      const a = holder('a', leaseMs);
      const lease = await a.lease();
      lease.keep(noProgress);
      assert.equal(a.clock.slept.at(-1), interval);
      await lease.release('running', noProgress());
    }
  });

  test('a lease shows its state in the metadata of the checkpoint, so that a listing has it', async (t) => {
    const { holder, bucket } = await start(t);
    await (await holder('a').lease()).release('gone', noProgress());
    assert.equal((await bucket.file(NAME).getMetadata())[0].metadata?.state, 'gone');
  });

  for (const state of ['done', 'gone'] as const) {
    test(`a lease that ends with ${state} leaves a checkpoint that the previous release understands`, async (t) => {
      const { holder, bucket } = await start(t, { ...released, lastError: { code: 'c', message: 'm', ...times } });
      await (await holder('a').lease()).release(state, movedTo(1_000));
      assert.deepEqual(JSON.parse(String(await bucket.file(NAME).download())), {
        version: 1,
        state,
        holder: 'a',
        leaseExpiresAt: null,
        format: 'array',
        gzip: false,
        offset: 1_000,
        line: 7,
        checksum: 4_294_967_295,
        counts: moved.counts,
        takeovers: 0,
        // The previous release does not look at these.
        ...(state === 'gone'
          ? { position: { format: 'json', compression: [], ...movedTo(1_000).position }, metadata: moved.metadata }
          : {}),
      });
    });
  }

  test('a lease of the fifth fruitless invocation in a row sets the object aside, and no one before', async (t) => {
    const { holder, checkpoint } = await start(t, released);
    for (let count = 1; count <= 5; count++) {
      const failure = { code: 'deadline', message: 'nothing settled' };
      const isSetAside = await (await holder(`h${count}`).lease()).releaseFruitless(moved, failure);
      const { state, fruitless, leaseExpiresAt, position, lastError } = await checkpoint();
      assert.deepEqual(
        [isSetAside, state, fruitless, leaseExpiresAt, position],
        [count === 5, count === 5 ? 'stalled' : 'running', count, null, moved.position],
      );
      assert.equal(lastError?.code, count === 5 ? 'stalled' : 'deadline');
    }
  });

  test('a lease is lost if a bucket refuses every renewal with 412 until it runs out', async (t) => {
    const { holder, server, writes } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    lease.keep(() => moved);
    server.fault = ({ kind }) => (kind === 'upload' ? { status: 412 } : undefined);
    for (const ms of [10_000, 100, 200, 400, 800, 1_600, 3_200, 6_400]) await a.wait(ms);
    await until(() => a.clock.slept.at(-1) === 8_000);
    assert.equal(a.run.stopReason, undefined, 'after 23 s it is still held');
    a.clock.advance(38_000);
    await until(() => a.run.aborted.aborted);
    assert.equal(a.run.stopReason, 'lease-lost');
    assert.equal(writes(), 9);
    await assert.rejects(lease.release('done', moved), { code: 'lease_lost' });
  });

  test('a lease that is released after a failure says what it failed with, and when', async (t) => {
    const { holder, checkpoint } = await start(t, released);
    const lease = await holder('a').lease();
    const before = Date.now();
    await lease.release('running', moved, { code: 'request_refused', message: 'no such project' });
    const { time, since, ...error } = (await checkpoint()).lastError!;
    assert.deepEqual(error, { code: 'request_refused', message: 'no such project' });
    assert.equal(since, time);
    assert.ok(before <= Date.parse(time) && Date.parse(time) <= Date.now());
  });

  test('a lease keeps what the invocation before failed with until it is released', async (t) => {
    const lastError = { code: 'request_refused', message: 'no such project', ...times };
    const { holder, checkpoint } = await start(t, { ...released, lastError });
    const a = holder('a');
    const lease = await a.lease();
    assert.deepEqual((await checkpoint()).lastError, lastError);
    lease.keep(() => movedTo(900));
    await a.wait(10_000);
    await until(() => a.clock.slept.filter((ms) => ms === 10_000).length === 2);
    const { position, lastError: kept } = await checkpoint();
    assert.deepEqual([position.offset, kept], [900, lastError]);
    await lease.release('running', movedTo(900));
  });

  test('a lease keeps the time since when invocations fail while they fail with the same code', async (t) => {
    const { holder, checkpoint } = await start(t, {
      ...released,
      lastError: { code: 'request_refused', message: 'no such project', ...times },
    });
    for (const message of ['no such project', 'another text']) {
      await (await holder('a').lease()).release('running', moved, { code: 'request_refused', message });
      const { lastError } = await checkpoint();
      assert.deepEqual([lastError?.message, lastError?.since], [message, times.since]);
      assert.ok(Date.parse(lastError!.time) > Date.parse(times.time));
    }
    await (await holder('a').lease()).release('running', moved, { code: 'credentials_refused', message: 'no' });
    const { lastError } = await checkpoint();
    assert.equal(lastError?.code, 'credentials_refused');
    assert.equal(lastError?.since, lastError?.time);
  });

  test('a lease that is released without a failure clears the last error', async (t) => {
    const { holder, checkpoint } = await start(t, {
      ...released,
      lastError: { code: 'request_refused', message: 'no such project', ...times },
    });
    await (await holder('a').lease()).release('running', moved, 'interrupted');
    assert.equal((await checkpoint()).lastError?.since, times.since, 'an interruption clears nothing');
    await (await holder('a').lease()).release('running', moved);
    assert.equal((await checkpoint()).lastError, null);
    await (await holder('b').lease()).release('running', moved, { code: 'request_refused', message: 'again' });
    const { lastError } = await checkpoint();
    assert.equal(lastError?.since, lastError?.time);
  });

  const faults: Record<string, StorageFault> = {
    'is answered 429': { status: 429 },
    'is answered 503': { status: 503 },
    'succeeds and is answered 503': { status: 503, apply: true },
    'is cut before it is done': { destroy: 'before' },
    'is cut after it is done': { destroy: 'after' },
  };
  const stages = ['first', 'renewing', 'last'] as const;
  for (const [name, fault] of Object.entries(faults)) {
    for (const stage of stages) {
      test(`a lease survives if its ${stage} write ${name}`, async (t) => {
        const { holder, server, checkpoint, writes } = await start(t);
        const a = holder('a');
        const isAtFault = () => writes() === stages.indexOf(stage) + 1;
        let isOver = false;
        server.fault = ({ kind }) => {
          if (kind !== 'upload' || isOver || !isAtFault()) return undefined;
          isOver = true;
          return fault;
        };
        const acquiring = a.lease();
        if (stage === 'first') await a.wait(1_000);
        const lease = await acquiring;
        lease.keep(() => moved);
        await a.wait(10_000);
        if (stage === 'renewing') await a.wait(1_000);
        await until(() => a.clock.slept.filter((ms) => ms === 10_000).length === 2);
        const releasing = lease.release('done', movedTo(1_000));
        if (stage === 'last') await a.wait(1_000);
        await releasing;
        const { state, holder: by, position, leaseExpiresAt } = await checkpoint();
        assert.deepEqual(
          { state, by, offset: position.offset, leaseExpiresAt },
          { state: 'done', by: 'a', offset: 1_000, leaseExpiresAt: null },
        );
        assert.equal(a.run.stopReason, undefined);
        const isApplied = 'apply' in fault || ('destroy' in fault && fault.destroy === 'after');
        assert.equal(writes(), isApplied ? 3 : 4, 'what succeeded is not written again');
      });
    }
  }

  test('a lease recognizes by its holder, after a 412, a write of its own that arrived late', async (t) => {
    const { holder, server, checkpoint, generation, writes } = await start(t);
    const a = holder('a', 9_000);
    const lease = await a.lease();
    const before = await generation();
    const isSecondThere = Promise.withResolvers<void>();
    const isFirstDone = Promise.withResolvers<void>();
    const faults = [{ after: isSecondThere.promise }, { after: isFirstDone.promise }];
    // Given up after 3 s, the first write is carried out while the second is on its way.
    server.fault = ({ kind }) => {
      if (kind !== 'upload') return undefined;
      const fault = faults.shift();
      if (faults.length === 0) isSecondThere.resolve();
      return fault;
    };
    const releasing = lease.release('running', moved);
    await a.wait(1_000);
    await isSecondThere.promise;
    while ((await generation()) === before);
    isFirstDone.resolve();
    await a.wait(100);
    await releasing;
    const { holder: by, position, leaseExpiresAt } = await checkpoint();
    assert.deepEqual({ by, offset: position.offset, leaseExpiresAt }, { by: 'a', offset: 812, leaseExpiresAt: null });
    assert.equal(writes(), 3, 'what came late is the checkpoint that was to be written');
    assert.equal(a.run.stopReason, undefined);
  });

  test('a lease survives if reading back what became of a write fails too', async (t) => {
    const { holder, server, checkpoint } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    const isUpload = firstOf('upload', { status: 503, apply: true });
    const isMetadata = firstOf('metadata', { status: 503 });
    const isRead = firstOf('read', { destroy: 'before' });
    server.fault = (request) => isUpload(request) ?? isMetadata(request) ?? isRead(request);
    const releasing = lease.release('done', moved);
    for (const ms of [1_000, 2_000, 4_000]) await a.wait(ms);
    await releasing;
    assert.equal((await checkpoint()).state, 'done');
  });

  test('a lease survives if a write gets no answer for a while', async (t) => {
    const { holder, server, checkpoint } = await start(t);
    const a = holder('a', 9_000);
    const lease = await a.lease();
    server.fault = firstOf('upload', { delayMs: 60_000 });
    const releasing = lease.release('done', moved);
    await a.wait(1_000);
    await releasing;
    assert.equal((await checkpoint()).state, 'done');
  });

  test('a lease is lost if another holder took over while this one was paused, which then writes nothing', async (t) => {
    const { holder, checkpoint, write, generation } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    lease.keep(() => moved);
    await write({ ...(await checkpoint()), leaseExpiresAt: expired.leaseExpiresAt });
    await holder('b').lease();
    const written = await generation();
    await a.wait(10_000);
    await a.wait(100);
    await until(() => a.run.aborted.aborted);
    assert.equal(a.run.stopReason, 'lease-lost');
    await assert.rejects(lease.release('done', moved), { name: 'ImportError', code: 'lease_lost' });
    assert.equal(await generation(), written);
    assert.equal((await checkpoint()).holder, 'b');
  });

  test('a lease is found to be lost at the last write, too', async (t) => {
    const { holder, checkpoint, write } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    await write({ ...(await checkpoint()), holder: 'b' });
    const releasing = assert.rejects(lease.release('done', moved), { code: 'lease_lost' });
    await a.wait(100);
    await releasing;
    assert.equal((await checkpoint()).state, 'running');
  });

  test('a lease is lost if the checkpoint is deleted', async (t) => {
    const { holder, bucket } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    await bucket.file(NAME).delete();
    const releasing = assert.rejects(lease.release('done', moved), { code: 'lease_lost' });
    await a.wait(100);
    await releasing;
    assert.deepEqual(await bucket.file(NAME).exists(), [false]);
  });

  test('a lease is lost if it runs out while nothing can be written', async (t) => {
    const { holder, server, writes } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    lease.keep(() => moved);
    server.fault = ({ kind }) => (kind === 'upload' ? { status: 503 } : undefined);
    for (const ms of [10_000, 1_000, 2_000, 4_000, 8_000, 16_000]) await a.wait(ms);
    assert.equal(a.run.stopReason, undefined, 'after 41 s it is still held');
    await until(() => a.clock.slept.at(-1) === 32_000);
    a.clock.advance(19_000);
    await until(() => a.run.aborted.aborted);
    assert.equal(a.run.stopReason, 'lease-lost');
    const written = writes();
    await assert.rejects(lease.release('done', moved), { code: 'lease_lost' });
    assert.equal(writes(), written);
  });

  test('a lease is lost if the process was paused for longer than it, and then nothing is written', async (t) => {
    const { holder, writes } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    lease.keep(() => moved);
    const written = writes();
    a.clock.advance(LEASE_MS + 1);
    await until(() => a.run.aborted.aborted);
    assert.equal(a.run.stopReason, 'lease-lost');
    await assert.rejects(lease.release('running', moved), { code: 'lease_lost' });
    assert.equal(writes(), written);
  });

  test('a lease is lost if writing it is forbidden, and releasing it says why', async (t) => {
    const { holder, server } = await start(t);
    const a = holder('a');
    const lease = await a.lease();
    lease.keep(() => moved);
    server.fault = ({ kind }) => (kind === 'upload' ? { status: 403 } : undefined);
    await a.wait(10_000);
    await until(() => a.run.aborted.aborted);
    await assert.rejects(lease.release('running', moved), { code: 403 });
  });

  const names = {
    'slashes and dots': '../a//b/./c',
    'percent signs': '100%25%2F%',
    emoji: '🦊/é',
    'question marks and hashes': 'a?b=c#d&e',
    '1,024 bytes': 'n'.repeat(1_024),
  };
  for (const [name, object] of Object.entries(names)) {
    test(`a lease can have a checkpoint whose name has ${name}`, async (t) => {
      const { bucket } = await startStored(t);
      const run = startRun(undefined, virtualClock());
      const acquired = await acquireLease({
        bucket,
        name: object,
        holder: 'a',
        leaseMs: LEASE_MS,
        run,
        isStored: async () => false,
      });
      assert.equal(acquired.kind, 'acquired');
      await (acquired as { lease: Lease }).lease.release('done', moved);
      const [files] = await bucket.getFiles();
      assert.deepEqual(
        files.map((file) => file.name),
        [object],
      );
    });
  }
});
