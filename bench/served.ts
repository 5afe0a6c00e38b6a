/** Serves a function as it is deployed: compiled, under the functions framework, in a process of its own. */

import { request } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { NODE_OPTIONS } from '../local-cloud/served-function.ts';
import { BUILD } from './paths.ts';
import { startMeasured, type Usage } from './processes.ts';
import { NAMES } from './servers/names.ts';
import type { Stage } from './stage.ts';

const framework = join(dirname(createRequire(import.meta.url).resolve('@google-cloud/functions-framework')), 'main.js');

/** A function that is being served. */
export interface Served {
  url: string;
  /** Its last lines. */
  printed: readonly string[];
  startedAt: number;
  /** Ends it, and tells what it used. */
  stop(): Promise<Usage>;
}

/** Environment of the functions and of the core. */
export function functionEnv({ mixpanelUrl, google }: Stage): Record<string, string> {
  return {
    METADATA_SERVER_DETECTION: 'none',
    MIXPANEL_API_URL: mixpanelUrl,
    MIXPANEL_PROJECT_ID: '1',
    MIXPANEL_SERVICE_ACCOUNT_USERNAME: 'bench',
    MIXPANEL_SERVICE_ACCOUNT_SECRET: 'bench',
    STORAGE_API_ENDPOINT: google.storageUrl,
    PUBSUB_EMULATOR_HOST: google.pubsubHost,
    STATE_BUCKET: 'bench-state',
    OBJECT_TOPIC: NAMES.objectTopic,
    EVENT_SUBSCRIPTION: NAMES.subscription,
  };
}

/**
 * Serves a function, and waits until it listens.
 *
 * @param source the module that registers it; default: ours
 */
export async function serve(
  target: string,
  stage: Stage,
  {
    env = {},
    profileFolder,
    source = `${BUILD}functions/runtime/main.mjs`,
  }: { env?: Record<string, string> | undefined; profileFolder?: string | undefined; source?: string },
): Promise<Served> {
  const port = await freePort();
  const listening = Promise.withResolvers<void>();
  const { child, printed, usage, startedAt } = startMeasured({
    command: process.execPath,
    args: [framework, `--target=${target}`, `--source=${source}`, `--port=${port}`],
    env: { ...functionEnv(stage), ...env },
    nodeOptions: NODE_OPTIONS,
    profileFolder,
    onLine(line) {
      if (line.startsWith('URL: ')) listening.resolve();
    },
  });
  const endedEarly = usage.then(() => Promise.reject(new Error(`${target} ended:\n${printed.join('\n')}`)));
  endedEarly.catch(() => {});
  await Promise.race([listening.promise, endedEarly]);
  return {
    url: `http://127.0.0.1:${port}/`,
    printed,
    startedAt,
    stop() {
      child.kill();
      return usage;
    },
  };
}

/** Delivers to importObject that an object was finalized, or what does not concern it where no object is given. */
export function postObject(url: string, object?: { name: string; generation: string }): Promise<number> {
  const type = object === undefined ? 'com.example.other' : 'google.cloud.storage.object.v1.finalized';
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '//storage.googleapis.com', 'ce-type': type };
  return post(url, JSON.stringify({ bucket: NAMES.bucket, ...object }), headers);
}

/** Posts and resolves with the status, however long that takes: fetch would give up after five minutes. */
export function post(url: string, body = '', headers: Record<string, string> = {}): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  request(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers } }, (response) => {
    response
      .resume()
      .on('end', () => resolve(response.statusCode!))
      .on('error', reject);
  })
    .on('error', reject)
    .end(body);
  return promise;
}

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as { port: number };
    server.close(() => resolve(port));
  });
  return promise;
}
