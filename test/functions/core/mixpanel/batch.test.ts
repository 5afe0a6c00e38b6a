import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Block, type JsonRecords, lengthOf } from '../../../../functions/core/block.ts';
import { addRecords } from '../../../../functions/core/events.ts';
import { insertIdByContent } from '../../../../functions/core/insert-id.ts';
import { type Batch, BatchBuilder } from '../../../../functions/core/mixpanel/batch.ts';
import { eventLines, eventText } from '../../../support/event.ts';
import { columnsOf, parse } from '../../../support/parsing.ts';
import { addAllRecords, blockOf } from '../../../support/sending.ts';

const limits = { maxEvents: 3, maxBytes: 100 };
const block = blockOf([eventText('a')]);
const unchanged = { lineBreaks: false };

function textOf(batch: Batch): string {
  return gunzipSync(batch.body).toString();
}

/** Per stretch: which of the blocks, the first record and how many events. */
function stretchesOf(batch: Batch, blocks: Block[]): string[] {
  return batch.stretches.map((it) => `${blocks.indexOf(it.block)}: ${it.record}+${it.events}`);
}

/** The columns of a single record, `bytes[from, to)`. */
function recordOf(bytes: Buffer, from = 0, to = bytes.length): JsonRecords {
  return {
    form: 'json',
    bytes,
    ownsBytes: false,
    offset: 0,
    starts: Uint32Array.of(from),
    ends: Uint32Array.of(to),
    ordinals: Float64Array.of(1),
    flags: Uint8Array.of(0),
    splices: Uint32Array.of(0),
  };
}

/** Adds text as an event of its own. */
function addLine(builder: BatchBuilder, text: string): void {
  builder.add(block, recordOf(Buffer.from(text)), 0, unchanged);
}

describe('what fits', () => {
  test('an empty batch takes an event of any size', () => {
    assert.ok(new BatchBuilder().fits(1_000_000, limits));
  });

  test('events fit in a batch up to their maximum number', () => {
    const builder = new BatchBuilder();
    for (let events = 0; events < 3; events++) {
      assert.ok(builder.fits(1, limits), `event ${events}`);
      addLine(builder, '{}');
    }
    assert.ok(!builder.fits(1, limits));
  });

  test('an event fits if it fills the batch to the last byte with its line end, but not if it is a byte larger', () => {
    const builder = new BatchBuilder();
    addLine(builder, 'x'.repeat(39));
    assert.equal(builder.bytes, 40);
    assert.ok(builder.fits(59, limits));
    assert.ok(!builder.fits(60, limits));
  });

  test('nothing fits after an event that is larger than the limit', () => {
    const builder = new BatchBuilder();
    addLine(builder, 'x'.repeat(200));
    assert.ok(!builder.fits(0, limits));
  });

  test('limits that became smaller meanwhile apply to the batch under construction', () => {
    const learned = { ...limits };
    const builder = new BatchBuilder();
    addLine(builder, 'x'.repeat(39));
    learned.maxBytes = 50;
    assert.ok(builder.fits(9, learned));
    assert.ok(!builder.fits(10, learned));
  });

  test('originals that are kept with the body count as bytes of the batch, but not towards its limit', () => {
    const builder = new BatchBuilder();
    builder.add(block, recordOf(Buffer.from('{}')), 0, { ...unchanged, original: Buffer.alloc(500) });
    assert.equal(builder.bytes, 503);
    assert.ok(builder.fits(96, limits));
    assert.ok(!builder.fits(97, limits));
  });

  const several: [name: string, before: number, bytes: number, events: number, doFit: boolean][] = [
    ['that fill an empty batch to the last byte fit', 0, 98, 2, true],
    ['that are a byte larger than an empty batch do not fit', 0, 99, 2, false],
    ['that are as many as a batch may hold fit', 0, 3, 3, true],
    ['that are more than a batch may hold do not fit', 0, 4, 4, false],
    ['that fill the rest of a batch to the last byte fit', 40, 58, 2, true],
    ['that are a byte larger than the rest of a batch do not fit', 40, 59, 2, false],
    ['that are more than a batch still takes do not fit', 40, 3, 3, false],
  ];
  for (const [name, before, bytes, events, doFit] of several) {
    test(`several events together ${name}`, () => {
      const builder = new BatchBuilder();
      if (before > 0) addLine(builder, 'x'.repeat(before - 1));
      assert.equal(builder.fits(bytes, limits, events), doFit);
    });
  }
});

describe('records that are sent as they arrived', () => {
  const lines = ['{"event":"a","properties":{"$insert_id":"1"}}', '{"event":"b","properties":{"$insert_id":"2"}}'];
  const LINE_BYTES = lines[0]!.length + 1;

  function addFirst(content: string, atMost: Partial<typeof limits>, before = 0) {
    const { blocks } = parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER });
    const builder = new BatchBuilder();
    for (let event = 0; event < before; event++) addLine(builder, lines[0]!);
    const all = { maxEvents: 1_000, maxBytes: 1_000_000, ...atMost };
    const added = addRecords(builder, blocks[0]!, columnsOf(blocks[0]!), 0, all, insertIdByContent);
    return { count: added, builder, block: blocks[0]! };
  }

  test('records are added together up to the number of events that a batch may hold', () => {
    const content = `${lines.join('\n')}\n`.repeat(5);
    assert.equal(addFirst(content, {}).count, 10);
    assert.equal(addFirst(content, { maxEvents: 7 }).count, 7);
    assert.equal(addFirst(content, { maxEvents: 7 }, 3).count, 4);
    assert.equal(addFirst(content, { maxEvents: 3 }, 3).count, 0);
  });

  test('records are added together up to the last byte of a batch, with their line ends', () => {
    const content = `${lines[0]}\n`.repeat(5);
    for (const before of [0, 1]) {
      const maxBytes = (3 + before) * LINE_BYTES;
      assert.equal(addFirst(content, { maxBytes }, before).count, 3);
      assert.equal(addFirst(content, { maxBytes: maxBytes - 1 }, before).count, 2);
      assert.equal(addFirst(content, { maxBytes }, before).builder.bytes, maxBytes);
    }
  });

  test('an empty batch takes one record that is larger than the limit, but not another one with it', () => {
    assert.equal(addFirst(`${lines[0]}\n`.repeat(5), { maxBytes: 10 }).count, 1);
  });

  const interruptions = [
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
  for (const [what, content] of interruptions) {
    test(`only the records before ${what} are added together, and all records become lines in the end`, async () => {
      const { count, builder, block: source } = addFirst(content, {});
      assert.equal(count, 1);
      const records = columnsOf(source);
      const length = lengthOf(records);
      const roomy = { maxEvents: 9, maxBytes: 9_999 };
      for (let record = 1; record < length; record++) {
        assert.equal(addRecords(builder, source, records, record, roomy, insertIdByContent), 1);
      }
      const batch = await builder.seal(1);
      assert.deepEqual(stretchesOf(batch, [source]), [`0: 0+${length}`]);
      const text = textOf(batch);
      assert.ok(text.startsWith(`${lines[0]}\n`) && text.endsWith(`${lines[1]}\n`), text);
      assert.equal(text.split('\n').length, length + 1);
    });
  }

  test('a batch with several records does not exceed the limit, with the ids that are put in', () => {
    const needsId = '{"event":"c","properties":{}}\n{"event":"c","properties":{"a":1}}\n';
    const content = `${`${lines[0]}\n`.repeat(3)}${needsId}`.repeat(20);
    const { blocks } = parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER });
    for (let maxBytes = 150; maxBytes < 600; maxBytes++) {
      const builder = new BatchBuilder();
      for (let record = 0, count = 1; count > 0; record += count) {
        const some = { maxEvents: 100, maxBytes };
        count = addRecords(builder, blocks[0]!, columnsOf(blocks[0]!), record, some, insertIdByContent);
        assert.ok(builder.bytes <= maxBytes, `${builder.bytes} of ${maxBytes}`);
      }
      assert.ok(builder.bytes > maxBytes - 110, `${builder.bytes} of ${maxBytes}`);
    }
  });

  test('each record that is added is pending in its block', () => {
    assert.equal(addFirst(`${lines[0]}\n`.repeat(5), { maxEvents: 3 }).block.pending, 1 + 3);
  });
});

describe('the body', () => {
  test('the body holds the events as they arrived, a line each, and nothing else', async () => {
    const lines = eventLines(1_000);
    const source = blockOf(lines);
    const builder = new BatchBuilder();
    addAllRecords(builder, source);
    const batch = await builder.seal(6);
    const expected = `${lines.join('\n')}\n`;
    assert.equal(textOf(batch), expected);
    assert.equal(batch.bytes, Buffer.byteLength(expected));
    assert.equal(batch.events, 1_000);
    assert.ok(batch.body.length < batch.bytes / 2, 'it is compressed');
  });

  test('the body holds the bytes of the record, with the text that is spliced in', async () => {
    const builder = new BatchBuilder();
    const bytes = Buffer.from('before{"a":"é"}after');
    const to = bytes.indexOf('after');
    const record = recordOf(bytes, 6, to);
    builder.add(block, record, 0, { splice: { at: 7, text: '"id":1,' }, lineBreaks: false });
    builder.add(block, record, 0, { splice: { at: to, text: '!' }, lineBreaks: false });
    builder.add(block, record, 0, { splice: { at: 6, text: '!' }, lineBreaks: false });
    assert.equal(textOf(await builder.seal(6)), '{"id":1,"a":"é"}\n{"a":"é"}!\n!{"a":"é"}\n');
  });

  test('line breaks inside an event become spaces in the body, but not in the bytes of the record', async () => {
    const text = '{\r\n"a":\n1,\t"b":\r2}';
    const bytes = Buffer.from(text);
    const builder = new BatchBuilder();
    addLine(builder, '{}');
    const splice = { at: 1, text: '"c":3,' };
    builder.add(block, recordOf(bytes), 0, { splice, lineBreaks: true });
    assert.equal(textOf(await builder.seal(6)), '{}\n{"c":3,  "a": 1,\t"b": 2}\n');
    assert.equal(bytes.toString(), text);
  });

  test('the body holds serialized events as UTF-8, whatever their length', async () => {
    const builder = new BatchBuilder();
    const texts = ['{}', '{"a":"é€😀"}', `{"a":"${'€'.repeat(70_000)}"}`, '{}'];
    for (const text of texts) builder.addText(block, 0, text);
    const expected = `${texts.join('\n')}\n`;
    assert.equal(builder.bytes, Buffer.byteLength(expected));
    const batch = await builder.seal(1);
    assert.equal(textOf(batch), expected);
    assert.equal(batch.bytes, Buffer.byteLength(expected));
  });

  test('the body keeps the events that it holds when it outgrows its buffer', async () => {
    const builder = new BatchBuilder();
    const lines = Array.from({ length: 40 }, (_, index) => `{"${index}":"${'x'.repeat(5_000 * index)}"}`);
    for (const line of lines) addLine(builder, line);
    assert.equal(textOf(await builder.seal(1)), `${lines.join('\n')}\n`);
  });
});

describe('what a batch knows about its events', () => {
  test('a batch knows the block and record of each event, and its index and its original if there are any', async () => {
    const one = blockOf(eventLines(2));
    const other = blockOf(eventLines(1));
    const original = Buffer.from('the record');
    const builder = new BatchBuilder();
    builder.addText(one, 0, '{}');
    builder.addText(one, 1, '{}', 0, original);
    builder.addText(one, 1, '{}', 1);
    builder.addText(other, 0, '{}');
    const batch = await builder.seal(6);
    assert.deepEqual(stretchesOf(batch, [one, other]), ['0: 0+2', '0: 1+1', '1: 0+1']);
    assert.deepEqual(
      [...batch.eventIndexes],
      [
        [1, 0],
        [2, 1],
      ],
    );
    assert.deepEqual([...batch.originals], [[1, original]]);
  });

  test('each serialized event that is added is pending in its block', () => {
    const counted = blockOf(eventLines(2));
    const before = counted.pending;
    const builder = new BatchBuilder();
    for (const record of [0, 1, 1]) builder.addText(counted, record, '{}');
    assert.equal(counted.pending, before + 3);
  });
});

test('a builder begins anew once it is sealed, without a change to the batch that it sealed', async () => {
  const builder = new BatchBuilder();
  builder.addText(block, 0, '{"first":true}', 1, Buffer.from('original'));
  const first = await builder.seal(6);
  assert.equal(builder.events, 0);
  assert.equal(builder.bytes, 0);
  builder.addText(block, 0, '{"next":1}');
  builder.addText(block, 0, '{}');
  const second = await builder.seal(6);

  assert.equal(textOf(first), '{"first":true}\n');
  assert.deepEqual([first.events, first.bytes, stretchesOf(first, [block])], [1, 15, ['0: 0+1']]);
  assert.deepEqual([first.eventIndexes.size, first.originals.size], [1, 1]);
  assert.equal(textOf(second), '{"next":1}\n{}\n');
  assert.deepEqual([second.events, second.bytes, stretchesOf(second, [block])], [2, 14, ['0: 0+1', '0: 0+1']]);
  assert.deepEqual([second.eventIndexes.size, second.originals.size], [0, 0]);
});
