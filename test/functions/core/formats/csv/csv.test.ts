import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32, gzipSync } from 'node:zlib';
import { type CsvError, parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { cutBlock, lengthOf, type Position } from '../../../../../functions/core/block.ts';
import type { TextFormat } from '../../../../../functions/core/formats/csv/dialect.ts';
import { readBlocks } from '../../../../../functions/core/formats/read-blocks.ts';
import { fixture, linesOf, readRows, withText } from '../../../../support/formats.ts';
import { contextOf } from '../../../../support/parsing.ts';
import { chunksOf, pieces } from '../../../../support/pipeline.ts';

const CSV: TextFormat = { delimiter: ',', header: true, quote: '"', null: [''] };

async function read(content: string | Buffer, format: Partial<TextFormat> = {}, size = 65_536) {
  const { rows, rejections, ...more } = await readRows(Buffer.from(content), {
    text: { ...CSV, ...format },
    size,
    context: contextOf({ blockBytes: size }),
  });
  return {
    ...more,
    rows,
    rejections,
    values: rows.map(({ value }) => JSON.parse(value)),
    reasons: rejections.map(({ reason, location, record }) => {
      assert.ok('line' in location);
      return `${location.line}:${location.offset} ${reason.message} <${record}>`;
    }),
  };
}

const twoFields = '2 fields, and the header has 3';

describe('delimited text', { timeout: 60_000 }, () => {
  for (const [name, content, format, values, reasons = []] of [
    [
      'plain rows',
      'a,b\n1,2\n3,4\n',
      {},
      [
        { a: '1', b: '2' },
        { a: '3', b: '4' },
      ],
    ],
    [
      'CRLF, and no line end at the end',
      'a,b\r\n1,2\r\n3,4',
      {},
      [
        { a: '1', b: '2' },
        { a: '3', b: '4' },
      ],
    ],
    [
      'quotes, doubled quotes, line breaks and delimiters in fields',
      'a,b\n"x ""y"" , z","1\r\n2\n"\n',
      {},
      [{ a: 'x "y" , z', b: '1\r\n2\n' }],
    ],
    ['a quote in the middle of a field', 'a,b\n1 "x",2"\n', {}, [{ a: '1 "x"', b: '2"' }]],
    [
      'empty lines',
      'a,b\n\n1,2\n\r\n\n3,4\n\n',
      {},
      [
        { a: '1', b: '2' },
        { a: '3', b: '4' },
      ],
    ],
    ['a byte order mark', '\ufeffa,b\n1,2\n', {}, [{ a: '1', b: '2' }]],
    ['a byte order mark before a quoted name', '\ufeff"a",b\n1,2\n', {}, [{ a: '1', b: '2' }]],
    [
      'names that are given',
      '1,2\n3,4\n',
      { header: ['x', 'y'] },
      [
        { x: '1', y: '2' },
        { x: '3', y: '4' },
      ],
    ],
    ['empty fields, which are nothing', 'a,b\n,""\n', {}, [{ a: null, b: null }]],
    [
      'words for nothing',
      'a,b\n\\N,NULL\n,x\n',
      { null: ['\\N', 'NULL'] },
      [
        { a: null, b: null },
        { a: '', b: 'x' },
      ],
    ],
    ['tabs without quoting', 'a\tb\n"x\ty"\n', { delimiter: '\t', quote: null }, [{ a: '"x', b: 'y"' }]],
    ['another quote', "a,b\n'x, ''y',2\n", { quote: "'" }, [{ a: "x, 'y", b: '2' }]],
    [
      'a semicolon that the header shows',
      'a;"b,b,b";c\n1,5;2;3\n',
      { delimiter: undefined },
      [{ a: '1,5', 'b,b,b': '2', c: '3' }],
    ],
    ['a tab that the header shows', 'a\tb\n1\t2\n', { delimiter: undefined }, [{ a: '1', b: '2' }]],
    ['a bar that the header shows', 'a|b\n1|2\n', { delimiter: undefined }, [{ a: '1', b: '2' }]],
    ['one column', 'a\n1\n""\n2\n', { delimiter: undefined, null: [] }, [{ a: '1' }, { a: '' }, { a: '2' }]],
    ['a header alone', 'a,b\n', {}, []],
    ['nothing', '', {}, []],
    [
      'a name that objects have',
      '__proto__,b\n1,2\n',
      {},
      [Object.defineProperty({ b: '2' }, '__proto__', { value: '1', enumerable: true })],
    ],
    ['text that is not ASCII', 'é,b\nñ,"日 ""本"""\n', {}, [{ é: 'ñ', b: '日 "本"' }]],
    [
      'too few and too many fields',
      'a,b,c\n1,2,3\n4,5\n6,7,8,9\n"x\ny",2\n1,2,3\n',
      {},
      [
        { a: '1', b: '2', c: '3' },
        { a: '1', b: '2', c: '3' },
      ],
      [`3:12 ${twoFields} <4,5>`, '4:16 4 fields, and the header has 3 <6,7,8,9>', `5:24 ${twoFields} <"x\ny",2>`],
    ],
    [
      'text after a closing quote',
      'a,b\n"x"y,2\n3,4\n',
      {},
      [{ a: '3', b: '4' }],
      ['2:4 text follows a closing quote <"x"y,2>'],
    ],
    [
      'a quote that does not close',
      'a,b\n1,2\n3,"4\n5,6\n7,8\n',
      {},
      [
        { a: '1', b: '2' },
        { a: '5', b: '6' },
        { a: '7', b: '8' },
      ],
      ['3:8 the quote is not closed within 1000000 bytes, or by the end of the content <3,"4>'],
    ],
    [
      'a quote that does not close, in the second field that spans lines',
      'a,b\n"1\n2","3\n4,5\n',
      {},
      [{ a: '4', b: '5' }],
      ['2:4 the quote is not closed within 1000000 bytes, or by the end of the content <"1\n2","3>'],
    ],
  ] as [string, string, Partial<TextFormat>, unknown[], string[]?][]) {
    test(`Rows with ${name} are read, however the bytes are cut`, async () => {
      for (const size of [65_536, 7, 1]) {
        const result = await read(content, format, size);
        assert.deepEqual(result.values, values, `pieces of ${size}`);
        assert.deepEqual(result.reasons, reasons, `pieces of ${size}`);
      }
    });
  }

  test('A quote that does not close within 1 MB costs its line, and the lines after it are read', async () => {
    const lines = Array.from({ length: 200_000 }, (_, index) => `${index},abcdef`);
    lines[10] = '10,"abcdef';
    const { values, reasons } = await read(`a,b\n${lines.join('\n')}\n`);
    assert.equal(values.length, lines.length - 1);
    assert.equal(reasons.length, 1);
    assert.match(reasons[0]!, /^12:.*<10,"abcdef>$/);
  });

  test('A row of more than 1 MB is rejected, and the next one is read', async () => {
    for (const large of [`${'x'.repeat(1_000_001)},1`, `1,"${'x'.repeat(1_500_000)}`]) {
      const { values, rejections } = await read(`a,b\n${large}\n3,4\n`);
      assert.deepEqual(values, [{ a: '3', b: '4' }]);
      assert.equal(rejections.length, 1);
    }
  });

  test('A row that is not UTF-8 is rejected as its bytes', async () => {
    const bad = Buffer.from([0x31, 0x2c, 0xff]);
    const { values, rejections } = await read(Buffer.concat([Buffer.from('a,b\n'), bad, Buffer.from('\n3,4\n')]));
    assert.deepEqual(values, [{ a: '3', b: '4' }]);
    assert.deepEqual(
      rejections.map(({ reason, record }) => [reason.message, record]),
      [['not valid UTF-8', bad]],
    );
  });

  for (const [name, content, message] of [
    ['twice the same name', 'a,b,a\n1,2,3\n4,5,6\n', 'it has twice the name "a"'],
    [
      'a quote that does not close',
      'a,"b\n1,2\n',
      'the quote is not closed within 1000000 bytes, or by the end of the content',
    ],
    ['bytes that are not UTF-8', Buffer.from([0x61, 0xff, 0x2c, 0x62, 0x0a, 0x31, 0x0a]), 'not valid UTF-8'],
    ['more than 1 MB', 'x'.repeat(1_100_000), 'larger than 1000000 bytes'],
  ] as const) {
    test(`Content whose header has ${name} is one rejection that says so`, async () => {
      for (const size of [65_536, 600_000]) {
        const { values, rejections } = await read(content, {}, size);
        assert.deepEqual(values, []);
        assert.deepEqual(
          rejections.map(({ reason, bytes, location }) => [reason.message, bytes, location]),
          [
            [
              `the header is not usable: ${message}`,
              content.length,
              { bucket: 'b', object: 'o', generation: '1', line: 1, offset: 0 },
            ],
          ],
        );
      }
    });
  }

  test('A dead letter holds the texts before any of them became null, in the order of the header', async () => {
    for (const words of [[''], ['', 'x'], []]) {
      const { rows } = await read('b,a,1\n,"x",é\n', { null: words });
      assert.deepEqual(
        rows.map(({ original }) => original),
        // As objects have them: names that are whole numbers come first.
        ['{"1":"é","b":"","a":"x"}'],
      );
    }
  });

  test('Any rows of any texts are read as they were written', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'é', '日', ';') });
    const rows = fc
      .integer({ min: 2, max: 4 })
      .chain((fields) =>
        fc.array(fc.array(fc.tuple(text, fc.boolean()), { minLength: fields, maxLength: fields }), { maxLength: 8 }),
      );
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom('\n', '\r\n'),
        async (given, size, end) => {
          const header = (given[0] ?? ['', '']).map((_, index) => `n${index}`);
          const written = given.map((row) =>
            row.map(([field, isQuoted]) =>
              isQuoted || /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field,
            ),
          );
          const content = [header, ...written].map((row) => row.join(',') + end).join('');
          const { values, reasons } = await read(content, { null: [] }, size);
          assert.deepEqual(reasons, []);
          assert.deepEqual(
            values,
            given.map((row) => Object.fromEntries(row.map(([field], index) => [header[index], field]))),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test('Whatever csv-parse reads of any text without an error is read in the same way', async () => {
    const unit = fc.constantFrom('a', 'b', '"', '""', ',', '\n', '\r\n', '"\n"', ',"', '",', ' ', 'é');
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(unit, { maxLength: 30 }), fc.integer({ min: 1, max: 20 }), async (units, size) => {
        const content = `x,y\n${units.join('')}`;
        if (content.endsWith('\r')) return;
        let expected: string[][];
        try {
          expected = parse(content, {
            relax_column_count: true,
            skip_empty_lines: true,
            record_delimiter: ['\r\n', '\n'],
          });
        } catch (error) {
          assert.equal((error as CsvError).name, 'Error');
          return;
        }
        compared++;
        const { values, reasons } = await read(content, { null: [] }, size);
        const rows = expected.slice(1).filter((row) => row.length === 2);
        assert.deepEqual(
          values,
          rows.map(([x, y]) => ({ x, y })),
        );
        assert.ok(
          reasons.every((reason) => /fields?, and the header has 2/.test(reason)),
          reasons.join(),
        );
      }),
      { numRuns: 1_000 },
    );
    assert.ok(compared > 300, `${compared} texts without an error`);
  });

  test('Any bytes are read without an end that never comes, and no byte is lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc
          .uint8Array({ maxLength: 300 })
          .map((bytes) => bytes.map((byte) => (byte % 5 === 0 ? [0x22, 0x2c, 0x0a, 0x0d][byte % 4]! : byte))),
        fc.integer({ min: 1, max: 60 }),
        async (bytes, size) => {
          const whole = await read(Buffer.from(bytes), { delimiter: undefined });
          const cut = await read(Buffer.from(bytes), { delimiter: undefined }, size);
          assert.deepEqual([cut.values, cut.reasons], [whole.values, whole.reasons]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('A broken byte costs no row but that of its line, and the one before or after it', async () => {
    const content = Buffer.from(
      `a,b\n${Array.from({ length: 12 }, (_, index) => `${index},"t ""${index}"""`).join('\n')}\n`,
    );
    const { values: whole } = await read(content);
    for (let at = 4; at < content.length; at++) {
      for (const mask of [1, 0x22 ^ content[at]!, 0x0a ^ content[at]!, 0x2c ^ content[at]!]) {
        const broken = Buffer.from(content);
        broken[at]! ^= mask;
        const line = content.subarray(0, at).filter((byte) => byte === 0x0a).length - 1;
        const { values } = await read(broken);
        for (const [index, row] of whole.entries()) {
          if (Math.abs(index - line) > 1)
            assert.ok(
              values.some((value) => JSON.stringify(value) === JSON.stringify(row)),
              `byte ${at}, row ${index}`,
            );
        }
      }
    }
  });

  for (const [name, content, message] of [
    [
      'a zip archive',
      Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(20_000, 'x,y\n')]),
      /^a zip archive, which is not read/,
    ],
    ['an HTML page', Buffer.from(`<!doctype html>\n${'<p>a, b</p>\n'.repeat(2_000)}`), /^an HTML page, often an error/],
  ] as const) {
    test(`What is no text is one rejection that names it: ${name}`, async () => {
      for (const size of [65_536, 100]) {
        const { values, rejections } = await read(content, {}, size);
        assert.deepEqual(values, []);
        assert.equal(rejections.length, 1);
        assert.match(rejections[0]!.reason.message, message);
        assert.equal(rejections[0]!.bytes, content.length);
      }
    });
  }

  test('Reading resumes before any row, also in compressed text', async () => {
    const content = Buffer.from(
      `\ufeffa;b\n${Array.from({ length: 40 }, (_, index) => (index % 9 === 4 ? 'bad' : `${index};"x\n${index}"`)).join('\r\n')}\n`,
    );
    const text: TextFormat = { ...CSV, delimiter: undefined };
    const whole = (await readRows(content, { text })).rows;
    for (let settled = 1; settled < whole.length; settled++) {
      const position = await positionBefore(content, text, settled);
      assert.deepEqual(JSON.parse(JSON.stringify(position)), position, 'it can be stored');
      assert.equal(position.checksum, crc32(content.subarray(0, position.offset)));
      for (const compression of [[], ['gzip']]) {
        const stored = compression.length > 0 ? gzipSync(content) : content.subarray(position.offset);
        const { rows } = await readRows(stored, { resumption: { format: 'csv', compression, position } });
        assert.deepEqual(rows, whole.slice(settled), `after ${settled} rows`);
      }
    }
  });

  async function positionBefore(content: Buffer, text: TextFormat, settled: number): Promise<Position> {
    let before = 0;
    const context = withText(contextOf({ blockBytes: 100 }), text);
    for await (const blocks of readBlocks(chunksOf(pieces(content, 100)), { context })) {
      for (const block of blocks) {
        const rows = lengthOf(block.records);
        if (before + rows > settled) {
          if (before < settled) cutBlock(block, settled - before);
          if (before < settled) return block.end;
        }
        before += rows;
        if (before === settled && rows > 0) return block.end;
      }
    }
    throw new Error('there are not so many rows');
  }

  for (const [name, format] of [
    ['python-excel.csv', { ...CSV, null: [] }],
    ['python-semicolon.csv', { ...CSV, delimiter: undefined, null: [] }],
    ['postgres.tsv', { delimiter: '\t', header: true, quote: null, null: [] }],
    ['duckdb.csv', { ...CSV, null: [] }],
  ] as [string, TextFormat][]) {
    test(`Rows of ${name} are read as its writer meant them`, async () => {
      const { rows, rejections } = await readRows(fixture(name), { text: format });
      assert.deepEqual(rejections, []);
      assert.deepEqual(
        rows.map(({ value }) => JSON.parse(value)),
        linesOf(`${name}.ndjson`).map((line) => JSON.parse(line)),
      );
    });
  }
});
