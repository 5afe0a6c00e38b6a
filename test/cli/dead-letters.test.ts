import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MARKER } from '../support/event.ts';
import { type CommandOptions, letterLine, runCommand, type Site, sourceAt, startSite } from '../support/operating.ts';

const UUID = '00000000-0000-4000-8000-000000000000';
const OBJECT = `dead-letters/objects/imports/a.ndjson/1/000000000000000-${UUID}.ndjson`;
const AFTER_CRASH = OBJECT.replace('-8000-', '-9000-');
const MESSAGES = `dead-letters/messages/events/2026-11-23/${UUID}.ndjson`;
const notJson = (bytes: number) => ({
  field: 'record',
  message: `not JSON: it ends in the middle, after ${bytes} bytes`,
});

let site: Site;
before(async () => {
  site = await startSite();
  const save = (name: string, ...lines: string[]) => site.state.file(name).save(lines.join(''), { resumable: false });
  const inObject = [1, 2, 3, 4].map((line) =>
    letterLine({ source: sourceAt(line), reason: notJson(line), rejectedAt: `2026-11-23T10:00:0${line}.000Z` }),
  );
  await save(OBJECT, ...inObject);
  await save(AFTER_CRASH, inObject[1]!, letterLine({ source: sourceAt(9), truncated: true, bytes: 2_000_000 }));
  const message = { subscription: 'projects/p/subscriptions/events', messageId: '55', publishTime: '', index: 2 };
  await save(
    MESSAGES,
    letterLine({ source: message, rejectedAt: '2026-11-23T12:00:00.000Z' }),
    `{"broken": "${MARKER}\n`,
  );
  await save('checkpoints/imports/a.ndjson/1.json', '{}');
});
after(() => site.close());

const deadLetters = (args: string[], options: Partial<CommandOptions> = {}) =>
  runCommand('dead-letters', args, { env: { STORAGE_API_ENDPOINT: site.storage.url }, cwd: site.folder, ...options });

test('dead-letters counts the dead letters of a bucket by their reasons, each once, with the newest places and no records', async () => {
  const { code, stdout, stderr } = await deadLetters(['gs://state']);
  assert.equal(
    stdout,
    `6 dead letters in 3 files; 1 repetition not counted; only the beginning of the record kept in 1 of them; 1 line not understood

  4  record: not JSON: it ends in the middle
     gs://imports/a.ndjson#1 line 4, byte 300, 2026-11-23T10:00:04
     gs://imports/a.ndjson#1 line 3, byte 200, 2026-11-23T10:00:03
     gs://imports/a.ndjson#1 line 2, byte 100, 2026-11-23T10:00:02
  2  properties.time: must not lie ahead
     message 55 of projects/p/subscriptions/events, record 2, 2026-11-23T12:00:00
     gs://imports/a.ndjson#1 line 9, byte 800, 2026-11-23T10:00:00
`,
  );
  assert.equal(stderr, `gs://state/${MESSAGES}:2: not a dead letter: it is not JSON\n`);
  assert.equal(code, 0);
});

test('dead-letters shows those of one prefix, and the records if asked to', async () => {
  const { stdout } = await deadLetters(['--records', 'gs://state/dead-letters/objects/imports/a.ndjson/'], {
    showsRecords: true,
  });
  assert.match(stdout, /^5 dead letters in 2 files/);
  assert.match(stdout, new RegExp(`line 9, byte 800, .*\\n +{"event":"e".*${MARKER}-1`));
});

test('dead-letters prints one JSON object for programs', async () => {
  const { stdout } = await deadLetters(['--json', 'gs://state']);
  const { reasons, ...counts } = JSON.parse(stdout);
  assert.deepEqual(counts, { letters: 6, records: 6, repeated: 1, truncated: 1, unreadable: 1, files: 3 });
  assert.deepEqual(
    reasons.map(({ reason, count }: Record<string, unknown>) => [reason, count]),
    [
      ['record: not JSON: it ends in the middle', 4],
      ['properties.time: must not lie ahead', 2],
    ],
  );
  assert.deepEqual(reasons[0].examples[0], {
    source: sourceAt(4),
    rejectedAt: '2026-11-23T10:00:04.000Z',
    insertId: 'id-1',
  });
});

test('dead-letters counts the records that a letter stands for', async () => {
  const range = { from: 0, to: 90_000 };
  await writeFile(
    join(site.folder, 'summed.ndjson'),
    letterLine({}) + letterLine({ source: sourceAt(2), range, rejected: 30_000, truncated: true, bytes: 90_000 }),
  );
  const { stdout } = await deadLetters(['summed.ndjson']);
  assert.match(stdout, /^2 dead letters in 1 file; they stand for 30,001 records\n/);
  assert.match(stdout, /30,001 {2}properties\.time/);
  const { letters, records, truncated, reasons } = JSON.parse((await deadLetters(['--json', 'summed.ndjson'])).stdout);
  assert.deepEqual([letters, records, truncated, reasons[0].count], [2, 30_001, 0, 30_001]);
});

test('dead-letters reads the bucket of dead letters and the state bucket, whichever of them is named', async () => {
  const newer = OBJECT.replace('/1/', '/2/');
  await site.letters.file(newer).save(letterLine({ source: sourceAt(1, { generation: '2' }) }), { resumable: false });
  const pair = { STORAGE_API_ENDPOINT: site.storage.url, STATE_BUCKET: 'state', DEAD_LETTER_BUCKET: 'letters' };
  for (const [args, env, count] of [
    [['gs://letters', 'gs://state'], {}, '7 dead letters in 4 files'],
    [['gs://letters'], pair, '7 dead letters in 4 files'],
    [['gs://state/'], pair, '7 dead letters in 4 files'],
    [['gs://letters/dead-letters/objects/imports/'], pair, '6 dead letters in 3 files'],
    [[`gs://state/${newer}`], pair, '1 dead letter in 1 file'],
    [['gs://letters'], {}, '1 dead letter in 1 file'],
    [['gs://letters'], { DEAD_LETTER_BUCKET: 'letters' }, '1 dead letter in 1 file'],
    [['gs://imports'], pair, '0 dead letters in 0 files'],
  ] as const) {
    const { stdout } = await deadLetters([...args], { env: { STORAGE_API_ENDPOINT: site.storage.url, ...env } });
    assert.equal(stdout.split(/[;\n]/)[0], count, args.join(' '));
  }
});

test('dead-letters reads folders and files without credentials, and says if there are none', async () => {
  const env = { GOOGLE_APPLICATION_CREDENTIALS: '/nonexistent' };
  await mkdir(join(site.folder, 'copy/deep'), { recursive: true });
  assert.equal((await deadLetters(['copy'], { env })).stdout, '0 dead letters in 0 files\n');
  await writeFile(join(site.folder, `copy/deep/${UUID}.ndjson`), letterLine({}));
  await writeFile(join(site.folder, 'copy/events.ndjson'), 'not dead letters\n');
  assert.match((await deadLetters(['copy'], { env })).stdout, /^1 dead letter in 1 file\n/);
});

test('dead-letters refuses what it does not understand', async () => {
  const { code, stderr } = await deadLetters(['--newest', 'gs://state']);
  assert.match(stderr, /^Unknown option '--newest'. Options are --records, .*--json, .*--help; /);
  assert.equal(code, 2);
  assert.equal((await deadLetters([])).code, 2);
  const missing = await deadLetters(['gs://not-there']);
  assert.equal(missing.stderr, 'gs://not-there: there is no such bucket. Check the name\n');
  assert.equal(missing.code, 2);
});

test('dead-letters and replay refuse a bucket that only has objects of others, by its name', async () => {
  await site.imports.file('a.ndjson').save('{}', { resumable: false });
  const { STORAGE_API_ENDPOINT } = site.env;
  for (const [command, env] of [
    ['dead-letters', { STORAGE_API_ENDPOINT: STORAGE_API_ENDPOINT! }],
    ['replay', site.env],
  ] as const) {
    for (const address of ['gs://imports', 'gs://imports/dead-letters/']) {
      const { code, stdout, stderr } = await runCommand(command, [address], { env, cwd: site.folder });
      assert.match(stderr, /^gs:\/\/imports: neither a state bucket nor a dead letter bucket: .*DEAD_LETTER_BUCKET\n$/);
      assert.deepEqual([code, stdout], [2, '']);
    }
  }
  await site.imports.file('a.ndjson').delete();
});
