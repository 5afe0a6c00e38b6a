/**
 * Builds the archive that Terraform deploys as Cloud Build does, in a folder of its own, and serves both functions from
 * what comes out (https://github.com/GoogleCloudPlatform/buildpacks, the Node.js buildpacks).
 */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, glob, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PubSub } from '@google-cloud/pubsub';
import { createStorage } from '../../functions/storage/client.ts';
import { createTopology, NAMES } from '../../local-cloud/cloud.ts';
import { startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { startPubSub } from '../../local-cloud/pubsub/server.ts';
import { freePort } from '../../local-cloud/served-function.ts';
import { startStorage } from '../../local-cloud/storage/server.ts';
import { eventText } from '../support/event.ts';
import { assertNothingLeaked, FUNCTION_ENV, SERVICE_ACCOUNT, save } from '../support/serving.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const scratch = await mkdtemp(join(tmpdir(), 'mixpanel-package-'));
const folder = join(scratch, 'archive');
const built = (...path: string[]) => join(folder, ...path);

before(
  async () => {
    for (const file of await archivedFiles()) await cp(join(root, file), built(file));
    await npm('development', 'ci', '--quiet');
    await npm('development', 'run', 'gcp-build');
    await npm('production', 'prune', '--production');
  },
  { timeout: 600_000 },
);
after(() => rm(scratch, { recursive: true }));

test('the prune removes the Node package that would come first on the path', () => {
  assert.ok(existsSync(built('node_modules/.bin/functions-framework')), 'the link that the path is for is there');
  assert.ok(!existsSync(built('node_modules/node')), 'the package `node` is gone');
  assert.ok(!existsSync(built('node_modules/.bin/node')), 'its link is gone');
});

test('the deployed package has no packages that only development needs', async () => {
  const lock = JSON.parse(await readFile(built('package-lock.json'), 'utf8'));
  const packages = Object.entries<{ dev?: boolean }>(lock.packages);
  const development = packages.filter(([path, { dev }]) => dev === true && path.startsWith('node_modules/'));
  assert.ok(development.length > 10, 'there are such packages');
  assert.deepEqual(
    development.map(([path]) => path).filter((path) => existsSync(built(path))),
    [],
  );
});

test('the deployed package has no client of Amazon, and no source refers to one', async () => {
  const packages = glob('node_modules/{@aws,@aws-sdk,@smithy}/*/package.json', { cwd: folder });
  assert.deepEqual(await Array.fromAsync(packages), []);
  for await (const file of glob('dist/**/*.{js,mjs}', { cwd: folder })) {
    assert.doesNotMatch(await readFile(built(file), 'utf8'), /@aws-sdk/, file);
  }
});

test('the deployed functions import an object and a message', { timeout: 60_000 }, async (context) => {
  // No client looks for credentials or a metadata server here.
  process.env.METADATA_SERVER_DETECTION = 'none';
  const printed: string[] = [];
  const mixpanel = await startMixpanel({ serviceAccount: SERVICE_ACCOUNT });
  context.after(() => mixpanel.close());
  const storage = await startStorage({ folder: join(scratch, 'storage') });
  context.after(() => storage.close());
  const pubsub = await startPubSub();
  context.after(() => pubsub.close());
  const client = new PubSub({ projectId: NAMES.project, apiEndpoint: pubsub.host, emulatorMode: true });
  context.after(() => client.close());
  const env = {
    ...FUNCTION_ENV,
    METADATA_SERVER_DETECTION: 'none',
    MIXPANEL_API_URL: mixpanel.url,
    STORAGE_API_ENDPOINT: storage.url,
    PUBSUB_EMULATOR_HOST: pubsub.host,
    STATE_BUCKET: NAMES.stateBucket,
    OBJECT_TOPIC: NAMES.objectTopic,
    EVENT_SUBSCRIPTION: NAMES.eventSubscription,
  };
  const [importObject, drainSubscription] = await Promise.all(
    ['importObject', 'drainSubscription'].map((target) => serve({ ...env, FUNCTION_TARGET: target }, printed)),
  );
  context.after(() => Promise.all([importObject!.stop(), drainSubscription!.stop()]));
  for (const bucket of [NAMES.importBucket, NAMES.stateBucket]) storage.createBucket(bucket);
  await createTopology(client, importObject!.url, {});

  const finalized = once(storage, 'finalize');
  await save(createStorage(storage.url), 'a.ndjson', `${eventText('id-1')}\n`);
  const [{ bucket, name, generation }] = await finalized;
  const pushed = once(pubsub, 'push');
  pubsub.publish(NAMES.objectTopic, {
    data: JSON.stringify({ bucket, name, generation }),
    attributes: { eventType: 'OBJECT_FINALIZE' },
  });
  assert.equal((await pushed)[0].status, 204);
  assert.equal(mixpanel.count('id-1'), 1);

  pubsub.publish(NAMES.eventTopic, { data: eventText('id-2') });
  assert.equal((await fetch(drainSubscription!.url, { method: 'POST' })).status, 200);
  assert.equal(mixpanel.count('id-2'), 1);
  assertNothingLeaked(printed);
});

/** The files that Terraform puts into the archive. */
async function archivedFiles(): Promise<string[]> {
  const module = await readFile(join(root, 'terraform/archive.tf'), 'utf8');
  const [, named = '[]', pattern = ''] =
    /concat\((\[.*?\]), tolist\(fileset\(local\.root, "(.*?)"\)/s.exec(module) ?? [];
  // The package and its lock are written anew by Terraform, with less in them: its own tests build that.
  const names: string[] = [...JSON.parse(named), 'package.json', 'package-lock.json'];
  const sources = await Array.fromAsync(glob(pattern, { cwd: root }));
  assert.ok(names.includes('tsconfig.json') && sources.includes('functions/runtime/main.mts'), 'the list was found');
  return [...names, ...sources];
}

/** Runs npm in the folder as a build does: without what a surrounding `npm run` tells its children. */
async function npm(nodeEnv: string, ...args: string[]): Promise<void> {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_|INIT_CWD$|NODE_(ENV|OPTIONS|TEST_CONTEXT)$)/.test(name) ||
      /^npm_config_(registry|cache|userconfig)$/.test(name),
  );
  await promisify(execFile)('npm', args, {
    cwd: folder,
    env: { ...Object.fromEntries(kept), NODE_ENV: nodeEnv },
    maxBuffer: 100_000_000,
  });
}

/** Serves a function from the folder, as its container does; resolves when it answers. */
async function serve(env: Record<string, string>, printed: string[]) {
  const port = await freePort();
  const child = spawn(process.execPath, [built('node_modules/.bin/functions-framework')], {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // However this process ends, the function does not outlive it.
  process.once('exit', () => child.kill('SIGKILL'));
  const ended = once(child, 'close');
  const ready = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      printed.push(line);
      if (line.startsWith('URL: ')) ready.resolve();
    });
  }
  await Promise.race([ready.promise, ended.then(() => assert.fail(`it ended early:\n${printed.join('\n')}`))]);
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill();
      await ended;
    },
  };
}
