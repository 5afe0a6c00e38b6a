import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Batch, BatchBuilder } from '../../../functions/import/batch.ts';
import { addPassed } from '../../../functions/import/events.ts';
import { insertIdByContent } from '../../../functions/import/insert-id.ts';
import { blockOf, eventLine, eventLines } from './sending.ts';

const limits = { maxEvents: 3, maxBytes: 100 };
const block = blockOf([eventLine('a')]);
const asItCame = { lineBreaks: false };

function textOf(batch: Batch): string {
  return gunzipSync(batch.body).toString();
}

/** Adds text as an event of its own. */
function addLine(builder: BatchBuilder, text: string): void {
  const bytes = Buffer.from(text);
  builder.add({ block, record: 0 }, bytes, [0, bytes.length], asItCame);
}

describe('what fits', () => {
  test('an empty batch takes an event of any size', () => {
    assert.ok(new BatchBuilder().fits(1_000_000, limits));
  });

  test('events fit up to their number', () => {
    const builder = new BatchBuilder();
    for (let events = 0; events < 3; events++) {
      assert.ok(builder.fits(1, limits), `event ${events}`);
      addLine(builder, '{}');
    }
    assert.ok(!builder.fits(1, limits));
  });

  test('an event fits that fills the batch to the last byte with its line end, and none that is a byte larger', () => {
    const builder = new BatchBuilder();
    addLine(builder, 'x'.repeat(39));
    assert.equal(builder.bytes, 40);
    assert.ok(builder.fits(59, limits));
    assert.ok(!builder.fits(60, limits));
  });

  test('after an event beyond the limit nothing fits any more', () => {
    const builder = new BatchBuilder();
    addLine(builder, 'x'.repeat(200));
    assert.ok(!builder.fits(0, limits));
  });

  test('limits count that became smaller meanwhile', () => {
    const learned = { ...limits };
    const builder = new BatchBuilder();
    addLine(builder, 'x'.repeat(39));
    learned.maxBytes = 50;
    assert.ok(builder.fits(9, learned));
    assert.ok(!builder.fits(10, learned));
  });

  test('records kept beside the body weigh in the bytes, not in the limit', () => {
    const builder = new BatchBuilder();
    const bytes = Buffer.from('{}');
    builder.add({ block, record: 0, kept: Buffer.alloc(500) }, bytes, [0, 2], asItCame);
    assert.equal(builder.bytes, 503);
    assert.ok(builder.fits(96, limits));
    assert.ok(!builder.fits(97, limits));
  });
});

describe('the body', () => {
  test('holds the events as they came, a line each, and no byte more', async () => {
    const lines = eventLines(1_000);
    const source = blockOf(lines);
    const builder = new BatchBuilder();
    for (const record of source.starts.keys()) addPassed(builder, source, record, insertIdByContent);
    const batch = await builder.seal(6);
    const expected = `${lines.join('\n')}\n`;
    assert.equal(textOf(batch), expected);
    assert.equal(batch.bytes, Buffer.byteLength(expected));
    assert.equal(batch.events, 1_000);
    assert.ok(batch.body.length < batch.bytes / 2, 'it is compressed');
  });

  test('holds the slice of the bytes that is named, with what is spliced in', async () => {
    const builder = new BatchBuilder();
    const bytes = Buffer.from('before{"a":"é"}behind');
    const to = bytes.indexOf('behind');
    builder.add({ block, record: 0 }, bytes, [6, to], { splice: { at: 7, text: '"id":1,' }, lineBreaks: false });
    builder.add({ block, record: 0 }, bytes, [6, to], { splice: { at: to, text: '!' }, lineBreaks: false });
    builder.add({ block, record: 0 }, bytes, [6, to], { splice: { at: 6, text: '!' }, lineBreaks: false });
    assert.equal(textOf(await builder.seal(6)), '{"id":1,"a":"é"}\n{"a":"é"}!\n!{"a":"é"}\n');
  });

  test('has spaces for the line breaks inside an event, and leaves the source as it was', async () => {
    const text = '{\r\n"a":\n1,\t"b":\r2}';
    const bytes = Buffer.from(text);
    const builder = new BatchBuilder();
    addLine(builder, '{}');
    const splice = { at: 1, text: '"c":3,' };
    builder.add({ block, record: 0 }, bytes, [0, bytes.length], { splice, lineBreaks: true });
    assert.equal(textOf(await builder.seal(6)), '{}\n{"c":3,  "a": 1,\t"b": 2}\n');
    assert.equal(bytes.toString(), text);
  });

  test('holds serialised text as UTF-8, whatever its length', async () => {
    const builder = new BatchBuilder();
    const texts = ['{}', '{"a":"é€😀"}', `{"a":"${'€'.repeat(70_000)}"}`, '{}'];
    for (const text of texts) builder.addText({ block, record: 0 }, text);
    const expected = `${texts.join('\n')}\n`;
    assert.equal(builder.bytes, Buffer.byteLength(expected));
    const batch = await builder.seal(1);
    assert.equal(textOf(batch), expected);
    assert.equal(batch.bytes, Buffer.byteLength(expected));
  });

  test('grows over any buffer with what stands in it already', async () => {
    const builder = new BatchBuilder();
    const lines = Array.from({ length: 40 }, (_, index) => `{"${index}":"${'x'.repeat(5_000 * index)}"}`);
    for (const line of lines) addLine(builder, line);
    assert.equal(textOf(await builder.seal(1)), `${lines.join('\n')}\n`);
  });
});

describe('what a batch knows of its events', () => {
  test('each one has its block and record; the index among several and the record kept where there are any', async () => {
    const one = blockOf(eventLines(2));
    const other = blockOf(eventLines(1));
    const kept = Buffer.from('the record');
    const builder = new BatchBuilder();
    builder.addText({ block: one, record: 0 }, '{}');
    builder.addText({ block: one, record: 1, eventIndex: 0, kept }, '{}');
    builder.addText({ block: one, record: 1, eventIndex: 1 }, '{}');
    builder.addText({ block: other, record: 0 }, '{}');
    const batch = await builder.seal(6);
    assert.deepEqual(
      batch.blocks.map((it) => it === one),
      [true, true, true, false],
    );
    assert.deepEqual(batch.records, [0, 1, 1, 0]);
    assert.deepEqual(
      [...batch.eventIndexes],
      [
        [1, 0],
        [2, 1],
      ],
    );
    assert.deepEqual([...batch.kept], [[1, kept]]);
  });

  test('each event keeps its block from being settled', () => {
    const counted = blockOf(eventLines(2));
    const before = counted.pending;
    const builder = new BatchBuilder();
    for (const record of [0, 1, 1]) builder.addText({ block: counted, record }, '{}');
    assert.equal(counted.pending, before + 3);
  });
});

test('a builder begins anew once it is sealed, and the batch before stays what it was', async () => {
  const builder = new BatchBuilder();
  builder.addText({ block, record: 0, eventIndex: 1, kept: Buffer.from('kept') }, '{"first":true}');
  const first = await builder.seal(6);
  assert.equal(builder.events, 0);
  assert.equal(builder.bytes, 0);
  builder.addText({ block, record: 0 }, '{"next":1}');
  builder.addText({ block, record: 0 }, '{}');
  const second = await builder.seal(6);

  assert.equal(textOf(first), '{"first":true}\n');
  assert.deepEqual([first.events, first.bytes, first.blocks.length, first.records.length], [1, 15, 1, 1]);
  assert.deepEqual([first.eventIndexes.size, first.kept.size], [1, 1]);
  assert.equal(textOf(second), '{"next":1}\n{}\n');
  assert.deepEqual([second.events, second.bytes, second.blocks.length, second.records.length], [2, 14, 2, 2]);
  assert.deepEqual([second.eventIndexes.size, second.kept.size], [0, 0]);
});
