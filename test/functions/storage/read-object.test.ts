import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32c } from '@node-rs/crc32';
import { startRun } from '../../../functions/core/run.ts';
import {
  createObjectReader,
  getMetadata,
  ObjectGoneError,
  readObject,
} from '../../../functions/storage/read-object.ts';
import type { StorageFault, StorageRequest } from '../../../local-cloud/storage/server.ts';
import { firstOf, sleeplessClock, startStored } from '../../support/stored.ts';

const SIZE = 1_000_000;
const content = randomBytes(SIZE);

/** The first read is answered 404. */
function oneRead({ kind, sequence }: StorageRequest): StorageFault | undefined {
  return kind === 'read' && sequence === 1 ? { status: 404 } : undefined;
}

/** An object in a Cloud Storage, and a run that does not wait. */
async function store(t: TestContext, bytes: Buffer = content) {
  const stored = await startStored(t);
  const saved = stored.bucket.file('o');
  await saved.save(bytes, { resumable: false });
  const { generation, crc32c } = saved.metadata;
  const file = stored.bucket.file('o', { generation: generation! });
  const clock = sleeplessClock();
  const read = () => stored.requests.filter(({ kind }) => kind === 'read').map(({ range }) => range?.start);
  return {
    ...stored,
    file,
    clock,
    run: startRun(undefined, clock),
    what: { size: bytes.length, crc32c },
    /** Where the reads so far began. */
    read,
  };
}

async function gather(chunks: AsyncIterable<Buffer>, into: Buffer[] = []): Promise<Buffer> {
  for await (const chunk of chunks) into.push(chunk);
  return Buffer.concat(into);
}

describe('readObject', () => {
  test('readObject yields the bytes as they are stored, compressed or not, in one read', async (t) => {
    const { bucket, file, what, run, read } = await store(t);
    await bucket.file('o').setMetadata({ contentEncoding: 'gzip' });
    assert.deepEqual(await gather(readObject(file, what, run)), content);
    assert.deepEqual(read(), [0]);
  });

  test('readObject yields nothing of an empty object, without a read', async (t) => {
    const { file, what, run, read } = await store(t, Buffer.alloc(0));
    assert.equal((await gather(readObject(file, what, run))).length, 0);
    assert.deepEqual(read(), []);
  });

  const faults: Record<string, [fault: StorageFault, resumesAt: number]> = {
    'is answered 503': [{ status: 503 }, 0],
    'is answered 429': [{ status: 429 }, 0],
    'is answered 408': [{ status: 408 }, 0],
    'is broken before its answer': [{ destroy: 'before' }, 0],
    'is broken on the way': [{ cutAfterBytes: 300_001 }, 300_001],
    'ends early without a sign of it': [{ endAfterBytes: 300_001 }, 300_001],
    'ends before its first byte': [{ endAfterBytes: 0 }, 0],
    stalls: [{ stallAfterBytes: 300_001 }, 300_001],
    'is answered too late': [{ delayMs: 300 }, 0],
  };
  const late = ['stalls', 'is answered too late'];
  for (const [name, [fault, resumesAt]] of Object.entries(faults)) {
    test(`a reader continues at the byte where it stopped if a read ${name}`, async (t) => {
      const { server, file, what, run, read, clock } = await store(t);
      server.fault = firstOf('read', fault);
      const reader = createObjectReader(file, what, run, late.includes(name) ? { idleTimeoutMs: 100 } : {});
      assert.deepEqual(await gather(reader.read()), content);
      assert.deepEqual(read(), [0, resumesAt]);
      assert.equal(reader.bytesRead, SIZE);
      assert.deepEqual(clock.slept, [1_000], 'waits before it continues');
    });
  }

  test('a reader begins where it is told to, and reads no byte before that', async (t) => {
    const { file, what, run, read } = await store(t);
    const reader = createObjectReader(file, what, run, {
      start: { offset: 400_000, checksum: crc32c(content.subarray(0, 400_000)) },
    });
    assert.deepEqual(await gather(reader.read()), content.subarray(400_000));
    assert.deepEqual(read(), [400_000]);
    assert.equal(reader.bytesRead, 600_000);
  });

  test('readObject continues as long as each read brings something', async (t) => {
    const { server, file, what, run, read } = await store(t);
    server.fault = ({ kind }) => (kind === 'read' ? { cutAfterBytes: 100_000 } : undefined);
    assert.deepEqual(await gather(readObject(file, what, run)), content);
    assert.equal(read().length, 10);
  });

  test('readObject gives up after five reads in a row that brought nothing, with a longer pause before each', async (t) => {
    const { server, file, what, run, read, clock } = await store(t);
    server.fault = ({ kind, sequence }) =>
      kind === 'read' ? (sequence === 1 ? { cutAfterBytes: 100_000 } : { status: 503 }) : undefined;
    await assert.rejects(gather(readObject(file, what, run)), { code: 503 });
    assert.deepEqual(read(), [0, 100_000, 100_000, 100_000, 100_000]);
    assert.deepEqual(clock.slept, [1_000, 2_000, 4_000, 8_000]);
  });

  test('readObject gives up at once if reading is forbidden', async (t) => {
    const { server, file, what, run, read } = await store(t);
    server.fault = ({ kind }) => (kind === 'read' ? { status: 403 } : undefined);
    await assert.rejects(gather(readObject(file, what, run)), { code: 403 });
    assert.deepEqual(read(), [0]);
  });

  test('readObject reports that the object is gone, before its first byte and after it', async (t) => {
    const { bucket, server, file, what, run } = await store(t);
    const some: Buffer[] = [];
    server.fault = ({ kind, sequence }) =>
      kind === 'read' && sequence === 1 ? { cutAfterBytes: 100_000 } : { status: 404 };
    await assert.rejects(gather(readObject(file, what, run), some), ObjectGoneError);
    assert.deepEqual(Buffer.concat(some), content.subarray(0, 100_000));
    server.fault = undefined;
    await bucket.file('o').delete();
    await assert.rejects(gather(readObject(file, what, run)), ObjectGoneError);
  });

  const strays: Record<string, (request: StorageRequest) => StorageFault | undefined> = {
    'is there for the first look': firstOf('read', { status: 404 }),
    'is there for a look without the generation only': (request) =>
      request.kind === 'metadata' ? (request.sequence % 2 === 1 ? { status: 404 } : undefined) : oneRead(request),
    'is there for the last look': (request) =>
      request.kind === 'metadata' && request.sequence <= 4 ? { status: 404 } : oneRead(request),
    'cannot be looked for': (request) => (request.kind === 'metadata' ? { status: 503 } : oneRead(request)),
  };
  for (const [name, fault] of Object.entries(strays)) {
    test(`a reader continues after a 404 if the object ${name}`, async (t) => {
      const { server, file, what, run, read } = await store(t);
      server.fault = fault;
      assert.deepEqual(await gather(readObject(file, what, run)), content);
      assert.deepEqual(read(), [0, 0]);
      assert.ok(run.stats.deferred > 0);
    });
  }

  test('a reader believes a 404 after three looks over some seconds', async (t) => {
    const { bucket, file, what, run, clock, requests } = await store(t);
    await bucket.file('o').delete();
    requests.length = 0;
    await assert.rejects(gather(readObject(file, what, run)), ObjectGoneError);
    assert.deepEqual(clock.slept, [500, 1_000, 2_000]);
    assert.deepEqual(
      requests.map(({ kind }) => kind),
      ['read', ...Array(6).fill('metadata')],
    );
  });

  test('a reader gives up, and does not call the object gone, if it cannot be read although it is there', async (t) => {
    const { server, file, what, run } = await store(t);
    server.fault = ({ kind }) => (kind === 'read' ? { status: 404 } : undefined);
    await assert.rejects(gather(readObject(file, what, run)), { code: 404 });
  });

  test('a reader never continues in another generation of the object', async (t) => {
    const { bucket, server, file, what, run } = await store(t);
    server.fault = firstOf('read', { stallAfterBytes: 100_000 });
    const some: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of createObjectReader(file, what, run, { idleTimeoutMs: 100 }).read()) {
        if (some.push(chunk) === 1) await bucket.file('o').save(randomBytes(SIZE), { resumable: false });
      }
    })();
    await assert.rejects(reading, ObjectGoneError);
    assert.deepEqual(Buffer.concat(some), content.subarray(0, 100_000));
  });

  test('readObject finds out, after the last byte, that a byte is not what was uploaded', async (t) => {
    const { server, file, what, run } = await store(t);
    server.fault = firstOf('read', { corruptByte: 500_000 });
    const some: Buffer[] = [];
    await assert.rejects(gather(readObject(file, what, run), some), { name: 'ImportError', code: 'checksum_mismatch' });
    assert.equal(Buffer.concat(some).length, SIZE);
  });

  test('readObject finds out that a byte was wrong if another read had broken before', async (t) => {
    const { server, file, what, run } = await store(t);
    server.fault = ({ kind, sequence }) => {
      if (kind !== 'read') return undefined;
      return sequence === 1 ? { cutAfterBytes: 700_000 } : { corruptByte: 800_000 };
    };
    await assert.rejects(gather(readObject(file, what, run)), { code: 'checksum_mismatch' });
  });

  test('a reader also verifies the bytes that others read before it', async (t) => {
    const { file, what, run } = await store(t);
    const start = { offset: 400_000, checksum: crc32c(Buffer.alloc(400_000)) };
    await assert.rejects(gather(createObjectReader(file, what, run, { start }).read()), { code: 'checksum_mismatch' });
  });

  test('readObject verifies no checksum if none is known', async (t) => {
    const { server, file, run } = await store(t);
    server.fault = ({ kind }) => (kind === 'read' ? { corruptByte: 500_000 } : undefined);
    await gather(readObject(file, { size: SIZE, crc32c: undefined }, run));
  });

  test('a reader does not take a slow consumer for a stalled read', async (t) => {
    const { file, what, run, read } = await store(t);
    const reader = createObjectReader(file, what, run, { idleTimeoutMs: 100 });
    let isFirst = true;
    for await (const _ of reader.read()) {
      if (isFirst) await sleep(250);
      isFirst = false;
    }
    assert.deepEqual(read(), [0]);
  });

  test('readObject stops waiting when the run winds down', async (t) => {
    const { server, file, what, run } = await store(t);
    server.fault = ({ kind }) => {
      if (kind !== 'read') return undefined;
      run.stop('deadline');
      return { status: 503 };
    };
    await assert.rejects(gather(readObject(file, what, run)), (error) => error === run.stopping.reason);
  });
});

describe('a reader that was broken off', () => {
  test('a reader that was broken off continues after the bytes that it has brought, without a byte twice', async (t) => {
    const { file, what, run } = await store(t);
    const { read } = createObjectReader(file, what, run);
    const some: Buffer[] = [];
    for await (const chunk of read()) {
      some.push(chunk);
      break;
    }
    assert.deepEqual(await gather(read(), some), content);
  });

  test('a reader that was broken off still finds out that a byte was wrong which it had brought before', async (t) => {
    const { server, file, what, run } = await store(t);
    server.fault = firstOf('read', { corruptByte: 0 });
    const { read } = createObjectReader(file, what, run);
    for await (const _ of read()) break;
    await assert.rejects(gather(read()), { code: 'checksum_mismatch' });
  });
});

describe('getMetadata', () => {
  test('getMetadata returns size, checksum and generation', async (t) => {
    const { bucket, file, what, run } = await store(t);
    assert.deepEqual(await getMetadata(bucket.file('o'), run), {
      ...what,
      generation: String(file.generation),
      custom: {},
    });
  });

  test('getMetadata returns the custom metadata as texts', async (t) => {
    const { bucket, run } = await store(t);
    const metadata = { plan: 'pro', größe: '5', empty: '' };
    await bucket.file('with').save('x', { resumable: false, metadata: { metadata } });
    assert.deepEqual((await getMetadata(bucket.file('with'), run)).custom, metadata);
  });

  test('getMetadata asks again if a request fails', async (t) => {
    const { server, file, what, run, clock } = await store(t);
    server.fault = firstOf('metadata', { status: 503 }, { destroy: 'before' }, { status: 429 });
    assert.equal((await getMetadata(file, run)).size, what.size);
    assert.deepEqual(clock.slept, [1_000, 2_000, 4_000]);
  });

  test('getMetadata gives up after five failures, and at once if asking again is of no use', async (t) => {
    const { server, file, run, requests } = await store(t);
    server.fault = () => ({ status: 503 });
    await assert.rejects(getMetadata(file, run), { code: 503 });
    assert.equal(requests.filter(({ kind }) => kind === 'metadata').length, 5);
    server.fault = () => ({ status: 403 });
    await assert.rejects(getMetadata(file, run), { code: 403 });
    assert.equal(requests.filter(({ kind }) => kind === 'metadata').length, 6);
  });

  test('getMetadata reports that there is no such generation', async (t) => {
    const { bucket, file, run } = await store(t);
    await assert.rejects(getMetadata(bucket.file('other'), run), ObjectGoneError);
    await bucket.file('o').save('new', { resumable: false });
    await assert.rejects(getMetadata(file, run), ObjectGoneError);
  });
});
