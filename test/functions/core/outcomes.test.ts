import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Block, lengthOf, noCounts } from '../../../functions/core/block.ts';
import type { Transform } from '../../../functions/core/event.ts';
import { ManyEvents, RecordMapper } from '../../../functions/core/events.ts';
import { insertIdByContent } from '../../../functions/core/insert-id.ts';
import { mappingOf } from '../../../functions/core/mappings/mapping.ts';
import { type Batch, BatchBuilder } from '../../../functions/core/mixpanel/batch.ts';
import type { Refusal } from '../../../functions/core/mixpanel/response.ts';
import { OutcomeRecorder, type SettledEvents } from '../../../functions/core/outcomes.ts';
import { eventText } from '../../support/event.ts';
import { columnsOf, parse } from '../../support/parsing.ts';
import { addAllRecords } from '../../support/sending.ts';

function blocksOf(...contents: string[]): Block[] {
  return contents.flatMap((content) => parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER }).blocks);
}

/** A batch of all records of these blocks, whose bytes are let go then. */
async function batchOf(blocks: Block[]): Promise<Batch> {
  const builder = new BatchBuilder();
  for (const block of blocks) {
    addAllRecords(builder, block);
    columnsOf(block).bytes = Buffer.alloc(0);
  }
  return builder.seal(1);
}

/** The block of this content, and a batch of all events that a transform makes of its records. */
async function mappedBatchOf(content: string, transform: unknown): Promise<{ block: Block; batch: Batch }> {
  const { blocks } = parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER, isMapped: true });
  assert.equal(blocks.length, 1);
  const block = blocks[0]!;
  const mapping = mappingOf(transform as Transform);
  assert.ok(mapping.kind === 'mapped');
  const mapper = new RecordMapper(block, mapping, insertIdByContent);
  const builder = new BatchBuilder();
  for (let record = 0; record < lengthOf(block.records); record++) {
    const mapped = await mapper.map(record);
    if (typeof mapped === 'string') {
      builder.addText(block, record, mapped);
      continue;
    }
    assert.ok(!(mapped instanceof ManyEvents));
    block.counts.expanded += mapped.expanded;
    for (const [at, text] of mapped.texts.entries()) builder.addText(block, record, text, mapped.indexes?.[at]);
  }
  return { block, batch: await builder.seal(1) };
}

/** Records the outcomes of a whole batch at once. */
function recordAll(batch: Batch, refusals: readonly Refusal[]): Promise<SettledEvents[]> {
  return new OutcomeRecorder(batch).record({ first: 0, events: batch.events, refusals });
}

function idOf(record: string): string {
  return createHash('sha256').update(record).digest('hex').slice(0, 24);
}

const refusal = (index: number): Refusal => ({ index, field: `f${index}`, message: `m${index}` });

describe('the outcomes of a batch', () => {
  test('every event is counted as imported in its block if Mixpanel refused none', async () => {
    const blocks = blocksOf(`${eventText('a')}\n${eventText('b')}\n`, `${eventText('c')}\n`);
    const settled = await recordAll(await batchOf(blocks), []);
    assert.deepEqual(settled, [
      { block: blocks[0], events: 2 },
      { block: blocks[1], events: 1 },
    ]);
    assert.deepEqual(
      blocks.map(({ counts }) => counts.imported),
      [2, 1],
    );
    assert.deepEqual(
      blocks.flatMap(({ rejections }) => rejections),
      [],
    );
  });

  test('a refused event becomes a rejection with the record as it arrived, its location and the id that was sent', async () => {
    const plain = eventText('plain');
    const spliced = eventText(undefined, { n: 1 });
    const emptyProperties = '{"properties":{ },"event":"e"}';
    const emptyId = '{"event":"e","properties":{"$insert_id":null,"long":12345678901234567890}}';
    const pretty = '{\n  "event": "e",\r\n  "properties": {}\n}';
    const prettyWithId = '{\n  "event": "é",\n  "properties": {"$insert_id":"p"}\n}';
    const records = [plain, spliced, emptyProperties, emptyId, pretty, prettyWithId];
    const content = `[${records.join(',\n')}]`;
    const blocks = blocksOf(content);
    const refusals = records.map((_, index) => refusal(index));
    await recordAll(await batchOf(blocks), refusals);
    const { rejections, counts } = blocks[0]!;
    assert.deepEqual(counts, { read: 6, expanded: 0, imported: 0, rejected: 6, dropped: 0 });
    assert.deepEqual(
      rejections.map(({ record }) => record.toString()),
      records,
    );
    assert.deepEqual(
      rejections.map(({ bytes }) => bytes),
      records.map((record) => Buffer.byteLength(record)),
    );
    assert.deepEqual(
      rejections.map(({ reason }) => reason),
      refusals.map(({ field, message }) => ({ field, message })),
    );
    assert.deepEqual(
      rejections.map(({ insertId }) => insertId),
      ['plain', idOf(spliced), idOf(emptyProperties), idOf(emptyId), idOf(pretty), 'p'],
    );
    for (const [index, { location, through }] of rejections.entries()) {
      assert.equal(through, undefined);
      assert.ok('line' in location);
      const offset = content.indexOf(records[index]!);
      assert.equal(Buffer.from(content).subarray(location.offset).toString().startsWith(records[index]!), true);
      assert.equal(location.line, content.slice(0, offset).split('\n').length);
    }
  });

  test('a refused record that another tool exported says so, unless a transform made the event of it', async () => {
    const call = '{"type":"track","event":"Buy","userId":"u","messageId":"m","properties":{"price":1}}';
    const look = 'looks like a Segment call: use the mapping {"from":"segment"}';
    const [verbatim] = blocksOf(`${call}\n${eventText('a')}\n`) as [Block];
    await recordAll(await batchOf([verbatim]), [refusal(0), refusal(1)]);
    assert.deepEqual(
      verbatim.rejections.map(({ reason }) => reason),
      [
        { field: 'f0', message: `m0; ${look}` },
        { field: 'f1', message: 'm1' },
      ],
    );
    const { block, batch } = await mappedBatchOf(call, (record: object) => ({ ...record }));
    await recordAll(batch, [refusal(0)]);
    assert.deepEqual(
      block.rejections.map(({ reason }) => reason),
      [{ field: 'f0', message: 'm0' }],
    );
  });

  test('refusals find their events among many, the first and the last included', async () => {
    const ids = Array.from({ length: 50 }, (_, index) => `id-${index}`);
    for (const refused of [[0], [49], [0, 49], [3, 4, 5, 30], [...ids.keys()]]) {
      const lines = ids.map((id) => `${eventText(id)}\n`);
      const blocks = blocksOf(lines.slice(0, 20).join(''), lines.slice(20).join(''));
      await recordAll(await batchOf(blocks), refused.map(refusal));
      const rejections = blocks.flatMap((block) => block.rejections);
      assert.deepEqual(
        rejections.map(({ insertId }) => insertId),
        refused.map((index) => ids[index]!),
      );
      assert.deepEqual(
        rejections.map(({ record }) => `${record}\n`),
        refused.map((index) => lines[index]!),
      );
      const lineOf = (index: number) => (index < 20 ? index + 1 : index - 19);
      assert.deepEqual(
        rejections.map(({ location }) => 'line' in location && location.line),
        refused.map(lineOf),
      );
      assert.equal(blocks[0]!.counts.rejected, refused.filter((index) => index < 20).length);
      assert.equal(blocks[1]!.counts.imported, 30 - refused.filter((index) => index >= 20).length);
    }
  });

  test('a refused event that is one of several of its record has an index, and the record for each', async () => {
    const record = '{"event":"e","properties":{"long":12345678901234567890}}';
    const several = ({ properties }: { properties: object }) => ['a', 'b', 'c'].map((event) => ({ event, properties }));
    const { block, batch } = await mappedBatchOf(`${record}\n`, several);
    await recordAll(batch, [refusal(0), refusal(2)]);
    assert.deepEqual(
      block.rejections.map(({ location }) => location.event),
      [0, 2],
    );
    assert.deepEqual(
      block.rejections.map(({ insertId }) => insertId),
      [idOf(`${record}\n0`), idOf(`${record}\n2`)],
    );
    assert.deepEqual(
      block.rejections.map((rejection) => rejection.record.toString()),
      [record, record],
    );
    assert.deepEqual(block.counts, { read: 1, expanded: 2, imported: 1, rejected: 2, dropped: 0 });
  });

  test('a refused event of a mapped record becomes a rejection that names what the record passes', async () => {
    const record = '{"user":"u"}';
    const made = ({ user }: { user: string }) => ({ event: 'e', properties: { $insert_id: 'i', user } });
    const { block, batch } = await mappedBatchOf(`${record}\n`, made);
    await recordAll(batch, [refusal(0)]);
    assert.deepEqual(block.rejections, [
      {
        reason: { field: 'f0', message: 'm0' },
        location: { bucket: 'b', object: 'o', generation: '1', line: 1, offset: 0 },
        insertId: 'i',
        record: Buffer.from(record),
        bytes: record.length,
        through: ['transform'],
      },
    ]);
    assert.deepEqual(block.counts, { ...noCounts(), read: 1, rejected: 1 });
  });

  const ids: [id: string, expected: string | undefined][] = [
    ['0', '0'],
    ['false', 'false'],
    ['{"toString":1,"valueOf":2}', '{"toString":1,"valueOf":2}'],
    ['[]', '[]'],
    ['"\\u0061"', 'a'],
  ];
  for (const [id, expected] of ids) {
    test(`a refused event whose id is ${id} becomes a rejection with the id ${expected}`, async () => {
      const blocks = blocksOf(`{"event":"e","properties":{"$insert_id":${id}}}\n`);
      await recordAll(await batchOf(blocks), [refusal(0)]);
      assert.equal(blocks[0]!.rejections[0]!.insertId, expected);
    });
  }

  for (const written of [undefined, null, 'text', 5]) {
    test(`a refused event whose properties serialized themselves as ${JSON.stringify(written)} does not have an id`, async () => {
      const transform = () => ({ event: 'e', properties: { $insert_id: 'x', toJSON: () => written } });
      const { block, batch } = await mappedBatchOf(`${eventText('a')}\n`, transform);
      await recordAll(batch, [refusal(0)]);
      assert.equal(block.rejections[0]!.insertId, undefined);
    });
  }
});

describe('the outcomes of parts of a batch', () => {
  const SIZES = [3, 1, 4];
  const EVENTS = 8;

  /** Blocks of these sizes in one batch. */
  async function setUp() {
    const ids = SIZES.map((size, block) => Array.from({ length: size }, (_, index) => `${block}-${index}`));
    const blocks = blocksOf(...ids.map((some) => some.map((id) => `${eventText(id)}\n`).join('')));
    return { ids: ids.flat(), blocks, outcomes: new OutcomeRecorder(await batchOf(blocks)) };
  }

  const parts: { name: string; first: number; events: number; expected: [block: number, events: number][] }[] = [
    {
      name: 'all events',
      first: 0,
      events: 8,
      expected: [
        [0, 3],
        [1, 1],
        [2, 4],
      ],
    },
    { name: 'the first event', first: 0, events: 1, expected: [[0, 1]] },
    { name: 'the last event', first: 7, events: 1, expected: [[2, 1]] },
    { name: 'exactly one block', first: 3, events: 1, expected: [[1, 1]] },
    {
      name: 'the end of a block and the beginning of another',
      first: 2,
      events: 3,
      expected: [
        [0, 1],
        [1, 1],
        [2, 1],
      ],
    },
    { name: 'the middle of a block', first: 5, events: 2, expected: [[2, 2]] },
  ];
  for (const { name, first, events, expected } of parts) {
    test(`a part with ${name} counts these events in their blocks, and no others`, async () => {
      const { blocks, outcomes } = await setUp();
      const settled = await outcomes.record({ first, events, refusals: [] });
      assert.deepEqual(
        settled.map((some) => [blocks.indexOf(some.block), some.events]),
        expected,
      );
      const imported = SIZES.map((_, block) => expected.find(([of]) => of === block)?.[1] ?? 0);
      assert.deepEqual(
        blocks.map(({ counts }) => counts.imported),
        imported,
      );
    });
  }

  test('parts of a batch give every event its outcome once, in whatever order they settle', async () => {
    const kinds = fc.array(fc.boolean(), { minLength: EVENTS, maxLength: EVENTS });
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: EVENTS - 1 }));
    await fc.assert(
      fc.asyncProperty(kinds, cuts, fc.infiniteStream(fc.nat()), async (isRefused, cutsAt, random) => {
        const { ids, blocks, outcomes } = await setUp();
        const begins = [0, ...cutsAt.sort((a, b) => a - b)];
        const some = begins.map((first, index) => {
          const end = begins[index + 1] ?? EVENTS;
          const indexes = Array.from({ length: end - first }, (_, at) => first + at);
          return { first, events: end - first, refusals: indexes.filter((at) => isRefused[at]).map(refusal) };
        });
        const settled = new Map<Block, number>();
        while (some.length > 0) {
          const [part] = some.splice(random.next().value % some.length, 1);
          for (const { block, events } of await outcomes.record(part!)) {
            settled.set(block, (settled.get(block) ?? 0) + events);
          }
        }
        let first = 0;
        for (const [index, block] of blocks.entries()) {
          const size = SIZES[index]!;
          const refused = ids.slice(first, first + size).filter((_, at) => isRefused[first + at]);
          assert.equal(settled.get(block), size);
          assert.deepEqual(block.counts, {
            ...noCounts(),
            read: size,
            imported: size - refused.length,
            rejected: refused.length,
          });
          assert.deepEqual(
            block.rejections.map(({ insertId, record }) => [insertId, record.toString()]).sort(),
            refused.map((id) => [id, eventText(id)]),
          );
          first += size;
        }
      }),
    );
  });
});
