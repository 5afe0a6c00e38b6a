import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { Block, Source } from '../../../../../functions/core/block.ts';
import { RecordMapper } from '../../../../../functions/core/events.ts';
import { recognizeFormat } from '../../../../../functions/core/formats/format.ts';
import { readBlocks } from '../../../../../functions/core/formats/read-blocks.ts';
import { MessageReader } from '../../../../../functions/core/formats/read-message.ts';
import { snowplowFormat } from '../../../../../functions/core/formats/snowplow/format.ts';
import { insertIdByContent } from '../../../../../functions/core/insert-id.ts';
import { VERBATIM } from '../../../../../functions/core/mappings/mapping.ts';
import {
  assertResumable,
  comparable,
  contentsOf,
  contextOf,
  kept,
  mappedSource,
  messageBlocks,
  messageSource,
  objectSource,
  parse,
} from '../../../../support/parsing.ts';
import { chunksOf } from '../../../../support/pipeline.ts';

const content = readFileSync(new URL('../../../../data/snowplow/rdb-1.tsv', import.meta.url));
const [line] = content.toString().split('\n');
const options = { isMapped: true, parserOf: snowplowFormat.parser };
const recordsOf = (text: string | Buffer) => parse(Buffer.from(text), options);

describe("the parser of Snowplow's lines", () => {
  test('every line is a record, with its place', () => {
    const { records, rejections } = recordsOf(content);
    const lines = content.toString('latin1').split('\n');
    assert.deepEqual(rejections, []);
    assert.deepEqual(
      records.map(({ ordinal, text }) => [ordinal, text]),
      lines.slice(0, 3).map((text, index) => [index + 1, text]),
    );
  });

  const cases: [what: string, text: string | Buffer, records: [ordinal: number, offset: number, text: string][]][] = [
    [
      'a last line without a line feed',
      'a\tb\nc\td',
      [
        [1, 0, 'a\tb'],
        [2, 4, 'c\td'],
      ],
    ],
    [
      'carriage returns',
      'a\tb\r\nc\r\n',
      [
        [1, 0, 'a\tb'],
        [2, 5, 'c'],
      ],
    ],
    ['empty lines, and lines of white space', '\n \t\n\r\na\n\n', [[4, 6, 'a']]],
    [
      'tabs at both ends are columns',
      '\ta\t\n\tb\t',
      [
        [1, 0, '\ta\t'],
        [2, 4, '\tb\t'],
      ],
    ],
    [
      'a byte order mark',
      Buffer.from('\ufeffa\nb'),
      [
        [1, 3, 'a'],
        [2, 5, 'b'],
      ],
    ],
    [
      'JSON of the SDKs',
      '{"a":1}\nx\ty',
      [
        [1, 0, '{"a":1}'],
        [2, 8, 'x\ty'],
      ],
    ],
    ['nothing', '', []],
  ];
  for (const [what, text, expected] of cases) {
    test(`the parser reads ${what}`, () => {
      const { records, rejections } = recordsOf(text);
      assert.deepEqual(rejections, []);
      assert.deepEqual(
        records.map(({ ordinal, offset, text }) => [ordinal, offset, text]),
        expected,
      );
    });
  }

  test('a line that is not UTF-8 is a rejection, and the next one is read', () => {
    const { records, rejections } = recordsOf(Buffer.from('a\n\xff\tb\nc', 'latin1'));
    assert.deepEqual(
      records.map(({ text }) => text),
      ['a', 'c'],
    );
    assert.deepEqual(
      rejections.map(({ reason, location }) => [reason.message, location]),
      [['not valid UTF-8', { bucket: 'b', object: 'o', generation: '1', line: 2, offset: 2 }]],
    );
  });

  test('a line that is too large is a rejection with its beginning, and the next one is read', () => {
    const long = `${'x'.repeat(65_535)}é${'y'.repeat(2_500_000)}`;
    for (const text of [`a\n${long}\nc\n`, `a\n${long}`]) {
      const { records, rejections } = parse(Buffer.from(text), { ...options, cuts: [5, 1_000_000, 2_000_000] });
      assert.deepEqual(
        records.map(({ ordinal, text }) => [ordinal, text]),
        text.endsWith('c\n')
          ? [
              [1, 'a'],
              [3, 'c'],
            ]
          : [[1, 'a']],
      );
      const [{ reason, record, bytes, insertId }] = rejections as [(typeof rejections)[0]];
      assert.equal(reason.message, 'larger than 1000000 bytes');
      assert.deepEqual([record.toString(), bytes, insertId], ['x'.repeat(65_535), 2_565_537, undefined]);
    }
  });

  test('content that breaks off is one rejection from there on', () => {
    const { records, rejections } = parse(Buffer.from('a\nb\nc\td'), { ...options, breakOff: 'corrupt' });
    assert.deepEqual(
      records.map(({ text }) => text),
      ['a', 'b'],
    );
    assert.deepEqual(
      rejections.map(({ reason, record }) => [reason.message, record.toString()]),
      [['corrupt', 'c\td']],
    );
  });

  test('content that breaks off inside a line that is too large is a rejection of that line too', () => {
    const text = Buffer.from(`a\n${'x'.repeat(1_200_000)}`);
    const { rejections } = parse(text, { ...options, cuts: [1_100_000], breakOff: 'corrupt' });
    assert.deepEqual(
      rejections.map(({ reason, bytes, location }) => [reason.message, bytes, 'offset' in location && location.offset]),
      [
        ['larger than 1000000 bytes', 1_200_000, 2],
        ['corrupt', 0, 1_200_002],
      ],
    );
  });

  const piece = fc.constantFrom('a\tb', '\t', '\n', '\r\n', '{"a":1}', ' ', 'é', '\ufeff', `${line}\n`, '\udbff');
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.from(pieces.join('')));

  test('where chunks begin and end makes no difference', () => {
    fc.assert(
      fc.property(
        text,
        fc.array(fc.nat(400), { maxLength: 5 }),
        fc.integer({ min: 1, max: 50 }),
        (bytes, cuts, blockBytes) => {
          const split = parse(bytes, {
            ...options,
            blockBytes,
            cuts: cuts.sort((a, b) => a - b).filter((cut) => cut < bytes.length),
          });
          assert.deepEqual(comparable(split), comparable(parse(bytes, options)));
        },
      ),
    );
  });

  test('reading resumes after any record', () => {
    fc.assert(fc.property(text, (bytes) => assertResumable(bytes, { ...options, blockBytes: 20 })));
  });
});

describe("Snowplow's lines among other content", () => {
  const mapped = mappedSource.mapping;
  const named = { kind: 'mapped', through: ['mapping'], format: 'snowplow', map: () => null } as const;
  const uuid = '94b86f90-7739-4f0d-bcc2-b054143abad5';
  const fields = (count: number, id = uuid) =>
    Array.from({ length: count }, (_, at) => (at === 6 ? id : 'x')).join('\t');
  const cases: [what: string, head: string, isSnowplow: boolean][] = [
    ['a line of the samples', line!, true],
    ['108 fields', `${fields(108)}\n`, true],
    ['131 fields', `${fields(131)}\r\n`, true],
    ['107 fields', `${fields(107)}\n`, false],
    ['132 fields', `${fields(132)}\n`, false],
    ['a seventh field that is no UUID', `${fields(131, 'not-a-uuid')}\n`, false],
    ['a line whose end is not there', fields(30), true],
    ['JSON', '{"event":"e"}', false],
    ['nothing', '', false],
  ];
  for (const [what, head, isSnowplow] of cases) {
    test(`${what} is ${isSnowplow ? '' : 'not '}recognized where records are mapped`, async () => {
      assert.equal((await recognizeFormat(Buffer.from(head), mapped)).name, isSnowplow ? 'snowplow' : 'json');
    });
  }

  test('a mapping that names the format decides, and what is sent as it arrives is JSON', async () => {
    assert.equal((await recognizeFormat(Buffer.from('{'), named)).name, 'snowplow');
    assert.equal((await recognizeFormat(Buffer.from(line!), VERBATIM)).name, 'json');
  });

  /** What a block's records look like to a mapping. */
  function idsOf(blocks: readonly Block[], source: Source): unknown[] {
    const ids: unknown[] = [];
    for (const block of blocks) {
      const map = (record: unknown) => {
        ids.push((record as { event_id?: string }).event_id);
        return null;
      };
      const mapper = new RecordMapper(block, { ...(source.mapping as typeof named), map }, insertIdByContent);
      for (let record = 0; record < block.records.ordinals.length; record++) mapper.map(record);
    }
    return ids;
  }
  const ids = content
    .toString()
    .trimEnd()
    .split('\n')
    .map((text) => text.split('\t')[6]);

  for (const [what, bytes] of [
    ['plain', content],
    ['gzip', gzipSync(content)],
  ] as const) {
    test(`a transform is handed the records of a file, ${what}`, async () => {
      const formats: string[] = [];
      const blocks: Block[] = [];
      const onFormat = (name: string) => formats.push(name);
      for await (const some of readBlocks(chunksOf([bytes.subarray(0, 700), bytes.subarray(700)]), {
        context: contextOf({ source: mappedSource }),
        onFormat,
      })) {
        blocks.push(...some.map(kept));
      }
      assert.deepEqual(formats, ['snowplow']);
      assert.deepEqual(idsOf(blocks, mappedSource), ids);
    });

    test(`a transform is handed the record of a message, ${what}, and JSON of another`, () => {
      const reader = new MessageReader(insertIdByContent);
      const source = { ...messageSource, mapping: mapped };
      assert.deepEqual(idsOf(messageBlocks(reader, bytes, source), source), ids);
      assert.deepEqual(idsOf(messageBlocks(reader, Buffer.from('{"event_id":"other"}'), source), source), ['other']);
      assert.deepEqual(idsOf(messageBlocks(reader, bytes, source), source), ids);
    });
  }

  test('a line that cannot be read is a rejection with the column, and the record as it arrived', () => {
    const bad = line!.replace('{"schema"', '{schema');
    const blocks = recordsOf(bad).blocks;
    const mapper = new RecordMapper(blocks[0]!, named, insertIdByContent);
    const result = mapper.map(0);
    assert.ok(typeof result === 'object' && 'rejections' in result);
    const [{ reason, record }] = result.rejections as [(typeof result.rejections)[0]];
    assert.deepEqual([reason, record.toString()], [{ field: 'contexts', message: 'not JSON' }, bad]);
  });

  test('contents of a file without a mapping are JSON', () => {
    assert.equal(contentsOf(parse(content).blocks).records.length, 0);
    assert.equal(objectSource.mapping, VERBATIM);
  });
});
