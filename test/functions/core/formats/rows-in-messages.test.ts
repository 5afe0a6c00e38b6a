import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { Block, Rejection, Source } from '../../../../functions/core/block.ts';
import type { MixpanelEvent } from '../../../../functions/core/event.ts';
import { locationOf, originalAt } from '../../../../functions/core/events.ts';
import { MessageReader } from '../../../../functions/core/formats/read-message.ts';
import { insertIdByContent } from '../../../../functions/core/insert-id.ts';
import { fixture, linesOf } from '../../../support/formats.ts';
import { messageSource } from '../../../support/parsing.ts';

const csv: Source = {
  ...messageSource,
  mapping: {
    kind: 'mapped',
    through: ['mapping'],
    format: { header: true, quote: '"', null: [''] },
    map: (row) => row as MixpanelEvent,
  },
};

async function read(stored: Buffer, source: Source, bytesAtOnce?: number) {
  const originals: string[] = [];
  const indexes: unknown[] = [];
  const rejections: Rejection[] = [];
  const blocks: Block[] = [];
  for await (const block of new MessageReader(insertIdByContent, 100, bytesAtOnce).read(stored, source)) {
    blocks.push(block);
    for (let record = 0; record < block.records.ordinals.length; record++) {
      originals.push(originalAt(block.records, record).toString());
      const location = locationOf(block, record);
      indexes.push('index' in location && location.index);
    }
    rejections.push(...block.rejections);
  }
  return { originals, indexes, rejections, blocks };
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('rows in messages', { timeout: 60_000 }, () => {
  const events = linesOf('events.ndjson').map((line) => JSON.parse(line));
  for (const name of ['events-deflate.avro', 'events-snappy.parquet']) {
    for (const [how, stored, bytesAtOnce] of [
      ['plain', fixture(name)],
      ['in gzip', gzipSync(fixture(name))],
      ['in zstd, piece by piece', zstdCompressSync(fixture(name)), 100],
      ['in two layers, piece by piece', gzipSync(zstdCompressSync(fixture(name))), 100],
    ] as const) {
      test(`All rows of ${name} are records of the message, counted from 0: ${how}`, async () => {
        const { originals, indexes, rejections, blocks } = await read(stored, messageSource, bytesAtOnce);
        assert.deepEqual(
          originals.map((text) => JSON.parse(text)),
          events,
        );
        assert.deepEqual(indexes, upTo(events.length));
        assert.deepEqual(rejections, []);
        assert.ok(
          blocks.every(({ positionAt }) => positionAt === undefined),
          'a message settles as a whole',
        );
      });
    }
  }

  const text = Buffer.from('name,at\na,1\nb\n"c\nd",2\n"e,3\nf,4\n');
  for (const [how, stored, bytesAtOnce] of [
    ['plain', text],
    ['in gzip', gzipSync(text)],
    ['in gzip, piece by piece', gzipSync(text), 10],
    ['in UTF-16', Buffer.from(`\ufeff${text}`, 'utf16le')],
  ] as const) {
    test(`Rows of delimited text are records of the message, and bad ones count too: ${how}`, async () => {
      const { originals, indexes, rejections } = await read(stored, csv, bytesAtOnce);
      assert.deepEqual(originals, ['{"name":"a","at":"1"}', '{"name":"c\\nd","at":"2"}', '{"name":"f","at":"4"}']);
      assert.deepEqual(indexes, [0, 2, 4]);
      assert.deepEqual(
        rejections.map(({ location, record }) => ['index' in location && location.index, record.toString()]),
        [
          [1, 'b'],
          [3, '"e,3'],
        ],
      );
    });
  }

  test('A message of delimited text without a usable header is one rejection, which keeps all of it', async () => {
    const stored = gzipSync(`a,a\n${'1,2\n'.repeat(50_000)}`);
    const { originals, rejections } = await read(stored, csv);
    assert.deepEqual(originals, []);
    assert.deepEqual(
      rejections.map(({ reason }) => reason.message),
      ['the header is not usable: it has twice the name "a"'],
    );
    assert.ok(rejections[0]!.stored?.equals(stored));
    assert.deepEqual(rejections[0]!.range, { from: 0, to: 1, rejected: 1 });
  });

  test('A corrupt Avro block of a message is one rejection, which keeps the message if the block is large', async () => {
    const avro = Buffer.from(fixture('events-null.avro'));
    avro.fill(0xff, 1_000, 1_100);
    const { originals, indexes, rejections } = await read(avro, messageSource);
    assert.equal(rejections.length, 1);
    const { location } = rejections[0]!;
    assert.ok('index' in location);
    assert.deepEqual(
      [...indexes, location.index].toSorted((a, b) => Number(a) - Number(b)),
      upTo(originals.length + 1),
    );
  });

  test('A Parquet message that is cut short is one rejection, which keeps all of it', async () => {
    const stored = fixture('events-snappy.parquet').subarray(0, -1);
    const { originals, rejections } = await read(stored, messageSource);
    assert.deepEqual(originals, []);
    assert.equal(rejections.length, 1);
    assert.match(rejections[0]!.reason.message, /^the Parquet file is not usable: /);
    const { record, stored: whole } = rejections[0]!;
    assert.ok((whole ?? record).equals(stored));
  });
});
