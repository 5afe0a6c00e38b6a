import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import type { Rejection } from '../../../functions/core/block.ts';
import { startRun } from '../../../functions/core/run.ts';
import { createStorage } from '../../../functions/storage/client.ts';
import { DeadLetterWriter } from '../../../functions/storage/dead-letters.ts';
import type { StorageFault } from '../../../local-cloud/storage/server.ts';
import { virtualClock } from '../../support/sending.ts';
import { startStored } from '../../support/stored.ts';

function rejection(line: number, record = `record ${line}`): Rejection {
  return {
    reason: { field: 'record', message: 'not JSON' },
    location: { bucket: 'b', object: 'o', generation: '1', line, offset: line * 10 },
    insertId: 'id',
    record: Buffer.from(record),
    bytes: record.length,
    through: undefined,
  };
}

/** A writer with the client of the functions; its objects are called 0, 1, … */
async function start(t: TestContext) {
  const { server, requests } = await startStored(t);
  const bucket = createStorage(server.url).bucket('bucket');
  const clock = virtualClock();
  const run = startRun(undefined, clock);
  let next = 0;
  return {
    server,
    requests,
    bucket,
    clock,
    run,
    writer: new DeadLetterWriter(
      async () => bucket,
      () => `${next++}`,
      run,
    ),
    writes: () => requests.filter(({ kind }) => kind === 'upload').length,
    /** The lines of the dead letters in each object. */
    async written(): Promise<number[][]> {
      const [files] = await bucket.getFiles();
      const contents = await Promise.all(files.map(async (file) => (await file.download())[0].toString()));
      return contents.map((content) =>
        content
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line).source.line),
      );
    },
  };
}

describe('DeadLetterWriter', { concurrency: true }, () => {
  test('write resolves when the dead letters are in the bucket, and not before', async (t) => {
    const { writer, server, written } = await start(t);
    const order: string[] = [];
    server.once('finalize', () => order.push('stored'));
    server.fault = () => ({ delayMs: 50 });
    const writing = writer.write([rejection(1), rejection(2)]).then(() => order.push('resolved'));
    writer.flush();
    await writing;
    server.fault = undefined;
    assert.deepEqual(order, ['stored', 'resolved']);
    assert.deepEqual(await written(), [[1, 2]]);
    assert.equal(writer.waitingBytes, 0);
  });

  test('dead letters that arrive within a second are written into one object', async (t) => {
    const { writer, clock, written } = await start(t);
    const writing = [writer.write([rejection(1)])];
    clock.advance(999);
    writing.push(writer.write([rejection(2)]));
    clock.advance(1);
    await Promise.all(writing);
    assert.deepEqual(await written(), [[1, 2]]);
  });

  test('dead letters are written at once while the run winds down', async (t) => {
    const { writer, run, written } = await start(t);
    const before = writer.write([rejection(1)]);
    run.stop('deadline');
    await before;
    await writer.write([rejection(2)]);
    assert.deepEqual(await written(), [[1], [2]]);
  });

  test('many dead letters are written into objects of some megabytes, and waitingBytes counts what is not written yet', async (t) => {
    const { writer, written } = await start(t);
    const rejections = Array.from({ length: 25_000 }, (_, line) => rejection(line));
    const writing = writer.write(rejections);
    assert.ok(writer.waitingBytes > 25_000 * 200);
    writer.flush();
    await writing;
    const objects = await written();
    assert.ok(objects.length >= 2);
    assert.equal(objects.flat().length, 25_000);
    assert.equal(writer.waitingBytes, 0);
  });

  test('dead letters are in the order of their records, and those of one record are in one object', async (t) => {
    const { writer, run, written } = await start(t);
    const large = (line: number) => rejection(line, 'x'.repeat(1_500_000));
    const event = (index: number) => {
      const it = large(2);
      return { ...it, location: { ...it.location, event: index } };
    };
    const writing = writer.write([large(3), event(0), event(1), event(2), large(1)]);
    run.stop('deadline');
    await writing;
    assert.deepEqual(await written(), [[1, 2, 2, 2], [3]]);
  });

  const faults: Record<string, StorageFault> = {
    'is answered 429': { status: 429 },
    'is answered 503': { status: 503 },
    'succeeds and is answered 503': { status: 503, apply: true },
    'is cut before it is done': { destroy: 'before' },
    'is cut after it is done': { destroy: 'after' },
  };
  for (const [name, fault] of Object.entries(faults)) {
    test(`each dead letter is written once if a write ${name}`, async (t) => {
      const { writer, server, written } = await start(t);
      server.fault = ({ kind, sequence }) => (kind === 'upload' && sequence === 1 ? fault : undefined);
      const writing = writer.write([rejection(1), rejection(2)]);
      writer.flush();
      await writing;
      server.fault = undefined;
      assert.deepEqual(await written(), [[1, 2]]);
    });
  }

  test('dead letters are written by an account that may create objects and do nothing else, even if an answer is lost', async (t) => {
    const { writer, server, requests, written } = await start(t);
    server.fault = ({ kind, sequence }) => {
      if (kind !== 'upload') return { status: 403 };
      return sequence === 1 ? { status: 503, apply: true } : undefined;
    };
    const writing = writer.write([rejection(1)]);
    writer.flush();
    await writing;
    assert.equal(writer.waitingBytes, 0);
    server.fault = undefined;
    assert.deepEqual(
      requests.map(({ kind }) => kind),
      ['upload', 'upload'],
    );
    assert.deepEqual(await written(), [[1]]);
  });

  test('an object whose name is taken is not overwritten', async (t) => {
    const { writer, bucket } = await start(t);
    await bucket.file('0').save('an earlier attempt', { resumable: false });
    const writing = writer.write([rejection(1)]);
    writer.flush();
    await writing;
    assert.equal((await bucket.file('0').download()).toString(), 'an earlier attempt');
  });

  test('every waiting caller learns that a write failed, and the next object is written', async (t) => {
    const { writer, server, written } = await start(t);
    server.fault = ({ kind, object }) => (kind === 'upload' && object === '0' ? { status: 403 } : undefined);
    const failing = [writer.write([rejection(1)]), writer.write([rejection(2)])];
    writer.flush();
    const next = writer.write([rejection(3)]);
    writer.flush();
    for (const { status } of await Promise.allSettled(failing)) assert.equal(status, 'rejected');
    await next;
    assert.deepEqual(await written(), [[3]]);
  });

  test('nothing is written after the run is aborted', async (t) => {
    const { writer, run, writes, written } = await start(t);
    const writing = writer.write([rejection(1)]);
    run.stop('lease-lost');
    run.abort();
    writer.flush();
    await assert.rejects(writing, (error) => error === run.stopping.reason);
    for (let round = 0; round < 3; round++) assert.deepEqual(await written(), []);
    assert.equal(writes(), 0);
  });

  test('write does not wait for a request in progress once the run is aborted', async (t) => {
    const { writer, run, server } = await start(t);
    server.fault = () => ({ delayMs: 60_000 });
    const writing = writer.write([rejection(1)]);
    writer.flush();
    await once(server, 'request');
    run.abort();
    await assert.rejects(writing, (error) => error === run.stopping.reason);
  });

  test('letters that are far larger than their records wait in bounded memory', async (t) => {
    const { writer, server, clock } = await start(t);
    const attributes = { large: 'x'.repeat(64_000) };
    const rejections = Array.from({ length: 500 }, (_, index) => ({
      ...rejection(index),
      location: { subscription: 's', messageId: 'm', publishTime: 't', index, attributes },
    }));
    let most = 0;
    server.on('request', () => {
      most = Math.max(most, writer.waitingBytes);
    });
    const written = writer.write(rejections).then(() => true);
    for (let isWritten: unknown = false; isWritten !== true; ) {
      clock.advance(1_000);
      isWritten = await Promise.race([written, once(server, 'request')]);
    }
    assert.ok(most < 13_000_000, `${most} bytes of 32 MB waited at once`);
  });
});
