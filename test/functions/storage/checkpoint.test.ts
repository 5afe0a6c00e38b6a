import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Checkpoint, readCheckpoint } from '../../../functions/storage/checkpoint.ts';
import { startStored } from '../../support/stored.ts';

const checkpoint: Checkpoint = {
  version: 1,
  state: 'running',
  holder: 'h',
  leaseExpiresAt: '2026-11-23T00:00:00.000Z',
  format: 'array',
  gzip: true,
  offset: 812,
  line: 7,
  checksum: 4_294_967_295,
  counts: { read: 6, expanded: 1, imported: 5, rejected: 1, dropped: 1 },
  takeovers: 2,
};

async function read(t: TestContext, content: string) {
  const { bucket } = await startStored(t);
  const file = bucket.file('c.json');
  await file.save(content, { resumable: false });
  return { found: readCheckpoint(bucket, 'c.json'), generation: file.metadata.generation };
}

describe('readCheckpoint', { concurrency: true }, () => {
  test('finds none where there is none', async (t) => {
    const { bucket } = await startStored(t);
    assert.deepEqual(await readCheckpoint(bucket, 'c.json'), { checkpoint: undefined, generation: 0 });
  });

  const good: Record<string, Partial<Checkpoint>> = {
    'of an import under way': {},
    'that was released': { leaseExpiresAt: null },
    'of an import that has not begun': { format: null, gzip: null },
    'of one that is done': { state: 'done' },
    'of an object that is gone': { state: 'gone' },
  };
  for (const [name, fields] of Object.entries(good)) {
    test(`reads a checkpoint ${name}, with its generation`, async (t) => {
      const { found, generation } = await read(t, JSON.stringify({ ...checkpoint, ...fields }));
      assert.deepEqual(await found, { checkpoint: { ...checkpoint, ...fields }, generation });
    });
  }

  test('reads what was written between its two requests', async (t) => {
    const { bucket, server } = await startStored(t);
    const file = bucket.file('c.json');
    await file.save(JSON.stringify(checkpoint), { resumable: false });
    let written: Promise<void> | undefined;
    server.fault = ({ kind }) => {
      if (kind !== 'read' || written !== undefined) return undefined;
      written = file.save(JSON.stringify({ ...checkpoint, offset: 813 }), { resumable: false });
      return { after: written };
    };
    const found = await readCheckpoint(bucket, 'c.json');
    await written;
    assert.equal(found.checkpoint?.offset, 813);
    assert.equal(found.generation, file.metadata.generation);
  });

  const { version: _, ...withoutVersion } = checkpoint;
  const unreadable: Record<string, string> = {
    'is empty': '',
    'is no JSON': '{"version":1',
    'is null': 'null',
    'is a number': '1',
    'is an array': '[]',
    'has no version': JSON.stringify(withoutVersion),
    'is of a later version': JSON.stringify({ ...checkpoint, version: 2 }),
    ...Object.fromEntries(
      Object.keys(withoutVersion).map((key) => [`lacks ${key}`, JSON.stringify({ ...checkpoint, [key]: undefined })]),
    ),
    'is in a state that there is not': JSON.stringify({ ...checkpoint, state: 'paused' }),
    'has a lease until no time': JSON.stringify({ ...checkpoint, leaseExpiresAt: 'soon' }),
    'is of a format that there is not': JSON.stringify({ ...checkpoint, format: 'csv' }),
    'has an offset before the beginning': JSON.stringify({ ...checkpoint, offset: -1 }),
    'has part of a line': JSON.stringify({ ...checkpoint, line: 1.5 }),
    'has no counts': JSON.stringify({ ...checkpoint, counts: null }),
    'lacks a count': JSON.stringify({ ...checkpoint, counts: { ...checkpoint.counts, dropped: undefined } }),
    'has accounts that do not balance': JSON.stringify({ ...checkpoint, counts: { ...checkpoint.counts, read: 7 } }),
  };
  for (const [name, content] of Object.entries(unreadable)) {
    test(`refuses a checkpoint that ${name}, and says what to do`, async (t) => {
      const { found } = await read(t, content);
      await assert.rejects(found, {
        name: 'ImportError',
        code: 'checkpoint_unreadable',
        message: /^The checkpoint c\.json cannot be used: .*; nothing was overwritten\. Deploy .*, or delete it/,
      });
    });
  }

  test('leaves it to its caller to try again', async (t) => {
    const { bucket, server, requests } = await startStored(t);
    server.fault = () => ({ status: 503 });
    await assert.rejects(readCheckpoint(bucket, 'c.json'), { code: 503 });
    assert.equal(requests.length, 1);
  });
});
