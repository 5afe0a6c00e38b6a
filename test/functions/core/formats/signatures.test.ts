import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { Rejection } from '../../../../functions/core/block.ts';
import { readBlocks } from '../../../../functions/core/formats/read-blocks.ts';
import { MessageReader } from '../../../../functions/core/formats/read-message.ts';
import { insertIdByContent } from '../../../../functions/core/insert-id.ts';
import { contextOf, messageBlocks } from '../../../support/parsing.ts';
import { chunksOf, pieces } from '../../../support/pipeline.ts';

async function rejectionsIn(stored: Buffer, size = 65_536): Promise<Rejection[]> {
  const rejections: Rejection[] = [];
  for await (const blocks of readBlocks(chunksOf(pieces(stored, size)), { context: contextOf() })) {
    for (const block of blocks) rejections.push(...block.rejections);
  }
  return rejections;
}

function rejectionsOfMessage(data: Buffer): Rejection[] {
  return messageBlocks(new MessageReader(insertIdByContent), data).flatMap(({ rejections }) => rejections);
}

/** Bytes of which a JSON object is a part: what is found in them must not matter. */
function around(begin: string | Buffer, at = 0): Buffer {
  const content = Buffer.from('x\n{"event":"a","properties":{}}\n'.repeat(20));
  return Buffer.concat([content.subarray(0, at), Buffer.from(begin as string, 'latin1'), content]);
}

describe('content with a known signature', () => {
  const cases: [name: string, content: Buffer, message: RegExp][] = [
    ['bzip2', around('BZh91AY&SY'), /^bzip2 data, which are not read: compress with gzip instead$/],
    ['xz', around('\xfd7zXZ\0'), /^xz data/],
    ['lz4', around('\x04\x22\x4d\x18'), /^lz4 data/],
    ['snappy', around('\xff\x06\0\0sNaPpY'), /^snappy data/],
    ['zip', around('PK\x03\x04'), /^a zip archive, which is not read: upload what is in it, with gzip or without$/],
    ['an empty zip', around('PK\x05\x06'), /^an empty zip archive/],
    ['a zip in parts', around('PK\x07\x08'), /^a zip archive/],
    ['Excel', around(`PK\x03\x04${'x'.repeat(26)}[Content_Types].xml`), /^an Office document.*save it as CSV$/],
    ['tar', around('ustar\x0000', 257), /^a tar archive/],
    ['7z', around('7z\xbc\xaf\x27\x1c'), /^a 7z archive/],
    ['RAR', around('Rar!\x1a\x07\x01\0'), /^a RAR archive/],
    ['ORC', around('ORC'), /^an ORC file, which is not read: export newline-delimited JSON instead$/],
    ['PDF', around('%PDF-1.7\n'), /^a PDF document, which holds no events$/],
    ['PNG', around('\x89PNG\r\n\x1a\n'), /^a PNG image/],
    ['JPEG', around('\xff\xd8\xff\xe0'), /^a JPEG image/],
    ['GIF', around('GIF89a'), /^a GIF image/],
    ['WebP', around('RIFF\x10\0\0\0WEBPVP8 '), /^a WebP image/],
    ['TIFF, little endian', around('II*\0'), /^a TIFF image/],
    ['TIFF, big endian', around('MM\0*'), /^a TIFF image/],
    ['UTF-32, little endian', around('\xff\xfe\0\0{\0\0\0'), /^UTF-32, which is not read: write UTF-8 instead$/],
    ['UTF-32, big endian', around('\0\0\xfe\xff\0\0\0{'), /^UTF-32/],
    ['UTF-16 without a mark, little endian', around('{\0"\0e\0v\0'), /^UTF-16 without a byte order mark: write UTF-8/],
    ['UTF-16 without a mark, big endian', around('\0[\0\n\0{\0"'), /^UTF-16 without a byte order mark/],
    ['HTML', around('\n<!DOCTYPE HTML>\n<html>'), /^an HTML page, often an error .*: check how it was downloaded$/],
    ['HTML after a byte order mark', around('\xef\xbb\xbf<html lang="en">'), /^an HTML page/],
    ['XML', around('<?xml version="1.0"?>\n<Error>'), /^an XML document/],
    [
      'a Git LFS pointer',
      around('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'),
      /^a Git LFS pointer, not the file itself: run `git lfs pull` before you upload it$/,
    ],
  ];
  for (const [name, content, message] of cases) {
    test(`${name} is one rejection of the whole that names it, in objects and messages, compressed or not`, async () => {
      for (const [stored, sizes] of [
        [content, [65_536, 1]],
        [gzipSync(content), [65_536, 7]],
      ] as const) {
        for (const size of sizes) {
          const rejections = await rejectionsIn(stored, size);
          assert.equal(rejections.length, 1);
          const [{ reason, bytes, record, location }] = rejections as [Rejection];
          assert.equal(reason.field, 'record');
          assert.match(reason.message, message);
          assert.equal(bytes, content.length);
          assert.ok(record.equals(content));
          assert.deepEqual(location, contextOf().source.locate(0, 1));
        }
        const ofMessage = rejectionsOfMessage(stored);
        assert.deepEqual(
          ofMessage.map(({ reason }) => message.test(reason.message)),
          [true],
        );
        assert.ok(ofMessage[0]!.record.equals(stored));
      }
    });
  }

  test('Gzip, zstd and UTF-16 inside two layers of compression are named', async () => {
    for (const [inner, message] of [
      [gzipSync('{}'), /^gzip data inside two layers of compression: compress once$/],
      [zstdCompressSync('{}'), /^zstd data inside two layers of compression: compress once$/],
      [Buffer.from('\ufeff{}', 'utf16le'), /^UTF-16, which is not read here/],
      [Buffer.from('\ufeff{}', 'utf16le').swap16(), /^UTF-16, which is not read here/],
    ] as const) {
      const [rejection, ...others] = await rejectionsIn(gzipSync(gzipSync(inner)));
      assert.match(rejection!.reason.message, message);
      assert.deepEqual(others, []);
    }
  });

  test('Files that exporters made are named', async () => {
    for (const [name, message] of [
      ['events.ndjson.bz2', /^bzip2 data/],
      ['events.zip', /^a zip archive/],
      ['stored.zip', /^a zip archive/],
    ] as const) {
      const stored = await readFile(new URL(`../../../inputs/${name}`, import.meta.url));
      const rejections = await rejectionsIn(stored);
      assert.equal(rejections.length, 1);
      assert.match(rejections[0]!.reason.message, message);
    }
  });

  test('A large file holds its first 64 KiB in its rejection, and takes no block before its end', async () => {
    const content = Buffer.concat([
      Buffer.from('%PDF-1.7\n'),
      Buffer.alloc(5_000_000, '{"event":"a","properties":{}}\n'),
    ]);
    const [rejection, ...others] = await rejectionsIn(content);
    assert.deepEqual(others, []);
    assert.equal(rejection!.bytes, content.length);
    assert.ok(rejection!.record.equals(content.subarray(0, 65_536)));
  });

  test('Text that only contains a signature further on is read', async () => {
    for (const begin of ['{"event":"PK\\u0003","properties":{}}\n', ' {"a":1} ustar', 'x %PDF-', '<b>', 'BZ', '%PD']) {
      const messages = (await rejectionsIn(around(begin))).map(({ reason }) => reason.message);
      assert.ok(messages.length > 1, begin);
    }
  });
});
