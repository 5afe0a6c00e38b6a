import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { startRun } from '../../functions/core/run.ts';
import { seededRandom } from '../../local-cloud/soak/random.ts';
import { avroOf } from '../support/avro.ts';
import { eventLines } from '../support/event.ts';
import { startGenerations } from '../support/generations.ts';

const EVENTS = 50_000;
/** Printed, so that a failure can be repeated. */
const SEED = Number(process.env.STOPS_SEED ?? Date.now() % 1_000_000);

/** Contents made of the texts of events. */
const contents = {
  lines: (events: string[]) => Buffer.from(`${events.join('\n')}\n`),
  'one array on one line': (events: string[]) => Buffer.from(`[${events.join(',')}]`),
  'pretty-printed events, compressed': (events: string[]) =>
    gzipSync(events.map((event) => JSON.stringify(JSON.parse(event), null, 1)).join('\n')),
  'lines in several frames of zstd': (events: string[]) => {
    const half = events.length >> 1;
    const halves = [events.slice(0, half), events.slice(half)];
    return Buffer.concat(halves.map((lines) => zstdCompressSync(`${lines.join('\n')}\n`)));
  },
  'rows of Avro': (events: string[]) => avroOf(events, 730),
  'rows of Avro in one block, compressed': (events: string[]) => gzipSync(avroOf(events, events.length)),
};

describe('an import that is stopped in an orderly way', { timeout: 120_000 }, () => {
  let generations: Awaited<ReturnType<typeof startGenerations>>;

  before(async () => {
    generations = await startGenerations({
      IMPORT_MAX_BATCH_EVENTS: '100',
      IMPORT_MAX_CONCURRENCY: '8',
      IMPORT_GZIP_LEVEL: '1',
    });
  });

  after(() => generations.close());

  for (const [name, contentOf] of Object.entries(contents)) {
    test(`sends no event of ${name} twice over many stops, and loses none`, async (t) => {
      const { mixpanel, upload, checkpoint } = generations;
      const next = seededRandom(SEED);
      t.diagnostic(`STOPS_SEED=${SEED}`);
      const object = await upload(name, contentOf(eventLines(EVENTS, `${name.length}`)));
      const before = mixpanel.received;
      let stops = 0;
      let moved = 0;
      let last = 0;
      for (;;) {
        const run = startRun();
        stopSoon(next, () => run.stop(stops % 2 === 0 ? 'deadline' : 'shutdown'));
        if (await generations.invoke(object, run)) break;
        stops++;
        const { counts } = await checkpoint(object);
        if (counts.read > last) moved++;
        last = counts.read;
      }
      t.diagnostic(`${stops} stops, ${moved} of them after the checkpoint had moved`);
      assert.equal(mixpanel.received - before, EVENTS, 'every event is sent once');
      const { counts } = await checkpoint(object);
      assert.deepEqual(counts, { read: EVENTS, expanded: 0, imported: EVENTS, rejected: 0, dropped: 0 });
      assert.ok(stops >= 50, `${stops} stops`);
      assert.ok(moved > stops / 2, `${moved} of ${stops} moved the checkpoint`);
    });
  }

  /** Answers take a random time, and after some of them `stop` is called. */
  function stopSoon(next: () => number, stop: () => void): void {
    let left = 1 + Math.floor(next() * 6);
    const afterMs = next() * 12;
    generations.mixpanel.fault = () => {
      if (--left === 0) setTimeout(stop, afterMs);
      return { delayMs: Math.floor(next() * 12) };
    };
  }
});

describe('an import that is stopped while a batch is split', { timeout: 60_000 }, () => {
  let generations: Awaited<ReturnType<typeof startGenerations>>;

  before(async () => {
    // Mixpanel takes fewer events than a batch has, so the first batch of every invocation is split.
    generations = await startGenerations({ IMPORT_GZIP_LEVEL: '1', IMPORT_MAX_CONCURRENCY: '1' }, { maxEvents: 300 });
  });

  after(() => generations.close());

  for (const [name, contentOf] of Object.entries(contents)) {
    test(`sends no event of ${name} twice, and moves the checkpoint at every stop`, async () => {
      const { mixpanel, upload, checkpoint } = generations;
      const events = eventLines(5_000, `split-${name.length}`);
      const object = await upload(name, contentOf(events));
      const before = mixpanel.received;
      let stops = 0;
      let last = 0;
      for (;;) {
        const run = startRun();
        // Once a part is accepted, while others of its batch are not sent.
        const onRequest = ({ status }: { status: number }) => {
          if (status === 200) run.stop('deadline');
        };
        mixpanel.on('request', onRequest);
        const isDone = await generations.invoke(object, run);
        mixpanel.off('request', onRequest);
        if (isDone) break;
        stops++;
        const { counts } = await checkpoint(object);
        assert.ok(counts.read > last, 'the checkpoint moved');
        assert.equal(counts.imported, mixpanel.received - before, 'it counts exactly what was accepted');
        last = counts.read;
      }
      assert.ok(stops > 10, `${stops} stops`);
      assert.equal(mixpanel.received - before, events.length, 'every event is sent once');
      const { counts } = await checkpoint(object);
      assert.deepEqual(counts, { read: 5_000, expanded: 0, imported: 5_000, rejected: 0, dropped: 0 });
    });
  }
});
