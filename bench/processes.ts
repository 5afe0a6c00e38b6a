/** Starts processes: servers that answer calls, and contenders that tell at their end what they used. */

import { type ChildProcess, fork, type StdioOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { BENCH, WORK } from './paths.ts';

/** A server in a process of its own. */
export interface ServerProcess<Hello> {
  /** What it said when it was ready. */
  hello: Hello;
  /** Calls a method of it. */
  call<Result>(method: string, argument?: unknown): Promise<Result>;
  stop(): Promise<void>;
}

/** What a whole process used. */
export interface Usage {
  cpuSeconds: number;
  peakMemoryBytes: number;
}

/** A contender under way. */
export interface MeasuredProcess {
  readonly child: ChildProcess;
  /** Its last lines. */
  readonly printed: string[];
  /** Resolves with what it used, when it has ended; rejects when it did not end well. */
  readonly usage: Promise<Usage>;
  /** By {@link performance.now}. */
  readonly startedAt: number;
}

/** How a contender is started. */
export interface StartOptions {
  command: string;
  args: readonly string[];
  /** Options of Node. */
  nodeOptions?: string;
  /** It gets no other variables than these and PATH. */
  env?: Record<string, string>;
  onLine?: (line: string) => void;
  /** Where Node writes a profile of it. */
  profileFolder?: string | undefined;
}

/** Starts a server, and waits until it is ready. */
export async function startServer<Hello>(file: string): Promise<ServerProcess<Hello>> {
  const env = { ...process.env, METADATA_SERVER_DETECTION: 'none' };
  const child = fork(`${BENCH}servers/${file}`, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env });
  const calls = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  const ended = once(child, 'exit').then(() => {
    for (const { reject } of calls.values()) reject(new Error(`${file} ended`));
  });
  const [hello] = (await Promise.race([
    once(child, 'message'),
    ended.then(() => Promise.reject(new Error(`${file} ended before it was ready`))),
  ])) as [Hello];
  child.on('message', ({ id, result, error }: { id: number; result: never; error?: string }) => {
    if (error === undefined) calls.get(id)?.resolve(result);
    else calls.get(id)?.reject(new Error(`${file}: ${error}`));
    calls.delete(id);
  });
  return {
    hello,
    call(method, argument) {
      const id = ++lastId;
      const { promise, resolve, reject } = Promise.withResolvers<never>();
      calls.set(id, { resolve, reject });
      child.send({ id, method, argument });
      return promise;
    },
    async stop() {
      child.disconnect();
      await ended;
    },
  };
}

/** What contenders are started by, if anything. */
let starter: string[] = [];

/**
 * Leaves the first core to the contenders: this process, and the servers that it will start, move to the others.
 *
 * @throws where that cannot be done
 */
export function reserveCore(): void {
  const others = `1-${availableParallelism() - 1}`;
  const moved = spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', others, String(process.pid)]);
  if (moved.status !== 0) throw new Error('--one-core needs two cores, Linux and its command taskset');
  starter = ['taskset', '--cpu-list', '0'];
}

let started = 0;

/** Starts a contender whose usage is measured from outside its code. */
export function startMeasured({
  command,
  args,
  env = {},
  nodeOptions = '',
  onLine,
  profileFolder,
}: StartOptions): MeasuredProcess {
  mkdirSync(`${WORK}usage`, { recursive: true });
  const usageFile = `${WORK}usage/${process.pid}-${++started}.json`;
  const preload = `--import=${pathToFileURL(`${BENCH}usage.mjs`)}`;
  const profile = profileFolder === undefined ? '' : ` --cpu-prof --cpu-prof-dir=${profileFolder}`;
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
  const startedAt = performance.now();
  const [file, ...rest] = [...starter, command, ...args] as [string, ...string[]];
  const child = spawn(file, rest, {
    env: {
      PATH: process.env.PATH,
      NODE_OPTIONS: `${preload}${profile} ${nodeOptions}`,
      BENCH_USAGE: usageFile,
      ...env,
    },
    stdio,
  });
  const printed: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n').filter((line) => line !== '')) {
        printed.push(line);
        if (printed.length > 30) printed.shift();
        onLine?.(line);
      }
    });
  }
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const usage = once(child, 'close').then(([code]) => {
    process.off('exit', kill);
    if (code !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${code}:\n${printed.join('\n')}`);
    const used: Usage = JSON.parse(readFileSync(usageFile, 'utf8'));
    rmSync(usageFile);
    return used;
  });
  usage.catch(() => {});
  return { child, printed, usage, startedAt };
}
