/** For the tests of the operators' commands: a Cloud Storage and a Mixpanel, and the commands as processes. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bucket } from '@google-cloud/storage';
import { createStorage } from '../../functions/storage/client.ts';
import { type MixpanelServer, startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { type StorageServer, startStorage } from '../../local-cloud/storage/server.ts';
import { eventText, MARKER } from './event.ts';

process.env.METADATA_SERVER_DETECTION = 'none';

/** Where the commands are run. */
export interface Site {
  folder: string;
  mixpanel: MixpanelServer;
  storage: StorageServer;
  /** The buckets `state`, `letters` and `imports`. */
  state: Bucket;
  letters: Bucket;
  imports: Bucket;
  /** Environment of the commands. */
  env: Record<string, string>;
  close(): Promise<void>;
}

/** Starts both servers, with a folder for files. */
export async function startSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-operate-'));
  const stored = await mkdtemp(join(tmpdir(), 'mixpanel-storage-'));
  const mixpanel = await startMixpanel({
    serviceAccount: { projectId: '1', username: 'user', secret: `secret-${MARKER}` },
  });
  const storage = await startStorage({ folder: stored });
  for (const name of ['state', 'letters', 'imports']) storage.createBucket(name);
  const client = createStorage(storage.url);
  return {
    folder,
    mixpanel,
    storage,
    state: client.bucket('state'),
    letters: client.bucket('letters'),
    imports: client.bucket('imports'),
    env: {
      STORAGE_API_ENDPOINT: storage.url,
      STATE_BUCKET: 'state',
      MIXPANEL_API_URL: mixpanel.url,
      MIXPANEL_PROJECT_ID: '1',
      MIXPANEL_SERVICE_ACCOUNT_USERNAME: 'user',
      MIXPANEL_SERVICE_ACCOUNT_SECRET: `secret-${MARKER}`,
      IMPORT_RETRY_MIN_DELAY_MS: '5',
    },
    async close() {
      await Promise.all([mixpanel.close(), storage.close()]);
      await Promise.all([folder, stored].map((path) => rm(path, { recursive: true })));
    },
  };
}

/** What a command printed, and its exit code; null if it was killed. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** How a command is run. */
export interface CommandOptions {
  env: Record<string, string>;
  cwd: string;
  onStart?: (child: ChildProcess) => void;
  /** Body of a function that takes the place of `functions/transform.ts`; it is called with `record` and `context`. */
  transform?: string;
  /** Whether it can print records. */
  showsRecords?: boolean;
}

/** Runs `cli/NAME.ts` to its end. */
export async function runCommand(name: string, args: string[], options: CommandOptions): Promise<Ended> {
  const command = new URL(`../../cli/${name}.ts`, import.meta.url).pathname;
  const child = spawn(process.execPath, [...withTransform(options.transform), command, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH, METADATA_SERVER_DETECTION: 'none', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  options.onStart?.(child);
  const [code] = await once(child, 'close');
  if (options.showsRecords !== true) assert.ok(!`${stdout}${stderr}`.includes(MARKER), `printed: ${stdout}${stderr}`);
  return { code, stdout, stderr };
}

/** Options of Node with which a transform takes the place of `functions/transform.ts`. */
function withTransform(body: string | undefined): string[] {
  if (body === undefined) return [];
  const url = `data:text/javascript,${encodeURIComponent(`export default (record, context) => { ${body} };`)}`;
  const hooks = `import { registerHooks } from 'node:module';
    registerHooks({ resolve: (specifier, context, next) => specifier.endsWith('/functions/transform.ts')
      ? { url: ${JSON.stringify(url)}, shortCircuit: true } : next(specifier, context) });`;
  return ['--import', `data:text/javascript,${encodeURIComponent(hooks)}`];
}

/** A line as the functions write it. */
export function letterLine(letter: Record<string, unknown> & { record?: string }): string {
  const preset = {
    reason: { field: 'properties.time', message: 'must not lie ahead' },
    source: { bucket: 'imports', object: 'a.ndjson', generation: '1', line: 1, offset: 0 },
    insertId: 'id-1',
    rejectedAt: '2026-11-23T10:00:00.000Z',
    record: recordJson(1),
  };
  return `${JSON.stringify({ ...preset, ...letter })}\n`;
}

/** A record without `$insert_id` that Mixpanel takes, unless `properties` say otherwise. */
export function recordJson(number: number, properties: object = {}): string {
  return eventText(undefined, { distinct_id: `${MARKER}-${number}`, ...properties });
}

/** `source` of the record on that line of gs://imports/a.ndjson. */
export function sourceAt(line: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { bucket: 'imports', object: 'a.ndjson', generation: '1', line, offset: 100 * (line - 1), ...more };
}

/** All objects under the prefix, by name. */
export async function contentsOf(bucket: Bucket, prefix: string): Promise<Record<string, string>> {
  const [files] = await bucket.getFiles({ prefix });
  const entries = files.map(async (file) => [file.name, (await file.download())[0].toString()] as const);
  return Object.fromEntries(await Promise.all(entries));
}
