import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type Block, lengthOf, type Source } from '../../../../functions/core/block.ts';
import { formatDeadLetter } from '../../../../functions/core/dead-letter.ts';
import { MessageReader, rejectedBlock } from '../../../../functions/core/formats/read-message.ts';
import { insertIdByContent } from '../../../../functions/core/insert-id.ts';
import { VERBATIM } from '../../../../functions/core/mappings/mapping.ts';
import { dataOf, sourceOf } from '../../../../functions/pubsub/message-source.ts';
import {
  anyEventText,
  columnsOf,
  contentsOf,
  edit,
  edits,
  kept,
  messageBlocks,
  messageSource,
} from '../../../support/parsing.ts';

const good = '{"event":"a","properties":{}}';
const pretty = JSON.stringify(JSON.parse(good), null, 2);
const deep = `{"a":${'['.repeat(100)}${']'.repeat(100)}}`;
const prettyDeep = JSON.stringify(JSON.parse(deep), null, 1);
const advice = 'not a Mixpanel event. Use a mapping or a transform to make events of such records';
const tooDeep = 'record: nested more than 100 levels deep';
const tooLarge = 'record: larger than 1000000 bytes';
const notJson = 'record: not JSON: unexpected character at byte';

/** The blocks of a message, with bytes of their own. */
function blocksOf(
  stored: Buffer,
  { sliceBytes, source = messageSource }: { sliceBytes?: number; source?: Source } = {},
) {
  return messageBlocks(new MessageReader(insertIdByContent, sliceBytes), stored, source);
}

/** Records as `index text`, rejections as `index field: message`, and the rejections themselves. */
function read(data: string | Buffer, options?: { sliceBytes?: number }) {
  const blocks = blocksOf(Buffer.from(data), options);
  for (const { counts, records, rejections } of blocks) {
    assert.equal(counts.read, records.ordinals.length + rejections.length);
    assert.equal(counts.rejected, rejections.length);
  }
  const { records, rejections } = contentsOf(blocks);
  return {
    blocks,
    records: records.map(({ ordinal, text }) => `${ordinal} ${text}`),
    reasons: rejections.map(({ location, reason }) => {
      assert.ok('index' in location);
      return `${location.index} ${reason.field}: ${reason.message}`;
    }),
    rejections,
  };
}

interface Row {
  name: string;
  input: string | Buffer;
  records?: string[];
  reasons?: string[];
}

describe('the data of a message', () => {
  const rows: Row[] = [
    { name: 'nothing', input: '' },
    { name: 'white space', input: ' \r\n\t\n' },
    { name: 'an empty array', input: ' [\n]\n' },
    { name: 'an event', input: good, records: [`0 ${good}`] },
    { name: 'an event with white space around it', input: `\n\t${good}\r\n\n`, records: [`0 ${good}`] },
    { name: 'an event after a byte order mark', input: `\ufeff${good}`, records: [`0 ${good}`] },
    { name: 'an event on several lines', input: `${pretty}\n`, records: [`0 ${pretty}`] },
    {
      name: 'two events on several lines each',
      input: `${pretty}\n${pretty}`,
      records: [`0 ${pretty}`, `1 ${pretty}`],
    },
    { name: 'an array', input: `[${good},\n${pretty}]`, records: [`0 ${good}`, `1 ${pretty}`] },
    {
      name: 'an array in which some elements are not events',
      input: `[${good},5,{},${good}]`,
      records: [`0 ${good}`, `3 ${good}`],
      reasons: ['1 record: not an object', `2 event: missing: ${advice}`],
    },
    {
      name: 'a line of an array that begins with a scalar, before an event',
      input: `[5,${good}]\n${good}`,
      records: [`1 ${good}`],
      reasons: ['0 record: not an object'],
    },
    {
      name: 'an array in which one element is not JSON',
      input: `[${good},{"a":NaN},${good}]`,
      records: [`0 ${good}`, `2 ${good}`],
      reasons: [`1 ${notJson} 6`],
    },
    { name: 'lines', input: `${good}\n\n${good}\r\n`, records: [`0 ${good}`, `1 ${good}`] },
    {
      name: 'lines of which one is bad',
      input: `${good}\nx\n${good}`,
      records: [`0 ${good}`, `2 ${good}`],
      reasons: [`1 ${notJson} 1`],
    },
    { name: 'a scalar', input: '5', reasons: ['0 record: not an object'] },
    { name: 'text', input: 'hello', reasons: [`0 ${notJson} 1`] },
    { name: 'an object that is not an event', input: '{\n}', reasons: [`0 event: missing: ${advice}`] },
    {
      name: 'an event that is cut short',
      input: good.slice(0, -1),
      reasons: ['0 record: not JSON: it ends in the middle, after 28 bytes'],
    },
    {
      name: 'an event that is not UTF-8',
      input: Buffer.from(good.replace('a', '\xe9'), 'latin1'),
      reasons: ['0 record: not valid UTF-8'],
    },
    {
      name: 'an array that is not closed',
      input: `[${good},\n${good}\n`,
      records: [`0 ${good}`, `1 ${good}`],
      reasons: ['2 record: the array is not closed: the data may be cut short'],
    },
    { name: 'two arrays', input: `[${good}]\n[${good}]`, records: [`0 ${good}`, `1 ${good}`] },
    {
      name: 'a line that begins with a bracket before an event',
      input: `[x\n${good}`,
      records: [`1 ${good}`],
      reasons: [`0 ${notJson} 2`],
    },
    { name: 'an object on several lines, nested too deep', input: prettyDeep, reasons: [`0 ${tooDeep}`] },
    {
      name: 'lines of which the first is nested too deep',
      input: `${deep}\n${good}`,
      records: [`1 ${good}`],
      reasons: [`0 ${tooDeep}`],
    },
    {
      name: 'an array with an element nested too deep',
      input: `[${deep},${good}]`,
      records: [`1 ${good}`],
      reasons: [`0 ${tooDeep}`],
    },
    {
      name: 'an object that is too large',
      input: `{\n"a":"${'x'.repeat(1_000_000)}"}`,
      reasons: [`0 ${tooLarge}`],
    },
    {
      name: 'lines of which one is too large',
      input: `${good}\n{"a":"${'x'.repeat(2_000_000)}"}\n${good}`,
      records: [`0 ${good}`, `2 ${good}`],
      reasons: [`1 ${tooLarge}`],
    },
    {
      name: 'an array with an element that is too large',
      input: `[${good},{"a":"${'x'.repeat(2_000_000)}"},${good}]`,
      records: [`0 ${good}`, `2 ${good}`],
      reasons: [`1 ${tooLarge}`],
    },
  ];
  for (const { name, input, records = [], reasons = [] } of rows) {
    test(`A message reader tells records apart in ${name}`, () => {
      const data = Buffer.from(input);
      for (const [stored, bytes] of [
        [data, data.length],
        [gzipSync(data), data.length],
      ] as const) {
        const found = read(stored);
        assert.deepEqual({ records: found.records, reasons: found.reasons }, { records, reasons });
        assert.equal(
          found.blocks.reduce((sum, { weight }) => sum + weight, 0),
          bytes,
        );
        if (bytes > 0) assert.equal(found.blocks.at(-1)!.end.offset, bytes);
      }
    });
  }

  test('A message reader finds the same for slices of any size, plain and compressed', () => {
    const part = fc.constantFrom(
      good,
      pretty,
      '[',
      ']',
      ',',
      '\n',
      'x',
      `5${' '.repeat(20)}`,
      '{"a":',
      '"',
      '\ufeff',
      '{}',
      '[5]',
      deep,
    );
    const text = fc.array(fc.oneof(part, anyEventText), { maxLength: 8 }).map((parts) => parts.join(''));
    const content = fc
      .tuple(text, fc.option(edits, { nil: [] }))
      .map(([text, changes]) => edit(Buffer.from(text), changes))
      .filter((bytes) => bytes[0] !== 0x1f);
    const found = (stored: Buffer, sliceBytes?: number) => {
      const { records, rejections } = contentsOf(blocksOf(stored, sliceBytes === undefined ? {} : { sliceBytes }));
      return { records, rejections };
    };
    fc.assert(
      fc.property(content, fc.integer({ min: 1, max: 100 }), (bytes, sliceBytes) => {
        const expected = found(bytes);
        assert.deepEqual(found(bytes, sliceBytes), expected);
        const stored = gzipSync(bytes);
        const { records, rejections } = found(stored, sliceBytes);
        assert.deepEqual(records, expected.records);
        for (const [index, rejection] of rejections.entries()) {
          const { record, bytes: length, insertId } = expected.rejections[index]!;
          const isAllOfIt = rejection.record.equals(stored);
          if (isAllOfIt) assert.ok(record.equals(bytes), 'the rejection is all of the message');
          else assert.deepEqual(rejection, { ...rejection, record, bytes: length, insertId });
          assert.deepEqual(rejection.reason, expected.rejections[index]!.reason);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a message that is one rejection', () => {
  const protobuf = Buffer.from('0a0568656c6c6f100122130a0b64697374696e63745f6964120475', 'hex');
  const wholes: [name: string, stored: Buffer, message: RegExp][] = [
    ['text with white space around it', Buffer.from('\n hello \n'), /^not JSON: unexpected character at byte 1$/],
    ['a scalar', Buffer.from(' 5\n'), /^not an object$/],
    [
      'lines of scalars',
      Buffer.from('5\n6\n"x"\n'),
      /^no JSON object among the first records\. The first one: not an object$/,
    ],
    [
      'an array of arrays',
      Buffer.from('[[1,2],[3]]'),
      /^no JSON object among the first records\. The first one: not an object$/,
    ],
    ['an array of text, not closed', Buffer.from('[x, y'), /^not JSON: unexpected character at byte 2$/],
    ['protobuf', protobuf, /^no JSON object among the first records\. The first one: not JSON: unexpected/],
    [
      '500,000 lines',
      Buffer.from('1\n'.repeat(500_000)),
      /^no JSON object among the first records\. The first one: not an object$/,
    ],
    [
      'lines of 1 MB each, 9 MB',
      Buffer.alloc(9_000_000, `${'x'.repeat(999_999)}\n`),
      /^no JSON object among the first records\. The first one: not JSON: unexpected character at byte 1$/,
    ],
    ['text of 1.4 MB', Buffer.alloc(1_400_000, 'x'), /^not JSON: unexpected character at byte 1$/],
    [
      'lines of text, 1.4 MB',
      Buffer.alloc(1_400_000, 'x y z\n'),
      /^no JSON object among the first records\. The first one: not JSON: unexpected character at byte 1$/,
    ],
  ];
  for (const [name, data, message] of wholes) {
    for (const [how, stored] of [
      ['plain', data],
      ['compressed', gzipSync(data)],
      ['zstd-compressed', zstdCompressSync(data)],
    ] as const) {
      test(`The rejection of a message keeps all bytes as they were stored: ${name}, ${how}`, () => {
        for (const sliceBytes of [undefined, 7_001, 100_000]) {
          const { blocks, records, rejections } = read(stored, sliceBytes === undefined ? {} : { sliceBytes });
          assert.deepEqual(records, []);
          assert.equal(rejections.length, 1);
          const [{ reason, record, bytes, insertId, location }] = rejections as [(typeof rejections)[0]];
          assert.equal(reason.field, 'record');
          assert.match(reason.message, message);
          assert.ok(record.equals(stored));
          assert.equal(bytes, stored.length);
          assert.equal(insertId, insertIdByContent(stored, messageSource, 0, 0));
          assert.deepEqual(location, messageSource.locate(0, 0));
          assert.equal(
            blocks.reduce((sum, { weight }) => sum + weight, 0),
            data.length,
          );
        }
      });
    }
  }

  test('A message of 2,000 lines after one object is rejected line by line', () => {
    const { rejections } = read(`{}\n${'1\n'.repeat(2_000)}`);
    assert.equal(rejections.length, 2_001);
  });

  test('A rejected record of a message is kept whole, whatever its size', () => {
    for (const record of [
      `{"a":"${'x'.repeat(1_500_000)}"}`,
      `{"a":"${'x'.repeat(1_500_000)}`,
      'x'.repeat(1_500_000),
    ]) {
      for (const data of [record, `${good}\n${record}`]) {
        const { rejections } = read(data);
        assert.equal(rejections.length, 1);
        assert.equal(rejections[0]!.bytes, record.length);
        assert.ok(rejections[0]!.record.equals(Buffer.from(record)));
        assert.equal(rejections[0]!.insertId, insertIdByContent(Buffer.from(record), messageSource, 0, 0));
      }
    }
  });

  const undecodable: [name: string, stored: Buffer, message: RegExp][] = [
    ['are cut short', gzipSync(good).subarray(0, 20), /^the gzip data are corrupt: unexpected end of file/],
    ['are followed by garbage', Buffer.concat([gzipSync(good), Buffer.from('x')]), /^the gzip data are corrupt: /],
    [
      'are zstd and cut short',
      zstdCompressSync(good).subarray(0, -1),
      /^the zstd data are corrupt: unexpected end of file/,
    ],
    ['are only the first two bytes', Buffer.from([0x1f, 0x8b]), /^the gzip data are corrupt: unexpected end of file/],
    [
      'decompress to more than 500 MB',
      gzipSync(Buffer.alloc(500_000_001), { level: 1 }),
      /^it decompresses to more than 500000000 bytes/,
    ],
  ];
  for (const [name, stored, message] of undecodable) {
    test(`A message is rejected as a whole if its compressed data ${name}`, async () => {
      const [block, ...others] = await Array.fromAsync(
        new MessageReader(insertIdByContent).read(stored, messageSource),
      );
      assert.equal(others.length, 0);
      assert.equal(block!.records.ordinals.length, 0);
      assert.deepEqual(block!.counts, { read: 1, expanded: 0, imported: 0, rejected: 1, dropped: 0 });
      const [rejection] = block!.rejections;
      assert.match(rejection!.reason.message, message);
      assert.ok(rejection!.record.equals(stored));
      assert.equal(rejection!.bytes, stored.length);
    });
  }

  test('A rejected block holds the whole message as a single rejection', () => {
    const stored = Buffer.from('anything');
    const reason = { field: 'record', message: 'a reason' };
    const block = rejectedBlock(stored, messageSource, reason, insertIdByContent);
    assert.deepEqual(block.rejections, [
      {
        reason,
        location: messageSource.locate(0, 0),
        insertId: insertIdByContent(stored, messageSource, 0, 0),
        record: stored,
        bytes: 8,
        through: undefined,
      },
    ]);
    assert.deepEqual([block.weight, block.end.offset, block.counts.read, block.pending], [8, 8, 1, 1]);
  });
});

describe('a message that is decompressed piece by piece', () => {
  /** The blocks of a message of which at most so many bytes are decompressed at once, each kept before the next is read. */
  async function pieces(stored: Buffer, { sliceBytes = 100, bytesAtOnce = 10, signal }: Partial<Pieces> = {}) {
    const blocks: Block[] = [];
    const read = new MessageReader(insertIdByContent, sliceBytes, bytesAtOnce).read(stored, messageSource, signal);
    assert.ok(Symbol.asyncIterator in read);
    for await (const block of read) blocks.push(lengthOf(block.records) === 0 ? block : kept(block));
    return contentsOf(blocks);
  }
  interface Pieces {
    sliceBytes: number;
    bytesAtOnce: number;
    signal: AbortSignal;
  }

  test('A message has the same records and rejections whether it is decompressed at once or piece by piece', async () => {
    const lines = Array.from({ length: 5_000 }, (_, n) => (n % 100 === 7 ? `x${n}` : good.replace('a', `a${n}`)));
    const long = `{"a":"${'y'.repeat(1_500_000)}"}`;
    for (const data of [
      `[${good}]`,
      pretty,
      lines.join('\n'),
      [good, long, good].join('\n'),
      `${deep}\n${good}`,
      `5${' '.repeat(20)}`,
    ]) {
      for (const stored of [
        gzipSync(data),
        gzipSync(gzipSync(data)),
        Buffer.concat([gzipSync(data), gzipSync('\n5')]),
      ]) {
        const expected = contentsOf(blocksOf(stored));
        for (const sliceBytes of [100, 1_048_576]) assert.deepEqual(await pieces(stored, { sliceBytes }), expected);
      }
    }
  });

  test('A message whose gzip data are corrupt at the end is one rejection, and none of its records are read', async () => {
    const lines = Array.from({ length: 100_000 }, (_, n) => good.replace('a', `a${hash('md5', String(n))}`));
    const stored = gzipSync(lines.join('\n'), { level: 1 });
    for (const whole of [stored, gzipSync(stored)]) {
      const corrupt = Buffer.from(whole);
      corrupt[corrupt.length - 5]! ^= 1;
      const { records, rejections } = await pieces(corrupt);
      assert.deepEqual([records.length, rejections.length], [0, 1]);
      assert.match(rejections[0]!.reason.message, /^the gzip data are corrupt: incorrect /);
      assert.ok(rejections[0]!.record.equals(corrupt));
    }
  });

  test('A record that is too large to be held leaves the whole message in its letter, and others arrive', async () => {
    const stored = gzipSync(`${good}\n{"a":"${'y'.repeat(20_000_000)}"}\n${good}\nx\n`);
    const { records, rejections } = await pieces(stored, { sliceBytes: 1_048_576 });
    assert.deepEqual(
      records.map(({ ordinal }) => ordinal),
      [0, 2],
    );
    const letters = rejections.map((rejection) => JSON.parse(formatDeadLetter(rejection, new Date(0))));
    assert.deepEqual(
      letters.map(({ reason, range, record, recordBase64, truncated }) => [
        reason.message,
        range,
        record ?? recordBase64,
        truncated,
      ]),
      [
        ['larger than 1000000 bytes', { from: 1, to: 2 }, stored.toString('base64'), undefined],
        ['not JSON: unexpected character at byte 1', undefined, 'x', undefined],
      ],
    );
  });

  test('A message whose second layer holds two million empty members is read in seconds', {
    timeout: 60_000,
  }, async () => {
    const members = gzipSync(Buffer.alloc(20 * 2_000_000, gzipSync('')), { level: 1 });
    const { records, rejections } = await pieces(members);
    assert.deepEqual([records, rejections], [[], []]);
  });

  test('A reader stops when it is told to, before all of a message is decompressed', async () => {
    const stopping = new AbortController();
    const reason = new Error('stopped');
    const reading = pieces(gzipSync(Buffer.alloc(400_000_000), { level: 1 }), { signal: stopping.signal });
    stopping.abort(reason);
    await assert.rejects(reading, reason);
  });
});

describe('a message without data', () => {
  test('A message without data is a rejection that keeps its attributes, or nothing if it has none', () => {
    for (const stored of [null, undefined, '', Buffer.alloc(0)]) {
      const blocksWith = (attributes: Record<string, string>) => {
        const message = { ackId: 'a', message: { data: stored as Buffer, attributes, messageId: '12' } };
        return blocksOf(dataOf(message), { source: sourceOf(message, 's', () => VERBATIM) });
      };
      assert.deepEqual(blocksWith({}), []);
      const [block, ...others] = blocksWith({ event: 'Signed Up' });
      assert.deepEqual(others, []);
      assert.deepEqual([block!.counts.read, block!.counts.rejected], [1, 1]);
      const { reason, source, record } = JSON.parse(formatDeadLetter(block!.rejections[0]!, new Date(0)));
      assert.deepEqual(
        [reason, source.attributes, record],
        [{ field: 'record', message: 'empty: the message has attributes and no data' }, { event: 'Signed Up' }, ''],
      );
    }
  });
});

describe('a pulled message', () => {
  const subscription = 'projects/p/subscriptions/s';
  const event = '{"event":"e","properties":{"time":1,"distinct_id":"u"}}';
  const gzip = { 'Content-Encoding': 'gzip' };

  function pulled(data: Buffer | string | null | undefined, attributes: Record<string, string> = {}) {
    const publishTime = { seconds: 1_767_225_600, nanos: 123_456_789 };
    const message = { ackId: 'a', message: { data: data as Buffer, attributes, messageId: '12', publishTime } };
    return contentsOf(blocksOf(dataOf(message), { source: sourceOf(message, subscription, () => VERBATIM) }));
  }

  const cases: [
    name: string,
    data: Buffer | string | null | undefined,
    attributes: Record<string, string>,
    records: number,
  ][] = [
    ['one event', Buffer.from(event), {}, 1],
    ['an array', Buffer.from(`[${event},${event}]`), {}, 2],
    ['lines', Buffer.from(`${event}\n${event}\n`), {}, 2],
    ['compressed data with the attribute', gzipSync(`${event}\n${event}`), gzip, 2],
    ['compressed data with the attribute in capitals', gzipSync(event), { 'Content-Encoding': 'GZIP' }, 1],
    ['compressed data without the attribute', gzipSync(event), {}, 1],
    ['compressed data in several members', Buffer.concat([gzipSync(event), gzipSync(event)]), {}, 2],
    ['plain data with the attribute', Buffer.from(event), gzip, 1],
    ['base64, as the client may deliver it', Buffer.from(event).toString('base64'), {}, 1],
    ['compressed data in base64', gzipSync(event).toString('base64'), {}, 1],
    ['a part of a larger buffer', Buffer.from(`xx${event}xx`).subarray(2, 2 + event.length), {}, 1],
    ['data that are null', null, {}, 0],
    ['data that are undefined', undefined, {}, 0],
    ['compressed data of no bytes', gzipSync(''), gzip, 0],
    ['an empty array', Buffer.from('[]'), {}, 0],
  ];
  for (const [name, data, attributes, count] of cases) {
    test(`The records of a pulled message are found in ${name}`, () => {
      const { records, rejections } = pulled(data, attributes);
      assert.deepEqual([records.length, rejections.length], [count, 0]);
      assert.ok(records.every(({ text }) => text === event));
    });
  }

  test('A rejection names the message, its attributes and the index of the record', () => {
    for (const [attributes, named] of [
      [{}, {}],
      [{ a: '1' }, { attributes: { a: '1' } }],
    ] as [Record<string, string>, object][]) {
      const { rejections } = pulled(Buffer.from(`[${event},5]`), attributes);
      const publishTime = '2026-01-01T00:00:00.123Z';
      assert.deepEqual(
        rejections.map(({ location }) => location),
        [{ subscription, messageId: '12', publishTime, index: 1, ...named }],
      );
    }
  });
});

/** The blocks of a message, one at a time. */
function iterate(reader: MessageReader, stored: Buffer): Iterable<Block> {
  const blocks = reader.read(stored, messageSource);
  assert.ok(Symbol.iterator in blocks);
  return blocks;
}

describe('a message reader', () => {
  test('A message of a million events leaves no memory in use, and does not mix with other messages', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage: () => void = runInNewContext('gc');
    const heldBytes = async () => {
      // Buffers are freed after the collection that finds them.
      for (let round = 0; round < 2; round++) {
        collectGarbage();
        await setImmediate();
      }
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const reader = new MessageReader(insertIdByContent);
    const before = await heldBytes();
    let most = 0;
    const checkLarge = () => {
      let index = 0;
      for (const block of iterate(reader, Buffer.from(`${good}\n`.repeat(1_000_000)))) {
        const { offset, starts, ends, ordinals } = columnsOf(block);
        for (const [record, ordinal] of ordinals.entries()) {
          if (ordinal !== index) assert.fail(`index ${ordinal} instead of ${index}`);
          if (offset + starts[record]! !== index * (good.length + 1)) assert.fail(`offset of ${index}`);
          if (ends[record]! - starts[record]! !== good.length) assert.fail(`length of ${index}`);
          index++;
        }
        most = Math.max(most, block.weight);
      }
      assert.equal(index, 1_000_000);
    };
    checkLarge();
    const small = messageBlocks(reader, Buffer.from(`${good}\n {"event":"b","properties":{}}`));
    assert.deepEqual(
      contentsOf(small).records.map(({ text }) => text),
      [good, '{"event":"b","properties":{}}'],
    );
    assert.ok(most < 2_200_000, `a block of ${most} bytes`);
    const held = (await heldBytes()) - before;
    assert.ok(held < 5_000_000, `${held} bytes are held`);
  });

  test('A reader that was left in the middle of a message reads the next one from its beginning', () => {
    const reader = new MessageReader(insertIdByContent, 10);
    const first = iterate(reader, Buffer.from(`${good}\nx\n{"a":[`.repeat(5)))[Symbol.iterator]();
    assert.equal((first.next().value as Block).records.ordinals.length, 1);
    const { records, rejections } = contentsOf(messageBlocks(reader, Buffer.from(`[${good}]`)));
    assert.deepEqual([records.map(({ ordinal, text }) => `${ordinal} ${text}`), rejections], [[`0 ${good}`], []]);
  });
});

describe('a message in UTF-16', () => {
  for (const [name, stored] of [
    ['plain', (bytes: Buffer) => bytes],
    ['compressed', gzipSync],
  ] as const) {
    for (const encoding of ['utf-16le', 'utf-16be'] as const) {
      test(`A ${name} message in ${encoding} with a byte order mark is decoded`, async () => {
        const text = Buffer.from(`\ufeff${good.repeat(2)}{"event":"ü😀","properties":{}}`, 'utf16le');
        const data = stored(encoding === 'utf-16le' ? text : text.swap16());
        const all = read(data);
        assert.deepEqual(all.records, [
          `0 ${good}`,
          `1 ${good}`,
          `2 ${Buffer.from('{"event":"ü😀","properties":{}}').toString('latin1')}`,
        ]);
        const reader = new MessageReader(insertIdByContent, 10, 10);
        const inPieces: string[] = [];
        for await (const block of reader.read(data, messageSource)) {
          inPieces.push(...contentsOf([kept(block)]).records.map(({ text: record }) => record));
        }
        assert.equal(inPieces.length, 3);
      });
    }
  }
});
