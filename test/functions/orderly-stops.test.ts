import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startRun } from '../../functions/core/run.ts';
import { seededRandom } from '../../local-cloud/soak/random.ts';
import { eventLines } from '../support/event.ts';
import { startGenerations } from '../support/generations.ts';

const EVENTS = 50_000;
/** Printed, so that a failure can be repeated. */
const SEED = Number(process.env.STOPS_SEED ?? Date.now() % 1_000_000);

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

  const contents = {
    lines: (events: string[]) => Buffer.from(`${events.join('\n')}\n`),
    'one array on one line': (events: string[]) => Buffer.from(`[${events.join(',')}]`),
    'pretty-printed events, compressed': (events: string[]) =>
      gzipSync(events.map((event) => JSON.stringify(JSON.parse(event), null, 1)).join('\n')),
  };
  for (const [name, contentOf] of Object.entries(contents)) {
    test(`sends no event of ${name} twice over many stops, and loses none`, async (t) => {
      const { mixpanel, upload, checkpoint } = generations;
      const next = seededRandom(SEED);
      t.diagnostic(`STOPS_SEED=${SEED}`);
      const object = await upload(name, contentOf(eventLines(EVENTS, `${name.length}`)));
      const before = mixpanel.received;
      let stops = 0;
      let moved = 0;
      let lastOffset = 0;
      for (;;) {
        const run = startRun();
        stopSoon(next, () => run.stop(stops % 2 === 0 ? 'deadline' : 'shutdown'));
        if (await generations.invoke(object, run)) break;
        stops++;
        const { position } = await checkpoint(object);
        if (position.offset > lastOffset) moved++;
        lastOffset = position.offset;
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
