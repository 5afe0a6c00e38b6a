import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { VERSION } from '../../functions/version.ts';
import { freePort } from '../../local-cloud/served-function.ts';
import { eventText } from '../support/event.ts';
import { type CommandOptions, letterLine, runCommand, type Site, startSite } from '../support/operating.ts';

let site: Site;
before(async () => {
  site = await startSite();
  await writeFile(join(site.folder, 'good.ndjson'), `${eventText('id-1')}\n${eventText('id-2')}\n`);
  await writeFile(join(site.folder, 'bad.ndjson'), `${eventText('id-3')}\nx\n`);
});
after(() => site.close());
afterEach(() => {
  site.mixpanel.fault = undefined;
});

/** Runs `mixpanel-cloud-ingestion` with these arguments. */
const command = (args: string[], options: Partial<CommandOptions> = {}) =>
  runCommand('main', args, { env: site.env, cwd: site.folder, ...options });

describe('mixpanel-cloud-ingestion', () => {
  it('prints its version, which is that of package.json', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    assert.equal(VERSION, version);
    for (const args of [['--version'], ['import', '--version']]) {
      assert.deepEqual(await command(args), { code: 0, stdout: `${version}\n`, stderr: '' });
    }
  });

  it('names the nearest subcommand and the nearest option, and ends with 2', async () => {
    for (const [args, expected] of [
      [['imprt'], /^Unknown subcommand 'imprt'. Did you mean import\?$/m],
      [['deadletters'], /Did you mean dead-letters\?/],
      [['serve'], /Subcommands are import, status, dead-letters, replay, backfill, completion/],
      [['import', '--dry', 'good.ndjson'], /^Unknown option '--dry'. Did you mean --dry-run\?/m],
      [['import', '--maping=m', 'good.ndjson'], /Did you mean --mapping\?/],
      [['import', '--mapping'], /--mapping.*argument missing/],
      [['import', '--json=1', 'good.ndjson'], /--json.*does not take an argument/],
      [['import'], /^No file is given. Try: mixpanel-cloud-ingestion import 'exports/m],
      [['import', 'none.ndjson', '.'], /^none\.ndjson: no such file.*\n\.: a directory\. Name the files in it/m],
      [[], /^Usage: mixpanel-cloud-ingestion SUBCOMMAND/m],
    ] as const) {
      const { code, stdout, stderr } = await command([...args]);
      assert.deepEqual([code, stdout], [2, ''], args.join(' '));
      assert.match(stderr, expected);
    }
    assert.equal(site.mixpanel.requests.length, 0);
  });

  it('completes subcommands and options in bash', async () => {
    const { stdout } = await command(['completion', 'bash']);
    const complete = async (...words: string[]) => {
      const script = `${stdout}
        COMP_WORDS=(mixpanel-cloud-ingestion ${words.join(' ')}); COMP_CWORD=${words.length}
        _mixpanel_cloud_ingestion; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout: replies } = await promisify(execFile)('bash', ['-c', script], { cwd: site.folder });
      return replies.trim().split('\n');
    };
    assert.deepEqual(await complete('dea'), ['dead-letters']);
    assert.deepEqual(await complete('import', '--dr'), ['--dry-run']);
    assert.deepEqual(await complete('status', '--sta'), ['--state']);
    assert.deepEqual(await complete('import', 'go'), ['good.ndjson']);
    assert.deepEqual(await complete('completion', 'z'), ['zsh']);
  });
});

describe('for scripts', () => {
  it('import --json prints one document and nothing else, with the exit code of the text', async () => {
    const { code, stdout } = await command(['import', '--json', 'good.ndjson', 'bad.ndjson']);
    assert.equal(code, 1);
    const { dryRun, files, total, notBegun } = JSON.parse(stdout);
    assert.deepEqual([dryRun, notBegun], [false, []]);
    assert.deepEqual(total, { read: 4, expanded: 0, imported: 3, rejected: 1, dropped: 0 });
    assert.deepEqual(
      files.map(({ name, state, deadLetters }: Record<string, string>) => [name, state, deadLetters]),
      [
        ['good.ndjson', 'done', undefined],
        ['bad.ndjson', 'done', 'bad.ndjson.dead-letters.ndjson'],
      ],
    );
    assert.deepEqual(files[1].reasons, { 'record: not JSON: unexpected character': 1 });
  });

  it('import --quiet prints the result alone', async () => {
    const { stdout, stderr } = await command(['import', '--quiet', 'good.ndjson']);
    assert.deepEqual([stderr, /2 events imported, none rejected\./.test(stdout)], ['', true]);
  });

  it('import --json --dry-run --print shows records on standard error', async () => {
    const args = ['import', '--json', '--dry-run', '--print', '1', 'good.ndjson'];
    const { stdout, stderr } = await command(args, { showsRecords: true });
    assert.equal(JSON.parse(stdout).total.imported, 2);
    assert.match(stderr, /good\.ndjson:1/);
  });

  it('status, backfill and replay print one document with --json', async () => {
    await site.imports.file('a.ndjson').save(`${eventText('id-4')}\n`, { resumable: false });
    const status = await command(['status', '--json', 'gs://imports/a.ndjson']);
    assert.deepEqual([status.code, JSON.parse(status.stdout).state], [1, 'not seen']);
    const missing = await command(['status', '--json', 'gs://imports/none']);
    assert.deepEqual([missing.code, JSON.parse(missing.stdout)], [1, { state: 'missing' }]);
    const backfill = await command(['backfill', '--json', '--dry-run', 'gs://imports']);
    const { dryRun, objects } = JSON.parse(backfill.stdout);
    assert.deepEqual([backfill.code, dryRun, objects.length, objects[0].object], [0, true, 1, 'a.ndjson']);
    await mkdir(join(site.folder, 'letters'));
    await writeFile(join(site.folder, 'letters/x.dead-letters.ndjson'), letterLine({}));
    const replay = await command(['replay', '--json', '--quiet', 'letters']);
    const { imported, rejected, filesDone, filesLeft } = JSON.parse(replay.stdout);
    assert.deepEqual([replay.code, replay.stderr, imported, rejected, filesDone, filesLeft], [0, '', 1, 0, 1, []]);
  });

  it('SIGTERM ends an import as Ctrl-C does: the request in flight is finished, and the document is printed', async () => {
    const before = site.mixpanel.received;
    const { code, stdout } = await command(['import', '--json', 'good.ndjson', 'bad.ndjson'], {
      onStart(child) {
        site.mixpanel.fault = () => {
          child.kill('SIGTERM');
          return { delayMs: 300 };
        };
      },
    });
    assert.equal(code, 130);
    const { files, notBegun } = JSON.parse(stdout);
    assert.deepEqual([files.length, files[0].imported, notBegun], [1, 2, ['bad.ndjson']]);
    assert.equal(site.mixpanel.received, before + 2);
  });

  it('import sets variables of --env-file that are not set', async () => {
    const { MIXPANEL_PROJECT_ID: _, ...env } = site.env;
    await writeFile(join(site.folder, 'mine.env'), 'MIXPANEL_PROJECT_ID=1\nMIXPANEL_API_URL=http://127.0.0.1:1\n');
    assert.equal((await command(['import', 'good.ndjson'], { env })).code, 2);
    const { code, stderr } = await command(['import', '--env-file', 'mine.env', 'good.ndjson'], { env });
    assert.equal(code, 0, stderr);
  });
});

describe('a command that gets nowhere', () => {
  it('ends with 1 and names the URL when nobody listens there', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const env = { ...site.env, MIXPANEL_API_URL: url };
    const { code, stdout, stderr } = await command(['import', 'good.ndjson', 'bad.ndjson'], { env });
    assert.equal(code, 1);
    assert.ok(
      stderr.includes(`\n${url} cannot be reached: the connection failed (ECONNREFUSED), at 3 tries. Check `),
      stderr,
    );
    assert.match(stdout, /^Not begun: bad\.ndjson$/m);
  });

  it('ends with 1 when a name does not resolve', async () => {
    const env = { ...site.env, MIXPANEL_API_URL: 'http://nobody.invalid' };
    const { code, stderr } = await command(['import', 'good.ndjson'], { env });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^http:\/\/nobody\.invalid cannot be reached: the connection failed \((ENOTFOUND|EAI_AGAIN)\)/m,
    );
  });

  for (const args of [
    ['import', 'good.ndjson'],
    ['replay', 'again.dead-letters.ndjson'],
  ]) {
    it(`${args[0]} ends with 1 when Mixpanel took nothing for as long as --give-up-after says`, async () => {
      await writeFile(join(site.folder, 'again.dead-letters.ndjson'), letterLine({}));
      site.mixpanel.fault = () => ({ status: 503 });
      const { code, stderr } = await command([...args, '--give-up-after', '1s']);
      assert.equal(code, 1);
      assert.match(stderr, /took nothing for 1\.\d s: it answered 503\. Check the network, /);
      assert.doesNotMatch(stderr, /^ +at /m);
    });
  }
});
