import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32, gzipSync } from 'node:zlib';
import type { Block } from '../../../../functions/core/block.ts';
import { RecordParser } from '../../../../functions/core/formats/json/parser.ts';
import { type ContentOptions, recordBlocks } from '../../../../functions/core/formats/read-blocks.ts';
import { insertIdByContent } from '../../../../functions/core/insert-id.ts';
import { contentsOf, kept, objectOrigin } from '../../../support/parsing.ts';
import { chunksOf, eventLines, gather, newParser, pieces } from '../../../support/pipeline.ts';

/** More than one chunk when it is decompressed. */
const text = Buffer.from(eventLines(120, 'id', { padding: 'x'.repeat(1_500) }));
const lines = text.toString().trimEnd().split('\n');

async function read(stored: Buffer, options: Partial<ContentOptions> = {}) {
  const blocks = await gather(recordBlocks(chunksOf(pieces(stored, 1_000)), { parser: newParser(4_096), ...options }));
  const { records, rejections } = contentsOf(blocks);
  return {
    blocks,
    texts: records.map((record) => record.text),
    offsets: records.map(({ offset }) => offset),
    rejections,
  };
}

/** Reads from a place on, as importObject does: compressed content from its beginning, other content from there. */
function resumed(stored: Buffer, isGzip: boolean, at: { offset: number; line: number }, settled = text) {
  const checksum = crc32(settled.subarray(0, at.offset));
  const parser = new RecordParser({
    origin: objectOrigin,
    insertIdOf: insertIdByContent,
    ordinal: 'line',
    resumeAt: { format: 'ndjson', ...at, checksum },
    blockBytes: 4_096,
  });
  const resume = { isGzip, offset: at.offset, checksum };
  return read(isGzip ? stored : stored.subarray(at.offset), { parser, resume, checksumOf: crc32 });
}

describe('recordBlocks', { timeout: 10_000 }, () => {
  for (const [name, stored, isGzip] of [
    ['plain', text, false],
    ['compressed', gzipSync(text), true],
    ['compressed twice', gzipSync(gzipSync(text)), true],
  ] as const) {
    test(`reads the records of ${name} content, and tells the format before the first block`, async () => {
      const formats: boolean[] = [];
      const source = chunksOf(pieces(stored, 1_000));
      const blocks = recordBlocks(source, { parser: newParser(4_096), onFormat: (it) => formats.push(it) });
      const first: Block[] = (await blocks.next()).value ?? [];
      assert.deepEqual(formats, [isGzip]);
      const { records, rejections } = contentsOf([...first.map(kept), ...(await gather(blocks))]);
      assert.deepEqual(
        records.map((record) => record.text),
        lines,
      );
      assert.deepEqual(rejections, []);
      assert.deepEqual(formats, [isGzip]);
    });

    test(`leaves out what is settled already of ${name} content, counted in decoded bytes`, async () => {
      const offsets = (await read(stored)).offsets;
      for (const index of [1, 17, 60, 119]) {
        const offset = offsets[index]!;
        const rest = await resumed(stored, isGzip, { offset, line: index + 1 });
        assert.deepEqual(rest.texts, lines.slice(index));
        assert.deepEqual(rest.offsets, offsets.slice(index));
      }
    });

    test(`finds nothing behind the end of ${name} content`, async () => {
      const rest = await resumed(stored, isGzip, { offset: text.length, line: lines.length + 1 });
      assert.deepEqual(rest, { blocks: [], texts: [], offsets: [], rejections: [] });
    });
  }

  for (const [what, settled] of [
    ['other bytes were settled', Buffer.from(text.toString().replaceAll('1', '2'))],
    ['more was settled than there is', Buffer.concat([text, text])],
  ] as const) {
    test(`gives out nothing of compressed content where ${what}`, async () => {
      const at = { offset: what.startsWith('more') ? settled.length : text.indexOf('\n') + 1, line: 2 };
      await assert.rejects(resumed(gzipSync(text), true, at, settled), { code: 'checksum_mismatch' });
    });
  }

  test('blames what was settled before it blames gzip that breaks in the midst of it', async () => {
    const at = { offset: text.length, line: lines.length + 1 };
    await assert.rejects(resumed(gzipSync(text).subarray(0, 100), true, at), { code: 'checksum_mismatch' });
  });

  test('decodes nothing of plain content that goes on with what looks like gzip', async () => {
    const stored = Buffer.concat([text, gzipSync('x')]);
    const rest = await resumed(stored, false, { offset: text.length, line: lines.length + 1 });
    assert.deepEqual(rest.texts, []);
    assert.ok(rest.rejections[0]!.record.equals(stored.subarray(text.length)));
  });

  test('reads nothing from nothing', async () => {
    assert.deepEqual((await read(Buffer.alloc(0))).texts, []);
    assert.deepEqual((await read(gzipSync(''))).texts, []);
  });

  test('reads all lines and makes one rejection of garbage behind the gzip data', async () => {
    const { texts, rejections } = await read(Buffer.concat([gzipSync(text), Buffer.from('garbage')]));
    assert.deepEqual(texts, lines);
    assert.equal(rejections.length, 1);
    assert.deepEqual(rejections[0]!.reason, {
      field: 'record',
      message: 'the gzip data are corrupt: incorrect header check',
    });
    assert.equal(rejections[0]!.bytes, 0);
    assert.deepEqual(rejections[0]!.source, {
      bucket: 'b',
      object: 'o',
      generation: '1',
      line: lines.length + 1,
      offset: text.length,
    });
  });

  test('imports what can be decoded of gzip that is cut, and makes one rejection of the rest', async () => {
    const stored = gzipSync(text);
    const { texts, rejections, blocks } = await read(stored.subarray(0, stored.length * 0.8));
    assert.ok(texts.length > 10 && texts.length < lines.length, `${texts.length} records`);
    assert.deepEqual(texts, lines.slice(0, texts.length));
    assert.equal(rejections.length, 1);
    assert.match(rejections[0]!.reason.message, /^the gzip data are corrupt: unexpected end of file$/);
    const covered = blocks.reduce((sum, { size }) => sum + size, 0);
    const read80 = texts.reduce((sum, line) => sum + line.length + 1, 0);
    assert.equal(covered, read80 + rejections[0]!.bytes, 'the watermark ends behind the last decoded byte');
    assert.ok(lines[texts.length]!.startsWith(rejections[0]!.record.toString()));
  });

  test('verifies what is stored before it blames it, and gives out nothing before that is done', async () => {
    const steps: string[] = [];
    const asked = Promise.withResolvers<void>();
    const verified = Promise.withResolvers<void>();
    const blocks = recordBlocks(chunksOf([gzipSync(text).subarray(0, -8)]), {
      parser: newParser(),
      verifyStored: () => {
        steps.push('verify');
        asked.resolve();
        return verified.promise.then(() => void steps.push('verified'));
      },
    });
    const next = blocks.next().then(({ value }) => {
      steps.push('blocks');
      return contentsOf(value ?? []);
    });
    await asked.promise;
    verified.resolve();
    const { records, rejections } = await next;
    assert.deepEqual(steps, ['verify', 'verified', 'blocks']);
    assert.equal(records.length, lines.length);
    assert.equal(rejections.length, 1);
  });

  test('throws what the verification throws, and makes no rejection', async () => {
    const error = new Error('checksum');
    const verifyStored = () => Promise.reject(error);
    await assert.rejects(read(gzipSync(text).subarray(0, -8), { verifyStored }), (it) => it === error);
  });

  test('does not verify what is whole', async () => {
    const verifyStored = () => assert.fail('verified');
    assert.equal((await read(gzipSync(text), { verifyStored })).texts.length, lines.length);
  });

  test('throws what the source throws, without a rejection or a verification', async () => {
    const error = new Error('the read broke');
    const stored = gzipSync(text);
    const source = chunksOf([stored.subarray(0, 1_000)], { error });
    const verifyStored = () => assert.fail('verified');
    await assert.rejects(gather(recordBlocks(source, { parser: newParser(), verifyStored })), (it) => it === error);
    assert.ok(source.isClosed);
  });

  test('closes the source when the reader leaves', async () => {
    const source = chunksOf(pieces(gzipSync(text), 200));
    for await (const _ of recordBlocks(source, { parser: newParser(1_000) })) break;
    assert.ok(source.isClosed);
  });
});
