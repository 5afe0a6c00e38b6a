/** Values are told apart whatever is between them: files of real exporters, rubbish of any kind, and content made to be slow. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { type Block, lengthOf, type Position } from '../../../../../functions/core/block.ts';
import { JsonParser } from '../../../../../functions/core/formats/json/parser.ts';
import { type Resumption, readBlocks } from '../../../../../functions/core/formats/read-blocks.ts';
import { MessageReader } from '../../../../../functions/core/formats/read-message.ts';
import { insertIdByContent } from '../../../../../functions/core/insert-id.ts';
import {
  assertResumable,
  columnsOf,
  comparable,
  contentsOf,
  contextOf,
  kept,
  messageBlocks,
  type Parsed,
  parse,
} from '../../../../support/parsing.ts';
import { chunksOf, gather, pieces } from '../../../../support/pipeline.ts';

const good = '{"event":"a","properties":{"time":1}}';

const cuts = fc.array(fc.nat(700), { maxLength: 12 }).map((places) => places.sort((a, b) => a - b));
const blockBytes = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 200 }));

interface Input {
  file: string;
  content: Buffer;
  /** Events in it. */
  events: number;
  /** Its only rejection. */
  rejected?: { line: number; offset: number; text: string; message: string };
}

function input(file: string, events: number, rejected?: Input['rejected']): Input {
  const content = readFileSync(new URL(`../../../../inputs/${file}`, import.meta.url));
  return { file, content, events, ...(rejected === undefined ? {} : { rejected }) };
}

const nan = (time: number, message: string) => ({
  text: `{"event":"Page Viewed","properties":{"time":${time},"distinct_id":"user-1","v":NaN}}`,
  message,
});
const inputs: Input[] = [
  input('concatenated.json', 6),
  input('pretty.json', 5),
  input('single-pretty.json', 1),
  input('byte-order-mark-on-every-line.ndjson', 3),
  input('byte-order-marks-and-crlf.ndjson', 6),
  input('array-per-line.ndjson', 6),
  input('concatenated-arrays.json', 6),
  input('lines-that-end-with-commas.json', 3),
  input('log-line-with-bracket-first.ndjson', 5, {
    line: 1,
    offset: 0,
    text: '[2026-01-01 00:00:00] export started',
    message: 'not JSON: unexpected character at byte 6',
  }),
  input('array-with-nan.json', 4, {
    line: 1,
    offset: 81,
    ...nan(1_767_225_601, 'not JSON: unexpected character at byte 83'),
  }),
  input('array-on-lines-with-nan.json', 4, {
    line: 3,
    offset: 83,
    ...nan(1_767_225_601, 'not JSON: unexpected character at byte 83'),
  }),
  input('message-array-with-nan.json', 4, {
    line: 1,
    offset: 145,
    text: '{"event":"Msg","properties":{"time":1767225603,"distinct_id":"user-3","v":NaN}}',
    message: 'not JSON: unexpected character at byte 75',
  }),
  input('message-of-two-pretty.json', 2),
];

/** Checks that the blocks hold exactly what the input should give. */
function assertOutcome({ file, content, events, rejected }: Input, { records, rejections }: Parsed): void {
  assert.equal(records.length, events, file);
  for (const { text, offset } of records) {
    assert.equal(content.toString('latin1', offset, offset + text.length), text);
    assert.equal(typeof JSON.parse(text).event, 'string');
  }
  assert.deepEqual(
    rejections.map(({ location, reason, record, bytes }) => ({
      place: 'index' in location ? location.index : 'line' in location && [location.line, location.offset],
      reason,
      text: record.toString(),
      bytes,
    })),
    rejected === undefined
      ? []
      : [
          {
            place: [rejected.line, rejected.offset],
            reason: { field: 'record', message: rejected.message },
            text: rejected.text,
            bytes: rejected.text.length,
          },
        ],
  );
}

describe('files of real exporters', { timeout: 60_000 }, () => {
  for (const one of inputs) {
    const { file, content, rejected } = one;

    test(`Every event of ${file} is found`, () => {
      assertOutcome(one, parse(content));
    });

    test(`Every event of ${file} is found for any split of the bytes`, () => {
      const bytewise = Array.from(content, (_, index) => index);
      assertOutcome(one, parse(content, { cuts: bytewise, blockBytes: 1 }));
      fc.assert(
        fc.property(cuts, blockBytes, (cuts, blockBytes) => {
          assertOutcome(one, parse(content, { cuts, blockBytes }));
        }),
        { numRuns: 100 },
      );
    });

    test(`Every event of ${file} is found after a resume at any position`, () => {
      const bytewise = Array.from(content, (_, index) => index);
      assertResumable(content, { cuts: bytewise, blockBytes: 1 });
      assertResumable(content, { cuts: bytewise, blockBytes: 100 });
      assertResumable(content, {});
    });

    test(`Every event of ${file} is found in gzip data, for any split and after a resume at any position`, async () => {
      for (const [stored, compression] of [
        [gzipSync(content), ['gzip']],
        [gzipSync(gzipSync(content)), ['gzip', 'gzip']],
      ] as const) {
        for (const size of [1, 7, 1_000]) {
          const positions: Position[] = [];
          const blocks: Block[] = [];
          for await (const some of readBlocks(chunksOf(pieces(stored, size)), {
            context: contextOf({ blockBytes: 1 }),
          })) {
            for (const block of some) {
              for (let record = 1; record <= lengthOf(block.records); record++)
                positions.push(block.positionAt!(record));
              positions.push(block.end);
              blocks.push(kept(block));
            }
          }
          const whole = contentsOf(blocks);
          assertOutcome(one, whole);
          if (size !== 7) continue;
          for (const position of positions) {
            const resumption: Resumption = { format: 'json', compression, position };
            const source = chunksOf(pieces(stored, size));
            const rest = contentsOf(
              await gather(readBlocks(source, { context: contextOf({ blockBytes: 1 }), resumption })),
            );
            assert.deepEqual(
              rest.records,
              whole.records.filter(({ offset }) => offset >= position.offset),
            );
            assert.deepEqual(
              rest.rejections,
              whole.rejections.filter(({ location }) => 'line' in location && location.offset >= position.offset),
            );
          }
        }
      }
    });

    test(`Every event of ${file} is found in a message, for slices of any size`, () => {
      for (const stored of [content, gzipSync(content)]) {
        for (const sliceBytes of [1, 10, 1_000_000]) {
          const reader = new MessageReader(insertIdByContent, sliceBytes);
          const found = contentsOf(messageBlocks(reader, stored));
          assert.deepEqual(
            comparable(found).records.map(({ text }) => text),
            comparable(parse(content)).records.map(({ text }) => text),
          );
          assert.deepEqual(
            found.rejections.map(({ record, reason }) => [record.toString(), reason.message]),
            rejected === undefined ? [] : [[rejected.text, rejected.message]],
          );
          const indexes = [
            ...found.records.map(({ ordinal }) => ordinal),
            ...found.rejections.map(({ location }) => ('index' in location ? location.index : -1)),
          ];
          assert.deepEqual(
            indexes.sort((a, b) => a - b),
            indexes.map((_, index) => index),
          );
        }
      }
    });
  }

  for (const between of ['\n', '', '\r\n\ufeff', ',\n']) {
    test(`Every event is found if any two files are joined with ${JSON.stringify(between)}`, () => {
      for (const first of inputs) {
        for (const second of inputs) {
          const shift = first.content.length + Buffer.byteLength(between);
          const content = Buffer.concat([first.content, Buffer.from(between), second.content]);
          const { records, rejections } = parse(content, { blockBytes: 100, cuts: [shift - 3, shift, shift + 40] });
          const before = `${first.content}${between}`.split('\n').length - 1;
          const expected = [
            ...parse(first.content).records.map(({ offset, ordinal }) => [ordinal, offset]),
            ...parse(second.content).records.map(({ offset, ordinal }) => [ordinal + before, offset + shift]),
          ];
          assert.deepEqual(
            records.map(({ offset, ordinal }) => [ordinal, offset]),
            expected,
            `${first.file} and ${second.file}`,
          );
          assert.deepEqual(
            rejections.map(({ location, record }) => [
              'line' in location && [location.line, location.offset],
              `${record}`,
            ]),
            [
              ...(first.rejected ? [[[first.rejected.line, first.rejected.offset], first.rejected.text]] : []),
              ...(second.rejected
                ? [[[second.rejected.line + before, second.rejected.offset + shift], second.rejected.text]]
                : []),
            ],
          );
        }
      }
    });
  }
});

const piece = fc.constantFrom(
  good,
  good,
  '{"event":"a",\n "properties":{}\n}',
  '  {"event":"b","properties":{"x":[1,{"y":2}]}}',
  '{"event":"é","properties":{"😀":"€"}}',
  '{"a":',
  '{"a":[',
  '{"a":"x',
  '{"a":\n',
  '{"a":NaN}',
  '{}',
  '[',
  '[',
  ']',
  '}',
  '[]',
  '[[1]]',
  '"',
  '"a"',
  ',',
  '5',
  'NaN',
  'null',
  'x y',
  '\ufeff',
  '\x1e',
  '\\',
  'é',
);
const separator = fc.constantFrom('\n', '\n', '\n', '', ' ', ',', ',\n', '\r\n', '\n  ', '\t', '\n\n');
const rubbish = fc
  .array(fc.tuple(piece, separator), { maxLength: 14 })
  .map((parts) => Buffer.from(parts.flat().join('')));

describe('rubbish of any kind', () => {
  test('Any split of rubbish into chunks and blocks gives the same records and rejections', () => {
    fc.assert(
      fc.property(
        rubbish,
        cuts,
        blockBytes,
        fc.constantFrom(undefined, undefined, 'corrupt'),
        (bytes, cuts, blockBytes, breakOff) => {
          assert.deepEqual(
            comparable(parse(bytes, { cuts, blockBytes, breakOff })),
            comparable(parse(bytes, { breakOff })),
          );
        },
      ),
      { numRuns: 8_000 },
    );
  });

  test('A resume at any block or record in rubbish finds exactly the rest', () => {
    fc.assert(
      fc.property(rubbish, cuts, blockBytes, (bytes, cuts, blockBytes) => {
        assertResumable(bytes, { cuts, blockBytes });
      }),
      { numRuns: 2_500 },
    );
  });

  const split: [name: string, content: string, cut: number][] = [
    ['a string before text', '[{},"a"b,{}]', 7],
    ['a string before a colon', '[{},"a":{}]', 7],
    ['a number before a digit', '[{},12,{}]', 5],
    ['a literal before text', '[{},nullx,{}]', 8],
    ['a bracket before a brace', '[{}]', 1],
    ['a byte order mark', '{}\n\ufeff{}', 4],
    ['an escape', '{"a":"\\"}"}{}', 7],
  ];
  for (const [name, content, cut] of split) {
    test(`A cut in the content does not change the rejections: ${name}`, () => {
      const bytes = Buffer.from(content);
      const cuts = [cut];
      assert.deepEqual(comparable(parse(bytes, { cuts, blockBytes: 1 })), comparable(parse(bytes)));
    });
  }

  const badLine = fc.constantFrom(
    '{"a":',
    '{"a":[',
    '{"a":"x',
    '{"a":"\\',
    '{"a":NaN}',
    '{"a":{"b":NaN}',
    '{"a":1,"b":[{"c":1},',
    '{"a":[1,2,{"b":',
    '{"event":"a","properties":{"x":1},',
    '  {"a":1,',
    '{',
    '{{{',
    '[',
    '  [',
    '[[[',
    '[1,',
    '[{"a":1},',
    ']',
    '}',
    '  }',
    ']}',
    '}]}',
    '],',
    'x"y',
    '"',
    '5',
    ',',
    'é😀',
    '\0',
  );
  const badOrGoodLine = fc.oneof({ weight: 2, arbitrary: badLine }, { weight: 1, arbitrary: fc.constant(good) });
  test('Every good value that begins a line is found, or is a part of a larger value, whatever lines are around it', () => {
    fc.assert(
      fc.property(fc.array(badOrGoodLine, { maxLength: 16 }), cuts, blockBytes, (later, cuts, blockBytes) => {
        // Content without any object would be one rejection.
        const lines = [good, ...later];
        const bytes = Buffer.from(lines.join('\n'));
        const { records, rejections } = parse(bytes, { cuts, blockBytes });
        const found = new Set(records.map(({ offset }) => offset));
        // An object that holds the line, or an array inside an array.
        const around = [
          ...records.map(({ offset, text }) => ({ from: offset, to: offset + text.length })),
          ...rejections
            .filter(({ record }) => isJson(record))
            .map(({ location, bytes }) => ({ from: offsetIn(location), to: offsetIn(location) + bytes })),
        ];
        let at = 0;
        for (const line of lines) {
          const isFound = found.has(at) || around.some(({ from, to }) => from < at && at + line.length <= to);
          if (line === good) assert.ok(isFound, `the line at ${at} of ${JSON.stringify(bytes.toString())}`);
          at += Buffer.byteLength(line) + 1;
        }
      }),
      { numRuns: 10_000 },
    );
  });

  const openLine = badLine.filter((line) => !/[\]}]/.test(line.replace(/\{[^{]*\}/g, '')));
  test('Every good value that begins a line is found if no rubbish closes a bracket that it did not open', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(openLine, fc.constant(good)), { maxLength: 16 }),
        cuts,
        blockBytes,
        (lines, cuts, blockBytes) => {
          const bytes = Buffer.from(lines.join('\n'));
          const found = new Set(parse(bytes, { cuts, blockBytes }).records.map(({ offset }) => offset));
          let at = 0;
          for (const line of lines) {
            if (line === good) assert.ok(found.has(at), `the line at ${at} of ${JSON.stringify(bytes.toString())}`);
            at += Buffer.byteLength(line) + 1;
          }
        },
      ),
      { numRuns: 5_000 },
    );
  });

  const plainRubbish = fc.oneof(
    fc.string().map((text) => Buffer.from(text)),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 10 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom('\n', ',', '\r\n', '\ufeff', 'null', '-1.5e3').map((text) => Buffer.from(text)),
  );
  const withoutQuotesAndBrackets = plainRubbish.map((bytes) =>
    Buffer.from(bytes.filter((byte) => !'"{}[]'.includes(String.fromCharCode(byte)))),
  );
  const goodValue = fc
    .constantFrom(good, '{\n"event":"p",\n "properties": {}\n}', '{"event":"[\\"{","properties":{"a":[[],{}]}}')
    .map((text) => Buffer.from(text));
  for (const [where, before, after] of [
    ['at the top level', '', ''],
    ['inside an array', `[${good}`, ']'],
  ] as const) {
    test(`Every good value ${where} is found if the rubbish has no quote and no bracket`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.oneof(goodValue, withoutQuotesAndBrackets), { maxLength: 16 }),
          cuts,
          blockBytes,
          (parts, cuts, blockBytes) => {
            const bytes = Buffer.concat([Buffer.from(before), ...parts, Buffer.from(after)]);
            const { records } = parse(bytes, { cuts, blockBytes });
            const expected: [number, string][] = before === '' ? [] : [[1, good]];
            let at = before.length;
            for (const part of parts) {
              if (part.includes('{')) expected.push([at, part.toString('latin1')]);
              at += part.length;
            }
            assert.deepEqual(
              records.map(({ offset, text }) => [offset, text]),
              expected,
            );
          },
        ),
        { numRuns: 4_000 },
      );
    });
  }
});

/** Parses large content in chunks of those sizes, one after the other; only sums are kept. */
function measure(content: Buffer, chunkBytes: readonly number[] = [65_536]) {
  const parser = new JsonParser(contextOf());
  const started = performance.now();
  let records = 0;
  let rejections = 0;
  let rejectedBytes = 0;
  let first: { message: string; bytes: number } | undefined;
  let largestRecord = 0;
  const take = (blocks: Block[]) => {
    for (const block of blocks) {
      records += lengthOf(columnsOf(block));
      rejections += block.rejections.length;
      for (const { reason, record, bytes } of block.rejections) {
        first ??= { message: reason.message, bytes };
        rejectedBytes += bytes;
        largestRecord = Math.max(largestRecord, record.length);
      }
    }
  };
  let at = 0;
  for (let index = 0; at < content.length; index++) {
    const size = chunkBytes[index % chunkBytes.length]!;
    take([...parser.push(Buffer.from(content.subarray(at, at + size)))]);
    at += size;
  }
  take([...parser.end()]);
  const { bytesScanned } = parser;
  return { records, rejections, rejectedBytes, first, largestRecord, bytesScanned, ms: performance.now() - started };
}

describe('an array per line', () => {
  const two = `[${good},${good}]\n`;
  const rows: [name: string, content: string, events: number, rejections: number][] = [
    ['a line that is cut', `${two}[${good},{"event":"b","prop\n${two.repeat(5)}`, 13, 1],
    ['an element that is not JSON', `[${good},{"event":"a","v":NaN},${good}]\n${two.repeat(3)}`, 8, 1],
    ['text with a quote, which takes the closing bracket', `[${good},nil"x",${good}]\n${two.repeat(3)}`, 7, 1],
    ['a missing brace', `${two}[{"event":"a","properties":{"x":NaN}]\n${two.repeat(3)}`, 8, 1],
  ];
  for (const [name, content, events, rejections] of rows) {
    test(`The arrays after ${name} are read, for any split and after a resume`, () => {
      const bytes = Buffer.from(content);
      const found = parse(bytes);
      assert.deepEqual([found.records.length, found.rejections.length], [events, rejections]);
      for (const size of [1, 7, 50]) {
        const options = {
          blockBytes: size,
          cuts: Array.from({ length: bytes.length / size }, (_, index) => index * size),
        };
        assert.deepEqual(comparable(parse(bytes, options)), comparable(found));
        assertResumable(bytes, options);
      }
    });
  }

  test('An array of arrays on lines of their own stays one array, whatever is rejected in it by itself', () => {
    const found = parse(Buffer.from(`[\n${good},\n{"v":NaN},\n[1,2],\n[${good}],\n${good}\n]\n${good}`));
    assert.deepEqual([found.records.length, found.rejections.length], [3, 3]);
  });
});

describe('content that is made to be slow', { timeout: 120_000 }, () => {
  const many = 100_000;
  const failing = '{"a":NaN}';
  const rows: { name: string; content: string; records: number; rejections: number; first?: string }[] = [
    {
      name: 'a record of 1.5 MB between two others',
      content: `${good}\n{"event":"a","properties":{"a":"${'x'.repeat(1_500_000)}"}}\n${good}`,
      records: 2,
      rejections: 1,
      first: 'larger than 1000000 bytes',
    },
    {
      name: 'a line of 20 MB without a line break',
      content: `${good}\n${'x'.repeat(20_000_000)}`,
      records: 1,
      rejections: 1,
      first: 'not JSON: unexpected character at byte 1',
    },
    { name: 'values on one line of 11 MB', content: good.repeat(300_000), records: 300_000, rejections: 0 },
    {
      name: 'an array on one line of 11 MB',
      content: `[${`${good},`.repeat(300_000)}]`,
      records: 300_000,
      rejections: 0,
    },
    {
      name: 'a million opening brackets',
      content: '['.repeat(1_000_000),
      records: 0,
      rejections: 1,
      first: 'nested more than 100 levels deep',
    },
    {
      name: 'a million opening and a million closing brackets',
      content: `${good}\n${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}\n${good}`,
      records: 2,
      rejections: 1,
      first: 'nested more than 100 levels deep',
    },
    {
      name: '5 MB of opening braces',
      content: '{'.repeat(5_000_000),
      records: 0,
      rejections: 1,
      first: 'not JSON: unexpected character at byte 2',
    },
    {
      name: '5 MB of opening braces between two events',
      content: `${good}\n${'{'.repeat(5_000_000)}\n${good}`,
      records: 2,
      rejections: 1,
      first: 'not JSON: unexpected character at byte 2',
    },
    {
      name: '5 MB of nested objects',
      content: `${good}\n${'{"a":'.repeat(1_000_000)}`,
      records: 1,
      rejections: 1,
      first: 'nested more than 100 levels deep',
    },
    {
      name: 'lines that each open an object',
      content: `${good}\n${'{"a":\n'.repeat(many)}${good}`,
      records: 2,
      rejections: many,
      first: 'not JSON: it ends in the middle, after 5 bytes',
    },
    {
      name: 'lines that each open an array',
      content: `${good}\n${'[\n'.repeat(many)}`,
      records: 1,
      // Every other bracket opens an array anew, as the one before it broke off.
      rejections: many / 2,
      first: 'not JSON: it ends in the middle, after 1 bytes',
    },
    {
      name: 'an unclosed string near the start of an array on one line',
      content: `[${good},{"a":"x,${`${good},`.repeat(many)}]`,
      records: 1,
      rejections: 1,
      first: 'not JSON: unexpected character at byte 11',
    },
    {
      name: 'a string that is not closed, of backslashes',
      content: `[${good},{"a":"${'\\'.repeat(3_000_000)}`,
      records: 1,
      rejections: 1,
      first: 'larger than 1000000 bytes',
    },
    {
      name: '100,000 failing elements on one line',
      content: `[${good},${`${failing},`.repeat(many)}${good}]`,
      records: 2,
      rejections: many,
      first: 'not JSON: unexpected character at byte 6',
    },
    {
      name: '100,000 failing values on one line, without commas',
      content: `${good}${failing.repeat(many)}${good}`,
      records: 2,
      rejections: many,
      first: 'not JSON: unexpected character at byte 6',
    },
    {
      name: '100,000 failing elements on lines',
      content: `[${good},\n${`${failing},\n`.repeat(many)}${good}]`,
      records: 2,
      rejections: many,
      first: 'not JSON: unexpected character at byte 6',
    },
    {
      name: '100,000 elements that are text',
      content: `[${good},${'NaN,'.repeat(many)}${good}]`,
      records: 2,
      rejections: many,
      first: 'not JSON: unexpected character at byte 1',
    },
    {
      name: '100,000 pieces of text between values',
      content: `${good}x`.repeat(many),
      records: many,
      rejections: many,
      first: 'not JSON: unexpected character at byte 1',
    },
    {
      name: 'lines that are indented more and more',
      content: `${good}\n${Array.from({ length: 2_000 }, (_, index) => `${' '.repeat(index)}{"a":\n`).join('')}`,
      records: 1,
      rejections: 1,
      first: 'nested more than 100 levels deep',
    },
    {
      name: 'lines that are indented less and less',
      content: `${good}\n${Array.from({ length: 2_000 }, (_, index) => `${' '.repeat(2_000 - index)}{"a":\n`).join('')}`,
      records: 1,
      rejections: 2_000,
      first: 'not JSON: it ends in the middle, after 5 bytes',
    },
    {
      name: '5 MB of spaces after a bracket',
      content: `[${' '.repeat(5_000_000)}${good}]`,
      records: 1,
      rejections: 0,
    },
    {
      name: 'brackets with 60,000 spaces after each, before text',
      content: `${good}\n${`[${' '.repeat(60_000)}x\n`.repeat(50)}`,
      records: 1,
      rejections: 50,
      first: 'not JSON: unexpected character at byte 60002',
    },
    { name: '5 MB of blank lines', content: `${'\n'.repeat(5_000_000)}${good}`, records: 1, rejections: 0 },
    { name: 'a million byte order marks', content: `${'\ufeff'.repeat(1_000_000)}${good}`, records: 1, rejections: 0 },
    { name: 'a million empty arrays', content: `${'[]'.repeat(1_000_000)}${good}`, records: 1, rejections: 0 },
    {
      name: 'a million quotes',
      content: `${good}\n${'"'.repeat(1_000_000)}`,
      records: 1,
      rejections: 1,
      first: 'not JSON: unexpected character at byte 3',
    },
    {
      name: 'a container of more than 1 MB with good lines inside',
      content: `${good}\n{"a":[\n${`${good},\n`.repeat(30_000)}]}\n${good}`,
      records: 30_002,
      rejections: 2,
      first: 'not JSON: it ends in the middle, after 6 bytes',
    },
    {
      name: 'a log of 200,000 lines',
      content: '2026-01-01 00:00:00 INFO started\n'.repeat(200_000),
      records: 0,
      rejections: 1,
      first: 'no JSON object among the first records. The first one: not JSON: unexpected character at byte 5',
    },
  ];
  for (const { name, content, records, rejections, first } of rows) {
    test(`The parser takes linear time and bounded memory for ${name}`, () => {
      const bytes = Buffer.from(content);
      for (const chunkBytes of [[65_536], [1, 100_000, 999_999]]) {
        const found = measure(bytes, chunkBytes);
        assert.deepEqual([found.records, found.rejections], [records, rejections]);
        if (first !== undefined) assert.equal(found.first!.message, first);
        assert.ok(found.largestRecord <= 1_000_000, 'a rejection is not held beyond the largest size');
        assert.ok(found.rejectedBytes <= bytes.length, 'rejections do not overlap');
        assert.ok(found.bytesScanned <= 3 * bytes.length, `${found.bytesScanned / bytes.length} scans per byte`);
        assert.ok(found.ms < 10_000, `${found.ms} ms`);
      }
    });
  }

  const slow: [name: string, content: string][] = [
    ['elements that are long numbers before text', `[{},${`${'1'.repeat(600_000)}x,`.repeat(8)}]`],
    ['elements that are long strings before text', `[{},\n${`"${'1'.repeat(600_000)}"x,\n`.repeat(8)}]`],
    [
      'containers of more than 1 MB, with lines inside that are not objects',
      `${good}\n${`${'{"a":[\n'.repeat(49)}${'[1],\n'.repeat(210_000)}`.repeat(2)}`,
    ],
    ['containers of almost 1 MB that fail', `[{},${`{"a":[${'1,'.repeat(300_000)}x]},`.repeat(6)}]`],
    [
      'containers of almost 1 MB that fail, with lines inside that are text',
      `${good}\n${`{"a":[\n${'[1],\n'.repeat(120_000)}x]}\n`.repeat(6)}`,
    ],
    ['text of almost 1 MB', `${good}\n${`${'x'.repeat(600_000)}\n`.repeat(6)}`],
    [
      'containers that fail, with more rejections inside each than a block holds',
      `${good}\n${`{"a":[\n${'{},\n'.repeat(1_500)}`.repeat(40)}x`,
    ],
  ];
  for (const [name, content] of slow) {
    test(`The parser scans no byte more than three times on average: ${name}`, () => {
      const bytes = Buffer.from(content);
      const { bytesScanned } = measure(bytes);
      assert.ok(bytesScanned <= 3 * bytes.length, `${bytesScanned / bytes.length} scans per byte`);
    });
  }

  test('The parser scans at most 3 bytes per byte of any content, for chunks of any size', () => {
    const repeated = fc.record({
      text: fc.oneof(
        fc.constantFrom(
          good,
          `${good}\n`,
          `${good},`,
          failing,
          `${failing},\n`,
          '{',
          '[',
          '{"a":',
          '{"a":[\n',
          '[\n',
          '\n',
        ),
        fc.constantFrom(
          ' ',
          '  [',
          '\\',
          '"',
          '"x"',
          ',',
          'x',
          'é',
          '1',
          'NaN,',
          ']',
          '}',
          '}\n',
          ']\n',
          '{"a":"',
          '\ufeff',
        ),
        fc.array(fc.tuple(piece, separator), { minLength: 1, maxLength: 4 }).map((parts) => parts.flat().join('')),
      ),
      bytes: fc.oneof(fc.constant(1), fc.nat(300), fc.nat(900_000)),
    });
    const large = fc
      .array(repeated, { minLength: 4, maxLength: 24 })
      .map((parts) => parts.map(({ text, bytes }) => text.repeat(Math.ceil((bytes + 1) / Buffer.byteLength(text)))))
      .map((parts) => Buffer.from(`${good}\n${parts.join('')}`))
      .filter(({ length }) => length > 1_000_000 && length < 3_000_000);
    const chunks = fc.array(fc.oneof(fc.integer({ min: 1, max: 2_000_000 }), fc.constant(65_536)), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(large, chunks, (bytes, chunkBytes) => {
        const found = measure(bytes, [...chunkBytes, 65_536]);
        assert.ok(found.bytesScanned <= 3 * bytes.length, `${found.bytesScanned / bytes.length} scans per byte`);
        assert.ok(found.rejectedBytes <= bytes.length);
        assert.ok(found.largestRecord <= 1_000_000);
      }),
      { numRuns: 10, endOnFailure: true },
    );
  });

  test('An image is one rejection', () => {
    const bytes = Buffer.alloc(3_000_000);
    let state = 1;
    for (let at = 0; at < bytes.length; at++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      bytes[at] = state >>> 16;
    }
    const { records, rejections, first } = measure(bytes);
    assert.deepEqual([records, rejections, first!.bytes], [0, 1, bytes.length]);
  });
});

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString());
    return true;
  } catch {
    return false;
  }
}

function offsetIn(location: object): number {
  return (location as { offset: number }).offset;
}
