import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { startRun } from '../../functions/core/run.ts';
import { createStorage } from '../../functions/storage/client.ts';
import { fixture, linesOf } from '../support/formats.ts';
import { startGenerations } from '../support/generations.ts';

const expected = linesOf('events.ndjson').map((line) => JSON.stringify(JSON.parse(line)));

describe('objects in formats with rows', { timeout: 120_000 }, () => {
  let generations: Awaited<ReturnType<typeof startGenerations>>;

  before(async () => {
    generations = await startGenerations({ IMPORT_MAX_BATCH_EVENTS: '7', IMPORT_MAX_CONCURRENCY: '1' });
  });
  beforeEach(() => {
    generations.logged.length = 0;
  });
  after(() => generations.close());

  for (const [name, content] of [
    ['Avro', fixture('events-deflate.avro')],
    ['Avro in gzip', gzipSync(fixture('events-null.avro'))],
    ['Parquet', fixture('events-snappy.parquet')],
    ['Parquet in zstd', zstdCompressSync(fixture('events-v2.parquet'))],
  ] as const) {
    test(`importObject sends every event of ${name} once, although it is stopped after each request`, async () => {
      const { mixpanel, upload, checkpoint } = generations;
      const object = await upload(name, content);
      const known = mixpanel.received;
      let invocations = 0;
      for (let isDone = false; !isDone; invocations++) {
        const run = startRun();
        const stop = () => run.stop(invocations % 2 === 0 ? 'deadline' : 'shutdown');
        mixpanel.once('request', stop);
        isDone = await generations.invoke(object, run);
        mixpanel.off('request', stop);
        assert.ok(invocations < 40);
      }
      assert.equal(mixpanel.received - known, expected.length, 'every event is sent once');
      const { counts } = await checkpoint(object);
      assert.deepEqual(counts, { read: 60, expanded: 0, imported: 60, rejected: 0, dropped: 0 });
      assert.ok(invocations >= 9, `${invocations} invocations`);
    });
  }

  test('importObject keeps rows that are no events as they are rendered, with their place', async () => {
    const { upload, checkpoint, storage } = generations;
    const object = await upload('no-events', fixture('types.parquet'));
    assert.ok(await generations.invoke(object));
    const { counts } = await checkpoint(object);
    assert.deepEqual(counts, { read: 3, expanded: 0, imported: 0, rejected: 3, dropped: 0 });
    const bucket = createStorage(storage.url).bucket('state');
    const [files] = await bucket.getFiles({ prefix: 'dead-letters/objects/import/no-events/' });
    const contents = await Promise.all(files.map((file) => file.download()));
    const letters = Buffer.concat(contents.flat())
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      letters.map(({ record }) => record),
      linesOf('types-parquet.ndjson'),
    );
    for (const [row, { reason, source, through }] of letters.entries()) {
      assert.deepEqual(source, { ...object, offset: 4, row });
      assert.equal(reason.field, 'event');
      assert.match(reason.message, /^missing: not a Mixpanel event/);
      assert.equal(through, undefined);
    }
  });

  test('importObject sets an object aside whose row group does not fit into memory, with one ERROR', async (t) => {
    const { upload, checkpoint, logged } = generations;
    t.mock.method(process, 'constrainedMemory', () => 160_001_000);
    const object = await upload('large', fixture('events-none.parquet'));
    assert.equal(await generations.invoke(object), false);
    const { state, counts } = await checkpoint(object);
    assert.deepEqual([state, counts.read], ['stalled', 0]);
    const errors = logged.filter(({ severity }) => severity === 'ERROR');
    assert.deepEqual(
      errors.map(({ message, code }) => [message, code]),
      [['object stalled', 'memory_exceeded']],
    );
    assert.match(String(errors[0]!.error), /Row group 0 of the Parquet file needs about 153 MiB of memory/);
  });
});
