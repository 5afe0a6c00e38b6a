import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { type Block, type Location, noCounts, type Position, START } from '../../../functions/core/block.ts';
import { ImportError } from '../../../functions/core/errors.ts';
import type { MixpanelEvent, Transform } from '../../../functions/core/event.ts';
import { readBlocks } from '../../../functions/core/formats/read-blocks.ts';
import { Ledger } from '../../../functions/core/ledger.ts';
import { startRun, systemClock } from '../../../functions/core/run.ts';
import type { InjectedFault } from '../../../local-cloud/mixpanel/server.ts';
import { eventLines, eventText, ndjson } from '../../support/event.ts';
import { contextOf } from '../../support/parsing.ts';
import { blocksOf, chunksOf, type Pipeline, pieces, sourceWith, startPipeline } from '../../support/pipeline.ts';
import { virtualClock } from '../../support/sending.ts';

/** Every so many bytes a block, of one to three events. */
const SMALL = 250;

/** A source that gives out what it is told to, and knows whether it was closed. */
function controlled() {
  const waiting: PromiseWithResolvers<IteratorResult<Block[]>>[] = [];
  const ready: Promise<IteratorResult<Block[]>>[] = [];
  const put = (result: Promise<IteratorResult<Block[]>>) => {
    const taker = waiting.shift();
    if (taker === undefined) ready.push(result);
    else result.then(taker.resolve, taker.reject);
  };
  const source = {
    pulled: 0,
    isClosed: false,
    give: (blocks: Block[]) => put(Promise.resolve({ done: false, value: blocks })),
    end: () => put(Promise.resolve({ done: true, value: undefined })),
    fail(error: unknown) {
      const failed = Promise.reject(error);
      failed.catch(() => {});
      put(failed);
    },
    [Symbol.asyncIterator]: () => ({
      next() {
        source.pulled++;
        const result = ready.shift();
        if (result !== undefined) return result;
        const taker = Promise.withResolvers<IteratorResult<Block[]>>();
        waiting.push(taker);
        return taker.promise;
      },
      async return(): Promise<IteratorResult<Block[]>> {
        source.isClosed = true;
        return { done: true, value: undefined };
      },
    }),
  };
  return source;
}

async function blocksIn(content: string | readonly string[], transform?: Transform): Promise<Block[]> {
  return (await Array.fromAsync(blocksOf(content, { transform }))).flat();
}

function idsAt({ server }: Pipeline): string[] {
  return server.events().map(({ properties }) => String(properties.$insert_id));
}

function ids(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

function sorted(texts: string[]): string[] {
  return [...texts].sort();
}

describe('importBlocks', { timeout: 40_000 }, () => {
  describe('the accounts', { timeout: 8_000 }, () => {
    test('an import accounts for records that are valid, invalid, or refused by Mixpanel', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 3, maxBytes: 10_000_000 } });
      const content = [
        eventText('a'),
        'no event',
        eventText('b', { time: 'yesterday' }),
        '{"event":"e"}',
        eventText('c'),
        eventText('d', { distinct_id: 'undefined' }),
        '{"event":"e","properties":{"$insert_id":{"toString":1},"time":1700000000,"distinct_id":""}}',
        eventText('e'),
      ].join('\n');
      assert.equal(await pipeline.import(blocksOf(content)), true);
      assert.deepEqual(pipeline.counts, { read: 8, expanded: 0, imported: 3, rejected: 5, dropped: 0 });
      assert.deepEqual(pipeline.ledger.counts, pipeline.counts);
      const end = { offset: Buffer.byteLength(content), line: 8, checksum: crc32(content) };
      assert.deepEqual(pipeline.ledger.position, end);
      assert.deepEqual(sorted(idsAt(pipeline)), ['a', 'c', 'e']);
      const rejected = pipeline.rejections.map(({ location, reason }) => [lineOf(location), reason.field]);
      assert.deepEqual(
        rejected.sort(([a], [b]) => Number(a) - Number(b)),
        [
          [2, 'record'],
          [3, 'properties.time'],
          [4, 'properties'],
          [6, 'properties.distinct_id'],
          [7, 'properties.$insert_id'],
        ],
      );
      for (const { location, record } of pipeline.rejections) {
        assert.equal(record.toString(), content.split('\n')[lineOf(location) - 1]);
      }
    });

    test('a refused record keeps its bytes although the next blocks are read while others of its block wait', async (t) => {
      const pipeline = await startPipeline(t, {
        sender: { maxEvents: 2, maxBytes: 10_000_000 },
        import: { maxConcurrency: 1 },
      });
      const lines = Array.from({ length: 60 }, (_, index) => textOf(index % 3 === 0 ? 'refused' : 'good', index));
      assert.equal(await pipeline.import(blocksOf(lines.join('\n'), { blockBytes: 1_000 })), true);
      assert.ok(pipeline.settled.length > 3, 'there is a next block');
      assert.equal(pipeline.rejections.length, 20);
      for (const { location, record } of pipeline.rejections) {
        assert.equal(record.toString(), lines[lineOf(location) - 1]);
      }
    });

    test('a refused record of a transform keeps its bytes although the next blocks have been read', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 1_000, maxBytes: 10_000_000 } });
      const lines = Array.from({ length: 60 }, (_, index) => textOf(index % 3 === 0 ? 'refused' : 'good', index));
      const transform = ({ event, properties }: MixpanelEvent) => ({ event, properties });
      assert.equal(await pipeline.import(blocksOf(lines.join('\n'), { blockBytes: 1_000, transform })), true);
      assert.ok(pipeline.settled.length > 3, 'there is a next block');
      assert.equal(pipeline.rejections.length, 20);
      for (const { location, record } of pipeline.rejections) {
        assert.equal(record.toString(), lines[lineOf(location) - 1]);
      }
    });

    test('an import accounts for records of which a transform makes none, one or several events, or throws', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 2, maxBytes: 10_000_000 } });
      const transform = async ({ event, properties }: MixpanelEvent) => {
        const { kind, $insert_id, ...rest } = properties;
        if (kind === 'none') return null;
        if (kind === 'one') return { event, properties: { ...rest, $insert_id } };
        if (kind === 'three') return [1, 2, 3].map((n) => ({ event: `${event}${n}`, properties: rest }));
        if (kind === 'half bad')
          return [
            { event, properties: rest },
            { event, properties: { ...rest, time: -1 } },
          ];
        throw new Error(`no such kind`);
      };
      const kinds = ['none', 'one', 'three', 'half bad', 'other', 'none', 'three'];
      const lines = kinds.map((kind, index) => eventText(`id-${index}`, { kind }));
      const run = startRun();
      const blocks = blocksOf(['no event', ...lines], { transform });
      assert.equal(await pipeline.import(blocks, run), true);
      assert.deepEqual(pipeline.counts, { read: 8, expanded: 5, imported: 8, rejected: 3, dropped: 2 });
      assert.deepEqual(sorted(pipeline.server.events().map(({ event }) => event)), [
        'e',
        'e',
        'e1',
        'e1',
        'e2',
        'e2',
        'e3',
        'e3',
      ]);
      assert.equal(new Set(idsAt(pipeline)).size, 8);
      assert.equal(run.stats.accepted, 8);
      const refused = pipeline.rejections.find(({ reason }) => reason.field === 'properties.time');
      assert.equal(refused?.location.event, 1);
      assert.equal(refused?.record.toString(), lines[3]);
    });

    test('very many events of one record are sent, refused or rejected, each by itself', async (t) => {
      const pipeline = await startPipeline(t);
      const events = 30_000;
      const transform: Transform = ({ properties }) =>
        Array.from({ length: events }, (_, n) =>
          n % 10_000 === 7
            ? (null as never)
            : { event: `e${n}`, properties: n % 10_000 === 8 ? { ...properties, time: -1 } : properties },
        );
      const { $insert_id: _, ...properties } = JSON.parse(eventText('x')).properties;
      const blocks = blocksOf([JSON.stringify({ event: 'all', properties }), eventText('after')], {
        transform: (record, context) => (record.event === 'all' ? transform(record, context) : record),
      });
      assert.equal(await pipeline.import(blocks), true);
      assert.deepEqual(pipeline.counts, {
        read: 2,
        expanded: events - 1,
        imported: events - 5,
        rejected: 6,
        dropped: 0,
      });
      assert.equal(new Set(idsAt(pipeline)).size, events - 5);
      assert.deepEqual(
        sorted(pipeline.rejections.map(({ location }) => String(location.event))),
        sorted(['7', '8', '10007', '10008', '20007', '20008']),
      );
    });

    test('a record whose transform blocks for too long is told with its place', async (t) => {
      const pipeline = await startPipeline(t);
      let now = 0;
      const clock = { ...systemClock, now: () => now };
      const transform: Transform = (record) => {
        now += record.event === 'slow' ? 30_000 : 29_999;
        return record;
      };
      const told: unknown[] = [];
      const lines = [eventText('a'), eventText('b').replace('"e"', '"slow"'), eventText('c')];
      const isComplete = await pipeline.import(blocksOf(lines, { transform }), startRun(undefined, clock), {
        slowRecordMs: 30_000,
        onSlowRecord: (location, blockedMs) => told.push([lineOf(location), blockedMs]),
      });
      assert.equal(isComplete, true);
      assert.deepEqual(told, [[2, 30_000]]);
    });

    test('timers fire while very many events of one record are serialized', async (t) => {
      const pipeline = await startPipeline(t);
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      t.after(() => clearInterval(timer));
      const transform = () => {
        turns = 0;
        return Array.from({ length: 50_000 }, () => null as never);
      };
      assert.equal(await pipeline.import(blocksOf([eventText('x')], { transform })), true);
      assert.equal(pipeline.counts.rejected, 50_000);
      assert.ok(turns >= 10, `timers fired ${turns} times`);
    });

    test('an import without records counts nothing and sends nothing', async (t) => {
      const pipeline = await startPipeline(t);
      assert.equal(await pipeline.import(blocksOf('')), true);
      assert.equal(await pipeline.import(blocksOf('\n \n')), true);
      assert.deepEqual(pipeline.counts, noCounts());
      assert.deepEqual(pipeline.server.requests, []);
    });

    test('an import sends every event if the limits of Mixpanel are smaller than configured', async (t) => {
      const pipeline = await startPipeline(t, { server: { maxEvents: 7, maxBytes: 2_000 } });
      assert.equal(await pipeline.import(blocksOf(eventLines(100))), true);
      assert.deepEqual(pipeline.counts, { ...noCounts(), read: 100, imported: 100 });
      assert.deepEqual(sorted(idsAt(pipeline)), sorted(ids(100, 'id')));
    });

    test('an import fails if the accounts of a block do not balance', async (t) => {
      const pipeline = await startPipeline(t);
      const blocks = await blocksIn(eventLines(3));
      blocks[0]!.counts.read++;
      const source = controlled();
      source.give(blocks);
      source.end();
      await assert.rejects(
        pipeline.import(source),
        (error) => error instanceof ImportError && error.code === 'accounts_unbalanced',
      );
      assert.deepEqual(pipeline.settled, []);
    });
  });

  test('an import counts each record exactly once, whatever is answered in whatever order, and wherever it is stopped and resumed', async (t) => {
    const tooLarge: InjectedFault = { status: 413 };
    const answer: fc.Arbitrary<InjectedFault | undefined> = fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      fc.constantFrom<InjectedFault>(
        { status: 500 },
        { status: 429 },
        { status: 503, ingest: true },
        tooLarge,
        { status: 200, body: 'hello' },
        { destroy: 'before' },
        { destroy: 'after' },
        { report: 0 },
      ),
    );
    const faults = fc.array(
      fc.tuple(answer, fc.nat(6)).map(([next, delayMs]) => (events: number): InjectedFault => {
        // One event alone that is too large is rejected.
        const isLeftOut = next === undefined || (next === tooLarge && events === 1);
        return { delayMs, ...(isLeftOut ? {} : { next }) };
      }),
      { maxLength: 12 },
    );
    const line = fc.constantFrom('good', 'good', 'spliced', 'bad', 'refused', 'none', 'two');
    const pipeline = await startPipeline(t);
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { minLength: 1, maxLength: 60 }),
        faults,
        fc.array(fc.nat(25), { maxLength: 3 }),
        fc.record({
          maxConcurrency: fc.integer({ min: 1, max: 4 }),
          maxBytesInFlight: fc.integer({ min: 1, max: 3_000 }),
          maxUnsettledBytes: fc.nat(3_000),
        }),
        fc.boolean(),
        async (kinds, answers, deadlines, limits, isTransformed) => {
          pipeline.server.reset();
          pipeline.server.fault = ({ sequence, events }) => answers[sequence]?.(events);
          Object.assign(pipeline.sender.limits, { maxEvents: 5, maxBytes: 2_000 });
          const content = Buffer.from(kinds.map((kind, index) => `${textOf(kind, index)}\n`).join(''));
          const transform = ({ event, properties: { kind, ...properties } }: MixpanelEvent) => {
            if (kind === 'none') return null;
            return kind === 'two'
              ? [
                  { event, properties },
                  { event: 'e2', properties },
                ]
              : { event, properties };
          };
          const counts = noCounts();
          const rejected = new Set<number>();
          let position = START;
          for (let round = 0; ; round++) {
            const deadlineMs = deadlines[round];
            const run = startRun(deadlineMs);
            const ledger = new Ledger(position);
            const blocks = resumedBlocks(content, position, isTransformed ? transform : undefined);
            const isComplete = await pipeline.import(blocks, run, {
              ...limits,
              settlement: {
                get unsettledBytes() {
                  return ledger.unsettledBytes;
                },
                open: (block) => ledger.open(block),
                async settle(block) {
                  if (block.rejections.length > 0) await sleep(block.rejections.length % 3);
                  for (const { location } of block.rejections) rejected.add(lineOf(location));
                  ledger.settle(block);
                },
                flush() {},
              },
            });
            run.end();
            for (const key of Object.keys(counts) as (keyof typeof counts)[]) counts[key] += ledger.counts[key];
            position = ledger.position;
            if (isComplete) break;
            assert.ok(deadlineMs !== undefined, 'only a deadline ends it before its end');
          }
          const of = (kind: string) => kinds.filter((other) => other === kind).length;
          const [none, two] = isTransformed ? [of('none'), of('two')] : [0, 0];
          assert.deepEqual(counts, {
            read: kinds.length,
            expanded: two,
            imported: kinds.length + two - none - of('bad') - of('refused'),
            rejected: of('bad') + of('refused'),
            dropped: none,
          });
          assert.equal(position.offset, content.length);
          assert.equal(
            pipeline.server.events().length,
            counts.imported,
            'every event has arrived, and once to the eye of a report',
          );
          assert.equal(rejected.size, counts.rejected);
        },
      ),
      { numRuns: 40, interruptAfterTimeLimit: 5_000 },
    );
  });

  describe('settling', { timeout: 8_000 }, () => {
    test('blocks settle in the order of their answers, while the watermark waits for the first block', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 4, maxBytes: 10_000_000 } });
      const { server, ledger, settled } = pipeline;
      const others = Promise.withResolvers<void>();
      server.fault = ({ sequence }) =>
        sequence === 0
          ? { delayMs: 150 }
          : { delayMs: 5, next: { status: sequence % 3 === 0 ? 503 : 200, ingest: true } };
      server.on('request', () => server.received >= 16 && others.resolve());
      const run = startRun();
      const content = ndjson(eventLines(20));
      const result = pipeline.import(blocksOf(content, { blockBytes: SMALL }), run);
      await others.promise;
      const before = ledger.position.offset;
      assert.equal(await result, true);
      assert.ok(before < content.length / 4, 'the watermark did not move over what was not answered');
      assert.notDeepEqual(
        settled.map(({ end }) => end.offset),
        settled.map(({ end }) => end.offset).sort((a, b) => a - b),
      );
      assert.equal(ledger.position.offset, content.length);
      assert.deepEqual(ledger.counts, { ...noCounts(), read: 20, imported: 20 });
    });

    test('a block is cut where batches end, and each part settles with its batch', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 2, maxBytes: 10_000_000 } });
      const { server, settled, ledger } = pipeline;
      server.fault = ({ sequence }) => (sequence === 2 ? { delayMs: 60 } : undefined);
      assert.equal(await pipeline.import(blocksOf(eventLines(10))), true);
      assert.equal(server.requests.length, 5);
      assert.deepEqual(
        settled.map(({ counts }) => counts),
        Array(5).fill({ ...noCounts(), read: 2, imported: 2 }),
      );
      assert.deepEqual(ledger.counts, { ...noCounts(), read: 10, imported: 10 });
    });

    test('a block of a message settles as a whole when all of its batches are answered', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 2, maxBytes: 10_000_000 } });
      const { server, settled } = pipeline;
      server.fault = ({ sequence }) => (sequence === 2 ? { delayMs: 60 } : undefined);
      server.on('request', ({ sequence }) => {
        if (sequence !== 2) assert.equal(settled.length, 0);
      });
      const [block] = await blocksIn(eventLines(10));
      const { positionAt: _, ...message } = block!;
      const source = controlled();
      source.give([message]);
      source.end();
      assert.equal(await pipeline.import(source), true);
      assert.equal(server.requests.length, 5);
      assert.equal(settled.length, 1);
    });

    test('a block is not cut within a record whose events fill several batches', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 2, maxBytes: 10_000_000 } });
      const transform: Transform = ({ event, properties: { $insert_id, ...properties } }) =>
        $insert_id === 'id-1' ? Array(5).fill({ event, properties }) : { event, properties };
      assert.equal(await pipeline.import(blocksOf(eventLines(4), { transform })), true);
      assert.deepEqual(pipeline.ledger.counts, { read: 4, expanded: 4, imported: 8, rejected: 0, dropped: 0 });
      assert.equal(new Set(idsAt(pipeline)).size, 8);
      assert.equal(
        pipeline.settled.reduce((sum, { counts }) => sum + counts.read, 0),
        4,
      );
    });

    test('an import flushes the settlement at its end, and then waits for it', async (t) => {
      const pipeline = await startPipeline(t);
      const steps: string[] = [];
      const written = Promise.withResolvers<void>();
      const isComplete = await pipeline.import(
        blocksOf('no event\n'),
        startRun(),
        {},
        {
          settle: () => written.promise.then(() => void steps.push('settled')),
          flush: () => {
            steps.push('flush');
            setImmediate(written.resolve);
          },
        },
      );
      assert.equal(isComplete, true);
      assert.deepEqual(steps, ['flush', 'settled']);
    });
  });

  describe('what is in flight', { timeout: 8_000 }, () => {
    test('an import has as many batches in flight as allowed, and not more', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxConcurrency: 40, maxEvents: 2, maxBytes: 10_000_000 } });
      pipeline.server.fault = () => ({ delayMs: 10 });
      assert.equal(
        await pipeline.import(blocksOf(eventLines(60), { blockBytes: SMALL }), startRun(), { maxConcurrency: 3 }),
        true,
      );
      assert.equal(pipeline.server.maxInFlight, 3);
      assert.equal(pipeline.server.received, 60);
    });

    test('an import has as many bytes in flight as allowed, and not more', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxConcurrency: 40, maxEvents: 2, maxBytes: 10_000_000 } });
      pipeline.server.fault = () => ({ delayMs: 10 });
      const lines = eventLines(40, 'id', { padding: 'x'.repeat(1_000) });
      assert.equal(
        await pipeline.import(blocksOf(lines, { blockBytes: 2_000 }), startRun(), { maxBytesInFlight: 5_000 }),
        true,
      );
      assert.equal(pipeline.server.maxInFlight, 2);
      assert.equal(pipeline.server.received, 40);
    });

    test('an import sends a batch alone if it is larger than the bytes that may be in flight', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxConcurrency: 40, maxEvents: 2, maxBytes: 10_000_000 } });
      assert.equal(
        await pipeline.import(blocksOf(eventLines(20), { blockBytes: SMALL }), startRun(), {
          maxBytesInFlight: 1,
        }),
        true,
      );
      assert.equal(pipeline.server.maxInFlight, 1);
      assert.equal(pipeline.server.received, 20);
    });
  });

  describe('a batch that is not full', { timeout: 8_000 }, () => {
    test('a batch that is not full is sent after the linger while the source waits', async (t) => {
      const pipeline = await startPipeline(t);
      const source = controlled();
      const run = startRun();
      const result = pipeline.import(source, run, { lingerMs: 15 });
      for (const prefix of ['a', 'b', 'c']) {
        const sent = once(pipeline.server, 'request');
        source.give(await blocksIn(eventLines(3, prefix)));
        assert.deepEqual((await sent)[0].events, 3);
      }
      source.end();
      assert.equal(await result, true);
      assert.equal(run.stats.batches, 3);
    });

    test('each batch that is not full waits for a whole linger of its own', async (t) => {
      const pipeline = await startPipeline(t);
      const source = controlled();
      let lingers = 0;
      const wakers: (() => void)[] = [];
      const clock = {
        now: () => 0,
        random: () => 0,
        sleep: (ms: number) => {
          if (ms === 77) lingers++;
          return new Promise<void>((resolve) => wakers.push(resolve));
        },
      };
      const result = pipeline.import(source, startRun(undefined, clock), { lingerMs: 77, maxConcurrency: 5 });
      const answered = once(pipeline.server, 'request');
      source.give(await blocksIn(eventLines(2, 'a')));
      source.give(await blocksIn(eventLines(2, 'b')));
      while (source.pulled < 3) await sleep(1);
      assert.equal(lingers, 1);
      wakers.shift()!();
      assert.equal((await answered)[0].events, 4);
      source.give(await blocksIn(eventLines(1, 'c')));
      while (lingers < 2) await sleep(1);
      assert.equal(pipeline.server.requests.length, 1, 'it waits for its own linger');
      const next = once(pipeline.server, 'request');
      wakers.shift()!();
      assert.equal((await next)[0].events, 1);
      source.end();
      assert.equal(await result, true);
    });

    test('a batch is not sent by the linger of an earlier batch that became full', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 2, maxBytes: 10_000_000 } });
      const source = controlled();
      const wakers: (() => void)[] = [];
      const sleepUntilWoken = () => new Promise<void>((resolve) => wakers.push(resolve));
      const clock = { now: () => 0, random: () => 0, sleep: sleepUntilWoken };
      const result = pipeline.import(source, startRun(undefined, clock), { lingerMs: 77 });
      source.give(await blocksIn(eventLines(1, 'a')));
      while (wakers.length < 1) await sleep(1);
      const full = once(pipeline.server, 'request');
      source.give(await blocksIn(eventLines(2, 'b')));
      await full;
      while (wakers.length < 2) await sleep(1);
      wakers[0]!();
      await turn();
      source.give(await blocksIn(eventLines(1, 'c')));
      source.end();
      assert.equal(await result, true);
      assert.deepEqual(
        pipeline.server.requests.map(({ events }) => events),
        [2, 2],
      );
    });

    test('a batch that is not full waits for the end of the source if there is no linger', async (t) => {
      const pipeline = await startPipeline(t);
      const source = controlled();
      const clock = virtualClock();
      const result = pipeline.import(source, startRun(undefined, clock));
      source.give(await blocksIn(eventLines(3, 'a')));
      while (source.pulled < 2) await sleep(1);
      clock.advance(1_000_000);
      await turn();
      source.give(await blocksIn(eventLines(2, 'b')));
      source.end();
      assert.equal(await result, true);
      assert.deepEqual(
        pipeline.server.requests.map(({ events }) => events),
        [5],
      );
    });

    test('a batch that is not full is sent after the linger while an asynchronous transform is in progress', async (t) => {
      const pipeline = await startPipeline(t);
      const source = controlled();
      const later = Promise.withResolvers<MixpanelEvent>();
      const transform = (event: MixpanelEvent) => (event.properties.$insert_id === 'b-0' ? later.promise : event);
      const result = pipeline.import(source, startRun(), { lingerMs: 15 });
      const sent = once(pipeline.server, 'request');
      source.give(await blocksIn(eventLines(2, 'a'), transform));
      source.give(await blocksIn(eventLines(1, 'b'), transform));
      source.end();
      assert.equal((await sent)[0].events, 2);
      later.resolve(JSON.parse(eventText('b-0')));
      assert.equal(await result, true);
      assert.equal(pipeline.server.received, 3);
    });
  });

  describe('reading ahead', { timeout: 8_000 }, () => {
    const content = ndjson(eventLines(200, 'id', { padding: 'x'.repeat(100) }));
    const chunks = pieces(Buffer.from(content), 1_000);
    const open = (read: ReturnType<typeof chunksOf>, transform?: Transform) =>
      readBlocks(read, { context: contextOf({ source: sourceWith(transform), blockBytes: 1_000 }) });

    test('an import reads only as far ahead as allowed while nothing is answered', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 5, maxBytes: 10_000_000 } });
      let isAnswered = false;
      pipeline.server.fault = () => (isAnswered ? undefined : { delayMs: 60 });
      const read = chunksOf(chunks);
      const result = pipeline.import(open(read), startRun(), { maxUnsettledBytes: 5_000 });
      await once(pipeline.server, 'request');
      const { pulled } = read;
      isAnswered = true;
      assert.equal(await result, true);
      assert.ok(pulled <= 7, `${pulled} chunks`);
      assert.equal(pipeline.server.received, 200);
    });

    for (const maxUnsettledBytes of [0, 1_000, 5_000]) {
      test(`an import with a limit of ${maxUnsettledBytes} bytes ends although a transform leaves out nearly every record`, async (t) => {
        const pipeline = await startPipeline(t);
        const transform: Transform = (event) => (/7$/.test(String(event.properties.$insert_id)) ? event : null);
        const blocks = open(chunksOf(chunks), transform);
        assert.equal(await pipeline.import(blocks, startRun(), { maxUnsettledBytes }), true);
        assert.deepEqual(pipeline.counts, { read: 200, expanded: 0, imported: 20, rejected: 0, dropped: 180 });
      });

      test(`an import with a limit of ${maxUnsettledBytes} bytes is at most three blocks beyond it if rejections are slow to settle`, async (t) => {
        const pipeline = await startPipeline(t);
        const mixed = content.replaceAll(/"event":"e"(?=.*"id-\d*[1-9]")/g, '"no":"e"');
        const read = chunksOf(pieces(Buffer.from(mixed), 1_000));
        const ledger = new Ledger();
        let most = 0;
        const isComplete = await pipeline.import(open(read), startRun(), {
          maxUnsettledBytes,
          settlement: {
            get unsettledBytes() {
              return ledger.unsettledBytes;
            },
            open: (block) => ledger.open(block),
            async settle(block) {
              most = Math.max(most, ledger.unsettledBytes);
              if (block.rejections.length > 0) await sleep(2);
              ledger.settle(block);
            },
            flush() {},
          },
        });
        assert.equal(isComplete, true);
        assert.deepEqual(ledger.counts, { read: 200, expanded: 0, imported: 20, rejected: 180, dropped: 0 });
        assert.ok(most <= maxUnsettledBytes + 3_000, `${most} bytes ahead`);
      });
    }

    test('an import continues to read if nothing is in progress that can settle', async (t) => {
      const pipeline = await startPipeline(t);
      const settlement = { unsettledBytes: Number.POSITIVE_INFINITY };
      assert.equal(await pipeline.import(open(chunksOf(chunks)), startRun(), {}, settlement), true);
      assert.equal(pipeline.server.received, 200);
    });

    test('an import with a limit of 0 bytes ends although a transform leaves out every record', async (t) => {
      const pipeline = await startPipeline(t);
      const blocks = open(chunksOf(chunks), () => null);
      assert.equal(await pipeline.import(blocks, startRun(), { maxUnsettledBytes: 0 }), true);
      assert.equal(pipeline.counts.dropped, 200);
      assert.deepEqual(pipeline.server.requests, []);
    });
  });

  describe('a run that stops', { timeout: 8_000 }, () => {
    const partly: [name: string, transform: Transform | undefined, lines: string[], records: number | undefined][] = [
      ['verbatim records', undefined, eventLines(8), 4],
      ['mapped records', ({ event, properties }) => ({ event, properties }), eventLines(8), 4],
      ['records after a rejection', undefined, ['rubbish', ...eventLines(8)], undefined],
      ['records before a rejection', undefined, [...eventLines(2), 'rubbish', ...eventLines(6, 'more')], 2],
      ['records of two events', (record) => [record, { ...record, event: 'f' }], eventLines(4), undefined],
      [
        'records after one that is left out',
        (record) => (/-0$/.test(String(record.properties.$insert_id)) ? null : record),
        eventLines(9),
        undefined,
      ],
    ];
    for (const [name, transform, lines, records] of partly) {
      test(`a run that stops in the middle of a split batch of ${name} knows which part is settled`, async (t) => {
        const pipeline = await startPipeline(t, {
          server: { maxEvents: 4 },
          sender: { maxEvents: 8, maxBytes: 10_000_000 },
        });
        const run = startRun();
        pipeline.server.on('request', ({ status }) => status === 200 && run.stop('deadline'));
        assert.equal(await pipeline.import(blocksOf(ndjson(lines), { transform }), run), false);
        assert.equal(pipeline.server.received, 4);
        const offset = records === undefined ? undefined : ndjson(lines.slice(0, records)).length - 1;
        assert.deepEqual(pipeline.ledger.settledPart, records === undefined ? undefined : { records, offset });
      });
    }

    test('an import waits for the answers in flight at its deadline, and settles nothing else', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxConcurrency: 4, maxEvents: 2, maxBytes: 10_000_000 } });
      const clock = virtualClock();
      const run = startRun(60, clock);
      pipeline.server.fault = () => ({ delayMs: 150 });
      const result = pipeline.import(blocksOf(eventLines(40), { blockBytes: SMALL }), run, { maxConcurrency: 4 });
      while (pipeline.server.inFlight < 2) await sleep(1);
      clock.advance(60);
      assert.equal(await result, false);
      assert.equal(run.stopReason, 'deadline');
      const { server, counts } = pipeline;
      assert.equal(server.received, run.stats.accepted);
      assert.ok(server.received === 4, `${server.received} events`);
      assert.ok(counts.imported > 0 && counts.imported <= server.received);
      const arrived = new Set(idsAt(pipeline));
      for (const id of ids(counts.imported, 'id')) assert.ok(arrived.has(id), `${id} is settled and has arrived`);
      assert.equal(server.inFlight, 0);
    });

    test('an import that stops while an attempt waits to be repeated leaves its events unsettled', async (t) => {
      const pipeline = await startPipeline(t, { sender: { retryMinDelayMs: 5_000, retryMaxDelayMs: 5_000 } });
      pipeline.server.fault = () => ({ status: 503 });
      const clock = virtualClock();
      const run = startRun(undefined, clock);
      const result = pipeline.import(blocksOf(eventLines(10)), run);
      while (clock.sleepers === 0) await sleep(1);
      run.stop('shutdown');
      assert.equal(await result, false);
      assert.deepEqual(pipeline.settled, []);
      assert.equal(run.stats.attempts, 1);
    });

    test('an import that stops does not wait for the source, and closes it', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 3, maxBytes: 10_000_000 } });
      const source = controlled();
      source.give(await blocksIn(eventLines(3, 'a')));
      source.give(await blocksIn(eventLines(2, 'b')));
      const run = startRun();
      pipeline.server.fault = () => ({ delayMs: 40 });
      const result = pipeline.import(source, run);
      while (pipeline.server.inFlight === 0) await sleep(1);
      run.stop('shutdown');
      assert.equal(await result, false);
      assert.deepEqual(sorted(idsAt(pipeline)), ids(3, 'a'));
      assert.equal(pipeline.settled.length, 1);
      assert.ok(source.isClosed);
    });

    test('an import that stops ends although the source does not answer and does not close', async (t) => {
      const pipeline = await startPipeline(t);
      const run = startRun(20);
      const source = {
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise<never>(() => {}),
          return: () => new Promise<never>(() => {}),
        }),
      };
      assert.equal(await pipeline.import(source, run), false);
    });

    test('an import that stops ends although a transform never ends', async (t) => {
      const pipeline = await startPipeline(t);
      const run = startRun(20);
      const transform = () => new Promise<never>(() => {});
      assert.equal(await pipeline.import(blocksOf(eventLines(2), { transform }), run), false);
      assert.deepEqual(pipeline.settled, []);
    });

    test('an import that is stopped before it begins reads nothing', async (t) => {
      const pipeline = await startPipeline(t);
      const run = startRun();
      run.stop('shutdown');
      const source = controlled();
      assert.equal(await pipeline.import(source, run), false);
      assert.equal(source.pulled, 0);
      assert.ok(source.isClosed);
    });

    test('an import that stops after the end of the source is complete if everything in flight settles', async (t) => {
      const pipeline = await startPipeline(t);
      const run = startRun();
      const source = controlled();
      source.give(await blocksIn(eventLines(2, 'a')));
      source.end();
      pipeline.server.fault = () => ({ delayMs: 20 });
      const result = pipeline.import(source, run);
      while (pipeline.server.inFlight === 0) await sleep(1);
      run.stop('shutdown');
      assert.equal(await result, true);
    });

    test('an import that is aborted abandons what is in flight, and ends although the source does not', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 3, maxBytes: 10_000_000 } });
      let isClosed = false;
      async function* endless() {
        try {
          for (let n = 0; ; n++) yield await blocksIn(eventLines(2, `${n}`));
        } finally {
          isClosed = true;
        }
      }
      pipeline.server.fault = ({ sequence }) => (sequence < 3 ? undefined : { hang: true });
      const run = startRun();
      const result = pipeline.import(endless(), run, { maxConcurrency: 4 });
      while (pipeline.server.inFlight < 4) await sleep(1);
      run.abort();
      assert.equal(await result, false);
      assert.equal(run.stopReason, 'shutdown');
      const arrived = new Set(idsAt(pipeline));
      assert.equal(arrived.size, 9);
      assert.ok(pipeline.counts.imported >= 2 && pipeline.counts.imported <= 9);
      await new Promise((resolve) => setImmediate(resolve));
      assert.ok(isClosed);
    });

    test('an import that stops waits until slow settling is done', async (t) => {
      const pipeline = await startPipeline(t);
      const run = startRun();
      let isSettled = false;
      const source = controlled();
      source.give(await blocksIn('no event\n'));
      const begun = Promise.withResolvers<void>();
      const written = Promise.withResolvers<void>();
      const settle = async () => {
        begun.resolve();
        await written.promise;
        isSettled = true;
      };
      const result = pipeline.import(source, run, {}, { settle });
      await begun.promise;
      run.stop('deadline');
      setImmediate(written.resolve);
      assert.equal(await result, false);
      assert.ok(isSettled);
    });
  });

  describe('an error', { timeout: 8_000 }, () => {
    test('an import throws the error of the source after everything read before is sent and settled', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 3, maxBytes: 10_000_000 } });
      pipeline.server.fault = () => ({ delayMs: 30 });
      const source = controlled();
      const error = new TypeError('the read broke');
      const run = startRun();
      const result = pipeline.import(source, run);
      source.give(await blocksIn(eventLines(3, 'a')));
      source.give(await blocksIn(eventLines(1, 'b')));
      while (pipeline.server.inFlight === 0) await sleep(1);
      source.fail(error);
      await assert.rejects(result, (thrown) => thrown === error);
      assert.deepEqual(sorted(idsAt(pipeline)), [...ids(3, 'a'), ...ids(1, 'b')]);
      assert.deepEqual(pipeline.counts, { ...noCounts(), read: 4, imported: 4 });
      assert.equal(run.stopReason, 'failure');
      assert.ok(source.isClosed);
    });

    for (const [name, isSync] of [
      ['throws', true],
      ['is rejected with', false],
    ] as const) {
      test(`an import throws what settling ${name}, for a block in a batch and for a block without events`, async (t) => {
        const error = new Error('no bucket');
        const settle = () => {
          if (isSync) throw error;
          return Promise.reject(error);
        };
        for (const content of [eventLines(3), 'no event\n']) {
          const pipeline = await startPipeline(t);
          await assert.rejects(
            pipeline.import(blocksOf(content), startRun(), {}, { settle }),
            (thrown) => thrown === error,
          );
        }
      });
    }

    test('an import throws the error of settling although the source has not ended', async (t) => {
      const pipeline = await startPipeline(t);
      const error = new Error('no bucket');
      const source = controlled();
      source.give(await blocksIn('no event\n'));
      await assert.rejects(
        pipeline.import(source, startRun(), {}, { settle: () => turn().then(() => Promise.reject(error)) }),
        (thrown) => thrown === error,
      );
      assert.ok(source.isClosed);
    });

    test('an import throws an ImportError if Mixpanel refuses the credentials, settles nothing and makes no further attempt', async (t) => {
      const pipeline = await startPipeline(t, {
        server: { serviceAccount: { username: 'user', secret: 'other', projectId: '1' } },
        sender: { maxEvents: 2, maxBytes: 10_000_000 },
      });
      const source = controlled();
      source.give(await blocksIn(eventLines(30)));
      const run = startRun();
      await assert.rejects(pipeline.import(source, run, { maxConcurrency: 3 }), (error) => {
        assert.ok(error instanceof ImportError);
        assert.equal(error.code, 'credentials_refused');
        assert.equal(error.status, 401);
        return true;
      });
      assert.deepEqual(pipeline.settled, []);
      assert.ok(run.stats.attempts <= 3, `${run.stats.attempts} attempts`);
      assert.ok(source.isClosed);
    });

    test('an import throws the first of several errors', async (t) => {
      const pipeline = await startPipeline(t, { sender: { maxEvents: 3, maxBytes: 10_000_000 } });
      pipeline.server.fault = () => ({ delayMs: 30 });
      const errors = [new Error('first'), new Error('second')];
      const [first] = errors;
      const source = controlled();
      source.give(await blocksIn(eventLines(3, 'a')));
      source.give(await blocksIn(eventLines(1, 'b')));
      const settle = () => {
        throw errors.shift();
      };
      const result = pipeline.import(source, startRun(), {}, { settle });
      while (pipeline.server.inFlight === 0) await sleep(1);
      source.give(await blocksIn('no event\n'));
      await assert.rejects(result, (thrown) => thrown === first);
      assert.deepEqual(errors, [], 'both have been thrown');
    });

    test('an import does not throw if the source itself reports that the run has stopped', async (t) => {
      const pipeline = await startPipeline(t);
      const run = startRun(20);
      async function* source(): AsyncGenerator<Block[]> {
        yield await blocksIn(eventLines(2, 'a'));
        await run.clock.sleep(5_000, run.stopping);
      }
      assert.equal(await pipeline.import(source(), run), false);
    });
  });

  test('an import closes the source at its end', async (t) => {
    const pipeline = await startPipeline(t);
    const source = controlled();
    source.give(await blocksIn(eventLines(2, 'a')));
    source.end();
    assert.equal(await pipeline.import(source), true);
    assert.ok(source.isClosed);
  });
});

/** The line of an event of that kind. */
function textOf(kind: string, index: number): string {
  if (kind === 'bad') return `{"no event":${index}}`;
  if (kind === 'refused') return eventText(`id-${index}`, { kind, time: 'x' });
  return eventText(kind === 'spliced' ? undefined : `id-${index}`, { kind, index });
}

/** The line of a location in an object. */
function lineOf(location: Location): number {
  assert.ok('line' in location);
  return location.line;
}

/** The blocks after the position at which an earlier run has stopped. */
function resumedBlocks(content: Buffer, position: Position, transform?: Transform): AsyncGenerator<Block[]> {
  return readBlocks(chunksOf(pieces(content.subarray(position.offset), SMALL)), {
    context: contextOf({ source: sourceWith(transform), blockBytes: SMALL, checksumOf: undefined }),
    resumption: position.offset === 0 ? undefined : { format: 'json', compression: [], position },
  });
}
