import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { CorruptGzipError, decode } from '../../../../functions/core/formats/decode.ts';
import { readBlocks } from '../../../../functions/core/formats/read-blocks.ts';
import { contentsOf, contextOf, kept } from '../../../support/parsing.ts';
import { chunksOf, pieces } from '../../../support/pipeline.ts';

const encodings = ['utf-16le', 'utf-16be'] as const;
type Encoding = (typeof encodings)[number];

function encoded(text: string, encoding: Encoding): Buffer {
  const bytes = Buffer.from(text, 'utf16le');
  return encoding === 'utf-16le' ? bytes : bytes.swap16();
}

async function decodeAll(chunks: AsyncIterable<Buffer>) {
  const decoded = await decode(chunks);
  const found: Buffer[] = [];
  let error: unknown;
  try {
    for await (const chunk of decoded.chunks) found.push(Buffer.from(chunk));
  } catch (failure) {
    error = failure;
  }
  return { compression: decoded.compression, head: decoded.head, content: Buffer.concat(found), error };
}

async function read(stored: Buffer, size: number) {
  const blocks = [];
  for await (const some of readBlocks(chunksOf(pieces(stored, size)), { context: contextOf() })) {
    blocks.push(...some.map(kept));
  }
  return contentsOf(blocks);
}

describe('UTF-16', () => {
  for (const encoding of encodings) {
    test(`Text in ${encoding} with a mark is decoded wherever it is cut, compressed or not`, async () => {
      const text = '{"event":"é €","properties":{"name":"😀😀","a":"\u0001"}}\r\n';
      const marked = encoded(`\ufeff${text}`, encoding);
      for (const [stored, layers] of [
        [marked, []],
        [gzipSync(marked), ['gzip']],
      ] as const) {
        for (const size of [65_536, 7, 5, 3, 2, 1]) {
          const { compression, head, content, error } = await decodeAll(chunksOf(pieces(stored, size)));
          assert.deepEqual([compression, error], [[...layers, encoding], undefined]);
          assert.equal(content.toString(), text);
          assert.deepEqual(head, Buffer.from(text).subarray(0, 8));
        }
      }
    });

    test(`Any characters in ${encoding} are decoded for any chunks`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: 'binary' }), fc.array(fc.nat(60)), async (text, cuts) => {
          fc.pre(!text.startsWith('\0'));
          const stored = encoded(`\ufeff${text}`, encoding);
          const ends = [...cuts.map((cut) => Math.min(cut, stored.length)).sort((a, b) => a - b), stored.length];
          const chunks = ends.map((end, index) => stored.subarray(ends[index - 1] ?? 0, end));
          const { content, error } = await decodeAll(chunksOf(chunks));
          assert.equal(error, undefined);
          assert.ok(content.equals(Buffer.from(text)));
        }),
        { numRuns: 200 },
      );
    });

    test(`A lone surrogate in ${encoding}, and half a code unit at the end, cost their record alone`, async () => {
      const event = (name: string) => `{"event":"${name}","properties":{}}\n`;
      const text = `\ufeff${event('a')}${event('\ud800')}${event('b\udc00\ud83d')}${event('😀')}${event('c')}`;
      const stored = Buffer.concat([encoded(text, encoding), Buffer.from('{')]);
      for (const size of [65_536, 3, 2, 1]) {
        const { records, rejections } = await read(stored, size);
        const names = records.map((record) => JSON.parse(Buffer.from(record.text, 'latin1').toString()).event);
        assert.deepEqual(names, ['a', '😀', 'c']);
        assert.deepEqual(
          rejections.map(({ reason, location }) => [reason.message, 'line' in location && location.line]),
          [
            ['not valid UTF-8', 2],
            ['not valid UTF-8', 3],
            ['not valid UTF-8', 6],
          ],
        );
      }
    });

    test(`A surrogate in ${encoding} whose pair is missing at the end is invalid`, async () => {
      const stored = encoded('\ufeffa\ud83d', encoding);
      const { content } = await decodeAll(chunksOf([stored]));
      assert.deepEqual(content, Buffer.from([0x61, 0xed, 0xa0, 0xbd]));
    });
  }

  test('A file that an exporter made in UTF-16 is imported', async () => {
    const stored = await readFile(new URL('../../../inputs/utf16le.ndjson', import.meta.url));
    for (const bytes of [stored, gzipSync(stored), Buffer.concat([stored, stored])]) {
      const { records, rejections } = await read(bytes, 11);
      const events = records.map(({ text }) => JSON.parse(Buffer.from(text, 'latin1').toString()).event);
      assert.deepEqual(rejections, []);
      assert.deepEqual(new Set(events), new Set(['Page Viewed']));
      assert.equal(events.length, bytes.length === 2 * stored.length ? 10 : 5);
    }
  });

  test('UTF-16 inside gzip that is cut short is decoded up to there', async () => {
    const stored = gzipSync(encoded(`\ufeff${'{"event":"a","properties":{}}\n'.repeat(1_000)}`, 'utf-16le'));
    const { compression, content, error } = await decodeAll(chunksOf([stored.subarray(0, -9)]));
    assert.deepEqual(compression, ['gzip', 'utf-16le']);
    assert.ok(error instanceof CorruptGzipError);
    assert.ok(content.toString().startsWith('{"event":"a","properties":{}}\n'));
  });

  test('A reader resumes in the middle of UTF-16', async () => {
    const text = '{"event":"é","properties":{"a":"😀"}}\n'.repeat(50);
    const stored = encoded(`\ufeff${text}`, 'utf-16be');
    const blocks = [];
    const context = contextOf({ blockBytes: 300 });
    for await (const some of readBlocks(chunksOf(pieces(stored, 100)), { context })) blocks.push(...some.map(kept));
    const { end } = blocks[0]!;
    assert.ok(blocks.length > 3 && end.offset > 0);
    const resumption = { format: 'json', compression: ['utf-16be'], position: end };
    const rest = [];
    for await (const some of readBlocks(chunksOf(pieces(stored, 13)), { context, resumption }))
      rest.push(...some.map(kept));
    assert.deepEqual(contentsOf(rest), contentsOf(blocks.slice(1)));
  });

  test('UTF-32, and UTF-16 without a mark, are not decoded', async () => {
    const unmarked = encoded('{"event":"a"}', 'utf-16le');
    const utf32 = Buffer.concat([Buffer.from([0xff, 0xfe, 0, 0]), unmarked]);
    for (const stored of [unmarked, utf32]) {
      const { compression, content } = await decodeAll(chunksOf([stored]));
      assert.deepEqual([compression, content], [[], stored]);
    }
  });
});
