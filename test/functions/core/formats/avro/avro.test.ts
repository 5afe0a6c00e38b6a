import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { crc32, gzipSync } from 'node:zlib';
import { cutBlock, lengthOf, type Position } from '../../../../../functions/core/block.ts';
import { parseKeepingDigits } from '../../../../../functions/core/formats/json/numbers.ts';
import { readBlocks } from '../../../../../functions/core/formats/read-blocks.ts';
import { block, header, long, SYNC, text } from '../../../../support/avro.ts';
import { fixture, linesOf, readRows } from '../../../../support/formats.ts';
import { contextOf } from '../../../../support/parsing.ts';
import { chunksOf, pieces } from '../../../../support/pipeline.ts';

/** As JavaScript prints numbers. */
const expected = linesOf('events.ndjson').map((line) => JSON.stringify(JSON.parse(line)));
const CODECS = ['null', 'deflate', 'snappy', 'zstandard'];
/** A file with one block of rows, each of one field. */
function fileOf(type: unknown, ...values: Buffer[]): Buffer {
  const schema = { type: 'record', name: 'R', fields: [{ name: 'f', type }] };
  return Buffer.concat([header(schema), block(values.length, Buffer.concat(values))]);
}

const messages = (rejections: { reason: { message: string } }[]) => rejections.map(({ reason }) => reason.message);

describe('Avro container files', { timeout: 60_000 }, () => {
  for (const codec of CODECS) {
    test(`Rows of fastavro's blocks with the codec ${codec} are read, however the bytes are cut`, async () => {
      const content = fixture(`events-${codec}.avro`);
      for (const size of [65_536, 500, 7, 1]) {
        const { rows, rejections, format } = await readRows(content, { size });
        assert.equal(format, 'avro');
        assert.deepEqual(rejections, []);
        assert.deepEqual(
          rows.map(({ original }) => original),
          expected,
        );
        assert.deepEqual(
          rows.map(({ value }) => value),
          expected,
        );
      }
    });
  }

  test('A row is where its block begins, and the index in it', async () => {
    const content = fixture('events-null.avro');
    const { rows } = await readRows(content);
    const offsets = [...new Set(rows.map(({ offset }) => offset))];
    assert.ok(offsets.length > 5);
    // Every block follows a marker.
    for (const offset of offsets) assert.ok(content.subarray(offset - 16, offset).equals(SYNC));
    for (const offset of offsets) {
      const indexes = rows.filter((row) => row.offset === offset).map(({ ordinal }) => ordinal);
      assert.deepEqual(
        indexes,
        indexes.map((_, index) => index),
      );
    }
  });

  for (const name of ['messages.avro', 'messages-data.avro']) {
    test(`The data of each message in ${name} are a record, as a Cloud Storage subscription of Pub/Sub wrote them`, async () => {
      const { rows, rejections } = await readRows(fixture(name));
      assert.deepEqual(rejections, []);
      assert.deepEqual(
        rows.map(({ value, original }) => [original, value]),
        [
          ...[
            '{"event":"a","properties":{"n":12345678901234567890,"$insert_id":"id-1"}}',
            '{"event": "b", "properties": {}}',
          ].map((record) => [record, JSON.stringify(parseKeepingDigits(record))]),
          ...[
            ['[]', 'not an object'],
            ['{"event":', 'the data of the message are not JSON'],
            ['\ufffd', 'not valid UTF-8'],
            ['', 'empty: the message has no data'],
          ].map(([record, message]) => [record, JSON.stringify({ field: 'record', message })]),
        ],
      );
    });
  }

  test('The rendering of every type is as it was: ids by content depend on it', async () => {
    const { rows } = await readRows(fixture('types.avro'));
    assert.deepEqual(
      rows.map(({ original }) => original),
      linesOf('types-avro.ndjson'),
    );
  });

  test('A mapping is handed what it would be handed of the rendering', async () => {
    const { rows } = await readRows(fixture('types.avro'));
    for (const { value, original } of rows) assert.equal(value, JSON.stringify(parseKeepingDigits(original)));
  });

  for (const [name, type, values, rendered] of [
    [
      'a long of ten bytes',
      'long',
      [long(-(2n ** 63n)), long(2n ** 63n - 1n), long(2n ** 53n)],
      '-9223372036854775808 9223372036854775807 9007199254740992',
    ],
    [
      'an array in several parts, one with its size',
      { type: 'array', items: 'int' },
      [Buffer.concat([long(1), long(7), long(-2), long(2), long(8), long(9), long(0)])],
      '[7,8,9]',
    ],
    ['an array of nulls', { type: 'array', items: 'null' }, [Buffer.concat([long(3), long(0)])], '[null,null,null]'],
    ['an unknown logical type', { type: 'int', logicalType: 'x' }, [long(5)], '5'],
    ['a logical type that does not fit', { type: 'string', logicalType: 'date' }, [text('a')], '"a"'],
    [
      'a negative timestamp',
      { type: 'long', logicalType: 'timestamp-nanos' },
      [long(-1)],
      '"1969-12-31T23:59:59.999999999Z"',
    ],
    [
      'a timestamp beyond all dates',
      { type: 'long', logicalType: 'timestamp-millis' },
      [long(2n ** 62n)],
      '4611686018427387904',
    ],
    ['a type in a type', { type: { type: 'string' } }, [text('b')], '"b"'],
    ['an empty decimal', { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 2 }, [text('')], '0.00'],
    [
      'a UUID of 16 bytes',
      { type: 'fixed', name: 'F', size: 16, logicalType: 'uuid' },
      [Buffer.alloc(16, 0xab)],
      '"abababab-abab-abab-abab-abababababab"',
    ],
  ] as [string, unknown, Buffer[], string][]) {
    test(`A row with ${name} is read`, async () => {
      const { rows, rejections } = await readRows(fileOf(type, ...values));
      assert.deepEqual(messages(rejections), []);
      assert.equal(rows.map(({ original }) => original.slice('{"f":'.length, -1)).join(' '), rendered);
    });
  }

  for (const [name, schema, rows, data, message] of [
    ['holds fewer rows than it says', '"int"', 3, long(1), /the data end in the middle/],
    ['holds more bytes than its rows', '"int"', 1, Buffer.concat([long(1), long(2)]), /bytes follow its last row/],
    ['says a billion rows', '"null"', 10n ** 9n, Buffer.alloc(0), /cannot have so many rows/],
    ['says a million billion rows', '"null"', 10n ** 15n, Buffer.alloc(0), /cannot have so many rows/],
    [
      'has an array of a billion nulls',
      '{"type":"array","items":"null"}',
      1,
      Buffer.concat([long(10n ** 9n), long(0)]),
      /without bytes/,
    ],
    ['has a boolean of 2', '"boolean"', 1, Buffer.from([2]), /boolean/],
    ['has an integer that does not end', '"long"', 1, Buffer.alloc(12, 0xff), /more than 64 bits/],
    ['has a text of negative length', '"string"', 1, long(-5), /the data end/],
    ['has an unknown branch of a union', '["null","int"]', 1, long(2), /union/],
    ['has a negative branch of a union', '["null","int"]', 1, long(-1), /union/],
    [
      'nests without an end',
      '{"type":"record","name":"N","fields":[{"name":"n","type":["null","N"]}]}',
      1,
      Buffer.alloc(100_000, 2),
      /nested more than 100/,
    ],
  ] as [string, string, number | bigint, Buffer, RegExp][]) {
    test(`A block that ${name} is one rejection, and the next one is read`, async () => {
      const good = Buffer.concat([header('"null"').subarray(0, 0), block(0, Buffer.alloc(0))]);
      const before = header(schema);
      const content = Buffer.concat([before, block(rows, data), good]);
      const startedAt = performance.now();
      const { rows: read, rejections } = await readRows(content);
      assert.equal(read.length, 0);
      assert.equal(rejections.length, 1);
      assert.match(rejections[0]!.reason.message, message);
      assert.deepEqual(rejections[0]!.location, {
        bucket: 'b',
        object: 'o',
        generation: '1',
        offset: before.length,
        row: 0,
      });
      assert.ok(performance.now() - startedAt < 5_000);
    });
  }

  for (const [name, content, message] of [
    ['a codec that is not read', fixture('events-bzip2.avro'), /its codec is "bzip2"/],
    ['no schema', header(''), /its schema is not JSON/],
    ['a schema of an unknown type', header('"date"'), /unknown type, "date"/],
    [
      'a schema that nests without an end',
      header(`${'{"type":'.repeat(1_000)}"int"${'}'.repeat(1_000)}`),
      /nested too deeply/,
    ],
    [
      'a record with a field twice',
      header({
        type: 'record',
        name: 'R',
        fields: [
          { name: 'a', type: 'int' },
          { name: 'a', type: 'int' },
        ],
      }),
      /twice the field "a"/,
    ],
    ['a header that is cut', header('"int"').subarray(0, -1), /end in the middle/],
    ['the magic alone', Buffer.from('Obj\x01', 'latin1'), /end in the middle/],
  ] as [string, Buffer, RegExp][]) {
    test(`A file with ${name} is one rejection that says so`, async () => {
      for (const size of [65_536, 3]) {
        const { rows, rejections } = await readRows(content, { size });
        assert.equal(rows.length, 0);
        assert.equal(rejections.length, 1);
        assert.match(rejections[0]!.reason.message, /^the Avro header is not usable: /);
        assert.match(rejections[0]!.reason.message, message);
        assert.ok(rejections[0]!.record.equals(content));
      }
    });
  }

  for (const codec of CODECS) {
    test(`A broken byte of a file with the codec ${codec} costs no row of any other block, and ends nothing`, async () => {
      const all = (await readRows(fixture(`events-${codec}.avro`))).rows;
      const starts = [...new Set(all.map(({ offset }) => offset))].slice(0, 4);
      const content = fixture(`events-${codec}.avro`).subarray(0, starts[3]);
      const whole = (await readRows(content)).rows;
      const firstBlock = whole[0]!.offset;
      for (let at = firstBlock; at < content.length; at++) {
        const broken = Buffer.from(content);
        broken[at]! ^= 1 << (at % 8);
        const { rows, rejections } = await readRows(broken, { size: 1_000 });
        // Without its marker a block ends at the next one.
        const isMarker = starts.some((start) => at >= start - 16 && at < start);
        const index = starts.findIndex((start, index) => start <= at && at < starts[index + 1]!);
        const isHit = ({ offset }: { offset: number }) =>
          offset === starts[index] || (isMarker && offset === starts[index + 1]);
        const expectedRows = rejections.length === 1 ? whole.filter((row) => !isHit(row)) : whole;
        const isSame = rows.length === expectedRows.length;
        assert.ok(rejections.length < 2 && isSame, `byte ${at}: ${rows.length} rows, ${messages(rejections)}`);
        for (const [index, row] of rows.entries()) assert.ok(isHit(row) || isDeepStrictEqual(row, expectedRows[index]));
      }
    });
  }

  test('A broken byte of a header neither ends anything nor makes it last', async () => {
    const content = fixture('events-deflate.avro');
    const { rows: whole } = await readRows(content);
    for (let at = 4; at < whole[0]!.offset; at++) {
      const broken = Buffer.from(content);
      broken[at]! ^= 1 << (at % 8);
      const { rows, rejections } = await readRows(broken, { size: 1_000 });
      assert.ok(rows.length + rejections.length > 0, `byte ${at}`);
    }
  });

  test('A file that is cut short is read to its last whole block, and one rejection says so', async () => {
    const content = fixture('events-snappy.avro');
    const { rows: whole } = await readRows(content);
    const starts = [...new Set(whole.map(({ offset }) => offset)), content.length];
    for (let length = whole[0]!.offset + 1; length < content.length; length++) {
      const { rows, rejections } = await readRows(content.subarray(0, length));
      const isWhole = starts.includes(length);
      assert.deepEqual(
        messages(rejections),
        isWhole ? [] : ['the Avro block is corrupt: the data may be cut short'],
        `${length}`,
      );
      assert.equal(
        rows.length,
        whole.filter(({ offset }) => starts[starts.indexOf(offset) + 1]! <= length).length,
        `${length}`,
      );
    }
  });

  test('Reading resumes after any row, also in compressed files', async () => {
    const content = fixture('events-deflate.avro');
    const { rows: whole } = await readRows(content);
    for (const compression of [[], ['gzip']]) {
      for (let settled = 1; settled < whole.length; settled++) {
        const position = await positionAfter(content, settled);
        assert.deepEqual(JSON.parse(JSON.stringify(position)), position, 'it can be stored');
        assert.equal(position.checksum, crc32(content.subarray(0, position.offset)));
        assert.equal(position.line, settled + 1);
        const stored = compression.length > 0 ? gzipSync(content) : content.subarray(position.offset);
        const { rows, rejections } = await readRows(stored, { resumption: { format: 'avro', compression, position } });
        assert.deepEqual(messages(rejections), []);
        assert.deepEqual(rows, whole.slice(settled), `after ${settled} rows`);
      }
    }
  });

  /** The position after so many rows, of a block that was cut there. */
  async function positionAfter(content: Buffer, settled: number): Promise<Position> {
    let before = 0;
    for await (const blocks of readBlocks(chunksOf(pieces(content, 700)), {
      context: contextOf({ blockBytes: 700 }),
    })) {
      for (const block of blocks) {
        const rows = lengthOf(block.records);
        if (before + rows >= settled) {
          if (before + rows > settled) cutBlock(block, settled - before);
          return block.end;
        }
        before += rows;
      }
    }
    throw new Error('there are not so many rows');
  }
});
