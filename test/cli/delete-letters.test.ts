import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  type CommandOptions,
  contentsOf,
  letterLine,
  runCommand,
  type Site,
  sourceAt,
  startSite,
} from '../support/operating.ts';

const UUID = '00000000-0000-4000-8000-000000000000';
const FIRST = `dead-letters/objects/imports/a.ndjson/1/000000000000000-${UUID}.ndjson`;
const SECOND = FIRST.replace('-8000-', '-9000-');

const record = (properties: object) => JSON.stringify({ event: 'Buy', properties });
const letter = (line: number, text: string, more: object = {}) =>
  letterLine({ source: sourceAt(line), record: text, ...more });

describe('dead-letters --delete', () => {
  let site: Site;
  before(async () => {
    site = await startSite();
  });
  after(() => site.close());

  const deadLetters = (args: string[], options: Partial<CommandOptions> = {}) =>
    runCommand('dead-letters', args, { env: site.env, cwd: site.folder, ...options });

  it('deletes the letters of one person in a bucket, and leaves every other byte as it is', async () => {
    const kept = [letter(2, record({ distinct_id: 'u-10' })), letter(4, '{"distinct_id":"other","n":["u-1"]}')];
    const gone = [letter(1, record({ distinct_id: 'u-1' })), letter(3, '{"distinct_id":"u-1"}')];
    const [a, b] = kept as [string, string];
    await site.letters.file(FIRST).save(gone[0]! + a + gone[1]! + b, { resumable: false });
    await site.letters.file(SECOND).save(gone[0]!, { resumable: false });
    const seen = await deadLetters(['--where', 'distinct_id=u-1', 'gs://letters']);
    assert.match(seen.stdout, /^2 dead letters in 2 files; 1 repetition not counted\n/);
    const { code, stdout, stderr } = await deadLetters(['--delete', '--where', 'distinct_id=u-1', 'gs://letters']);
    assert.deepEqual([code, stdout, stderr], [0, '3 dead letters deleted in 2 files\n', '']);
    assert.deepEqual(await contentsOf(site.letters, 'dead-letters/'), { [FIRST]: a + b });
  });

  it('finds nested members and numbers as they are written, in files on disk', async () => {
    const path = join(site.folder, 'rows.dead-letters.ndjson');
    const rows = ['{"user":{"id":12345678901234567890}}', '{"user.id":"12345678901234567890"}', '{"user":{"id":1}}'];
    await writeFile(path, rows.map((row, index) => letter(index + 1, row)).join(''));
    const { stdout } = await deadLetters(['--json', '--delete', '--where', 'user.id=12345678901234567890', path]);
    assert.deepEqual(JSON.parse(stdout), { deleted: 2, filesChanged: 1, unclear: 0, failed: 0 });
    assert.equal(await readFile(path, 'utf8'), letter(3, rows[2]!));
  });

  it('names and leaves what it cannot look into, and ends with 1', async () => {
    const path = join(site.folder, 'unclear.dead-letters.ndjson');
    const lines = [
      letter(1, '{"distinct_id":"u-1', { truncated: true, bytes: 2_000_000 }),
      letter(2, '{"distinct_id":"u-1"', {}),
      letter(3, '{"distinct_id":"u-2"', {}),
      letter(4, '{}', { range: { from: 0, to: 9 }, rejected: 5, truncated: true }),
      'u-1 is not a letter\n',
    ];
    await writeFile(path, lines.join(''));
    const { code, stdout, stderr } = await deadLetters(['--delete', '--where', 'distinct_id=u-1', path]);
    assert.deepEqual([code, stdout], [1, '0 dead letters deleted in 0 files; 4 left that may be meant: see above\n']);
    const named = stderr
      .trimEnd()
      .split('\n')
      .map((line) => line.match(/\.ndjson:(\d+): left/)?.[1]);
    assert.deepEqual(named, ['1', '2', '4', '5']);
    assert.equal(await readFile(path, 'utf8'), lines.join(''));
  });

  it('deletes nothing without a condition, with one that has no value, or with two', async () => {
    const path = join(site.folder, 'safe.dead-letters.ndjson');
    const line = letter(1, record({ distinct_id: 'u-1' }));
    await writeFile(path, line);
    for (const args of [[], ['--where', 'distinct_id'], ['--where', 'a=1', '--where', 'distinct_id=u-1']]) {
      const { code, stdout } = await deadLetters(['--delete', ...args, path]);
      assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    }
    assert.equal(await readFile(path, 'utf8'), line);
  });
});
