import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { createGzip, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { CorruptGzipError, type Decoded, decode } from '../../../../functions/core/formats/decode.ts';
import { chunksOf, pieces } from '../../../support/pipeline.ts';

const text = Buffer.from(Array.from({ length: 3_000 }, (_, index) => `line ${index} ${index ** 3}\n`).join(''));
const zeros = Buffer.alloc(512);

/** Decodes `stored`, in pieces of `size`: the bytes that could be decoded, and the error after them. */
async function decodeAll(stored: Buffer, size = 65_536) {
  return collect(await decode(chunksOf(pieces(stored, size))));
}

async function collect({ compression, head, chunks }: Decoded) {
  const decoded: Buffer[] = [];
  let error: unknown;
  try {
    for await (const chunk of chunks) decoded.push(Buffer.from(chunk));
  } catch (failure) {
    error = failure;
  }
  return { compression, head, content: Buffer.concat(decoded), error };
}

describe('decode', { timeout: 20_000 }, () => {
  const gzip = gzipSync(text);
  const wholeCases: { name: string; stored: Buffer; layers: number; expected: Buffer }[] = [
    { name: 'plain text', stored: text, layers: 0, expected: text },
    { name: 'nothing at all', stored: Buffer.alloc(0), layers: 0, expected: Buffer.alloc(0) },
    { name: 'the first byte of gzip alone', stored: Buffer.from([0x1f]), layers: 0, expected: Buffer.from([0x1f]) },
    { name: 'one byte', stored: Buffer.from('{'), layers: 0, expected: Buffer.from('{') },
    { name: 'zlib without gzip', stored: deflateSync('a'), layers: 0, expected: deflateSync('a') },
    {
      name: 'the first byte of gzip and another',
      stored: Buffer.from([0x1f, 0x8c]),
      layers: 0,
      expected: Buffer.from([0x1f, 0x8c]),
    },
    { name: 'gzip', stored: gzip, layers: 1, expected: text },
    { name: 'gzip of nothing', stored: gzipSync(''), layers: 1, expected: Buffer.alloc(0) },
    {
      name: 'gzip of one byte that gzip begins with',
      stored: gzipSync(Buffer.from([0x1f])),
      layers: 1,
      expected: Buffer.from([0x1f]),
    },
    { name: 'gzip twice', stored: gzipSync(gzip), layers: 2, expected: text },
    {
      name: 'gzip twice, in several members',
      stored: Buffer.concat([gzipSync(gzip.subarray(0, 1)), gzipSync(gzip.subarray(1))]),
      layers: 2,
      expected: text,
    },
    { name: 'gzip three times: two layers', stored: gzipSync(gzipSync(gzip)), layers: 2, expected: gzip },
    {
      name: 'several members',
      stored: Buffer.concat([gzip, gzipSync('x'), gzipSync('y')]),
      layers: 1,
      expected: Buffer.concat([text, Buffer.from('xy')]),
    },
    {
      name: 'empty members between others',
      stored: Buffer.concat([gzipSync(''), gzip, gzipSync(''), gzipSync('y')]),
      layers: 1,
      expected: Buffer.concat([text, Buffer.from('y')]),
    },
    { name: 'zeros after a member', stored: Buffer.concat([gzip, zeros]), layers: 1, expected: text },
    {
      name: 'one zero between members',
      stored: Buffer.concat([gzip, Buffer.alloc(1), gzip]),
      layers: 1,
      expected: Buffer.concat([text, text]),
    },
    {
      name: 'zeros between and after members',
      stored: Buffer.concat([gzip, zeros, gzip, zeros, gzipSync('z'), zeros]),
      layers: 1,
      expected: Buffer.concat([text, text, Buffer.from('z')]),
    },
    {
      name: 'more zeros than a step',
      stored: Buffer.concat([gzip, Buffer.alloc(40_000), gzip]),
      layers: 1,
      expected: Buffer.concat([text, text]),
    },
  ];
  for (const { name, stored, layers, expected } of wholeCases) {
    test(`The decoder decodes ${name}, however the bytes are cut`, async () => {
      for (const size of [65_536, 1_000, 61, 1]) {
        if (stored.length / size > 2_000) continue;
        const decoded = await decodeAll(stored, size);
        assert.equal(decoded.error, undefined, `pieces of ${size}`);
        assert.deepEqual(decoded.compression, Array(layers).fill('gzip'));
        assert.deepEqual(decoded.head, expected.subarray(0, 8), `pieces of ${size}`);
        assert.ok(decoded.content.equals(expected), `pieces of ${size}: ${decoded.content.length} bytes`);
      }
    });
  }

  test('The decoder decodes members and padding for any chunks, even empty ones', async () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => ({ stored: gzipSync(bytes), content: Buffer.from(bytes) })),
      fc.nat(300).map((length) => ({ stored: Buffer.alloc(length), content: Buffer.alloc(0) })),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 6 }),
        fc.array(fc.nat(1_500), { maxLength: 12 }),
        async (parts, cuts) => {
          // The content does not begin like gzip, which would be decoded once more.
          const stored = Buffer.concat([gzipSync('head'), ...parts.map((part) => part.stored)]);
          const expected = Buffer.concat([Buffer.from('head'), ...parts.map((part) => part.content)]);
          const ends = [...cuts.map((cut) => Math.min(cut, stored.length)).sort((a, b) => a - b), stored.length];
          const chunks = ends.map((end, index) => stored.subarray(ends[index - 1] ?? 0, end));
          const decoded = await collect(await decode(chunksOf(chunks)));
          assert.equal(decoded.error, undefined);
          assert.deepEqual(decoded.content, expected);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('The decoder decodes members of any kind, even damaged ones, the same however their bytes arrive', async () => {
    const header = fc.constantFrom(
      [0, ''],
      [1, ''],
      [2, 'hc'],
      [4, '\x02\x00ab'],
      [8, 'name\0'],
      [16, '\0'],
      [30, '\x00\x00n\0c\0hc'],
      [32, ''],
    ) as fc.Arbitrary<[number, string]>;
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(text.subarray(0, 3_000), text.subarray(0, 9_000), Buffer.alloc(70_000)),
    );
    const member = fc.tuple(header, content).map(([[flags, fields], bytes]) => {
      const plain = gzipSync(bytes);
      plain[3] = flags;
      const stored = Buffer.concat([plain.subarray(0, 10), Buffer.from(fields, 'latin1'), plain.subarray(10)]);
      return { stored, content: flags < 32 ? bytes : undefined };
    });
    const padding = fc.nat(20).map((length) => ({ stored: Buffer.alloc(length), content: Buffer.alloc(0) }));
    const damage = fc.option(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 4, arbitrary: member }, padding), { minLength: 1, maxLength: 8 }),
        damage,
        async (parts, change) => {
          const stored = Buffer.concat([gzipSync('head'), ...parts.map((part) => part.stored)]);
          if (change !== null) stored[10 + (change[0] % (stored.length - 10))]! ^= change[1];
          const whole = await decodeAll(stored);
          const cut = await decodeAll(stored, 37);
          assert.equal(String(whole.error), String(cut.error));
          assert.ok(whole.content.equals(cut.content));
          if (change !== null) return;
          const bad = parts.findIndex((part) => part.content === undefined);
          const good = parts.slice(0, bad === -1 ? undefined : bad).map((part) => part.content!);
          assert.ok(whole.content.equals(Buffer.concat([Buffer.from('head'), ...good])));
          assert.equal(whole.error === undefined, bad === -1);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('The decoder takes no longer for empty members than for zeros that take as many bytes compressed', async () => {
    const plain = gzipSync('');
    const fields = Buffer.from('\x00\x00n\0c\0hc', 'latin1');
    const adorned = Buffer.concat([plain.subarray(0, 10), fields, plain.subarray(10), Buffer.alloc(1)]);
    adorned[3] = 30;
    const members = Buffer.concat(Array(10_000).fill(Buffer.concat([plain, adorned])));
    const stored = gzipSync(Buffer.alloc(400_000_000));
    assert.ok(stored.length < members.length);
    const cpuOf = async (bytes: Buffer) => {
      const before = process.cpuUsage();
      for await (const _ of (await decode(chunksOf(pieces(bytes, 65_536)))).chunks);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    const [ofMembers, ofZeros] = [await cpuOf(members), await cpuOf(stored)];
    assert.ok(ofMembers < 1.5 * ofZeros, `${ofMembers} and ${ofZeros} µs`);
  });

  const flipped = Buffer.from(gzip);
  flipped[gzip.length - 6]! ^= 0xff;
  const wrongSize = Buffer.from(gzip);
  wrongSize[gzip.length - 2]! ^= 0xff;
  const corruptCases: { name: string; stored: Buffer; least: Buffer; layers?: number }[] = [
    { name: 'a member cut in its middle', stored: gzip.subarray(0, gzip.length >> 1), least: text.subarray(0, 10_000) },
    { name: 'a member cut in its last byte', stored: gzip.subarray(0, -1), least: text },
    { name: 'a header cut short', stored: gzip.subarray(0, 5), least: Buffer.alloc(0) },
    { name: 'the magic alone', stored: gzip.subarray(0, 2), least: Buffer.alloc(0) },
    { name: 'a second member cut in its header', stored: Buffer.concat([gzip, gzip.subarray(0, 1)]), least: text },
    { name: 'a second member cut in its middle', stored: Buffer.concat([gzip, gzip.subarray(0, 5_000)]), least: text },
    { name: 'garbage after a member', stored: Buffer.concat([gzip, Buffer.from('garbage')]), least: text },
    { name: 'garbage after padding', stored: Buffer.concat([gzip, zeros, Buffer.from('garbage')]), least: text },
    { name: 'a wrong checksum', stored: flipped, least: text },
    { name: 'a wrong length', stored: wrongSize, least: text },
    {
      name: 'the magic and garbage',
      stored: Buffer.from([0x1f, 0x8b, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8]),
      least: Buffer.alloc(0),
    },
    {
      name: 'gzip in gzip, the inner cut',
      stored: gzipSync(gzip.subarray(0, -20)),
      least: text.subarray(0, 10_000),
      layers: 2,
    },
    {
      name: 'gzip in gzip, the outer cut',
      stored: gzipSync(gzip).subarray(0, -12),
      least: text.subarray(0, 10_000),
      layers: 2,
    },
  ];
  for (const { name, stored, least, layers = 1 } of corruptCases) {
    test(`The decoder throws CorruptGzipError after the bytes that can be decoded of ${name}`, async () => {
      for (const size of [65_536, 1_000, 61]) {
        const { compression, content, error } = await decodeAll(stored, size);
        assert.ok(error instanceof CorruptGzipError, `pieces of ${size}: ${error}`);
        assert.deepEqual(compression, Array(layers).fill('gzip'));
        assert.ok(content.subarray(0, least.length).equals(least), `pieces of ${size}: ${content.length} bytes`);
        assert.ok(text.subarray(0, content.length).equals(content) || content.subarray(0, text.length).equals(text));
      }
    });
  }

  test('The decoder leaves no unhandled error, whichever byte is broken', async () => {
    const small = gzipSync('{"event":"a"}\n'.repeat(5));
    for (let at = 2; at < small.length; at++) {
      const broken = Buffer.from(small);
      broken[at]! ^= 0x55;
      const { error } = await decodeAll(broken, 3);
      assert.ok(error === undefined || error instanceof CorruptGzipError, `byte ${at}: ${error}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  });

  for (const [name, before] of [
    ['before the first byte', []],
    ['after the first byte of the magic', [gzip.subarray(0, 1)]],
    ['in the middle of gzip', [gzip.subarray(0, 100)]],
    ['in the middle of gzip in gzip', [gzipSync(gzip).subarray(0, 400)]],
    ['in plain content', [text]],
    ['between members', [gzip]],
  ] as const) {
    test(`The decoder passes on the source's own error unchanged, ${name}`, async () => {
      const error = new TypeError('the read broke');
      const source = chunksOf(before, { error });
      const result = await decode(source).then(collect, (thrown: unknown) => ({ error: thrown }));
      assert.equal(result.error, error);
      assert.ok(source.isClosed);
    });
  }

  test('The decoder does not report a compression if nothing could be read', async () => {
    const error = new Error('the read broke');
    await assert.rejects(decode(chunksOf([], { error })), error);
  });

  for (const [name, stored] of [
    ['plain content', text],
    ['gzip', gzip],
    ['gzip in gzip', gzipSync(gzip)],
  ] as const) {
    test(`The decoder closes the source when the reader of ${name} leaves early`, async () => {
      const source = chunksOf(pieces(stored, 500));
      const { chunks } = await decode(source);
      for await (const _ of chunks) break;
      assert.ok(source.isClosed);
      assert.ok(source.pulled < stored.length / 500, 'the source is not read to its end');
    });
  }

  test('The decoder holds few bytes of content that decompresses a thousandfold', async () => {
    const total = 200_000_000;
    const block = Buffer.alloc(1_000_000, 'a');
    const compressor = createGzip({ level: 1 });
    const ended = once(compressor, 'end');
    const stored: Buffer[] = [];
    compressor.on('data', (chunk: Buffer) => stored.push(chunk));
    for (let at = 0; at < total; at += block.length) {
      if (!compressor.write(block)) await once(compressor, 'drain');
    }
    compressor.end();
    await ended;
    const before = process.memoryUsage();
    let most = 0;
    let bytes = 0;
    for await (const chunk of (await decode(chunksOf([Buffer.concat(stored)]))).chunks) {
      bytes += chunk.length;
      const { external } = process.memoryUsage();
      most = Math.max(most, external - before.external);
    }
    assert.equal(bytes, total);
    assert.ok(most < 100_000_000, `${most} bytes more are held`);
  });

  test('The decoder yields the same bytes of corrupt gzip data, however they arrive', async () => {
    const lines = Array.from({ length: 60_000 }, (_, index) => `${(index * 7_919) % 99_991} ${index ** 3}\n`);
    const stored = gzipSync(lines.join(''));
    stored.fill(0xff, stored.length - 40_000, stored.length - 39_900);
    const whole = await decodeAll(stored, stored.length);
    assert.ok(whole.error instanceof CorruptGzipError && whole.content.length > 0);
    for (const size of [7, 1_000, 16_385, 30_001, 65_536]) {
      const { content, error } = await decodeAll(stored, size);
      assert.ok(content.equals(whole.content), `in pieces of ${size}`);
      assert.deepEqual(error, whole.error);
    }
  });
});
