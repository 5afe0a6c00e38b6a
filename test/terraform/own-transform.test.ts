/** The example of a team's own repository type-checks and passes its test, with this package installed in it. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const repository = await mkdtemp(join(tmpdir(), 'mixpanel-team-'));

before(async () => {
  await cp(join(root, 'terraform/examples/own-transform'), repository, { recursive: true });
  await mkdir(join(repository, 'node_modules/@types'), { recursive: true });
  for (const name of ['typescript', '@typescript', '@types/node', 'undici-types']) {
    await symlink(join(root, 'node_modules', name), join(repository, 'node_modules', name));
  }
  await symlink(root, join(repository, 'node_modules/mixpanel-cloud-ingestion'));
});
after(() => rm(repository, { recursive: true }));

test('the transform of the example repository passes its test', () => run(process.execPath, '--test'));

test('the transform of the example repository type-checks, and one that is wrong does not', async () => {
  await tsc();
  const path = join(repository, 'transform.ts');
  const transform = await readFile(path, 'utf8');
  await writeFile(path, transform.replace('return undefined', 'return 7'));
  await assert.rejects(tsc(), /transform\.ts\(\d+,\d+\): error TS2322/);
});

function tsc(): Promise<void> {
  return run(process.execPath, join(root, 'node_modules/typescript/bin/tsc'));
}

/** Rejects with what it printed. */
async function run(command: string, ...args: string[]): Promise<void> {
  // The runner of these tests tells its children by a variable that another runner must not see.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  await promisify(execFile)(command, args, { cwd: repository, env }).catch((error) => {
    throw new Error(`${command} ${args.join(' ')}:\n${error.stdout}${error.stderr}`);
  });
}
