/** Serves one of the functions with the functions framework, in a process of its own, as it is deployed. */

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOOPBACK } from './guard.ts';

const framework = join(dirname(createRequire(import.meta.url).resolve('@google-cloud/functions-framework')), 'main.js');
const sources = new URL('../functions/runtime/main.mts', import.meta.url).pathname;
/** Loaded before the framework; what is deployed does not have it. */
const loopback = new URL('loopback.ts', import.meta.url).href;
/** How long a function that cannot be started is left alone before it is tried again. */
const RESTART_DELAY_MS = 1_000;

/** What is served, and how. */
export interface ServedFunctionOptions {
  target: 'importObject' | 'drainSubscription';
  /** Environment of the process; it gets no other variables than these and PATH. */
  env: Record<string, string>;
  /** Receives every line that the process prints. */
  onLine: (line: string) => void;
  /** Default: a free one. */
  port?: number | undefined;
  /** The module that registers the functions; default: the sources as they are. */
  source?: string | undefined;
  /** Whether it is served again when its process ends by itself; default: false. */
  isKept?: boolean | undefined;
}

/** A function that is being served. */
export interface ServedFunction {
  readonly url: string;
  /** Process id; another one after each restart. */
  readonly pid: number;
  /** Whether the process is there. */
  readonly isUp: boolean;
  /** Sends a signal to the process; resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Ends the process, by default at once, and serves the function again at the same address. */
  restart(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * Starts a function and waits until it answers.
 *
 * @throws when the process ends before; the message holds what it printed
 */
export async function serveFunction(options: ServedFunctionOptions): Promise<ServedFunction> {
  const port = options.port ?? (await freePort());
  let instance = await startInstance(options, port);
  /** Whether it is we who end the process. */
  let isStopped = false;
  const stop = async (signal: NodeJS.Signals) => {
    isStopped = true;
    instance.child.kill(signal);
    await instance.ended;
  };
  const keep = async () => {
    await instance.ended;
    while (!isStopped) {
      const started = await startInstance(options, port).catch(() => sleep(RESTART_DELAY_MS));
      if (started === undefined) continue;
      if (isStopped) return void started.child.kill('SIGKILL');
      instance = started;
      await instance.ended;
    }
  };
  if (options.isKept) void keep();
  return {
    url: `http://${LOOPBACK}:${port}`,
    get pid() {
      return instance.child.pid!;
    },
    get isUp() {
      return instance.child.exitCode === null && instance.child.signalCode === null;
    },
    stop: (signal = 'SIGTERM') => stop(signal),
    async restart(signal = 'SIGKILL') {
      await stop(signal);
      instance = await startInstance(options, port);
      isStopped = false;
      if (options.isKept) void keep();
    },
  };
}

/** Options of Node with which the functions are deployed (terraform/functions.tf says why), and `npm run import` is started. */
export const NODE_OPTIONS = '--max-semi-space-size=1';

/** Starts a process and waits until it answers. */
async function startInstance({ target, source = sources, env, onLine }: ServedFunctionOptions, port: number) {
  const args = [`--import=${loopback}`, framework, `--target=${target}`, `--source=${source}`, `--port=${port}`];
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, NODE_OPTIONS, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: string[] = [];
  const ready = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      printed.push(line);
      if (printed.length > 100) printed.shift();
      if (line.startsWith('URL: ')) ready.resolve();
      onLine(line);
    });
  }
  // However this process ends, the function does not outlive it.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'close').then(() => {
    process.off('exit', kill);
  });
  const endedEarly = ended.then(() => {
    throw new Error(`${target} ended before it answered:\n${printed.join('\n')}`);
  });
  endedEarly.catch(() => {});
  await Promise.race([ready.promise, endedEarly]);
  return { child, ended };
}

/** Ports below those that systems give to outgoing connections, any of which could take a free one in the meantime. */
const [MIN_PORT, MAX_PORT] = [10_000, 32_000] as const;

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(MIN_PORT, MAX_PORT);
    const server = createServer().listen(port, LOOPBACK);
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
