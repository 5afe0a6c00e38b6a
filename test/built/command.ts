/** Packs the package, and runs its command in an empty folder, with nothing of the clone at hand. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { VERSION } from '../../functions/version.ts';
import { startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { startStorage } from '../../local-cloud/storage/server.ts';
import { eventText } from '../support/event.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Bytes that a package may have, packed. */
const MAX_PACKED = 400_000;
const scratch = await mkdtemp(join(tmpdir(), 'mixpanel-packed-'));
const folder = join(scratch, 'empty');
const installed = join(folder, 'node_modules/mixpanel-cloud-ingestion');
let packed: string;
let files: { path: string }[];

before(
  async () => {
    await mkdir(folder);
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], root);
    const [pack] = JSON.parse(stdout.slice(stdout.indexOf('[')));
    packed = join(scratch, pack.filename);
    files = pack.files;
    await writeFile(join(folder, 'events.ndjson'), `${eventText('id-1')}\n`);
    await installPacked();
  },
  { timeout: 300_000 },
);
after(() => rm(scratch, { recursive: true }));

test('the packed command has what was built and nothing of the tests, and is small', async () => {
  const others = files.map(({ path }) => path).filter((path) => !/^(dist\/|functions\/core\/event\.ts$)/.test(path));
  assert.deepEqual(others.sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
  assert.ok((await stat(packed)).size < MAX_PACKED);
});

test('the packed command checks a file in an empty folder', async () => {
  const { stdout } = await command(['import', '--dry-run', 'events.ndjson']);
  assert.match(stdout, /^Nothing was sent: 1 event would be imported, none rejected\.$/m);
  assert.equal((await command(['--version'])).stdout, `${VERSION}\n`);
});

test('the packed command checks a file under Node 22', { timeout: 120_000 }, async () => {
  const args = ['exec', '--yes', '--prefer-offline', '--package', 'node@22', '--'];
  const names = [join(installed, 'dist/cli/main.js'), 'import', '--dry-run', 'events.ndjson'];
  const { stdout } = await run('npm', [...args, 'node', ...names], folder);
  assert.match(stdout, /^Nothing was sent: 1 event would be imported, none rejected\.$/m);
  const version = await run('npm', [...args, 'node', '--version'], folder);
  assert.match(version.stdout, /^v22\./);
});

for (const name of ['import', 'status', 'dead-letters', 'replay', 'backfill']) {
  test(`the packed ${name} explains itself with examples that name the installed command`, async () => {
    const { stdout } = await command([name, '--help']);
    assert.ok(stdout.includes(`\n\nExamples\n  `) && stdout.includes(`mixpanel-cloud-ingestion ${name} `), stdout);
    assert.doesNotMatch(stdout, /npm run (import|status|dead-letters|replay|backfill)/);
  });
}

test('the packed command reads from Cloud Storage', async (context) => {
  const storage = await startStorage({ folder: join(scratch, 'storage') });
  context.after(() => storage.close());
  storage.createBucket('letters');
  const { stdout } = await command(['dead-letters', '--json', 'gs://letters'], { STORAGE_API_ENDPOINT: storage.url });
  assert.equal(JSON.parse(stdout).letters, 0);
});

test('the packed library imports as docs/integrations.md shows, and has types', {
  timeout: 60_000,
}, async (context) => {
  const mixpanel = await startMixpanel();
  context.after(() => mixpanel.close());
  const page = await readFile(join(root, 'docs/integrations.md'), 'utf8');
  const [, example = ''] = /```js\n(.*?)```/s.exec(page) ?? [];
  await writeFile(join(folder, 'example.mts'), example);
  const env = { MIXPANEL_API_URL: mixpanel.url, MIXPANEL_PROJECT_TOKEN: 'token' };
  const { stdout } = await run(process.execPath, ['example.mts'], folder, env);
  assert.match(stdout, /^1 imported\nrecord 1: properties\.time: /);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const strict = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
  const types = ['--typeRoots', join(root, 'node_modules/@types'), '--skipLibCheck'];
  await run(process.execPath, [tsc, ...strict, ...types, 'example.mts'], folder);
  await writeFile(join(folder, 'wrong.mts'), example.replace('importRecords(orders())', 'importRecords(7)'));
  await assert.rejects(run(process.execPath, [tsc, ...strict, ...types, 'wrong.mts'], folder), (error) => {
    assert.match((error as { stdout: string }).stdout, /wrong\.mts.*TS2345/);
    return true;
  });
});

/** Installs as npm does, but with the packages of the clone in place of a download. */
async function installPacked(): Promise<void> {
  await run('tar', ['-xzf', packed, '-C', scratch], folder);
  await mkdir(join(folder, 'node_modules/.bin'), { recursive: true });
  await rename(join(scratch, 'package'), installed);
  await symlink(join(root, 'node_modules'), join(installed, 'node_modules'));
  const { bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const [[name, target]] = Object.entries<string>(bin) as [[string, string]];
  await chmod(join(installed, target), 0o755);
  await symlink(join(installed, target), join(folder, 'node_modules/.bin', name));
}

function command(args: string[], env: Record<string, string> = {}) {
  return run(join(folder, 'node_modules/.bin/mixpanel-cloud-ingestion'), args, folder, env);
}

/** Without what a surrounding `npm run` tells its children; rejects with what was printed. */
function run(file: string, args: string[], cwd: string, env: Record<string, string> = {}) {
  const { PATH = '', HOME = '' } = process.env;
  const registry = Object.entries(process.env).filter(([name]) =>
    /^npm_config_(registry|cache|userconfig)$/.test(name),
  );
  // The Node that runs this test, and none that is linked in the clone.
  const path = [dirname(process.execPath), PATH].join(delimiter);
  return promisify(execFile)(file, args, {
    cwd,
    env: { PATH: path, HOME, METADATA_SERVER_DETECTION: 'none', ...Object.fromEntries(registry), ...env },
    timeout: 100_000,
  });
}
