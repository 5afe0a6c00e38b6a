import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Block } from '../../../../functions/core/block.ts';
import { addPassed } from '../../../../functions/core/events.ts';
import { insertIdByContent } from '../../../../functions/core/insert-id.ts';
import { type Batch, BatchBuilder } from '../../../../functions/core/mixpanel/batch.ts';
import { parse } from '../../../support/parsing.ts';
import { addAllPassed, blockOf, eventLine, eventLines } from '../../../support/sending.ts';

const limits = { maxEvents: 3, maxBytes: 100 };
const block = blockOf([eventLine('a')]);
const asItCame = { lineBreaks: false };

function textOf(batch: Batch): string {
  return gunzipSync(batch.body).toString();
}

/** Per stretch: which of the blocks, the first record and how many events. */
function stretchesOf(batch: Batch, blocks: Block[]): string[] {
  return batch.stretches.map((it) => `${blocks.indexOf(it.block)}: ${it.record}+${it.events}`);
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

describe('records that are added as they are', () => {
  const lines = ['{"event":"a","properties":{"$insert_id":"1"}}', '{"event":"b","properties":{"$insert_id":"2"}}'];
  const LINE_BYTES = lines[0]!.length + 1;

  function added(content: string, atMost: Partial<typeof limits>, before = 0) {
    const { blocks } = parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER });
    const builder = new BatchBuilder();
    for (let event = 0; event < before; event++) addLine(builder, lines[0]!);
    const all = { maxEvents: 1_000, maxBytes: 1_000_000, ...atMost };
    return { count: addPassed(builder, blocks[0]!, 0, all, insertIdByContent), builder, block: blocks[0]! };
  }

  test('go in together up to the number of events', () => {
    const content = `${lines.join('\n')}\n`.repeat(5);
    assert.equal(added(content, {}).count, 10);
    assert.equal(added(content, { maxEvents: 7 }).count, 7);
    assert.equal(added(content, { maxEvents: 7 }, 3).count, 4);
    assert.equal(added(content, { maxEvents: 3 }, 3).count, 0);
  });

  test('go in together up to the last byte, with their line ends', () => {
    const content = `${lines[0]}\n`.repeat(5);
    for (const before of [0, 1]) {
      const maxBytes = (3 + before) * LINE_BYTES;
      assert.equal(added(content, { maxBytes }, before).count, 3);
      assert.equal(added(content, { maxBytes: maxBytes - 1 }, before).count, 2);
      assert.equal(added(content, { maxBytes }, before).builder.bytes, maxBytes);
    }
  });

  test('an empty batch takes one that is larger than the limit, and no other with it', () => {
    assert.equal(added(`${lines[0]}\n`.repeat(5), { maxBytes: 10 }).count, 1);
  });

  const untilTouched = [
    ['a record without an id', `${lines[0]}\n{"event":"c","properties":{}}\n${lines[1]}\n`],
    ['a record with an empty id', `${lines[0]}\n{"event":"c","properties":{"$insert_id":""}}\n${lines[1]}\n`],
    ['a carriage return', `${lines[0]}\r\n${lines[1]}\r\n`],
    ['a line break in a record', `${lines[0]}\n{"event":"c",\r"properties":{"$insert_id":"3"}}\n${lines[1]}\n`],
    ['white space', `${lines[0]}\n ${lines[1]}\n`],
    ['a blank line', `${lines[0]}\n\n${lines[1]}\n`],
    ['a bad line', `${lines[0]}\nx\n${lines[1]}\n`],
    ['a comma', `[${lines.join(',')}]`],
    ['another byte than a newline between them', `[${lines.join('\n,')}]`],
  ] as const;
  for (const [what, content] of untilTouched) {
    test(`only those before ${what} go in together, and all of them in the end, as lines`, async () => {
      const { count, builder, block: source } = added(content, {});
      assert.equal(count, 1);
      for (let record = 1; record < source.starts.length; record++) {
        assert.equal(addPassed(builder, source, record, { maxEvents: 9, maxBytes: 9_999 }, insertIdByContent), 1);
      }
      const batch = await builder.seal(1);
      assert.deepEqual(stretchesOf(batch, [source]), [`0: 0+${source.starts.length}`]);
      const text = textOf(batch);
      assert.ok(text.startsWith(`${lines[0]}\n`) && text.endsWith(`${lines[1]}\n`), text);
      assert.equal(text.split('\n').length, source.starts.length + 1);
    });
  }

  test('leave room for ids that are put in: no batch of several passes the limit', () => {
    const needsId = '{"event":"c","properties":{}}\n{"event":"c","properties":{"a":1}}\n';
    const content = `${`${lines[0]}\n`.repeat(3)}${needsId}`.repeat(20);
    const { blocks } = parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER });
    for (let maxBytes = 150; maxBytes < 600; maxBytes++) {
      const builder = new BatchBuilder();
      for (let record = 0, count = 1; count > 0; record += count) {
        count = addPassed(builder, blocks[0]!, record, { maxEvents: 100, maxBytes }, insertIdByContent);
        assert.ok(builder.bytes <= maxBytes, `${builder.bytes} of ${maxBytes}`);
      }
      assert.ok(builder.bytes > maxBytes - 110, `${builder.bytes} of ${maxBytes}`);
    }
  });

  test('keep their block from being settled, each of them', () => {
    assert.equal(added(`${lines[0]}\n`.repeat(5), { maxEvents: 3 }).block.pending, 1 + 3);
  });
});

describe('the body', () => {
  test('holds the events as they came, a line each, and no byte more', async () => {
    const lines = eventLines(1_000);
    const source = blockOf(lines);
    const builder = new BatchBuilder();
    addAllPassed(builder, source);
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
    assert.deepEqual(stretchesOf(batch, [one, other]), ['0: 0+2', '0: 1+1', '1: 0+1']);
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
  assert.deepEqual([first.events, first.bytes, stretchesOf(first, [block])], [1, 15, ['0: 0+1']]);
  assert.deepEqual([first.eventIndexes.size, first.kept.size], [1, 1]);
  assert.equal(textOf(second), '{"next":1}\n{}\n');
  assert.deepEqual([second.events, second.bytes, stretchesOf(second, [block])], [2, 14, ['0: 0+1', '0: 0+1']]);
  assert.deepEqual([second.eventIndexes.size, second.kept.size], [0, 0]);
});
