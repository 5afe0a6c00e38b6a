/** Starts the servers that others wrote, each in a process that ends with this one at the latest. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { freePort } from '../../local-cloud/served-function.ts';
import type { Tools } from './tools.ts';

/** A server that answers. */
export interface Server extends AsyncDisposable {
  /** `host:port` */
  readonly host: string;
}

/** Starts Google's Pub/Sub emulator (https://cloud.google.com/pubsub/docs/emulator). */
export async function startPubSubEmulator({ java, pubsubJar }: Tools): Promise<Server> {
  const port = await freePort();
  return startServer(port, {
    command: java,
    args: ['-Xmx512m', '-jar', pubsubJar, '--host=127.0.0.1', `--port=${port}`],
    ready: 'Server started',
  });
}

/**
 * Starts fake-gcs-server, with its objects in memory.
 *
 * @param notifications bucket whose new objects are told of, topic (`projects/P/topics/T`), and the Pub/Sub that has it
 */
export async function startFakeGcsServer(
  { fakeGcsServer }: Tools,
  { bucket, topic, pubsubHost }: { bucket: string; topic: string; pubsubHost: string },
): Promise<Server> {
  const port = await freePort();
  const [, project, , topicId] = topic.split('/') as [string, string, string, string];
  const options = {
    backend: 'memory',
    scheme: 'http',
    host: '127.0.0.1',
    port: String(port),
    'event.bucket': bucket,
    'event.list': 'finalize',
    'event.pubsub-project-id': project,
    'event.pubsub-topic': topicId,
  };
  return startServer(port, {
    command: fakeGcsServer,
    args: Object.entries(options).map(([name, value]) => `-${name}=${value}`),
    env: { PUBSUB_EMULATOR_HOST: pubsubHost },
    ready: 'server started',
  });
}

/** Starts a server, and waits until it prints that it is `ready`. */
export async function startServer(
  port: number,
  { command, args, env, ready }: { command: string; args: string[]; env?: NodeJS.ProcessEnv; ready: string },
): Promise<Server> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'close').finally(() => process.off('exit', kill));
  const printed: string[] = [];
  const started = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      printed.push(line);
      if (printed.length > 100) printed.shift();
      if (line.includes(ready)) started.resolve();
    });
  }
  ended.then(
    () => started.reject(new Error(`${command} ended before it answered:\n${printed.join('\n')}`)),
    started.reject,
  );
  await started.promise;
  return {
    host: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      kill();
      await ended;
    },
  };
}
