/** The ports of `npm run dev`: always the same ones, so that a command in another terminal finds what it needs. */

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { LOOPBACK } from './guard.ts';

/** Characters of a command that are shown. */
const MAX_COMMAND_LENGTH = 100;

/** Ports by what listens there; 0 for any that is free. */
export type Ports = Record<'view' | 'mixpanel' | 'storage' | 'pubsub' | 'importObject' | 'drainSubscription', number>;

/** Consecutive ports from the first one on; of 0 all are free ones. */
export function portsFrom(first: number): Ports {
  const port = (offset: number) => (first === 0 ? 0 : first + offset);
  return {
    view: port(0),
    mixpanel: port(1),
    storage: port(2),
    pubsub: port(3),
    importObject: port(4),
    drainSubscription: port(5),
  };
}

/** What is wrong with these ports: a line for each that is in use, with the process that uses it if that can be told. */
export async function portProblems(ports: Ports): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, port] of Object.entries(ports)) {
    if (await isFree(port)) continue;
    const holder = (await holderOnLinux(port)) ?? (await holderByLsof(port)) ?? 'another process';
    problems.push(`port ${port} (${name}) is in use by ${holder}`);
  }
  return problems;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, LOOPBACK);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** The process that has the listening socket (https://man7.org/linux/man-pages/man5/proc_pid_net.5.html). */
async function holderOnLinux(port: number): Promise<string | undefined> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = tables.flatMap((table) => table.split('\n')).map((line) => line.trim().split(/\s+/));
  const inodes = rows.filter((row) => row[1]?.endsWith(suffix) && row[3] === '0A').map((row) => `socket:[${row[9]}]`);
  if (inodes.length === 0) return undefined;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // Another user's processes cannot be looked into, and a process can end meanwhile.
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      if (!inodes.includes(target)) continue;
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').join(' ').trim();
      return `process ${pid}: ${command.slice(0, MAX_COMMAND_LENGTH)}`;
    }
  }
  return undefined;
}

/** Elsewhere, where lsof is part of the system. */
async function holderByLsof(port: number): Promise<string | undefined> {
  const printed = await new Promise<string>((resolve) => {
    execFile('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'], (_, stdout) => resolve(stdout));
  });
  const [, pid, command] = /^p(\d+)\nc(.+)$/m.exec(printed) ?? [];
  return pid === undefined ? undefined : `process ${pid}: ${command}`;
}
