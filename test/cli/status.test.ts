import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { noCounts } from '../../functions/core/block.ts';
import { type Checkpoint, formatCheckpoint, noProgress } from '../../functions/storage/checkpoint.ts';
import { checkpointName, objectDeadLetterName } from '../../functions/storage/names.ts';
import { letterLine, runCommand, type Site, startSite } from '../support/operating.ts';

const UUID = '00000000-0000-4000-8000-000000000000';
const NAMES = {
  'a plain': 'a.ndjson',
  'an odd': 'folder/50% é 🎉 #7/x.ndjson',
  'a long': `${'long/'.repeat(200)}x.ndjson`,
};

let site: Site;
before(async () => {
  site = await startSite();
});
after(() => site.close());

const status = (...args: string[]) => runCommand('status', args, { env: site.env, cwd: site.folder });

/** Uploads an object of 1,000 bytes and returns its generation. */
async function upload(object: string): Promise<string> {
  const file = site.imports.file(object);
  await file.save(Buffer.alloc(1_000, 0x20), { resumable: false });
  return String(file.metadata.generation);
}

async function writeCheckpoint(object: string, generation: string, fields: Partial<Checkpoint>): Promise<void> {
  const checkpoint: Checkpoint = {
    state: 'running',
    holder: UUID,
    leaseExpiresAt: null,
    takeovers: 0,
    fruitless: 0,
    lastError: null,
    ...noProgress(),
    ...fields,
  };
  await writeText(object, generation, formatCheckpoint(checkpoint), checkpoint.state);
}

async function writeText(object: string, generation: string, text: string, state = 'running'): Promise<void> {
  const name = checkpointName({ bucket: 'imports', object, generation });
  await site.state.file(name).save(text, { resumable: false, metadata: { metadata: { state } } });
}

for (const [kind, object] of Object.entries(NAMES)) {
  test(`status says of an object with ${kind} name that it is done, with its counts and dead letters`, async () => {
    const generation = await upload(object);
    assert.match((await status(`gs://imports/${object}`)).stdout, /not seen yet: .*\n?.*npm run backfill/);
    const counts = { read: 3, expanded: 0, imported: 1, rejected: 1, dropped: 1 };
    await writeCheckpoint(object, generation, { state: 'done', ...progressTo(1_000, 4), counts });
    const source = { bucket: 'imports', object, generation, line: 2, offset: 10 };
    const name = objectDeadLetterName(source, 10, UUID);
    await site.state.file(name).save(letterLine({ source }), { resumable: false });

    const { code, stdout } = await status(`gs://imports/${object}`);
    assert.ok(stdout.startsWith(`gs://imports/${object}#${generation}: 1.0 kB, written 20`));
    assert.match(stdout, /\ndone: all of it is settled\.\n {2}read 3 {3}imported 1 {3}rejected 1 {3}dropped 1\n/);
    assert.ok(stdout.includes(`\n1 dead letter in gs://state/${name.slice(0, name.lastIndexOf('/') + 1)}\n`));
    assert.match(stdout, /1 {2}properties\.time: must not lie ahead\n +gs:.* line 2, byte 10, 2026-11-23T10:00:00\n/);
    assert.equal(code, 0);
  });
}

test('status says of an object that is done if every record was rejected', async () => {
  const counts = { read: 2, expanded: 1, imported: 0, rejected: 3, dropped: 0 };
  await writeCheckpoint('worthless', await upload('worthless'), { state: 'done', ...progressTo(1_000, 3), counts });
  const { code, stdout } = await status('gs://imports/worthless');
  assert.match(stdout, /\ndone: every record was rejected\.\n/);
  assert.equal(code, 0);
});

test('status finds dead letters in the bucket of dead letters, and older ones in the state bucket', async () => {
  const generation = await upload('rejected');
  const counts = { read: 2, expanded: 0, imported: 0, rejected: 2, dropped: 0 };
  await writeCheckpoint('rejected', generation, { state: 'done', ...progressTo(1_000, 3), counts });
  const missing = await status('gs://imports/rejected');
  assert.match(missing.stdout, /No dead letters of it in gs:\/\/state\/.*rejected\/\d+\/: .*--dead-letters/);

  const source = { bucket: 'imports', object: 'rejected', generation, line: 1, offset: 0 };
  const name = objectDeadLetterName(source, 0, UUID);
  const folder = name.slice(0, name.lastIndexOf('/') + 1);
  await site.letters.file(name).save(letterLine({ source }), { resumable: false });
  const run = async (...args: string[]) => (await status(...args, 'gs://imports/rejected')).stdout;
  assert.ok((await run('--dead-letters', 'letters')).includes(`\n1 dead letter in gs://letters/${folder}\n`));
  await site.state.file(name).save(letterLine({ source: { ...source, line: 2, offset: 9 } }), { resumable: false });
  const both = await run('--dead-letters', 'gs://letters');
  assert.ok(both.includes(`\n2 dead letters in gs://letters/${folder} and gs://state/${folder}\n`));
  const env = { ...site.env, DEAD_LETTER_BUCKET: 'letters' };
  const set = await runCommand('status', ['gs://imports/rejected'], { env, cwd: site.folder });
  assert.equal(set.stdout, both);
});

const hour = 3_600_000;
const progress = progressTo(400, 5);

/** Progress of a JSON object that is not compressed. */
function progressTo(offset: number, line: number): Pick<Checkpoint, 'format' | 'compression' | 'position'> {
  return { format: 'json', compression: [], position: { offset, line, checksum: 0 } };
}

const RUNNING: Record<string, { fields: () => Partial<Checkpoint>; expected: RegExp }> = {
  'who holds it, and how far it has come': {
    fields: () => ({ ...progress, leaseExpiresAt: new Date(Date.now() + hour).toISOString() }),
    expected: /running: up to byte 400, line 5, 40% of 1,000 is settled; held by 00000000-.* until 2\S+\.\n/,
  },
  'that the lease has expired, and how often': {
    fields: () => ({ ...progress, leaseExpiresAt: new Date(Date.now() - hour).toISOString(), takeovers: 2 }),
    expected: /which is over: the next delivery takes over\. Leases that expired without movement: 2\.\n/,
  },
  'that it waits for redelivery, and no percentage if it is compressed': {
    fields: () => ({ ...progress, compression: ['gzip'] }),
    expected: /up to byte 400, line 5 of the decompressed content is settled; waiting for redelivery\.\n/,
  },
  'what it fails with, when it was last tried, and what to check': {
    fields: () => ({
      ...progress,
      lastError: {
        code: 'credentials_refused',
        message: 'check\nthe account',
        time: '2026-11-23T12:03:04Z',
        since: '2026-11-22T10:00:00Z',
      },
    }),
    expected:
      /\n\nfailing: credentials_refused, last tried 2026-11-23 12:03 UTC, failing since 2026-11-22 10:00 UTC; up to byte 400, .* is settled; waiting for redelivery\.\nWhat to check: check.{1,6}the account\n {2}read 0/,
  },
  'the time alone if it was last tried today': {
    fields: () => {
      const time = new Date().toISOString();
      return { ...progress, lastError: { code: 'request_refused', message: 'check', time, since: time } };
    },
    expected: /\n\nfailing: request_refused, last tried \d\d:\d\d UTC, failing since \d\d:\d\d UTC; up to/,
  },
  'that it is gone': {
    fields: () => ({ state: 'gone' }),
    expected:
      /gone: the object was not there any more; nothing of it was settled\. It is there now; to import the rest: .*\n/,
  },
};
for (const [name, { fields, expected }] of Object.entries(RUNNING)) {
  test(`status says of an object that is not done ${name}`, async () => {
    await writeCheckpoint('running', await upload('running'), { counts: noCounts(), ...fields() });
    const { code, stdout } = await status('gs://imports/running');
    assert.match(stdout, expected);
    assert.equal(code, 1);
  });
}

test('status distinguishes generations, and names the others', async () => {
  const older = await upload('twice');
  await writeCheckpoint('twice', older, { state: 'done' });
  await writeCheckpoint('twice/below', '12', { state: 'done' });
  const newer = await upload('twice');
  const live = await status('gs://imports/twice');
  assert.match(
    live.stdout,
    new RegExp(`#${newer}: .*\\n\\nnot seen yet: .*\\n.*\\n\\nOther generations of it\\n {2}#${older} {2}done\\n$`),
  );
  assert.equal(live.code, 1);
  const asked = await status(`gs://imports/twice#${older}`);
  assert.match(asked.stdout, /: not in the bucket any more\n\ndone: /);
  assert.equal(asked.code, 0);
});

test('status takes the state bucket from the command line, and says what is missing or wrong', async () => {
  const { STATE_BUCKET: _, ...env } = site.env;
  const run = (...args: string[]) => runCommand('status', args, { env, cwd: site.folder });
  const nowhere = await run('gs://imports/nowhere');
  assert.match(nowhere.stderr, /--state gs:\/\/STATE/);
  assert.equal(nowhere.code, 2);
  const found = await run('--state', 'gs://state', 'gs://imports/nowhere');
  assert.match(found.stdout, /no such object, and no checkpoint/);
  assert.equal(found.code, 1);
  assert.equal((await run('--state', 'gs://state/checkpoints', 'gs://imports/nowhere')).code, 2);
  for (const args of [
    ['--state', 'gs://missing', 'gs://imports/nowhere'],
    ['--state', 'gs://state', '--dead-letters', 'gs://missing', 'gs://imports/twice'],
    ['--state', 'gs://state', 'gs://missing/a.ndjson'],
  ]) {
    const { code, stderr } = await run(...args);
    assert.deepEqual([code, stderr], [2, 'gs://missing: there is no such bucket. Check the name\n'], args.join(' '));
  }
  assert.equal((await run('--state', 'state', 'imports/nowhere')).code, 2);
});

test('status says how far the previous release has come', async () => {
  const counts = '{"read":6,"expanded":0,"imported":6,"rejected":0,"dropped":0}';
  const place = '"format":"array","gzip":false,"offset":400,"line":5,"checksum":4294967295';
  const text = `{"version":1,"state":"running","holder":"h","leaseExpiresAt":null,${place},"counts":${counts},"takeovers":1}`;
  await writeText('previous', await upload('previous'), text);
  const { code, stdout } = await status('gs://imports/previous');
  assert.match(
    stdout,
    /running: up to byte 400, line 5, 40% of 1,000 is settled; waiting for redelivery\. Leases .*: 1\.\n/,
  );
  assert.match(stdout, /\n {2}read 6 {3}imported 6 {3}rejected 0 {3}dropped 0\n/);
  assert.doesNotMatch(stdout, /failing/);
  assert.equal(code, 1);
});

test('status says that a checkpoint of a later version cannot be used', async () => {
  await writeText('later', await upload('later'), '{"version":3}');
  const { code, stderr } = await status('gs://imports/later');
  assert.match(stderr, /its version is 3, and this code knows 1 and 2/);
  assert.equal(code, 1);
});
