import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { messageBlock } from '../../../../../functions/core/formats/json/message.ts';
import { insertIdByContent } from '../../../../../functions/core/insert-id.ts';
import { contentsOf, messageOrigin } from '../../../../support/parsing.ts';

const good = '{"event":"a","properties":{}}';
const pretty = JSON.stringify(JSON.parse(good), null, 2);
const deep = `{"a":${'['.repeat(100)}${']'.repeat(100)}}`;
const tooDeep = 'record: nested more than 100 levels deep';
const tooLarge = 'record: larger than 1000000 bytes';

/** Records as `index text`, rejections as `index field: message`. */
function read(data: string | Buffer) {
  const bytes = Buffer.from(data);
  const block = messageBlock(bytes, { origin: messageOrigin, insertIdOf: insertIdByContent });
  const { records, rejections } = contentsOf([block]);
  assert.equal(block.size, bytes.length);
  assert.equal(block.end.offset, bytes.length);
  assert.equal(block.counts.read, records.length + rejections.length);
  assert.equal(block.counts.rejected, rejections.length);
  return {
    records: records.map(({ ordinal, text }) => `${ordinal} ${text}`),
    rejections: rejections.map(({ source, reason }) => {
      assert.ok('index' in source);
      return `${source.index} ${reason.field}: ${reason.message}`;
    }),
  };
}

describe('the data of a message', () => {
  const rows: { name: string; input: string | Buffer; records?: string[]; rejections?: string[] }[] = [
    { name: 'nothing: no record', input: '' },
    { name: 'white space: no record', input: ' \r\n\t\n' },
    { name: 'an empty array: no record', input: ' [\n]\n' },
    { name: 'an event', input: good, records: [`0 ${good}`] },
    { name: 'an event with white space around it', input: `\n\t${good}\r\n\n`, records: [`0 ${good}`] },
    { name: 'an event on several lines', input: `${pretty}\n`, records: [`0 ${pretty}`] },
    { name: 'an array', input: `[${good},\n${pretty}]`, records: [`0 ${good}`, `1 ${pretty}`] },
    {
      name: 'an array in which some are no events',
      input: `[5,${good},{},${good}]`,
      records: [`1 ${good}`, `3 ${good}`],
      rejections: ['0 record: not an object', '2 event: missing'],
    },
    { name: 'lines', input: `${good}\n\n${good}\r\n`, records: [`0 ${good}`, `1 ${good}`] },
    {
      name: 'lines of which one is bad',
      input: `${good}\nx\n${good}`,
      records: [`0 ${good}`, `2 ${good}`],
      rejections: ['1 record: not JSON: unexpected character at byte 1'],
    },
    { name: 'a scalar', input: '5', rejections: ['0 record: not an object'] },
    { name: 'no JSON', input: 'hello', rejections: ['0 record: not JSON: unexpected character at byte 1'] },
    { name: 'an object that is no event', input: '{\n}', rejections: ['0 event: missing'] },
    {
      name: 'an event that is cut short',
      input: good.slice(0, -1),
      rejections: ['0 record: not JSON: it ends in the middle, after 28 bytes'],
    },
    {
      name: 'an event that is no UTF-8',
      input: Buffer.from(good.replace('a', '\xe9'), 'latin1'),
      rejections: ['0 record: not valid UTF-8'],
    },
    {
      name: 'an array that is not closed, as lines',
      input: `[${good},\n${good}\n`,
      records: [`1 ${good}`],
      rejections: ['0 record: not JSON: it ends in the middle, after 31 bytes'],
    },
    {
      name: 'two arrays, as lines',
      input: `[${good}]\n[${good}]`,
      rejections: ['0 record: not an object', '1 record: not an object'],
    },
    {
      name: 'an array with an error, as lines',
      input: `[x\n${good}`,
      records: [`1 ${good}`],
      rejections: ['0 record: not JSON: unexpected character at byte 2'],
    },
    { name: 'an object nested too deep', input: deep.replaceAll('[', '[\n'), rejections: [`0 ${tooDeep}`] },
    {
      name: 'lines of which the first is nested too deep',
      input: `${deep}\n${good}`,
      records: [`1 ${good}`],
      rejections: [`0 ${tooDeep}`],
    },
    {
      name: 'an array with an element nested too deep',
      input: `[${deep},${good}]`,
      records: [`1 ${good}`],
      rejections: [`0 ${tooDeep}`],
    },
    {
      name: 'an object that is too large',
      input: `{\n"a":"${'x'.repeat(1_000_000)}"}`,
      rejections: [`0 ${tooLarge}`],
    },
    {
      name: 'lines of which one is too large',
      input: `${good}\n{"a":"${'x'.repeat(2_000_000)}"}\n${good}`,
      records: [`0 ${good}`, `2 ${good}`],
      rejections: [`1 ${tooLarge}`],
    },
    {
      name: 'an array with an element that is too large',
      input: `[${good},{"a":"${'x'.repeat(2_000_000)}"},${good}]`,
      records: [`0 ${good}`, `2 ${good}`],
      rejections: [`1 ${tooLarge}`],
    },
  ];
  for (const { name, input, records = [], rejections = [] } of rows) {
    test(`may be ${name}`, () => {
      assert.deepEqual(read(input), { records, rejections });
    });
  }

  test('may begin with a byte order mark', () => {
    const context = { origin: messageOrigin, insertIdOf: insertIdByContent };
    const block = messageBlock(Buffer.from('\ufeff{"event":"a","properties":{}}'), context);
    assert.deepEqual([block.starts.length, block.rejections.length], [1, 0]);
  });

  test('that are a thousand lines and more, of which none is an object, are one rejection', () => {
    const context = { origin: messageOrigin, insertIdOf: insertIdByContent };
    const data = Buffer.from('1\n'.repeat(500_000));
    const block = messageBlock(data, context);
    assert.deepEqual(block.counts, { read: 1, expanded: 0, imported: 0, rejected: 1, dropped: 0 });
    assert.match(block.rejections[0]!.reason.message, /no JSON object among the first 1000 lines/);
    assert.equal(
      messageBlock(Buffer.concat([Buffer.from('{}\n'), data.subarray(0, 4_000)]), context).counts.rejected,
      2_001,
    );
  });

  test('that are a million events leave nothing behind, and mix with no other message', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage: () => void = runInNewContext('gc');
    const context = { origin: messageOrigin, insertIdOf: insertIdByContent };
    const heldBytes = async () => {
      // Buffers are freed behind the collection that finds them.
      for (let round = 0; round < 2; round++) {
        collectGarbage();
        await setImmediate();
      }
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const recordsOf = (data: string) => contentsOf([messageBlock(Buffer.from(data), context)]).records;
    const before = await heldBytes();
    const checkLarge = () => {
      const { starts, ends, ordinals } = messageBlock(Buffer.from(`${good}\n`.repeat(1_000_000)), context);
      assert.deepEqual(
        recordsOf(`${good}\n {"event":"b","properties":{}}`).map(({ text }) => text),
        [good, '{"event":"b","properties":{}}'],
      );
      for (const column of [starts, ends, ordinals]) assert.equal(column.length, 1_000_000);
      for (const index of [0, 1, 999_999]) {
        const start = index * (good.length + 1);
        assert.deepEqual([starts[index], ends[index], ordinals[index]], [start, start + good.length, index]);
      }
    };
    checkLarge();
    const kept = (await heldBytes()) - before;
    assert.ok(kept < 5_000_000, `${kept} bytes are kept`);
  });

  test('that are too large are kept in their first 64 KiB, with their length', () => {
    const data = Buffer.from(`{"a":"${'x'.repeat(1_500_000)}"}`);
    const block = messageBlock(data, { origin: messageOrigin, insertIdOf: insertIdByContent });
    const [rejection] = block.rejections;
    assert.equal(rejection!.bytes, data.length);
    assert.ok(rejection!.record.equals(data.subarray(0, 65_536)));
    assert.equal(rejection!.insertId, undefined);
  });
});
