import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { EMPTY_ID, EMPTY_PROPERTIES, LINE_BREAK, LONG_NUMBER, NEEDS_ID } from '../../../../../functions/core/block.ts';
import { type Format, RecordParser } from '../../../../../functions/core/formats/json/parser.ts';
import { insertIdByContent } from '../../../../../functions/core/insert-id.ts';
import {
  assertResumable,
  comparable,
  edit,
  edits,
  eventText,
  jsonText,
  objectOrigin,
  type ParseOptions,
  parse,
} from '../../../../support/parsing.ts';

const good = '{"event":"a","properties":{"time":1}}';

/** Records and rejections as `line:offset text` and `line:offset field: message`. */
function summaryOf(content: string | Buffer, options?: ParseOptions) {
  const { records, rejections } = parse(Buffer.from(content), options);
  return {
    records: records.map(({ ordinal, offset, text }) => `${ordinal}:${offset} ${text}`),
    rejections: rejections.map(({ source, reason }) => {
      assert.ok('bucket' in source);
      return `${source.line}:${source.offset} ${reason.field}: ${reason.message}`;
    }),
  };
}

/** Chunk ends at every so many bytes. */
function every(bytes: number, content: Buffer): number[] {
  return Array.from({ length: Math.ceil(content.length / bytes) }, (_, index) => (index + 1) * bytes);
}

/** Checks that neither chunks nor blocks nor a new start at any block change what is found, and returns that. */
function parseEveryWay(content: Buffer, breakOff?: string) {
  const options = { breakOff, blockBytes: Number.MAX_SAFE_INTEGER };
  const { records, rejections } = parse(content, options);
  const expected = comparable({ records, rejections });
  for (const [chunkBytes, blockBytes] of [
    [65_536, undefined],
    [16_384, undefined],
    [999_999, 1],
    [1_000_001, 1],
    [300_007, 1],
  ] as const) {
    const split = { breakOff, cuts: every(chunkBytes, content), ...(blockBytes === undefined ? {} : { blockBytes }) };
    const found = parse(content, split);
    assert.deepEqual(comparable(found), expected, `chunks of ${chunkBytes}`);
    assertResumable(content, split);
  }
  return { records, rejections };
}

/** An element of content, and what should be found in it: a record, or the field of its rejection. */
interface Piece {
  bytes: Buffer;
  expected: 'record' | 'rejection' | 'nothing';
}

const piece = (expected: Piece['expected']) => (bytes: string | Buffer) => ({ bytes: Buffer.from(bytes), expected });
const goodPiece = fc
  .oneof(
    eventText.map((text) => text.trim()),
    fc.constantFrom(
      good,
      '{"properties":{"a":1},"event":"b"}',
      '{"event":"ü€😀","properties":{"$insert_id":"","a":1e9}}',
    ),
  )
  .filter((text) => {
    const { event, properties } = JSON.parse(text);
    return event !== undefined && properties?.constructor === Object && !text.includes('"constructor"');
  })
  .map(piece('record'));
const badPiece = fc
  .constantFrom<string | Buffer>(
    '5',
    '"a"',
    'null',
    '{}',
    '{"event":"a"}',
    '{"event":1,"properties":[]}',
    `${'['.repeat(101)}${']'.repeat(101)}`,
  )
  .map(piece('rejection'));
const notUtf8 = fc
  .constantFrom(Buffer.from([0x22, 0xff, 0x22]), Buffer.from(`{"event":"\xe9","properties":{}}`, 'latin1'))
  .map(piece('rejection'));
const onOneLine = ({ bytes }: Piece) => !bytes.includes('\n');

const line = fc.oneof(
  { weight: 4, arbitrary: goodPiece.filter(onOneLine) },
  { weight: 1, arbitrary: fc.oneof(badPiece, notUtf8) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('x', '{"event":', '{} {}', '\0', '\xa0', ']', `${good},`, '\ufeff{}')
      .map(piece('rejection')),
  },
  { weight: 1, arbitrary: fc.constantFrom('', ' ', '\r', '\t\r ').map(piece('nothing')) },
);
const markOrNot = fc.constantFrom('', '\ufeff');
const blanks = fc.stringMatching(/^[ \t\r]{0,2}$/);
const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);

interface Content {
  bytes: Buffer;
  expected: { line: number; offset: number; bytes: number; isRecord: boolean }[];
}

/** Joins texts and pieces, and notes where each piece comes to stand. */
function contentOf(parts: (string | Piece)[]): Content {
  const expected: Content['expected'] = [];
  let bytes: Buffer = Buffer.alloc(0);
  for (const part of parts) {
    const added = typeof part === 'string' ? Buffer.from(part) : part.bytes;
    if (typeof part !== 'string' && part.expected !== 'nothing') {
      const newlines = bytes.toString('latin1').split('\n').length;
      expected.push({
        line: newlines,
        offset: bytes.length,
        bytes: added.length,
        isRecord: part.expected === 'record',
      });
    }
    bytes = Buffer.concat([bytes, added]);
  }
  return { bytes, expected };
}

const lines: fc.Arbitrary<Content> = fc
  .tuple(
    markOrNot,
    fc.array(fc.tuple(blanks, line, blanks, fc.constantFrom('\n', '\r\n')), { maxLength: 8 }),
    // The first record decides on the format, and that there are objects at all.
    fc.tuple(blanks, goodPiece.filter(onOneLine), fc.constantFrom('', ' ', '\n')),
  )
  .map(([mark, before, [blank, last, end]]) => contentOf([mark, '{}\n', ...before.flat(), blank, last, end]))
  .map(({ bytes, expected }) => {
    const offset = bytes.indexOf('{}');
    return { bytes, expected: [{ line: 1, offset, bytes: 2, isRecord: false }, ...expected] };
  });

const element = fc.oneof(
  { weight: 4, arbitrary: goodPiece },
  { weight: 1, arbitrary: fc.oneof(badPiece, notUtf8) },
  { weight: 1, arbitrary: fc.constant(JSON.stringify(JSON.parse(good), null, 2)).map(piece('record')) },
);
const array: fc.Arbitrary<Content> = fc
  .tuple(markOrNot, space, fc.array(fc.tuple(space, element, space), { minLength: 1, maxLength: 6 }), space)
  .map(([mark, before, elements, behind]) => {
    const parts = elements.flatMap((parts, index) => [index === 0 ? '' : ',', ...parts]);
    return contentOf([mark, before, '[', piece('rejection')('{}'), ',', ...parts, ']', behind]);
  });

/** Content that may hold no object at all, or break before the first. */
const odd = fc.oneof(
  fc.array(jsonText, { maxLength: 4 }).map((texts) => `[${texts.join()}]`),
  fc.array(fc.oneof(jsonText, fc.constantFrom(good, 'x', '')), { maxLength: 4 }).map((texts) => texts.join('\n')),
  fc.array(fc.constantFrom('[', ']', ',', '1', '"', good, '\n', ' '), { maxLength: 10 }).map((texts) => texts.join('')),
);
const damaged = fc.tuple(fc.oneof(lines, array), edits, fc.nat(600)).map(([{ bytes }, changes, cut]) => {
  const edited = edit(bytes, changes);
  return cut % 3 === 0 ? edited.subarray(0, edited.length - (cut % (edited.length + 1))) : edited;
});
const anyContent = fc.oneof(
  lines.map(({ bytes }) => bytes),
  array.map(({ bytes }) => bytes),
  odd.map((text) => Buffer.from(text)),
  { weight: 2, arbitrary: damaged },
);
const breakOff = fc.constantFrom(undefined, undefined, 'corrupt');

const cuts = fc.array(fc.nat(600), { maxLength: 12 }).map((places) => places.sort((a, b) => a - b));
const blockBytes = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 }));

describe('records', () => {
  for (const [format, content] of [
    ['ndjson', lines],
    ['array', array],
  ] as [Format, fc.Arbitrary<Content>][]) {
    test(`of ${format} content have the lines and offsets that an editor shows`, () => {
      fc.assert(
        fc.property(content, ({ bytes, expected }) => {
          const found = parse(bytes);
          assert.equal(found.format, format);
          const records = expected.filter(({ isRecord }) => isRecord);
          const rejected = expected.filter(({ isRecord }) => !isRecord);
          assert.deepEqual(
            found.records.map(({ ordinal, offset, text }) => ({ line: ordinal, offset, text })),
            records.map(({ line, offset, bytes: length }) => ({
              line,
              offset,
              text: bytes.toString('latin1', offset, offset + length),
            })),
          );
          assert.deepEqual(
            found.rejections.map(({ source, record, bytes: length }) => ({ source, record, length })),
            rejected.map(({ line, offset, bytes: length }) => ({
              source: objectOrigin.sourceOf(offset, line),
              record: bytes.subarray(offset, offset + length),
              length,
            })),
          );
        }),
        { numRuns: 500 },
      );
    });
  }

  test('are the same for any chunks and blocks, be the content damaged or cut short, and also when it breaks off', () => {
    fc.assert(
      fc.property(anyContent, cuts, blockBytes, breakOff, (bytes, cuts, blockBytes, breakOff) => {
        const found = parse(bytes, { cuts, blockBytes, breakOff });
        assert.deepEqual(comparable(found), comparable(parse(bytes, { breakOff })));
      }),
      { numRuns: 1500 },
    );
  });

  test('behind any block are found by a parser that begins there', () => {
    fc.assert(
      fc.property(anyContent, cuts, blockBytes, breakOff, (bytes, cuts, blockBytes, breakOff) => {
        assertResumable(bytes, { cuts, blockBytes, breakOff });
      }),
      { numRuns: 1000 },
    );
  });

  test('carry what is needed to send them', () => {
    const record = (text: string) => {
      const { records } = parse(Buffer.from(`[${text}]`));
      return { flags: records[0]!.flags, splice: records[0]!.splice };
    };
    const id = '"$insert_id":"a"';
    assert.deepEqual(record(`{"event":"a","properties":{${id}}}`), { flags: 0, splice: 27 });
    assert.deepEqual(record('{"event":"a","properties":{"b":1}}'), { flags: NEEDS_ID, splice: 27 });
    assert.deepEqual(record('{"properties":{},"event":"a"}'), { flags: NEEDS_ID | EMPTY_PROPERTIES, splice: 15 });
    assert.deepEqual(record('{"event":"a","properties":{"$insert_id":null}}').flags, EMPTY_ID);
    assert.deepEqual(record(`{"event":"a","properties":{${id},"b":1e3}}`).flags, LONG_NUMBER);
    assert.deepEqual(record(`{"event":"a",\n"properties":{${id}}}`).flags, LINE_BREAK);
    assert.deepEqual(record(`\n{"event":"a","properties":{${id}}}\n`).flags, 0);
  });

  test('that are rejected carry the id that they would have been sent with', () => {
    const { rejections } = parse(Buffer.from(`${good}\n {"event":1} \n`));
    assert.equal(rejections[0]!.insertId, insertIdByContent(Buffer.from('{"event":1}'), objectOrigin, 0, 0));
  });
});

describe('lines', () => {
  const rows: { name: string; input: string | Buffer; records?: string[]; rejections?: string[] }[] = [
    { name: 'of nothing', input: '' },
    { name: 'of white space', input: ' \r\n\t\n' },
    { name: 'of a byte order mark', input: '\ufeff' },
    { name: 'without a newline at the end', input: `${good}\n${good}`, records: [`1:0 ${good}`, `2:38 ${good}`] },
    { name: 'behind a byte order mark', input: `\ufeff${good}\n`, records: [`1:3 ${good}`] },
    {
      name: 'with CRLF and blank lines',
      input: `\r\n ${good} \r\n\r\n${good}`,
      records: [`2:3 ${good}`, `4:45 ${good}`],
    },
    {
      name: 'of which one is no JSON',
      input: 'x',
      rejections: ['1:0 record: not JSON: unexpected character at byte 1'],
    },
    {
      name: 'with more than a value',
      input: `${good}\n\n {"a":1}  {}`,
      records: [`1:0 ${good}`],
      rejections: ['3:40 record: not JSON: unexpected character at byte 10'],
    },
    {
      name: 'that end in the middle',
      input: `{"event":\n${good}`,
      records: [`2:10 ${good}`],
      rejections: ['1:0 record: not JSON: it ends in the middle, after 9 bytes'],
    },
    {
      name: 'that are no events',
      input: [good, '{}', '{"event":1}', '{"event":1,"properties":null}', '[]', '"\\ud800"'].join('\n'),
      records: [`1:0 ${good}`],
      rejections: [
        '2:38 event: missing',
        '3:41 properties: missing',
        '4:53 properties: not an object',
        '5:83 record: not an object',
        '6:86 record: not an object',
      ],
    },
    {
      name: 'that are no UTF-8',
      input: Buffer.concat([Buffer.from(`${good}\n"`), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from(`"\n${good}`)]),
      records: [`1:0 ${good}`, `3:44 ${good}`],
      rejections: ['2:38 record: not valid UTF-8'],
    },
    {
      name: 'with NUL bytes',
      input: `${good}\n\0\0\0`,
      records: [`1:0 ${good}`],
      rejections: ['2:38 record: not JSON: unexpected character at byte 1'],
    },
    {
      name: 'nested too deep',
      input: `{"a":${'['.repeat(100)}${']'.repeat(100)}}\n${good}`,
      records: [`2:207 ${good}`],
      rejections: ['1:0 record: nested more than 100 levels deep'],
    },
    {
      name: 'that begin an array later',
      input: `${good}\n[${good}]`,
      records: [`1:0 ${good}`],
      rejections: ['2:38 record: not an object'],
    },
  ];
  for (const { name, input, records = [], rejections = [] } of rows) {
    test(`${name} are told apart`, () => {
      assert.deepEqual(summaryOf(input), { records, rejections });
      assert.deepEqual(summaryOf(input, { cuts: every(1, Buffer.from(input)), blockBytes: 1 }), {
        records,
        rejections,
      });
    });
  }
});

describe('an array', () => {
  const broken = 'record: not JSON: unexpected character';
  const rows: { name: string; input: string; records?: string[]; rejections?: string[] }[] = [
    { name: 'without an element', input: ' [ ] \n' },
    { name: 'behind a byte order mark', input: `\ufeff\n[${good}]`, records: [`2:5 ${good}`] },
    {
      name: 'of elements on one line and on several',
      input: `[${good},{"event":"b",\r\n"properties":{}}\n,\n${good}]`,
      records: [`1:1 ${good}`, '1:39 {"event":"b",\r\n"properties":{}}', `4:73 ${good}`],
    },
    {
      name: 'that is not closed',
      input: `[${good}\n`,
      records: [`1:1 ${good}`],
      rejections: ['2:39 record: the array is not closed: the data may be cut short'],
    },
    {
      name: 'that ends behind a comma',
      input: `[${good},`,
      records: [`1:1 ${good}`],
      rejections: ['1:39 record: the array is not closed: the data may be cut short'],
    },
    {
      name: 'that ends behind the bracket',
      input: '[',
      rejections: ['1:0 record: the array is not closed: the data may be cut short'].map((text) =>
        text.replace('1:0', '1:1'),
      ),
    },
    {
      name: 'that ends in an element',
      input: `[${good},\n{"event":1`,
      records: [`1:1 ${good}`],
      rejections: ['2:40 record: not JSON: it ends in the middle of an element of the array'],
    },
    {
      name: 'that ends in a number',
      input: `[${good}, 12`,
      records: [`1:1 ${good}`],
      rejections: ['1:40 record: not an object', '1:42 record: the array is not closed: the data may be cut short'],
    },
    {
      name: 'with an error in an element',
      input: `[${good},\n{"event":x},${good}]`,
      records: [`1:1 ${good}`],
      rejections: [`2:40 ${broken} in an element of the array`],
    },
    {
      name: 'with a comma too many',
      input: `[${good},,${good}]`,
      records: [`1:1 ${good}`],
      rejections: [`1:39 ${broken} in an element of the array`],
    },
    {
      name: 'with a comma at its end',
      input: `[${good},]`,
      records: [`1:1 ${good}`],
      rejections: [`1:39 ${broken} in an element of the array`],
    },
    {
      name: 'without a comma',
      input: `[${good}\n${good}]`,
      records: [`1:1 ${good}`],
      rejections: [`2:39 ${broken} in the array`],
    },
    {
      name: 'with text behind it',
      input: `[${good}]\n,${good}]`,
      records: [`1:1 ${good}`],
      rejections: [`2:40 ${broken} behind the array`],
    },
    {
      name: 'with an array behind it',
      input: `[${good}]\n[${good}]`,
      records: [`1:1 ${good}`],
      rejections: [`2:40 ${broken} behind the array`],
    },
    {
      name: 'with an element nested too deep',
      input: `[{"a":"]","b":${'['.repeat(100)}"}\\""${']'.repeat(100)}},\n${good}]`,
      records: [`2:222 ${good}`],
      rejections: ['1:1 record: nested more than 100 levels deep'],
    },
  ];
  for (const { name, input, records = [], rejections = [] } of rows) {
    test(`${name} is told apart`, () => {
      assert.deepEqual(summaryOf(input), { records, rejections });
      assert.deepEqual(summaryOf(input, { cuts: every(1, Buffer.from(input)), blockBytes: 1 }), {
        records,
        rejections,
      });
      assertResumable(Buffer.from(input), { cuts: every(1, Buffer.from(input)), blockBytes: 1 });
    });
  }

  test('that breaks is rejected from there to the end of the content, of which the first 64 KiB are kept', () => {
    const rest = `{"event":x}${`,${good}`.repeat(5_000)}]`;
    const { records, rejections } = parseEveryWay(Buffer.from(`[${good},\n${rest}`));
    assert.equal(records.length, 1);
    assert.equal(rejections.length, 1);
    assert.equal(rejections[0]!.bytes, rest.length);
    assert.ok(rejections[0]!.record.equals(Buffer.from(rest.slice(0, 65_536))));
    assert.equal(rejections[0]!.insertId, undefined);
  });

  test('with a mebibyte and more of white space at every place is the same as without', () => {
    const space = `\n${' '.repeat(1_200_000)}`;
    const content = Buffer.from(`${space}[${space}${good}${space},${space}${good}${space}]${space}`);
    const { records, rejections } = parseEveryWay(content);
    assert.equal(rejections.length, 0);
    assert.deepEqual(
      records.map(({ ordinal, offset }) => [ordinal, offset]),
      [
        [3, 2_400_003],
        [5, 4_800_043],
      ],
    );
  });
});

describe('a record', () => {
  const eventOf = (bytes: number) => {
    const text = '{"event":"a","properties":{"a":""}}';
    return `${text.slice(0, -3)}${'x'.repeat(bytes - text.length)}${text.slice(-3)}`;
  };
  const contents: [format: string, of: (record: string) => string][] = [
    ['a line', (record) => `${good}\n${record}\r\n${good}`],
    ['an element', (record) => `[${good},${record},\n\n${good}]`],
    ['the first line', (record) => `${record}\n${good}`],
    ['the first element', (record) => `[\n${record}\n,${good}]`],
    ['the last line', (record) => `${good}\n${record}`],
    ['the last element', (record) => `[${good},${record}]`],
  ];
  for (const [name, contentOf] of contents) {
    test(`of 1,000,000 bytes is taken as ${name}`, () => {
      const { records, rejections } = parseEveryWay(Buffer.from(contentOf(eventOf(1_000_000))));
      assert.equal(rejections.length, 0);
      assert.ok(records.some(({ text }) => text.length === 1_000_000));
    });

    for (const bytes of [1_000_001, 1_048_577, 2_500_000]) {
      test(`of ${bytes.toLocaleString('en')} bytes is rejected as ${name}, and its first 64 KiB kept`, () => {
        const record = eventOf(bytes);
        const { records, rejections } = parseEveryWay(Buffer.from(contentOf(record)));
        assert.ok(records.length === 1 || records.length === 2);
        assert.ok(records.every(({ text }) => text === good));
        assert.equal(rejections.length, 1);
        const [rejection] = rejections;
        assert.equal(rejection!.reason.message, 'larger than 1000000 bytes');
        assert.ok(rejection!.bytes === bytes || rejection!.bytes === bytes + 1, `${rejection!.bytes}`);
        assert.ok(rejection!.record.equals(Buffer.from(record.slice(0, 65_536))));
        assert.equal(rejection!.insertId, undefined);
      });
    }
  }

  test('that is too large is cut between two characters', () => {
    const { rejections } = parseEveryWay(Buffer.from(`"x${'😀'.repeat(500_000)}"\n${good}`));
    assert.equal(rejections[0]!.record.length, 65_534);
    assert.ok(rejections[0]!.record.equals(Buffer.from(`"x${'😀'.repeat(16_383)}`)));
  });

  test('that is too large hides no bracket, comma or line break of its strings', () => {
    const record = JSON.stringify({ a: '"},]\\'.repeat(300_000), b: [{}, []] }, null, 1);
    const { records, rejections } = parseEveryWay(Buffer.from(`[${good},${record},\n${good}]`));
    assert.deepEqual(
      records.map(({ ordinal }) => ordinal),
      [1, 1 + record.split('\n').length],
    );
    assert.deepEqual(
      rejections.map(({ bytes }) => bytes),
      [record.length],
    );
  });

  const large = 'x'.repeat(1_500_000);
  const rows: { name: string; input: string; records: number; rejections: string[]; breakOff?: string }[] = [
    {
      name: 'is not closed before the content ends',
      input: `[${good},{"a":"${large}`,
      records: 1,
      rejections: ['larger than 1000000 bytes', 'the array is not closed: the data may be cut short'],
    },
    {
      name: 'has an error behind the first megabyte',
      input: `[${good},{"a":"${large}",x},${good}]`,
      records: 2,
      rejections: ['larger than 1000000 bytes'],
    },
    {
      name: 'has an error before that',
      input: `[${good},{"a":x,"b":"${large}"},${good}]`,
      records: 1,
      rejections: ['not JSON: unexpected character in an element of the array'],
    },
    {
      name: 'has text behind it',
      input: `[${good},{"a":"${large}"}x,${good}]`,
      records: 1,
      rejections: ['larger than 1000000 bytes', 'not JSON: unexpected character in the array'],
    },
    {
      name: 'is the last byte of an array that is not closed',
      input: `[${good},{"a":"${large}"}`,
      records: 1,
      rejections: ['larger than 1000000 bytes', 'the array is not closed: the data may be cut short'],
    },
    {
      name: 'is a number with a line break behind it',
      input: `[${good},${'1'.repeat(1_500_000)}\n,${good}]`,
      records: 2,
      rejections: ['larger than 1000000 bytes'],
    },
    {
      name: 'is a number',
      input: `[${good},${'1'.repeat(1_500_000)},${good}]`,
      records: 2,
      rejections: ['larger than 1000000 bytes'],
    },
    {
      name: 'is a line when the content breaks off',
      input: `${good}\n{"a":"${large}`,
      records: 1,
      rejections: ['larger than 1000000 bytes', 'corrupt'],
      breakOff: 'corrupt',
    },
    {
      name: 'is all that there is',
      input: `{"a":"${large}"}`,
      records: 0,
      rejections: ['larger than 1000000 bytes'],
    },
    {
      name: 'is one of several objects, all too large',
      input: `{"a":"${large}"}\n{"a":"${large}"}`,
      records: 0,
      rejections: ['larger than 1000000 bytes', 'larger than 1000000 bytes'],
    },
  ];
  for (const { name, input, records, rejections, breakOff } of rows) {
    test(`that is too large and ${name} is the same for any chunks`, () => {
      const found = parseEveryWay(Buffer.from(input), breakOff);
      assert.equal(found.records.length, records);
      assert.deepEqual(
        found.rejections.map(({ reason }) => reason.message),
        rejections,
      );
    });
  }

  test('that is too large ends before the white space behind it', () => {
    for (const record of ['1'.repeat(1_500_000), `"${large}"`, `{"a":"${large}"}`]) {
      const { rejections } = parse(Buffer.from(`[${good},${record}\n ,${good}]`));
      assert.deepEqual(
        rejections.map(({ bytes }) => bytes),
        [record.length],
      );
    }
  });

  test('that is too large ends where it does when a chunk ends there too', () => {
    const element = `{"a":"${large}"}`;
    const content = Buffer.from(`[${good},${element}"x",${good}]`);
    const end = content.indexOf('"x"');
    const expected = ['larger than 1000000 bytes', 'not JSON: unexpected character in the array'];
    for (const cuts of [[], [end], [1_200_000, end]]) {
      const { rejections } = parse(content, { cuts, blockBytes: 1 });
      assert.deepEqual(
        rejections.map(({ reason }) => reason.message),
        expected,
      );
      assert.equal(rejections[0]!.bytes, element.length);
    }
  });

  for (const [name, begin, end] of [
    ['a line', `${good}\n{"a":"`, `"}\n${good}`],
    ['an element', `[${good},{"a":"`, `"},${good}]`],
    ['an array that is broken', `[${good}x`, ''],
    ['content without an object', '0\n'.repeat(1_000), ''],
    ['blank lines behind one that is bad', 'x\n', ''],
  ]) {
    test(`of 50 MB, as ${name}, is never held`, async () => {
      setFlagsFromString('--expose-gc');
      const collectGarbage: () => void = runInNewContext('gc');
      const parser = new RecordParser({ origin: objectOrigin, insertIdOf: insertIdByContent, ordinal: 'line' });
      // What was collected is given back a little later.
      const held = async () => {
        let least = Number.POSITIVE_INFINITY;
        for (let attempt = 0; attempt < 4; attempt++) {
          collectGarbage();
          await setImmediate();
          least = Math.min(least, process.memoryUsage().arrayBuffers);
        }
        return least;
      };
      const before = await held();
      const blocks = [...parser.push(Buffer.from(begin!))];
      const filling = begin === 'x\n' ? '\n' : 'x';
      for (let chunk = 0; chunk < 800; chunk++) blocks.push(...parser.push(Buffer.alloc(65_536, filling)));
      const heldBytes = (await held()) - before;
      assert.ok(heldBytes < 4_000_000, `${heldBytes} bytes are held`);
      blocks.push(...parser.push(Buffer.from(end!)), ...parser.end());
      const rejections = blocks.flatMap((block) => block.rejections);
      assert.equal(rejections.length, 1);
      assert.ok(rejections[0]!.record.length <= 65_536);
    });
  }
});

describe('content without a JSON object', () => {
  const csv = (records: number) => Array.from({ length: records }, (_, index) => `${index},a,b\n`).join('');
  const message = (records: number) => `no JSON object among the first ${records} records of the object`;

  test('among its first 1,000 records is one rejection as a whole', () => {
    const content = Buffer.from(`\ufeff\n${csv(20_000)}${good}\n`);
    const { records, rejections } = parseEveryWay(content);
    assert.equal(records.length, 0);
    assert.equal(rejections.length, 1);
    const { reason, source, record, bytes, insertId } = rejections[0]!;
    assert.deepEqual(reason, { field: 'record', message: message(1_000) });
    assert.deepEqual(source, objectOrigin.sourceOf(0, 1));
    assert.equal(bytes, content.length);
    assert.ok(record.equals(content.subarray(0, 65_536)));
    assert.equal(insertId, undefined);
  });

  test('among its first 1,000 records is one rejection for blocks of any size', () => {
    const content = Buffer.from(`${csv(1_000)}${good}\n`);
    for (const blockBytes of [1, 100, 8_000, 1_000_000]) {
      const { rejections } = parse(content, { cuts: every(97, content), blockBytes });
      assert.deepEqual(
        rejections.map(({ reason, bytes }) => [reason.message, bytes]),
        [[message(1_000), content.length]],
      );
    }
  });

  test('but for the 1,000th is rejected line by line', () => {
    const content = Buffer.from(`${csv(999)}{}\n${csv(1_000)}{}\n`);
    for (const blockBytes of [1, 100, 8_000, 1_000_000]) {
      const { rejections } = parse(content, { cuts: every(97, content), blockBytes });
      assert.equal(rejections.length, 2_001);
      assert.equal(rejections[999]!.reason.message, 'missing');
    }
  });

  test('of fewer records is one rejection with all of its bytes', () => {
    const content = Buffer.from(csv(3));
    const { rejections } = parse(content);
    assert.deepEqual(
      rejections.map(({ reason, record, bytes }) => ({ message: reason.message, record, bytes })),
      [{ message: message(3), record: content, bytes: content.length }],
    );
    assert.equal(rejections[0]!.insertId, insertIdByContent(content, objectOrigin, 0, 1));
  });

  const rows: [name: string, input: string, expected: string[]][] = [
    ['one bad line', '\n a,b\n\n', ['not JSON: unexpected character at byte 1']],
    ['one bad element', '[5]', ['not an object']],
    ['an array that breaks at once', '[x', ['not JSON: unexpected character in an element of the array']],
    ['an array of others that breaks', '[1,2,\nx,3]', [message(3)]],
    ['lines of arrays', '[1,2]\n[3,4]\n', [message(3)]],
    ['an array of others', '[1,2]', [message(2)]],
  ];
  for (const [name, input, expected] of rows) {
    test(`but ${name} is rejected as it should be`, () => {
      const content = Buffer.from(input);
      for (const options of [{}, { cuts: every(1, content), blockBytes: 1 }]) {
        const { rejections } = parse(content, options);
        assert.deepEqual(
          rejections.map(({ reason }) => reason.message),
          expected,
        );
      }
    });
  }

  test('and with much in its records is rejected one by one, so as not to be held', () => {
    const record = `"${'x'.repeat(900_000)}"\n`;
    const content = Buffer.from(record.repeat(12));
    for (const blockBytes of [1, 1_000_000, 20_000_000]) {
      const { rejections } = parse(content, { cuts: every(500_000, content), blockBytes });
      assert.equal(rejections.length, 12);
    }
  });
});

describe('content that breaks off', () => {
  test('is one rejection from behind the last whole line on', () => {
    const content = Buffer.from(`${good}\n  {"event":"b"`);
    const { records, rejections } = parse(content, { breakOff: 'corrupt gzip' });
    assert.equal(records.length, 1);
    assert.deepEqual(
      rejections.map(({ reason, source, record }) => ({ reason, source, record: record.toString() })),
      [
        {
          reason: { field: 'record', message: 'corrupt gzip' },
          source: objectOrigin.sourceOf(40, 2),
          record: '{"event":"b"',
        },
      ],
    );
  });

  test('before its first byte is one rejection without a byte', () => {
    const { rejections } = parse(Buffer.alloc(0), { breakOff: 'corrupt gzip' });
    assert.deepEqual(
      rejections.map(({ reason, bytes }) => [reason.message, bytes]),
      [['corrupt gzip', 0]],
    );
  });

  test('behind a bad line keeps the rejection of that', () => {
    const { rejections } = parse(Buffer.from('x\ny\n'), { breakOff: 'corrupt gzip' });
    assert.equal(rejections.length, 3);
  });

  test('behind an error in an array is the rejection of that', () => {
    const { rejections } = parse(Buffer.from(`[${good},x`), { breakOff: 'corrupt gzip' });
    assert.deepEqual(
      rejections.map(({ reason }) => reason.message),
      ['not JSON: unexpected character in an element of the array'],
    );
  });
});

test('the format is told from the first byte that is no white space', () => {
  const parser = new RecordParser({
    origin: objectOrigin,
    insertIdOf: insertIdByContent,
    ordinal: 'line',
    blockBytes: 1,
  });
  parser.push(Buffer.from('\ufeff'));
  assert.equal(parser.format, undefined);
  parser.push(Buffer.from(' \n'));
  assert.equal(parser.format, undefined);
  parser.push(Buffer.from('['));
  assert.equal(parser.format, 'array');
});
