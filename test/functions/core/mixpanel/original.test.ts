import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Block, lengthOf, noCounts, type Source } from '../../../../functions/core/block.ts';
import { RecordMapper } from '../../../../functions/core/events.ts';
import { insertIdByContent } from '../../../../functions/core/insert-id.ts';
import { mappingOf } from '../../../../functions/core/mappings/mapping.ts';
import { type Batch, BatchBuilder } from '../../../../functions/core/mixpanel/batch.ts';
import { originalOf } from '../../../../functions/core/mixpanel/original.ts';
import { eventText } from '../../../support/event.ts';
import { columnsOf, mappedSource, objectSource, parse } from '../../../support/parsing.ts';
import { startPipeline } from '../../../support/pipeline.ts';
import { addAllRecords } from '../../../support/sending.ts';

/** The events of a batch, as slices of its body. */
function eventsOf(batch: Batch): Buffer[] {
  const body = gunzipSync(batch.body);
  const events: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf('\n', at);
    events.push(body.subarray(at, end));
    at = end + 1;
  }
  return events;
}

function blockOf(content: string, isMapped = false): Block {
  const { blocks } = parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER, isMapped });
  assert.equal(blocks.length, 1);
  return blocks[0]!;
}

const mapping = mappingOf(() => ({ event: 'made', properties: { $insert_id: 'made' } }));

/** Adds an event for each record, which tells nothing about the record. */
function addMapped(builder: BatchBuilder, block: Block): void {
  assert.ok(mapping.kind === 'mapped');
  const mapper = new RecordMapper(block, mapping, insertIdByContent);
  for (let record = 0; record < lengthOf(block.records); record++) {
    const text = mapper.map(record);
    assert.ok(typeof text === 'string');
    builder.addText(block, record, text);
  }
}

/** Records that arrived as values, with a rendering of each that is not the one of JSON.stringify. */
function rowBlock(rows: readonly unknown[], source: Source): Block {
  return {
    source,
    records: {
      form: 'rows',
      first: 0,
      rows,
      offsets: Float64Array.from(rows, (_, index) => 100 * index),
      ordinals: Float64Array.from(rows, (_, index) => index + 1),
      original: (index) => Buffer.from(renderingOf(index)),
    },
    end: { offset: 100 * rows.length, line: 1, checksum: 0 },
    weight: 100 * rows.length,
    rejections: [],
    foundRejections: 0,
    counts: { ...noCounts(), read: rows.length },
    settledRecords: 0,
    pending: 1,
    cutAway: 0,
  };
}

const renderingOf = (index: number) => `{ "row": ${index} }`;

describe('the original of a record with lent bytes', () => {
  const cases: { name: string; record: string; isKept?: boolean; isChanged?: boolean }[] = [
    {
      name: 'whose empty id was replaced is kept in the batch',
      record: '{"event":"e","properties":{"$insert_id":"","n":1.50}}',
      isKept: true,
    },
    {
      name: 'whose line breaks became spaces is kept in the batch',
      record: '{\r\n"event":"e",\n"properties":{"$insert_id":"i"}}',
      isKept: true,
    },
    {
      name: 'that was given an id, and whose line breaks became spaces, is kept in the batch',
      record: '{"event":"e",\n"properties":{}}',
      isKept: true,
    },
    { name: 'that was given an id is the event without the id', record: '{"event":"é","properties":{"a":1}}' },
    {
      name: 'that was given an id in empty properties is the event without the id',
      record: '{"properties":{ },"event":"é"}',
    },
    {
      name: 'that was sent verbatim is the event',
      record: '{ "event" : "é", "properties":{"$insert_id":"i"}}',
      isChanged: false,
    },
  ];
  for (const { name, record, isKept = false, isChanged = true } of cases) {
    test(`the original of a record ${name}`, async () => {
      const before = '{"event":"before","properties":{"$insert_id":"0"}}';
      const block = blockOf(`[${before},${record}]`);
      const builder = new BatchBuilder();
      addAllRecords(builder, block);
      const batch = await builder.seal(1);
      // The parser overwrites these.
      columnsOf(block).bytes.fill('#');
      const event = eventsOf(batch)[1]!;
      assert.equal(batch.originals.has(1), isKept);
      assert.equal(event.toString() !== record, isChanged);
      const original = originalOf(block, 1, event, batch.originals.get(1));
      assert.equal(original.toString(), record);
      // A rejection outlives the body.
      event.fill('#');
      assert.equal(original.toString(), record);
    });
  }
});

describe('the original of a mapped record', () => {
  test("the original of a record of a block that owns its bytes is among the block's bytes", async () => {
    const records = ['{"a":1}', '{"b":\n2,"long":12345678901234567890}'];
    const block = blockOf(`${records.join('\n')}\n`, true);
    const builder = new BatchBuilder();
    addMapped(builder, block);
    const batch = await builder.seal(1);
    const originals = eventsOf(batch).map((event, record) => originalOf(block, record, event, undefined));
    assert.equal(batch.originals.size, 0);
    assert.deepEqual(originals.map(String), records);
    // A rejection outlives the block.
    columnsOf(block).bytes.fill('#');
    assert.deepEqual(originals.map(String), records);
  });

  test('the original of a row is its canonical rendering', async () => {
    const block = rowBlock([{ a: 1 }, { a: 2 }], mappedSource);
    const builder = new BatchBuilder();
    addMapped(builder, block);
    const batch = await builder.seal(1);
    const originals = eventsOf(batch).map((event, record) => originalOf(block, record, event, undefined));
    assert.equal(batch.originals.size, 0);
    assert.deepEqual(originals.map(String), [renderingOf(0), renderingOf(1)]);
  });

  for (const [kind, source, through] of [
    ['with', mappedSource, ['transform']],
    ['without', objectSource, undefined],
  ] as const) {
    test(`Mixpanel refuses a row of a source ${kind} a mapping, and its rejection has the canonical rendering`, async (t) => {
      const pipeline = await startPipeline(t);
      const rows = [JSON.parse(eventText('good')), JSON.parse(eventText('late', { time: 0 }))];
      async function* blocks() {
        yield [rowBlock(rows, source)];
      }
      assert.ok(await pipeline.import(blocks()));
      assert.equal(pipeline.server.count('good'), 1);
      assert.equal(pipeline.server.received, 1);
      const [{ reason, ...rejection }, ...others] = pipeline.rejections as [(typeof pipeline.rejections)[0]];
      assert.equal(reason.field, 'properties.time');
      assert.deepEqual(others, []);
      assert.deepEqual(rejection, {
        location: { bucket: 'b', object: 'o', generation: '1', line: 2, offset: 100 },
        insertId: 'late',
        record: Buffer.from(renderingOf(1)),
        bytes: renderingOf(1).length,
        through,
      });
      assert.deepEqual(pipeline.counts, { ...noCounts(), read: 2, imported: 1, rejected: 1 });
    });
  }
});
