import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { NAMES } from '../../local-cloud/cloud.ts';
import { deliveredAll } from '../support/arrivals.ts';
import { block, header, long } from '../support/avro.ts';
import { eventText } from '../support/event.ts';
import { fixture } from '../support/formats.ts';
import { runCommand } from '../support/operating.ts';
import { save, startTestCloud, type TestCloud } from '../support/serving.ts';

interface Letter {
  reason: { message: string };
  source: { offset: number; line: number };
  range?: { from: number; to: number };
  rejected?: number;
}

const RECORDS = 40_000;
const EVENT = `return { event: 'n', properties: { time: 1767225600, distinct_id: 'u', n: record.n } };`;
const number = (n: number) => `{"n":${n}}`;
/** Every hundredth is an event already. */
const records = Array.from({ length: RECORDS }, (_, n) => (n % 100 === 99 ? eventText(`id-${n}`) : number(n)));
const rejectedIn = (letters: readonly Letter[]) => letters.reduce((sum, { rejected = 1 }) => sum + rejected, 0);

describe('letters that stand for many records of an object', () => {
  let cloud: TestCloud;
  before(async () => {
    cloud = await startTestCloud();
  });
  beforeEach(() => cloud.reset());
  afterEach(() => {
    cloud.storage.fault = undefined;
  });
  after(() => cloud?.close());

  async function imported(name: string, content: string | Buffer) {
    const delivered = deliveredAll(cloud);
    await save(cloud.storageClient, name, content);
    assert.deepEqual(await delivered, [204]);
    return letters();
  }

  const letters = async () => (await cloud.deadLetters()) as unknown as Letter[];

  async function replay(transform?: string) {
    const { code, stdout, stderr } = await runCommand('replay', [`gs://${NAMES.stateBucket}`], {
      env: { ...cloud.env },
      cwd: '/',
      ...(transform === undefined ? {} : { transform }),
    });
    return { code, stdout, stderr, left: await letters() };
  }

  const numbersSent = () =>
    cloud.mixpanel
      .events()
      .filter(({ event }) => event === 'n')
      .map(({ properties }) => properties.n as number)
      .sort((a, b) => a - b);
  const numbersIn = (texts: readonly string[]) =>
    texts.filter((text) => text.startsWith('{"n"')).map((text) => JSON.parse(text).n as number);

  const contents: Record<string, [content: string | Buffer, prefix?: string]> = {
    lines: [records.join('\n')],
    'compressed lines': [gzipSync(records.join('\n'))],
    'an array on one line': [`[${records.join(',')}]`],
    'arrays, one per line': [`[${records.slice(0, 20_000).join(',')}]\n[${records.slice(20_000).join(',')}]\n`],
  };
  for (const [name, [content]] of Object.entries(contents)) {
    test(`replay reads the range of a letter again from its object, and sends each of its records once: ${name}`, async () => {
      const written = await imported('many', content);
      const good = records.length - numbersIn(records).length;
      assert.equal(rejectedIn(written), RECORDS - good);
      assert.ok(written.some(({ range }) => range !== undefined));
      const reads = countReads();
      const { code, left } = await replay(`if (record.event !== undefined) return record; ${EVENT}`);
      assert.deepEqual([code, left], [0, []]);
      assert.deepEqual(numbersSent(), numbersIn(records));
      assert.equal(cloud.mixpanel.events().length, RECORDS, 'what was imported before counts once');
      assert.equal(reads(), 1, 'the object is read once');
    });
  }

  const ROWS = 20_000;
  const numbers = Array.from({ length: ROWS }, (_, n) => n);
  const files: Record<string, Buffer> = {
    'of Avro': Buffer.concat([
      header({ type: 'record', name: 'R', fields: [{ name: 'n', type: 'long' }] }),
      ...Array.from({ length: 4 }, (_, part) =>
        block(ROWS / 4, Buffer.concat(numbers.slice((part * ROWS) / 4, ((part + 1) * ROWS) / 4).map(long))),
      ),
    ]),
    'of Parquet': fixture('numbers.parquet'),
  };
  for (const [name, content] of Object.entries(files)) {
    test(`replay reads the range of a letter again from its object, where rows share an offset: ${name}`, async () => {
      const written = await imported('rows', content);
      assert.equal(rejectedIn(written), ROWS);
      assert.ok(written.some(({ range }) => range !== undefined));
      assert.ok(written.length < ROWS);
      const { code, stderr, left } = await replay(EVENT);
      assert.deepEqual([code, left], [0, []], stderr);
      assert.deepEqual(numbersSent(), numbers);
    });
  }

  test('replay reads an object once for several ranges of it, also if one begins in the middle of a block', async () => {
    await imported('twice', records.join('\n'));
    const [file] = (await cloud.storageClient.bucket(NAMES.stateBucket).getFiles({ prefix: 'dead-letters/' }))[0].slice(
      -1,
    );
    const lines = (await file!.download())[0].toString().trimEnd().split('\n');
    const middle = Buffer.byteLength(records.slice(0, 30_000).join('\n')) + 1;
    const split = lines.flatMap((line) => {
      const letter = JSON.parse(line) as Letter;
      if (letter.range === undefined) return [line];
      const { from, to } = letter.range;
      assert.ok(from < middle && middle < to);
      const source = { ...letter.source, offset: middle, line: 30_001 };
      return [
        JSON.stringify({ ...letter, range: { from, to: middle } }),
        JSON.stringify({ ...letter, source, range: { from: middle, to } }),
      ];
    });
    assert.equal(split.length, lines.length + 1);
    await file!.save(split.join('\n'), { resumable: false });
    const reads = countReads();
    const { code, left } = await replay(`if (record.event !== undefined) return record; ${EVENT}`);
    assert.deepEqual([code, left], [0, []]);
    assert.deepEqual(numbersSent(), numbersIn(records));
    assert.equal(reads(), 1);
  });

  test('replay leaves letters with a range for records that are rejected again, and their numbers add up', async () => {
    await imported('again', records.join('\n'));
    const before = rejectedIn(await letters());
    const { code, left, stdout } = await replay(
      `if (record.event !== undefined) return record; if (record.n < 30000) throw new Error('too small'); ${EVENT}`,
    );
    assert.equal(code, 1);
    const sent = numbersIn(records).filter((n) => n >= 30_000);
    assert.deepEqual(numbersSent(), sent);
    assert.equal(rejectedIn(left), before - sent.length);
    assert.ok(left.some(({ range, reason }) => range !== undefined && reason.message === 'too small'));
    assert.match(stdout, new RegExp(`${(before - sent.length).toLocaleString('en')} rejected again`));
    // Those can be replayed too.
    const { code: last, left: none } = await replay(`if (record.event !== undefined) return record; ${EVENT}`);
    assert.deepEqual([last, none], [0, []]);
    assert.deepEqual(numbersSent(), numbersIn(records));
  });

  test('replay reads the generation that the letter names, and leaves the letter if that generation is gone', async () => {
    await imported('gone', records.join('\n'));
    const ranges = (await letters()).filter(({ range }) => range !== undefined);
    await cloud.storageClient.bucket(NAMES.importBucket).file('gone').delete();
    const { code, left, stderr } = await replay(`if (record.event !== undefined) return record; ${EVENT}`);
    assert.equal(code, 1);
    assert.match(stderr, /gs:\/\/[^ ]*\/gone#\d+, where its records are, does not exist any more\. Left unchanged/);
    assert.deepEqual(left, ranges);
  });

  test('replay leaves everything as it is if the object cannot be read to its end', async () => {
    const written = await imported('broken', records.join('\n'));
    cloud.storage.fault = ({ kind, object }) => (kind === 'read' && object === 'broken' ? { status: 403 } : undefined);
    const { code, left, stdout } = await replay(`if (record.event !== undefined) return record; ${EVENT}`);
    assert.equal(code, 1);
    assert.match(stdout, /1 file not done with/);
    assert.equal(rejectedIn(left), rejectedIn(written));
  });

  /** Counts the reads of objects in the import bucket from now on. */
  function countReads(): () => number {
    let reads = 0;
    cloud.storage.fault = ({ kind, bucket }) => {
      if (kind === 'read' && bucket === NAMES.importBucket) reads++;
      return undefined;
    };
    return () => reads;
  }
});
