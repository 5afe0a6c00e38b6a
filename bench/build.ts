/** Prepares what is measured: the packages of the peer, and the functions and our contenders, compiled as for deployment. */

import { spawnSync } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { BENCH, BUILD, PROJECT } from './paths.ts';

/** Installs the packages of this folder where they are missing or older than their lock file. */
export function installPeers(): void {
  if (modifiedAt(`${BENCH}node_modules/.package-lock.json`) >= modifiedAt(`${BENCH}package-lock.json`)) return;
  process.stderr.write('Installing mixpanel-import, to measure it beside …\n');
  run('npm', ['ci', '--loglevel=error'], BENCH);
}

/** Compiles afresh. */
export function build(): void {
  rmSync(BUILD, { recursive: true, force: true });
  run(process.execPath, [`${PROJECT}node_modules/typescript/bin/tsc`, '-p', BENCH], PROJECT);
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}

function modifiedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
