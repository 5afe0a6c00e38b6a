import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { decode } from '../../../../functions/core/formats/decode.ts';
import { CorruptZstdError, unzstdSync } from '../../../../functions/core/formats/zstd.ts';
import { chunksOf, pieces } from '../../../support/pipeline.ts';

const text = Buffer.from(Array.from({ length: 3_000 }, (_, index) => `line ${index} ${index ** 3}\n`).join(''));
const frame = zstdCompressSync(text);
const checked = zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const skippable = (bytes: number) => {
  const head = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
  head.writeUInt32LE(bytes, 4);
  return Buffer.concat([head, Buffer.alloc(bytes, 0xfd)]);
};

/** A frame of one raw block, with that descriptor and window. */
const rawFrame = (content: string, header: number[]) =>
  Buffer.concat([
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...header, (content.length << 3) | 1, 0, 0]),
    Buffer.from(content),
  ]);
const windowOf = (log: number) => (log - 10) << 3;

async function decodeAll(stored: Buffer, size = 65_536) {
  const { compression, chunks } = await decode(chunksOf(pieces(stored, size)));
  const decoded: Buffer[] = [];
  let error: unknown;
  try {
    for await (const chunk of chunks) decoded.push(Buffer.from(chunk));
  } catch (failure) {
    error = failure;
  }
  return { compression, content: Buffer.concat(decoded), error };
}

describe('zstd', { timeout: 20_000 }, () => {
  for (const [name, stored, expected, layers] of [
    ['a frame', frame, text],
    ['a frame with a checksum', checked, text],
    ['an empty frame', zstdCompressSync(''), Buffer.alloc(0)],
    ['several frames', Buffer.concat([frame, checked, zstdCompressSync('x')]), Buffer.from(`${text}${text}x`)],
    [
      'skippable frames before, between and after others',
      Buffer.concat([skippable(0), skippable(70_000), frame, skippable(3), checked, skippable(9)]),
      Buffer.concat([text, text]),
    ],
    ['a skippable frame alone', skippable(20), Buffer.alloc(0)],
    ['a frame that states a window of 128 MiB', rawFrame('abc', [0, windowOf(27)]), Buffer.from('abc')],
    ['zstd in gzip', gzipSync(Buffer.concat([frame, frame])), Buffer.concat([text, text]), ['gzip', 'zstd']],
    ['gzip in zstd', zstdCompressSync(gzipSync(text)), text, ['zstd', 'gzip']],
    ['zstd in zstd', Buffer.concat([zstdCompressSync(frame), skippable(1)]), text, ['zstd', 'zstd']],
    ['zstd three times: two layers', zstdCompressSync(zstdCompressSync(frame)), frame, ['zstd', 'zstd']],
  ] as [string, Buffer, Buffer, string[]?][]) {
    test(`The decoder decodes ${name}, however the bytes are cut`, async () => {
      for (const size of [1_048_576, 1_000, 61, 1]) {
        if (stored.length / size > 20_000) continue;
        const { compression, content, error } = await decodeAll(stored, size);
        assert.equal(error, undefined, `pieces of ${size}`);
        assert.deepEqual(compression, layers ?? ['zstd']);
        assert.ok(content.equals(expected), `pieces of ${size}: ${content.length} bytes`);
      }
    });
  }

  test('A message of several frames, skippable ones among them, is decompressed as a whole', () => {
    const stored = Buffer.concat([skippable(5), frame, skippable(0), checked]);
    assert.ok(unzstdSync(stored, 2 * text.length).equals(Buffer.concat([text, text])));
  });

  test('A message whose frames are larger together than allowed is not decompressed', () => {
    for (const room of [1, text.length, 2 * text.length - 1]) {
      assert.throws(() => unzstdSync(Buffer.concat([frame, checked]), room), { code: 'ERR_BUFFER_TOO_LARGE' });
    }
  });

  for (const [name, stored, message] of [
    ['a frame that needs a window of 256 MiB', rawFrame('abc', [0, windowOf(28)]), /window of 268435456 bytes.*--long/],
    ['a frame that needs a dictionary', rawFrame('abc', [1, windowOf(20), 7]), /dictionary/],
    ['a frame and garbage', Buffer.concat([frame, Buffer.from('garbage')]), /not zstd/],
    ['a frame and three bytes', Buffer.concat([frame, Buffer.from('abc')]), /unexpected end/],
    ['a skippable frame that is cut', skippable(9).subarray(0, -1), /unexpected end/],
    ['a skippable header that is cut', Buffer.concat([frame, skippable(9).subarray(0, 6)]), /unexpected end/],
  ] as const) {
    test(`The decoder throws CorruptZstdError because of ${name}`, async () => {
      for (const size of [65_536, 61, 1]) {
        const { error } = await decodeAll(stored, size);
        assert.ok(error instanceof CorruptZstdError, String(error));
        assert.match(error.message, message);
      }
      assert.throws(() => unzstdSync(stored, 1_000_000), { name: 'CorruptZstdError', message });
    });
  }

  test('The decoder yields the whole blocks before a cut, and then throws CorruptZstdError', async () => {
    // Blocks of 128 KiB.
    const long = Buffer.from(Array.from({ length: 100_000 }, (_, index) => `${(index * 7_919) % 99_991}\n`).join(''));
    const stored = zstdCompressSync(long);
    for (let at = 5; at < stored.length; at += 9_973) {
      const { content, error } = await decodeAll(stored.subarray(0, at), 65_536);
      assert.ok(error instanceof CorruptZstdError, `${at}: ${error}`);
      assert.ok(long.subarray(0, content.length).equals(content));
      assert.ok(content.length >= Math.floor((at / stored.length) * long.length) - 300_000, `${at}: ${content.length}`);
    }
  });

  test('The decoder neither fails otherwise nor ends quietly, whichever byte is broken', async () => {
    const small = zstdCompressSync('{"event":"a"}\n'.repeat(5), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    const stored = Buffer.concat([small, skippable(2), small]);
    const whole = (await decodeAll(stored)).content;
    for (let at = 4; at < stored.length; at++) {
      for (const mask of [0x01, 0x55, 0x80]) {
        const broken = Buffer.from(stored);
        broken[at]! ^= mask;
        const { content, error } = await decodeAll(broken, 7);
        assert.ok(error instanceof CorruptZstdError || content.equals(whole), `byte ${at}: ${error} ${content}`);
      }
    }
  });

  test('The decoder holds few bytes of content that decompresses ten thousandfold', async () => {
    // Blocks of 4 bytes for 128 KiB.
    const blocks = 2_000;
    const block = Buffer.from([2 | ((131_072 << 3) & 0xff), (131_072 >> 5) & 0xff, (131_072 >> 13) & 0xff, 0x61]);
    const last = Buffer.from(block);
    last[0]! |= 1;
    const stored = Buffer.concat([
      Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, windowOf(17)]),
      ...Array<Buffer>(blocks - 1).fill(block),
      last,
    ]);
    const before = process.memoryUsage().external;
    let most = 0;
    let bytes = 0;
    for await (const chunk of (await decode(chunksOf([stored]))).chunks) {
      bytes += chunk.length;
      most = Math.max(most, process.memoryUsage().external - before);
    }
    assert.equal(bytes, blocks * 131_072);
    assert.ok(most < 130_000_000, `${most} bytes more are held`);
  });
});
