import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import {
  type Block,
  EMPTY_ID,
  EMPTY_PROPERTIES,
  IN_ARRAY,
  LINE_BREAK,
  LONG_NUMBER,
  NEEDS_ID,
  type Source,
} from '../../../../../functions/core/block.ts';
import { JsonParser, newScratch } from '../../../../../functions/core/formats/json/parser.ts';
import { MessageReader } from '../../../../../functions/core/formats/read-message.ts';
import { insertIdByContent, insertIdByPosition } from '../../../../../functions/core/insert-id.ts';
import {
  anyEventText,
  assertResumable,
  columnsOf,
  comparable,
  contentsOf,
  contextOf,
  edit,
  edits,
  jsonText,
  kept,
  messageBlocks,
  messageSource,
  objectSource,
  type ParseOptions,
  parse,
} from '../../../../support/parsing.ts';

const good = '{"event":"a","properties":{"time":1}}';
const advice = 'not a Mixpanel event. Use a mapping or a transform to make events of such records';
const notClosed = 'record: the array is not closed: the data may be cut short';
const notJson = 'record: not JSON: unexpected character at byte';
const notAnObject = 'record: not an object';

/** Records and rejections as `line:offset text` and `line:offset field: message`. */
function summaryOf(content: string | Buffer, options?: ParseOptions) {
  const { records, rejections } = parse(Buffer.from(content), options);
  return {
    records: records.map(({ ordinal, offset, text }) => `${ordinal}:${offset} ${text}`),
    rejections: rejections.map(({ location, reason }) => {
      assert.ok('line' in location);
      return `${location.line}:${location.offset} ${reason.field}: ${reason.message}`;
    }),
  };
}

/** Chunk ends at every so many bytes. */
function every(bytes: number, content: Buffer): number[] {
  return Array.from({ length: Math.ceil(content.length / bytes) }, (_, index) => (index + 1) * bytes);
}

/** Checks that chunks, blocks and a new start at any position do not change the records, and returns them. */
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
    anyEventText.map((text) => text.trim()),
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
    `{"a":${'['.repeat(101)}${']'.repeat(101)}}`,
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
    arbitrary: fc.constantFrom('x', 'x y"{}"', '\0', '\xa0', ']', '[5]', '{"a":NaN}').map(piece('rejection')),
  },
  { weight: 1, arbitrary: fc.constantFrom('', ' ', '\r', '\t\r ', ',', '\ufeff', '[]').map(piece('nothing')) },
);
const markOrNot = fc.constantFrom('', '\ufeff');
const blanks = fc.stringMatching(/^[ \t\r]{0,2}$/);
const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);

interface Content {
  bytes: Buffer;
  expected: { line: number; offset: number; bytes: number; isRecord: boolean }[];
}

/** Joins texts and pieces, and notes the place of each piece. */
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
    // Content without any object would be one rejection.
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
  { weight: 1, arbitrary: fc.constantFrom('{"a":NaN}', 'NaN', '[{"a":1,}]').map(piece('rejection')) },
  { weight: 1, arbitrary: fc.constant(JSON.stringify(JSON.parse(good), null, 2)).map(piece('record')) },
);
const array: fc.Arbitrary<Content> = fc
  .tuple(markOrNot, space, fc.array(fc.tuple(space, element, space), { minLength: 1, maxLength: 6 }), space)
  .map(([mark, before, elements, after]) => {
    const parts = elements.flatMap((parts, index) => [index === 0 ? '' : ',', ...parts]);
    return contentOf([mark, before, '[', piece('rejection')('{}'), ',', ...parts, ']', after]);
  });

const value = fc.oneof(
  { weight: 4, arbitrary: goodPiece },
  { weight: 1, arbitrary: fc.constant(JSON.stringify(JSON.parse(good), null, 2)).map(piece('record')) },
  { weight: 1, arbitrary: fc.constantFrom('{}', '{"event":"a"}', '{"a":NaN}').map(piece('rejection')) },
);
const values = fc.tuple(space, value, space).chain(([before, one, after]) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant([before, one, after]) },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.tuple(fc.constantFrom(',', ',\n', ' , ', ''), value), { maxLength: 3 })
        .map((more) => ['[', before, one, after, ...more.flat(), ']']),
    },
  ),
);
const mixture: fc.Arbitrary<Content> = fc
  .array(fc.tuple(fc.constantFrom('', '', '\n', '\r\n', ' ', ',', ',\n', '\x1e', '\n\ufeff', '[]'), values), {
    maxLength: 6,
  })
  .map((parts) => contentOf([piece('rejection')('{}'), ...parts.flat(2)]));

/** Content that may not hold any object, or that is damaged before the first. */
const odd = fc.oneof(
  fc.array(jsonText, { maxLength: 4 }).map((texts) => `[${texts.join()}]`),
  fc.array(fc.oneof(jsonText, fc.constantFrom(good, 'x', '')), { maxLength: 4 }).map((texts) => texts.join('\n')),
  fc.array(fc.constantFrom('[', ']', ',', '1', '"', good, '\n', ' '), { maxLength: 10 }).map((texts) => texts.join('')),
);
const damaged = fc.tuple(fc.oneof(lines, array, mixture), edits, fc.nat(600)).map(([{ bytes }, changes, cut]) => {
  const edited = edit(bytes, changes);
  return cut % 3 === 0 ? edited.subarray(0, edited.length - (cut % (edited.length + 1))) : edited;
});
const anyContent = fc.oneof(
  lines.map(({ bytes }) => bytes),
  array.map(({ bytes }) => bytes),
  mixture.map(({ bytes }) => bytes),
  odd.map((text) => Buffer.from(text)),
  { weight: 2, arbitrary: damaged },
);
const breakOff = fc.constantFrom(undefined, undefined, 'corrupt');

const cuts = fc.array(fc.nat(600), { maxLength: 12 }).map((places) => places.sort((a, b) => a - b));
const blockBytes = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 }));

describe('records', () => {
  for (const [name, content] of [
    ['lines', lines],
    ['an array', array],
    ['any mixture of values and arrays', mixture],
  ] as [string, fc.Arbitrary<Content>][]) {
    test(`Records of ${name} have the lines and offsets that an editor shows`, () => {
      fc.assert(
        fc.property(content, ({ bytes, expected }) => {
          const found = parse(bytes);
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
            found.rejections.map(({ location, record, bytes: length }) => ({ location, record, length })),
            rejected.map(({ line, offset, bytes: length }) => ({
              location: objectSource.locate(offset, line),
              record: bytes.subarray(offset, offset + length),
              length,
            })),
          );
        }),
        { numRuns: 500 },
      );
    });
  }

  test('Records are the same for any chunks and blocks, even if the content is damaged, truncated or breaks off', () => {
    fc.assert(
      fc.property(
        anyContent,
        cuts,
        blockBytes,
        breakOff,
        fc.boolean(),
        (bytes, cuts, blockBytes, breakOff, isMapped) => {
          const found = parse(bytes, { cuts, blockBytes, breakOff, isMapped });
          const whole = parse(bytes, { breakOff, isMapped });
          // The place of an id is not defined for a mapped record that is not an event.
          if (isMapped) for (const record of [...found.records, ...whole.records]) record.splice = 0;
          assert.deepEqual(comparable(found), comparable(whole));
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('Records after any block or any record are found by a parser that begins there', () => {
    fc.assert(
      fc.property(anyContent, cuts, blockBytes, (bytes, cuts, blockBytes) => {
        assertResumable(bytes, { cuts, blockBytes });
      }),
      { numRuns: 700 },
    );
  });

  test('Records after any block are found by a parser that begins there, even if the content breaks off', () => {
    fc.assert(
      fc.property(anyContent, cuts, blockBytes, (bytes, cuts, blockBytes) => {
        assertResumable(bytes, { cuts, blockBytes, breakOff: 'corrupt' });
      }),
      { numRuns: 500 },
    );
  });

  test('Records and rejections are the same whether or not two parsers share their scratch', () => {
    fc.assert(
      fc.property(fc.array(anyContent, { minLength: 2, maxLength: 4 }), fc.nat(3), (contents, abandoned) => {
        const scratch = newScratch();
        for (const [index, bytes] of contents.entries()) {
          const parser = new JsonParser(contextOf({ blockBytes: 20 }), undefined, scratch);
          const blocks = Array.from(parser.push(Buffer.from(bytes)), kept);
          if (index === abandoned) continue;
          blocks.push(...Array.from(parser.end(), kept));
          assert.deepEqual(comparable(contentsOf(blocks)), comparable(parse(bytes)));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('Records carry the flags and the index that sending them needs', () => {
    const record = (text: string) => {
      const { records } = parse(Buffer.from(`[${text}]`));
      return { flags: records[0]!.flags, splice: records[0]!.splice };
    };
    const id = '"$insert_id":"a"';
    assert.deepEqual(record(`{"event":"a","properties":{${id}}}`), { flags: IN_ARRAY, splice: 27 });
    assert.deepEqual(record('{"event":"a","properties":{"b":1}}'), { flags: IN_ARRAY | NEEDS_ID, splice: 27 });
    assert.deepEqual(record('{"properties":{},"event":"a"}'), {
      flags: IN_ARRAY | NEEDS_ID | EMPTY_PROPERTIES,
      splice: 15,
    });
    assert.deepEqual(record('{"event":"a","properties":{"$insert_id":null}}').flags, IN_ARRAY | EMPTY_ID);
    assert.deepEqual(record(`{"event":"a","properties":{${id},"b":1e3}}`).flags, IN_ARRAY | LONG_NUMBER);
    assert.deepEqual(record(`{"event":"a",\n"properties":{${id}}}`).flags, IN_ARRAY | LINE_BREAK);
    assert.deepEqual(record(`\n{"event":"a","properties":{${id}}}\n`).flags, IN_ARRAY);
    assert.equal(parse(Buffer.from(`{"event":"a","properties":{${id}}}`)).records[0]!.flags, 0);
  });

  test('Records that are rejected carry the id that they would have been sent with', () => {
    const { rejections } = parse(Buffer.from(`${good}\n {"event":1} \n`));
    assert.equal(rejections[0]!.insertId, insertIdByContent(Buffer.from('{"event":1}'), objectSource, 0, 0));
  });
});

interface Row {
  name: string;
  input: string | Buffer;
  records?: string[];
  rejections?: string[];
  isMapped?: boolean;
}

/** One test for each row: for the content as a whole, byte by byte, and from every position on. */
function testRows(rows: Row[]): void {
  for (const { name, input, records = [], rejections = [], isMapped = false } of rows) {
    test(`The parser tells records apart in ${name}`, () => {
      const content = Buffer.from(input);
      const bytewise = { cuts: every(1, content), blockBytes: 1, isMapped };
      assert.deepEqual(summaryOf(content, { isMapped }), { records, rejections });
      assert.deepEqual(summaryOf(content, bytewise), { records, rejections });
      // The place of an id is not defined for a mapped record that is not an event.
      if (!isMapped) assertResumable(content, bytewise);
    });
  }
}

describe('lines', () => {
  testRows([
    { name: 'nothing', input: '' },
    { name: 'white space', input: ' \r\n\t\n' },
    { name: 'a byte order mark', input: '\ufeff' },
    { name: 'lines without a newline at the end', input: `${good}\n${good}`, records: [`1:0 ${good}`, `2:38 ${good}`] },
    { name: 'a line after a byte order mark', input: `\ufeff${good}\n`, records: [`1:3 ${good}`] },
    {
      name: 'lines that each begin with a byte order mark',
      input: `\ufeff${good}\r\n\ufeff${good}`,
      records: [`1:3 ${good}`, `2:45 ${good}`],
    },
    {
      name: 'lines with CRLF and blank lines',
      input: `\r\n ${good} \r\n\r\n${good}`,
      records: [`2:3 ${good}`, `4:45 ${good}`],
    },
    { name: 'a line that is not JSON', input: 'x', rejections: [`1:0 ${notJson} 1`] },
    {
      name: 'a line with several values',
      input: `${good}\n\n {"a":1}  ${good}{}`,
      records: [`1:0 ${good}`, `3:49 ${good}`],
      rejections: [`3:40 event: missing: ${advice}`, `3:86 event: missing: ${advice}`],
    },
    {
      name: 'lines that end with commas',
      input: `${good},\n${good} ,,\n`,
      records: [`1:0 ${good}`, `2:39 ${good}`],
    },
    {
      name: 'records that begin with RS, as RFC 7464 has them',
      input: `\x1e${good}\n\x1e${good}\n`,
      records: [`1:1 ${good}`, `2:40 ${good}`],
    },
    {
      name: 'a line that ends in the middle, before a good one',
      input: `{"event":\n${good}`,
      records: [`2:10 ${good}`],
      rejections: ['1:0 record: not JSON: it ends in the middle, after 9 bytes'],
    },
    {
      name: 'a line that ends in a string, before a good one',
      input: `{"event":"a\n${good}`,
      records: [`2:12 ${good}`],
      rejections: [`1:0 record: not JSON: it ends in the middle, after 11 bytes`],
    },
    {
      name: 'a line that ends in the middle, before a bad one',
      input: `${good}\n{"a":\nx\n${good}`,
      records: [`1:0 ${good}`, `4:46 ${good}`],
      rejections: [`2:38 ${notJson} 7`],
    },
    {
      name: 'pretty-printed objects, one of them cut',
      input: `{\n  "event": "a"\n{\n  "event": "b",\n  "properties": {\n  }\n}\n`,
      records: ['3:17 {\n  "event": "b",\n  "properties": {\n  }\n}'],
      rejections: ['1:0 record: not JSON: it ends in the middle, after 16 bytes'],
    },
    {
      name: 'a pretty-printed object with an error, whose inner objects are not records',
      input: `{\n  "event": NaN,\n  "properties": {\n    "a": [\n      ${good}\n    ]\n  }\n}\n${good}`,
      records: [`9:103 ${good}`],
      rejections: [`1:0 ${notJson} 14`],
    },
    {
      name: 'an object with an error, that ends where its brackets balance',
      input: `{"a":NaN,"b":["]}",{}]}${good}`,
      records: [`1:23 ${good}`],
      rejections: [`1:0 ${notJson} 6`],
    },
    {
      name: 'text before a value on the same line',
      input: `2026-01-01 INFO ${good}\n${good}`,
      records: [`1:16 ${good}`, `2:54 ${good}`],
      rejections: [`1:0 ${notJson} 5`],
    },
    {
      name: 'text with a quote, that takes the rest of its line',
      input: `say "x" ${good}\n${good}`,
      records: [`2:46 ${good}`],
      rejections: [`1:0 ${notJson} 1`],
    },
    {
      name: 'text after a value on the same line',
      input: `${good} 5\n${good}x`,
      records: [`1:0 ${good}`, `2:40 ${good}`],
      rejections: [`1:38 ${notAnObject}`, `2:77 ${notJson} 1`],
    },
    {
      name: 'lines that are not events',
      input: [good, '{}', '{"event":1}', '{"event":1,"properties":null}', '[[]]', '"\\ud800"'].join('\n'),
      records: [`1:0 ${good}`],
      rejections: [
        `2:38 event: missing: ${advice}`,
        `3:41 properties: missing: ${advice}`,
        `4:53 properties: not an object: ${advice}`,
        `5:84 ${notAnObject}`,
        `6:88 ${notAnObject}`,
      ],
    },
    {
      name: 'lines that a mapping is handed, be they events or not',
      input: [good, '{}', '{"event":1}', '{"event":1,"properties":null}', '5', '{"a":1e400}'].join('\n'),
      isMapped: true,
      records: [`1:0 ${good}`, '2:38 {}', '3:41 {"event":1}', '4:53 {"event":1,"properties":null}', '6:85 {"a":1e400}'],
      rejections: [`5:83 ${notAnObject}`],
    },
    {
      name: 'lines that are not UTF-8',
      input: Buffer.concat([Buffer.from(`${good}\n"`), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from(`"\n${good}`)]),
      records: [`1:0 ${good}`, `3:44 ${good}`],
      rejections: ['2:38 record: not valid UTF-8'],
    },
    {
      name: 'lines of which one is Latin-1',
      input: Buffer.from(`${good}\n{"event":"\xe9","properties":{}}\n${good}`, 'latin1'),
      records: [`1:0 ${good}`, `3:68 ${good}`],
      rejections: ['2:38 record: not valid UTF-8'],
    },
    {
      name: 'NUL bytes',
      input: `${good}\n\0\0\0`,
      records: [`1:0 ${good}`],
      rejections: [`2:38 ${notJson} 1`],
    },
    {
      name: 'a line nested too deep',
      input: `{"a":${'['.repeat(100)}${']'.repeat(100)}}\n${good}`,
      records: [`2:207 ${good}`],
      rejections: ['1:0 record: nested more than 100 levels deep'],
    },
    {
      name: 'lines that begin an array later',
      input: `${good}\n[${good}]`,
      records: [`1:0 ${good}`, `2:39 ${good}`],
    },
    {
      name: 'a log line that begins with a bracket',
      input: `[2026-01-01] started {\n${good}`,
      records: [`2:23 ${good}`],
      rejections: [`1:0 ${notJson} 6`],
    },
  ]);

  const faults: [text: string, field: string, message: string][] = [
    ['not JSON', 'record', 'not JSON: unexpected character at byte 2'],
    ['{"event":"e"', 'record', 'not JSON: it ends in the middle, after 12 bytes'],
    ['\u00a0', 'record', 'not JSON: unexpected character at byte 1'],
    ['{"event":"e","properties":{"a":01}}', 'record', 'not JSON: unexpected character at byte 33'],
    ['{"event":"e","properties":{"a":1,}}', 'record', 'not JSON: unexpected character at byte 34'],
    ["{'event':'e'}", 'record', 'not JSON: unexpected character at byte 2'],
    ['null', 'record', 'not an object'],
    ['1e400', 'record', 'not an object'],
    ['"text"', 'record', 'not an object'],
    [
      `{"event":"e","properties":{"a":${'['.repeat(99)}${']'.repeat(99)}}}`,
      'record',
      'nested more than 100 levels deep',
    ],
  ];
  for (const [text, field, message] of faults) {
    test(`A line is rejected with its reason, with and without a mapping: ${text.slice(0, 40)}`, () => {
      for (const isMapped of [false, true]) {
        const { records, rejections } = parse(Buffer.from(`${good}\n  ${text}\t\n${good}`), { isMapped });
        assert.equal(records.length, 2);
        assert.deepEqual(
          rejections.map(({ reason, record, through }) => ({ reason, record: record.toString(), through })),
          [{ reason: { field, message }, record: text, through: isMapped ? ['transform'] : undefined }],
        );
      }
    });
  }

  const notEvents: [text: string, field: string, message: string][] = [
    ['{"toString":1,"properties":{}}', 'event', `missing: ${advice}`],
    ['{"__proto__":{"event":1},"properties":{}}', 'event', `missing: ${advice}`],
    ['{"event":"e"}', 'properties', `missing: ${advice}`],
    ['{"event":"e","properties":{},"properties":[]}', 'properties', `not an object: ${advice}`],
    ['{"event":"e","properties":null}', 'properties', `not an object: ${advice}`],
  ];
  for (const [text, field, message] of notEvents) {
    test(`An object that is not an event is rejected without a mapping only: ${text}`, () => {
      const { rejections } = parse(Buffer.from(text));
      assert.deepEqual(
        rejections.map(({ reason }) => reason),
        [{ field, message }],
      );
      assert.deepEqual(summaryOf(text, { isMapped: true }), { records: [`1:0 ${text}`], rejections: [] });
    });
  }
});

describe('arrays', () => {
  testRows([
    { name: 'an array without an element', input: ' [ ] \n' },
    { name: 'an array after a byte order mark', input: `\ufeff\n[${good}]`, records: [`2:5 ${good}`] },
    {
      name: 'an array of elements on one line and on several',
      input: `[${good},{"event":"b",\r\n"properties":{}}\n,\n${good}]`,
      records: [`1:1 ${good}`, '1:39 {"event":"b",\r\n"properties":{}}', `4:73 ${good}`],
    },
    {
      name: 'an array that is not closed',
      input: `[${good}\n`,
      records: [`1:1 ${good}`],
      rejections: [`2:39 ${notClosed}`],
    },
    {
      name: 'an array that ends after a comma',
      input: `[${good},`,
      records: [`1:1 ${good}`],
      rejections: [`1:39 ${notClosed}`],
    },
    {
      name: 'an array that ends after its bracket',
      input: '[',
      rejections: ['1:0 record: not JSON: it ends in the middle, after 1 bytes'],
    },
    {
      name: 'an array that ends in an element',
      input: `[${good},\n{"event":1`,
      records: [`1:1 ${good}`],
      rejections: ['2:40 record: not JSON: it ends in the middle, after 10 bytes'],
    },
    {
      name: 'an array that ends in a number',
      input: `[${good}, 12`,
      records: [`1:1 ${good}`],
      rejections: [`1:40 ${notAnObject}`, `1:42 ${notClosed}`],
    },
    {
      name: 'an array with an error in an element',
      input: `[${good},\n{"event":x},${good}]`,
      records: [`1:1 ${good}`, `2:52 ${good}`],
      rejections: [`2:40 ${notJson} 10`],
    },
    {
      name: 'an array with NaN and text between its elements',
      input: `[${good},NaN,x y,${good},"a"b,\n${good}]`,
      records: [`1:1 ${good}`, `1:47 ${good}`, `2:91 ${good}`],
      rejections: [`1:39 ${notJson} 1`, `1:43 ${notJson} 1`, `1:85 ${notJson} 4`],
    },
    { name: 'an array with a comma too many', input: `[${good},,${good}]`, records: [`1:1 ${good}`, `1:40 ${good}`] },
    { name: 'an array with a comma at its end', input: `[${good},]`, records: [`1:1 ${good}`] },
    { name: 'an array without a comma', input: `[${good}\n${good}]`, records: [`1:1 ${good}`, `2:39 ${good}`] },
    {
      name: 'an array with text after it',
      input: `[${good}]\n,${good}]`,
      records: [`1:1 ${good}`, `2:41 ${good}`],
      rejections: [`2:78 ${notJson} 1`],
    },
    {
      name: 'arrays one after another',
      input: `[${good}]\n[${good}][${good}]`,
      records: [`1:1 ${good}`, `2:41 ${good}`, `2:80 ${good}`],
    },
    {
      name: 'an array of arrays',
      input: `[${good},[${good}],\n[],${good}]`,
      records: [`1:1 ${good}`, `2:83 ${good}`],
      rejections: [`1:39 ${notAnObject}`, `2:80 ${notAnObject}`],
    },
    {
      name: 'an array that begins with a scalar, which is text to the end of its line',
      input: `[5,${good},\n${good},\n${good}]`,
      records: [`2:42 ${good}`, `3:81 ${good}`],
      rejections: ['1:0 record: not JSON: it ends in the middle, after 40 bytes', `3:118 ${notJson} 1`],
    },
    {
      name: 'an array with an element cut in the middle, before one that begins a line',
      input: `[\n${good},\n{"event":"b","properties":{"time":\n${good}\n]`,
      records: [`2:2 ${good}`, `4:76 ${good}`],
      rejections: ['3:41 record: not JSON: it ends in the middle, after 34 bytes'],
    },
    {
      name: 'an array with an element nested too deep',
      input: `[{"a":"]","b":${'['.repeat(100)}"}\\""${']'.repeat(100)}},\n${good}]`,
      records: [`2:222 ${good}`],
      rejections: ['1:1 record: nested more than 100 levels deep'],
    },
    {
      name: 'an array that a mapping is handed',
      input: `[{"a":1},5,{"b":NaN},\n{"c":[{}]}]`,
      isMapped: true,
      records: ['1:1 {"a":1}', '2:22 {"c":[{}]}'],
      rejections: [`1:9 ${notAnObject}`, `1:11 ${notJson} 6`],
    },
  ]);
});

describe('an array', () => {
  test('An element that never ends is rejected to the end of the content, and its first 64 KiB are kept', () => {
    const rest = `{"event":"x}${`,${good}`.repeat(40_000)}]`;
    const { records, rejections } = parseEveryWay(Buffer.from(`[${good},\n${rest}`));
    assert.equal(records.length, 1);
    assert.equal(rejections.length, 1);
    assert.equal(rejections[0]!.bytes, rest.length);
    assert.ok(rejections[0]!.record.equals(Buffer.from(rest.slice(0, 65_536))));
    assert.equal(rejections[0]!.insertId, undefined);
  });

  test('More than a mebibyte of white space at any place does not change the records', () => {
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
    test(`A record of 1,000,000 bytes is accepted as ${name}`, () => {
      const { records, rejections } = parseEveryWay(Buffer.from(contentOf(eventOf(1_000_000))));
      assert.equal(rejections.length, 0);
      assert.ok(records.some(({ text }) => text.length === 1_000_000));
    });

    for (const bytes of [1_000_001, 1_048_577, 2_500_000]) {
      test(`A record of ${bytes.toLocaleString('en')} bytes is rejected as ${name}, and its first 64 KiB are kept`, () => {
        const record = eventOf(bytes);
        const { records, rejections } = parseEveryWay(Buffer.from(contentOf(record)));
        assert.equal(records.length, contentOf('').split(good).length - 1);
        assert.ok(records.every(({ text }) => text === good));
        assert.equal(rejections.length, 1);
        const [rejection] = rejections;
        assert.equal(rejection!.reason.message, 'larger than 1000000 bytes');
        assert.equal(rejection!.bytes, bytes);
        assert.ok(rejection!.record.equals(Buffer.from(record.slice(0, 65_536))));
        assert.equal(rejection!.insertId, undefined);
      });
    }
  }

  test('A record that is too large is cut between two characters', () => {
    const { rejections } = parseEveryWay(Buffer.from(`"x${'😀'.repeat(500_000)}"\n${good}`));
    assert.equal(rejections[0]!.record.length, 65_534);
    assert.ok(rejections[0]!.record.equals(Buffer.from(`"x${'😀'.repeat(16_383)}`)));
  });

  test('A record that is too large may hold brackets, commas and line breaks', () => {
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
      rejections: ['larger than 1000000 bytes'],
    },
    {
      name: 'has an error after the first megabyte',
      input: `[${good},{"a":"${large}",x},${good}]`,
      records: 2,
      rejections: ['larger than 1000000 bytes'],
    },
    {
      name: 'has an error before that',
      input: `[${good},{"a":x,"b":"${large}"},${good}]`,
      records: 2,
      rejections: ['not JSON: unexpected character at byte 6'],
    },
    {
      name: 'has text after it',
      input: `[${good},{"a":"${large}"}x,${good}]`,
      records: 2,
      rejections: ['larger than 1000000 bytes', 'not JSON: unexpected character at byte 1'],
    },
    {
      name: 'is the last byte of an array that is not closed',
      input: `[${good},{"a":"${large}"}`,
      records: 1,
      rejections: ['larger than 1000000 bytes', 'the array is not closed: the data may be cut short'],
    },
    {
      name: 'is a number with a line break after it',
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
    test(`A record that is too large and ${name} is the same for any chunks`, () => {
      const found = parseEveryWay(Buffer.from(input), breakOff);
      assert.equal(found.records.length, records);
      assert.deepEqual(
        found.rejections.map(({ reason }) => reason.message),
        rejections,
      );
    });
  }

  for (const [kind, record] of [
    ['number', '1'.repeat(1_500_000)],
    ['object', `{"a":"${large}"}`],
    ['array', `["${large}"]`],
    ['string', `"${large}"`],
  ]) {
    test(`An element that is too large ends before the white space after it: ${kind}`, () => {
      const { records, rejections } = parse(Buffer.from(`[${good},${record}\n ,${good},${record},${good}]`));
      assert.deepEqual(
        rejections.map(({ bytes, reason }) => [bytes, reason.message]),
        Array(2).fill([record!.length, 'larger than 1000000 bytes']),
      );
      assert.equal(records.length, 3);
    });
  }

  test('A record that is too large ends at the same byte if a chunk ends there too', () => {
    const element = `{"a":"${large}"}`;
    const content = Buffer.from(`[${good},${element}"x",${good}]`);
    const end = content.indexOf('"x"');
    for (const cuts of [[], [end], [1_200_000, end]]) {
      const { records, rejections } = parse(content, { cuts, blockBytes: 1 });
      assert.equal(records.length, 2);
      assert.deepEqual(
        rejections.map(({ reason, bytes }) => [reason.message, bytes]),
        [
          ['larger than 1000000 bytes', element.length],
          ['not an object', 3],
        ],
      );
    }
  });

  for (const [name, begin, end] of [
    ['a line', `${good}\n{"a":"`, `"}\n${good}`],
    ['an element', `[${good},{"a":"`, `"},${good}]`],
    ['text in an array', `[${good}x`, ''],
    ['text after a bracket', `${good}\n[x`, ''],
    ['an object that has failed', `${good}\n{"a":NaN`, ''],
    ['content without an object', '0\n'.repeat(1_000), ''],
    ['blank lines after one that is bad', 'x\n', ''],
  ]) {
    test(`A record of 50 MB is never held: ${name}`, async () => {
      setFlagsFromString('--expose-gc');
      const collectGarbage: () => void = runInNewContext('gc');
      const parser = new JsonParser(contextOf());
      // Memory that was collected is returned a little later.
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
  const words = (records: number) => Array.from({ length: records }, (_, index) => `${index} a b\n`).join('');
  const message = (first = 'not JSON: unexpected character at byte 2') =>
    `no JSON object among the first records. The first one: ${first}`;

  test('Content without an object among its first 1,000 records is one rejection as a whole, with the first reason', () => {
    const content = Buffer.from(`\ufeff\n${words(20_000)}${good}\n`);
    const { records, rejections } = parseEveryWay(content);
    assert.equal(records.length, 0);
    assert.equal(rejections.length, 1);
    const { reason, location, record, bytes, insertId } = rejections[0]!;
    assert.deepEqual(reason, { field: 'record', message: message() });
    assert.deepEqual(location, objectSource.locate(0, 1));
    assert.equal(bytes, content.length);
    assert.ok(record.equals(content.subarray(0, 65_536)));
    assert.equal(insertId, undefined);
  });

  test('Content without an object among its first 1,000 records is one rejection for blocks of any size', () => {
    const content = Buffer.from(`${words(1_000)}${good}\n`);
    for (const blockBytes of [1, 100, 8_000, 1_000_000]) {
      const { rejections } = parse(content, { cuts: every(97, content), blockBytes });
      assert.deepEqual(
        rejections.map(({ reason, bytes }) => [reason.message, bytes]),
        [[message(), content.length]],
      );
    }
  });

  test('Content of which only the 1,000th record is an object is rejected line by line', () => {
    const content = Buffer.from(`${words(999)}{}\n${words(1_000)}{}\n`);
    for (const blockBytes of [1, 100, 8_000, 1_000_000]) {
      const { rejections } = parse(content, { cuts: every(97, content), blockBytes });
      assert.equal(rejections.length, 2_001);
      assert.equal(rejections[999]!.reason.message, `missing: ${advice}`);
    }
  });

  test('Content of fewer records, none an object, is one rejection with all of its bytes', () => {
    const content = Buffer.from(words(3));
    const { rejections } = parse(content);
    assert.deepEqual(
      rejections.map(({ reason, record, bytes }) => ({ message: reason.message, record, bytes })),
      [{ message: message(), record: content, bytes: content.length }],
    );
    assert.equal(rejections[0]!.insertId, insertIdByContent(content, objectSource, 0, 1));
  });

  const rows: [name: string, input: string, expected: string[]][] = [
    ['one bad line', '\n a,b\n\n', ['not JSON: unexpected character at byte 1']],
    ['one bad element', '[5]', ['not an object']],
    ['a bracket before text', '[x', ['not JSON: unexpected character at byte 2']],
    ['an array of scalars with an error', '[1,2,\nx,3]', [message('not JSON: it ends in the middle, after 4 bytes')]],
    ['lines of arrays', '[1,2]\n[3,4]\n', [message('not an object')]],
    ['an array of scalars', '[1,2]', ['not an object']],
    ['an array of arrays', '[[1],[2]]', [message('not an object')]],
    ['Python dictionaries', "{'a':1}\n{'b':2}\n", [message()]],
    ['an array of objects, none an event', '[{},{}]', [`missing: ${advice}`, `missing: ${advice}`]],
    ['a line before a broken object', 'x\n{"a":NaN}', [message('not JSON: unexpected character at byte 1')]],
  ];
  for (const [name, input, expected] of rows) {
    test(`Content without an event is rejected with the right reasons: ${name}`, () => {
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

  test('Content without an object, whose records are large, is rejected one by one, so that it is not held', () => {
    const record = `"${'x'.repeat(900_000)}"\n`;
    const content = Buffer.from(record.repeat(12));
    for (const blockBytes of [1, 1_000_000, 20_000_000]) {
      const { rejections } = parse(content, { cuts: every(500_000, content), blockBytes });
      assert.equal(rejections.length, 12);
    }
  });
});

describe('content that breaks off', () => {
  test('Content that breaks off is one rejection after the last whole record', () => {
    const content = Buffer.from(`${good}\n  {"event":"b"`);
    const { records, rejections } = parse(content, { breakOff: 'corrupt gzip' });
    assert.equal(records.length, 1);
    assert.deepEqual(
      rejections.map(({ reason, location, record }) => ({ reason, location, record: record.toString() })),
      [
        {
          reason: { field: 'record', message: 'corrupt gzip' },
          location: objectSource.locate(40, 2),
          record: '{"event":"b"',
        },
      ],
    );
  });

  test('Content that breaks off before its first byte is one rejection without a byte', () => {
    const { rejections } = parse(Buffer.alloc(0), { breakOff: 'corrupt gzip' });
    assert.deepEqual(
      rejections.map(({ reason, bytes }) => [reason.message, bytes]),
      [['corrupt gzip', 0]],
    );
  });

  test('Content that breaks off after bad lines keeps their rejections', () => {
    const { rejections } = parse(Buffer.from('x\ny\n'), { breakOff: 'corrupt gzip' });
    assert.equal(rejections.length, 3);
  });

  test('Content that breaks off inside a rejection is one more rejection', () => {
    const { records, rejections } = parse(Buffer.from(`[${good},x`), { breakOff: 'corrupt gzip' });
    assert.equal(records.length, 1);
    assert.deepEqual(
      rejections.map(({ reason, bytes }) => [reason.message, bytes]),
      [
        ['not JSON: unexpected character at byte 1', 1],
        ['corrupt gzip', 0],
      ],
    );
  });

  test('Content that breaks off after 1,000 records without an object is one rejection', () => {
    const content = Buffer.from('x\n'.repeat(2_000));
    const { rejections } = parse(content, { breakOff: 'corrupt gzip', blockBytes: 100, cuts: every(97, content) });
    assert.deepEqual(
      rejections.map(({ bytes }) => bytes),
      [content.length],
    );
    assert.match(rejections[0]!.reason.message, /^no JSON object among the first records/);
  });
});

describe('the ids of records', () => {
  const fileSource: Source = {
    ...objectSource,
    context: { kind: 'file', path: 'f.ndjson' },
    locate: (offset, line) => ({ file: 'f.ndjson', line, offset }),
  };
  const linesText =
    '\ufeff{"event":"a","properties":{"time":1}}\r\n\n {"event":"ü","properties":{"b":[1, 2]}} \nx y\n{"event":1}\n';
  const arrayText = '[\n{"event":"a",\n "properties":{}},{"event":"b","properties":{"$insert_id":""}}, 5]';
  // Computed with the first version of the parser. Records first, then rejections.
  const linesById = [
    '7646710177e73e78baffdbfb',
    'f70309b715ebd262c4a3b289',
    '887fcea6a80333c6c02ae7e7',
    'f58648470054614dd08e09b6',
  ];
  const arrayById = ['3f571d6c417e187666ec290a', 'daa2a1d4ae57ff25a75e32ce', 'ef2d127de37b942baad06145'];
  const inMessage = ['b04c52717343ef33820afd47', 'b998f8567f42ebe19c272816', '9a61a2e0e4a3bab7408fbf3e'];
  const golden: { name: string; text: string; source: Source; byContent: string[]; byPosition: string[] }[] = [
    {
      name: 'lines of an object',
      text: linesText,
      source: objectSource,
      byContent: linesById,
      byPosition: [
        'cbba1bf35aa910a7be062b17',
        'b868bda5a285166737459470',
        '7aa63f885c8bab7e3782782e',
        'fd5add6bcde2578f7f7aeb26',
      ],
    },
    {
      name: 'lines of a file',
      text: linesText,
      source: fileSource,
      byContent: linesById,
      byPosition: [
        'b0e1c1f025477891ae62117e',
        '223ae435cb8fe321171b0594',
        'ffe76dcac16fc301477810a0',
        '345b21218081aa1953c88ba9',
      ],
    },
    {
      name: 'lines of a message',
      text: linesText,
      source: messageSource,
      byContent: linesById,
      byPosition: [...inMessage, '8c622184ea2dd5b301d565df'],
    },
    {
      name: 'an array of an object',
      text: arrayText,
      source: objectSource,
      byContent: arrayById,
      byPosition: ['80d719252ef55f5b40f1fc76', '5b03b7760295198089117f00', 'a2072813e9e8c8b0b14362b4'],
    },
    {
      name: 'an array of a file',
      text: arrayText,
      source: fileSource,
      byContent: arrayById,
      byPosition: ['ee82928f8d6ca3c9d9e16a68', '66d5568db36ed1f5139d47f3', '286909db7e024784aff498cd'],
    },
    {
      name: 'an array of a message',
      text: arrayText,
      source: messageSource,
      byContent: arrayById,
      byPosition: inMessage,
    },
  ];
  for (const { name, text, source, byContent, byPosition } of golden) {
    test(`The ids of records never change: ${name}`, () => {
      for (const [insertIdOf, expected] of [
        [insertIdByContent, byContent],
        [insertIdByPosition, byPosition],
      ] as const) {
        for (const blockBytes of [1, 20, 1_048_576]) {
          const content = Buffer.from(text);
          const blocks: Block[] = [];
          if (source === messageSource) {
            blocks.push(...messageBlocks(new MessageReader(insertIdOf, blockBytes), content, source));
          } else {
            const parser = new JsonParser(contextOf({ source, insertIdOf, blockBytes }));
            for (const byte of content) blocks.push(...Array.from(parser.push(Buffer.from([byte])), kept));
            blocks.push(...Array.from(parser.end(), kept));
          }
          const ofRecords = blocks.flatMap((block) => {
            const { bytes, offset, starts, ends, ordinals } = columnsOf(block);
            return Array.from(ordinals, (ordinal, index) =>
              insertIdOf(bytes.subarray(starts[index], ends[index]), source, offset + starts[index]!, ordinal),
            );
          });
          const ofRejections = contentsOf(blocks).rejections.map(({ insertId }) => insertId);
          assert.deepEqual([...ofRecords, ...ofRejections], expected);
        }
      }
    });
  }
});
