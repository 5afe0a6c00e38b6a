import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { eventText } from '../support/event.ts';
import { type CommandOptions, runCommand, type Site, startSite } from '../support/operating.ts';

const EVENTS = 2_000;
/** Every hundredth line is none. */
const lines = Array.from({ length: EVENTS }, (_, n) =>
  n % 100 === 99 ? 'x' : eventText(undefined, { distinct_id: `u${n}` }),
);
const content = `${lines.join('\n')}\n`;
const rejected = EVENTS / 100;

describe('import --resume', () => {
  let site: Site;
  beforeEach(async () => {
    site = await startSite();
  });
  afterEach(() => site.close());

  const command = (args: string[], options: Partial<CommandOptions> = {}) =>
    runCommand('main', ['import', '--json', ...args], {
      env: { ...site.env, IMPORT_MAX_CONCURRENCY: '1', IMPORT_MAX_BATCH_EVENTS: '100' },
      cwd: site.folder,
      ...options,
    });

  /** Interrupts the import while its fifth request is under way. */
  async function interrupted(...args: string[]) {
    const ended = await command(args, {
      onStart(child) {
        site.mixpanel.fault = ({ sequence }) => {
          if (sequence === 4) child.kill('SIGINT');
          return { delayMs: 20 };
        };
      },
    });
    site.mixpanel.fault = undefined;
    assert.equal(ended.code, 130, ended.stderr);
    return JSON.parse(ended.stdout);
  }

  for (const [name, bytes] of [
    ['events.ndjson', Buffer.from(content)],
    ['events.ndjson.gz', gzipSync(content)],
    ['array.json', Buffer.from(`[${lines.filter((line) => line !== 'x').join(',\n')}]`)],
  ] as const) {
    it(`continues where ${name} was interrupted, sends no event twice, and adds to its dead letters`, async () => {
      await writeFile(join(site.folder, name), bytes);
      const { resume, files } = await interrupted(name);
      assert.equal(resume, `mixpanel-cloud-ingestion import --resume ${name}`);
      assert.equal(files[0].state, 'interrupted');
      assert.ok(site.mixpanel.received > 0 && site.mixpanel.received < EVENTS - rejected);
      assert.ok(existsSync(join(site.folder, `${name}.checkpoint.json`)));

      const { code, stdout, stderr } = await command(['--resume', name]);
      const bad = name === 'array.json' ? 0 : rejected;
      assert.equal(code, bad === 0 ? 0 : 1, stderr);
      assert.deepEqual([site.mixpanel.received, site.mixpanel.duplicates], [EVENTS - rejected, 0]);
      const { total } = JSON.parse(stdout);
      assert.deepEqual([total.imported, total.rejected], [EVENTS - rejected, bad]);
      assert.ok(!existsSync(join(site.folder, `${name}.checkpoint.json`)));
      if (bad === 0) return;
      const letters = (await readFile(join(site.folder, `${name}.dead-letters.ndjson`), 'utf8')).trimEnd().split('\n');
      assert.deepEqual(
        new Set(letters.map((line) => JSON.parse(line).source.line)),
        new Set(Array.from({ length: rejected }, (_, n) => 100 * (n + 1))),
      );
    });
  }

  it('continues an object of Cloud Storage, with its checkpoint in the folder of --state', async () => {
    await site.imports.file('events.ndjson').save(content, { resumable: false });
    await mkdir(join(site.folder, 'state'));
    const { resume } = await interrupted('--state', 'state', 'gs://imports/events.ndjson');
    assert.equal(resume, 'mixpanel-cloud-ingestion import --resume --state state gs://imports/events.ndjson');
    await command(['--resume', '--state', 'state', 'gs://imports/events.ndjson']);
    assert.deepEqual([site.mixpanel.received, site.mixpanel.duplicates], [EVENTS - rejected, 0]);
  });

  it('begins a file that has no checkpoint', async () => {
    await writeFile(join(site.folder, 'events.ndjson'), content);
    await command(['--resume', 'events.ndjson']);
    assert.equal(site.mixpanel.received, EVENTS - rejected);
  });

  it('refuses with 2, and sends nothing, what is not as it was', async () => {
    const file = join(site.folder, 'events.ndjson');
    await writeFile(file, content);
    await interrupted('events.ndjson');
    const { received } = site.mixpanel;
    const mapping = join(site.folder, 'mapping.json');
    await writeFile(mapping, '{"from":"snowplow"}');
    const checkpoint = await readFile(`${file}.checkpoint.json`, 'utf8');
    const refused = async (expected: RegExp, args: string[] = [], env: Record<string, string> = {}) => {
      const ended = await command(['--resume', ...args, 'events.ndjson'], { env: { ...site.env, ...env } });
      assert.deepEqual([ended.code, ended.stdout], [2, ''], ended.stderr);
      assert.match(ended.stderr, expected);
    };
    await refused(/^events\.ndjson\.checkpoint\.json: the project changed since/, [], { MIXPANEL_PROJECT_ID: '2' });
    await refused(/: the mapping changed since/, ['--mapping', 'mapping.json']);
    await refused(/: INSERT_ID changed since/, [], { INSERT_ID: 'position' });
    await refused(/: IMPORT_HASH_KEY, INSERT_ID changed since/, [], { IMPORT_HASH_KEY: 'a key of 16 characters' });
    await writeFile(`${file}.checkpoint.json`, '{"version":9}');
    await refused(/not a checkpoint of this version/);
    await writeFile(`${file}.checkpoint.json`, checkpoint);
    await appendFile(file, `${lines[0]}\n`);
    await refused(/: the content of events\.ndjson changed since\. Restore that, or import without --resume/);
    assert.equal(site.mixpanel.received, received);
  });

  it('refuses standard input', async () => {
    const { code, stderr } = await command(['--resume', '-']);
    assert.equal(code, 2);
    assert.match(stderr, /^stdin: --resume needs a file that can be read again/);
  });
});
