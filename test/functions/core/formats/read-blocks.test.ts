import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Block, Position } from '../../../../functions/core/block.ts';
import { type ReadOptions, type Resumption, readBlocks } from '../../../../functions/core/formats/read-blocks.ts';
import { eventLines, ndjson } from '../../../support/event.ts';
import { contentsOf, contextOf, kept } from '../../../support/parsing.ts';
import { chunksOf, gather, pieces } from '../../../support/pipeline.ts';

/** More than one chunk when it is decompressed. */
const text = Buffer.from(ndjson(eventLines(120, 'id', { padding: 'x'.repeat(1_500) })));
const lines = text.toString().trimEnd().split('\n');
const context = contextOf({ blockBytes: 4_096 });

async function read(stored: Buffer, options: Partial<ReadOptions> = {}) {
  const blocks = await gather(readBlocks(chunksOf(pieces(stored, 1_000)), { context, ...options }));
  const { records, rejections } = contentsOf(blocks);
  return {
    blocks,
    texts: records.map((record) => record.text),
    offsets: records.map(({ offset }) => offset),
    rejections,
  };
}

/** Reads from a position on, as importObject does: compressed content from its beginning, other content from there. */
function resumed(stored: Buffer, compression: string[], at: Omit<Position, 'checksum'>, settled = text) {
  const position = { ...at, checksum: crc32(settled.subarray(0, at.offset)) };
  const resumption: Resumption = { format: 'json', compression, position };
  return read(compression.length > 0 ? stored : stored.subarray(at.offset), { resumption });
}

describe('readBlocks', { timeout: 10_000 }, () => {
  for (const [name, stored, compression] of [
    ['plain', text, []],
    ['compressed', gzipSync(text), ['gzip']],
    ['twice compressed', gzipSync(gzipSync(text)), ['gzip', 'gzip']],
    ['zstd-compressed', zstdCompressSync(text), ['zstd']],
  ] as [string, Buffer, string[]][]) {
    test(`A reader yields the records of ${name} content, and reports the format before the first block`, async () => {
      const formats: [string, readonly string[]][] = [];
      const source = chunksOf(pieces(stored, 1_000));
      const blocks = readBlocks(source, { context, onFormat: (...format) => formats.push(format) });
      const first: Block[] = (await blocks.next()).value ?? [];
      assert.deepEqual(formats, [['json', compression]]);
      const { records, rejections } = contentsOf([...first.map(kept), ...(await gather(blocks))]);
      assert.deepEqual(
        records.map((record) => record.text),
        lines,
      );
      assert.deepEqual(rejections, []);
      assert.equal(formats.length, 1);
    });

    test(`A reader of ${name} content leaves out records that are settled, counted in decoded bytes`, async () => {
      const offsets = (await read(stored)).offsets;
      for (const index of [1, 17, 60, 119]) {
        const offset = offsets[index]!;
        const rest = await resumed(stored, compression, { offset, line: index + 1 });
        assert.deepEqual(rest.texts, lines.slice(index));
        assert.deepEqual(rest.offsets, offsets.slice(index));
      }
    });

    test(`A reader that resumes at the end of ${name} content finds nothing`, async () => {
      const rest = await resumed(stored, compression, { offset: text.length, line: lines.length + 1 });
      assert.deepEqual(rest, { blocks: [], texts: [], offsets: [], rejections: [] });
    });
  }

  for (const [what, settled] of [
    ['other bytes were settled', Buffer.from(text.toString().replaceAll('1', '2'))],
    ['more was settled than there is', Buffer.concat([text, text])],
  ] as const) {
    test(`A reader yields nothing of compressed content if ${what}`, async () => {
      const at = { offset: what.startsWith('more') ? settled.length : text.indexOf('\n') + 1, line: 2 };
      await assert.rejects(resumed(gzipSync(text), ['gzip'], at, settled), { code: 'checksum_mismatch' });
    });
  }

  test('A reader reports other bytes, not corrupt gzip, if the data break off before the settled ones end', async () => {
    const at = { offset: text.length, line: lines.length + 1 };
    await assert.rejects(resumed(gzipSync(text).subarray(0, 100), ['gzip'], at), { code: 'checksum_mismatch' });
  });

  test('A reader does not decompress plain content that continues with gzip data', async () => {
    const stored = Buffer.concat([text, gzipSync('x')]);
    const rest = await resumed(stored, [], { offset: text.length, line: lines.length + 1 });
    assert.deepEqual(rest.texts, []);
    assert.ok(rest.rejections[0]!.record.equals(stored.subarray(text.length)));
  });

  test('A reader of empty content finds no record', async () => {
    assert.deepEqual((await read(Buffer.alloc(0))).texts, []);
    assert.deepEqual((await read(gzipSync(''))).texts, []);
  });

  test('A reader reads all lines, and makes one rejection of garbage after the gzip data', async () => {
    const { texts, rejections } = await read(Buffer.concat([gzipSync(text), Buffer.from('garbage')]));
    assert.deepEqual(texts, lines);
    assert.equal(rejections.length, 1);
    assert.deepEqual(rejections[0]!.reason, {
      field: 'record',
      message: 'the gzip data are corrupt: incorrect header check',
    });
    assert.equal(rejections[0]!.bytes, 0);
    assert.deepEqual(rejections[0]!.location, {
      bucket: 'b',
      object: 'o',
      generation: '1',
      line: lines.length + 1,
      offset: text.length,
    });
  });

  test('A reader yields the records that can be decoded of truncated gzip data, and makes one rejection of the rest', async () => {
    const stored = gzipSync(text);
    const { texts, rejections, blocks } = await read(stored.subarray(0, stored.length * 0.8));
    assert.ok(texts.length > 10 && texts.length < lines.length, `${texts.length} records`);
    assert.deepEqual(texts, lines.slice(0, texts.length));
    assert.equal(rejections.length, 1);
    assert.match(rejections[0]!.reason.message, /^the gzip data are corrupt: unexpected end of file$/);
    const covered = blocks.reduce((sum, { weight }) => sum + weight, 0);
    const read80 = texts.reduce((sum, line) => sum + line.length + 1, 0);
    assert.equal(covered, read80 + rejections[0]!.bytes, 'the blocks end after the last decoded byte');
    assert.ok(lines[texts.length]!.startsWith(rejections[0]!.record.toString()));
  });

  test('A reader verifies the stored bytes before it calls them corrupt, and yields nothing until then', async () => {
    const steps: string[] = [];
    const asked = Promise.withResolvers<void>();
    const verified = Promise.withResolvers<void>();
    const blocks = readBlocks(chunksOf([gzipSync(text).subarray(0, -8)]), {
      context: contextOf(),
      verifyStored: () => {
        steps.push('verify');
        asked.resolve();
        return verified.promise.then(() => void steps.push('verified'));
      },
    });
    const next = Array.fromAsync(blocks, (some) => {
      if (steps.at(-1) !== 'blocks') steps.push('blocks');
      return some.map(kept);
    }).then((all) => contentsOf(all.flat()));
    await asked.promise;
    verified.resolve();
    const { records, rejections } = await next;
    assert.deepEqual(steps, ['verify', 'verified', 'blocks']);
    assert.equal(records.length, lines.length);
    assert.equal(rejections.length, 1);
  });

  test('A reader throws the error of the verification, and makes no rejection', async () => {
    const error = new Error('checksum');
    const verifyStored = () => Promise.reject(error);
    await assert.rejects(read(gzipSync(text).subarray(0, -8), { verifyStored }), (thrown) => thrown === error);
  });

  test('A reader does not verify data that are not corrupt', async () => {
    const verifyStored = () => assert.fail('verified');
    assert.equal((await read(gzipSync(text), { verifyStored })).texts.length, lines.length);
  });

  test('A reader throws the error of the source, without a rejection or a verification', async () => {
    const error = new Error('the read broke');
    const stored = gzipSync(text);
    const source = chunksOf([stored.subarray(0, 1_000)], { error });
    const verifyStored = () => assert.fail('verified');
    const blocks = readBlocks(source, { context: contextOf(), verifyStored });
    await assert.rejects(gather(blocks), (thrown) => thrown === error);
    assert.ok(source.isClosed);
  });

  test('A reader that is left early closes the source', async () => {
    const source = chunksOf(pieces(gzipSync(text), 200));
    for await (const _ of readBlocks(source, { context: contextOf({ blockBytes: 1_000 }) })) break;
    assert.ok(source.isClosed);
  });

  test('A reader of gzip data resumes in the middle of an array', async () => {
    const array = Buffer.from(`[${lines.join(',')}]`);
    const { blocks, texts } = await read(gzipSync(array));
    assert.ok(blocks.length > 2);
    for (const [index, { end }] of blocks.entries()) {
      assert.deepEqual(end.state, index === blocks.length - 1 ? { indent: 0 } : { array: true, indent: 0 });
      const rest = await resumed(gzipSync(array), ['gzip'], end, array);
      const before = contentsOf(blocks.slice(0, index + 1)).records.length;
      assert.deepEqual([rest.texts, rest.rejections], [texts.slice(before), []]);
    }
  });

  test('A reader that resumes goes by the layers that it finds, as long as the checksum is right', async () => {
    const at = { offset: text.indexOf('\n') + 1, line: 2 };
    const restOf = async (stored: Buffer, compression: string[]) =>
      JSON.stringify(await resumed(stored, compression, at));
    const rest = await restOf(gzipSync(text), ['gzip']);
    // A checkpoint of version 1 says `gzip` for one layer or two.
    assert.equal(await restOf(gzipSync(gzipSync(text)), ['gzip']), rest);
    assert.equal(await restOf(gzipSync(text), ['gzip', 'gzip']), rest);
    await assert.rejects(resumed(gzipSync(String(text).replace('e', 'x')), ['gzip'], at), {
      code: 'checksum_mismatch',
    });
  });

  test('A reader refuses to resume in a format that it does not know', async () => {
    const position = { offset: 0, line: 1, checksum: 0 };
    const resumption = { format: 'clay', compression: [], position };
    await assert.rejects(read(text, { resumption }), { code: 'checkpoint_unreadable', message: /clay/ });
  });

  test('A reader that resumes reports the format that the earlier run found', async () => {
    const formats: unknown[] = [];
    const position = { offset: text.length, line: lines.length + 1, checksum: crc32(text) };
    for (const compression of [[], ['gzip']]) {
      await read(compression.length === 0 ? Buffer.alloc(0) : gzipSync(text), {
        resumption: { format: 'json', compression, position },
        onFormat: (...format) => formats.push(format),
      });
    }
    assert.deepEqual(formats, [
      ['json', []],
      ['json', ['gzip']],
    ]);
  });

  test('A reader yields the records before a read error, so that they can settle', async () => {
    const error = new Error('the read broke');
    const blocks = readBlocks(chunksOf([text.subarray(0, 4_000)], { error }), { context: contextOf() });
    const { value } = await blocks.next();
    assert.deepEqual(
      contentsOf((value as Block[]).map(kept)).records.map((record) => record.text),
      lines.slice(0, 2),
    );
    await assert.rejects(blocks.next(), (thrown) => thrown === error);
  });
});
