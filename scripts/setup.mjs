// Installs the packages where they are missing or older than the lock file, so that every command works on a fresh
// clone. It is the one script that an old Node runs: the packages bring the Node that the rest runs on.

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [major] = process.versions.node.split('.').map(Number);

if (major < 20) {
  console.error(`Node ${process.versions.node} is too old to install the packages with: Node 20 or newer is needed.`);
  process.exit(1);
}
if (modifiedAt('node_modules/.package-lock.json') < modifiedAt('package-lock.json')) {
  console.error('Installing packages, as they are missing or out of date …');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // `npm run import --dry-run FILE` tells npm itself to do nothing; the packages are needed all the same.
  const { npm_config_dry_run: _, ...env } = process.env;
  const { status } = spawnSync(npm, ['ci', '--include=dev', '--loglevel=error'], {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** When a file of the project was changed, in milliseconds; 0 where there is none. */
function modifiedAt(path) {
  return statSync(`${root}/${path}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
