import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { cutBlock, lengthOf, type Position } from '../../../../../functions/core/block.ts';
import { ImportError } from '../../../../../functions/core/errors.ts';
import type { RangeReader } from '../../../../../functions/core/formats/format.ts';
import { parseKeepingDigits } from '../../../../../functions/core/formats/json/numbers.ts';
import { readBlocks } from '../../../../../functions/core/formats/read-blocks.ts';
import { fixture, linesOf, readRows } from '../../../../support/formats.ts';
import { contextOf } from '../../../../support/parsing.ts';
import { chunksOf, pieces } from '../../../../support/pipeline.ts';

const expected = linesOf('events.ndjson').map((line) => JSON.stringify(JSON.parse(line)));
const CODECS = ['none', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4', 'v2'];

/** The ranges of a file, and what was read of them. */
function rangesOf(content: Buffer): RangeReader & { reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    reads,
    byteLength: content.length,
    async slice(start, end) {
      assert.ok(start >= 0 && end <= content.length && start <= end, `${start} to ${end} of ${content.length}`);
      reads.push([start, end]);
      return Uint8Array.from(content.subarray(start, end)).buffer;
    },
  };
}

const read = (content: Buffer) => readRows(content, { ranges: rangesOf(content) });
const originals = ({ rows }: { rows: { original: string }[] }) => rows.map(({ original }) => original);
const messages = (rejections: { reason: { message: string } }[]) => rejections.map(({ reason }) => reason.message);

describe('Parquet files', { timeout: 60_000 }, () => {
  for (const codec of CODECS) {
    test(`Rows of pyarrow's file with ${codec} are read by ranges, and as a stream`, async () => {
      const content = fixture(`events-${codec}.parquet`);
      for (const result of [
        await read(content),
        await readRows(content, { size: 100 }),
        await readRows(gzipSync(content)),
      ]) {
        assert.equal(result.format, 'parquet');
        assert.deepEqual(result.rejections, []);
        assert.deepEqual(originals(result), expected);
        assert.deepEqual(
          result.rows.map(({ ordinal }) => ordinal),
          expected.map((_, row) => row),
        );
      }
    });
  }

  test('The read that recognized the format is closed, and only ranges are read', async () => {
    const content = fixture('events-snappy.parquet');
    const source = chunksOf(pieces(content, 100));
    const ranges = rangesOf(content);
    for await (const _ of readBlocks(source, { context: contextOf(), ranges }));
    assert.ok(source.isClosed);
    assert.equal(source.pulled, 1);
    // The footer, and each row group once.
    assert.equal(ranges.reads.length, 1 + 5);
  });

  test('The rendering of every type is as it was: ids by content depend on it', async () => {
    for (const name of ['types', 'int96', 'duckdb']) {
      assert.deepEqual(originals(await read(fixture(`${name}.parquet`))), linesOf(`${name}-parquet.ndjson`));
    }
  });

  test('A mapping is handed what it would be handed of the rendering', async () => {
    for (const name of ['types', 'int96', 'duckdb']) {
      const { rows } = await read(fixture(`${name}.parquet`));
      for (const { value, original } of rows) assert.equal(value, JSON.stringify(parseKeepingDigits(original)));
    }
  });

  test('A file without rows is read to its end', async () => {
    const content = fixture('empty.parquet');
    const { rows, rejections, ends } = await read(content);
    assert.deepEqual([rows, rejections], [[], []]);
    assert.equal(ends.at(-1)!.offset, content.length);
  });

  test('Reading resumes before any row, without the row groups before it', async () => {
    const content = fixture('events-snappy.parquet');
    const whole = (await read(content)).rows;
    for (let settled = 1; settled < whole.length; settled++) {
      const position = await positionBefore(content, settled);
      assert.deepEqual(JSON.parse(JSON.stringify(position)), position, 'it can be stored');
      const ranges = rangesOf(content);
      const resumption = { format: 'parquet', compression: [], position };
      const { rows } = await readRows(content, { ranges, resumption });
      assert.deepEqual(rows, whole.slice(settled), `after ${settled} rows`);
      assert.equal(ranges.reads.length, 1 + 5 - Math.floor(settled / 13));
      const compressed = await readRows(gzipSync(content), { resumption: { ...resumption, compression: ['gzip'] } });
      assert.deepEqual(compressed.rows, rows);
    }
  });

  async function positionBefore(content: Buffer, settled: number): Promise<Position> {
    let before = 0;
    for await (const blocks of readBlocks(chunksOf([content]), { context: contextOf(), ranges: rangesOf(content) })) {
      for (const block of blocks) {
        const rows = lengthOf(block.records);
        if (before + rows > settled && before < settled) cutBlock(block, settled - before);
        if (before + rows >= settled) return block.end;
        before += rows;
      }
    }
    throw new Error('there are not so many rows');
  }

  const encrypted = Buffer.from(fixture('events-none.parquet'));
  encrypted.write('PARE', encrypted.length - 4, 'latin1');
  const largeFooter = Buffer.from(fixture('events-none.parquet'));
  largeFooter.writeUInt32LE(10_000_000, largeFooter.length - 8);
  for (const [name, content, message] of [
    ['is cut short', fixture('events-none.parquet').subarray(0, -1), /cut short/],
    ['is cut short after its magic', fixture('events-none.parquet').subarray(0, 8), /cut short/],
    ['has an encrypted footer', encrypted, /encrypted/],
    ['begins as an encrypted one', Buffer.concat([Buffer.from('PARE'), encrypted.subarray(4)]), /encrypted/],
    ['has a footer larger than itself', largeFooter, /footer is larger than the file/],
    [
      'has a footer of zeros',
      Buffer.concat([Buffer.from('PAR1'), Buffer.alloc(40), Buffer.from([20, 0, 0, 0]), Buffer.from('PAR1')]),
      /footer is not valid/,
    ],
  ] as [string, Buffer, RegExp][]) {
    test(`A file that ${name} is one rejection that says so`, async () => {
      const { rows, rejections } = await read(content);
      assert.deepEqual(rows, []);
      assert.equal(rejections.length, 1);
      assert.match(messages(rejections)[0]!, /^the Parquet file is not usable: /);
      assert.match(messages(rejections)[0]!, message);
    });
  }

  test('A small instance refuses a row group that another one takes', async () => {
    const content = fixture('events-none.parquet');
    const ranges = rangesOf(content);
    const context = contextOf({ memoryBytes: 160_001_000 });
    await assert.rejects(readRows(content, { context, ranges }), (error) => {
      assert.ok(error instanceof ImportError);
      assert.equal(error.code, 'memory_exceeded');
      assert.match(error.message, /^Row group 0 of the Parquet file needs about 153 MiB of memory, and there are 153:/);
      return true;
    });
    assert.equal(ranges.reads.length, 1, 'nothing but the footer is read');
    assert.equal((await readRows(content, { context: contextOf({ memoryBytes: 160_100_000 }) })).rows.length, 60);
  });

  for (const name of ['small-snappy', 'small-none']) {
    test(`A broken byte of ${name} ends nothing, and costs no row of another row group`, async () => {
      const content = fixture(`${name}.parquet`);
      const whole = (await read(content)).rows;
      const footer = content.length - 8 - content.readUInt32LE(content.length - 8);
      const isFirst = ({ ordinal }: { ordinal: number }) => ordinal < 3;
      const secondGroup = whole.find((row) => !isFirst(row))!.offset;
      for (let at = 4; at < content.length; at++) {
        const broken = Buffer.from(content);
        broken[at]! ^= 1 << (at % 8);
        const { rows, rejections } = await read(broken).catch((error) => {
          assert.ok(at >= footer && error.code === 'memory_exceeded', `byte ${at}: ${error.stack}`);
          return { rows: [], rejections: [undefined] };
        });
        assert.ok(rows.length + rejections.length > 0, `byte ${at}: nothing is said`);
        if (at >= footer) continue;
        const isHit = (row: { ordinal: number }) => isFirst(row) === at < secondGroup;
        const others = whole.filter((row) => !isHit(row));
        assert.deepEqual(
          rows.filter((row) => !isHit(row)),
          others,
          `byte ${at}`,
        );
        assert.ok(rejections.length === 0 ? rows.length === whole.length : !rows.some(isHit), `byte ${at}`);
      }
    });
  }
});
