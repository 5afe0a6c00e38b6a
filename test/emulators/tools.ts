/** Finds the servers that others wrote, or says all that is missing for them; what can be built is built. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** https://github.com/fsouza/fake-gcs-server */
const STORAGE_SERVER = 'github.com/fsouza/fake-gcs-server@v1.56.1';
const CACHE = fileURLToPath(new URL('../../.local/cache/fake-gcs-server-1.56.1/', import.meta.url));

/** Where the servers are. */
export interface Tools {
  /** A Java runtime, and Google's Pub/Sub emulator for it. */
  java: string;
  pubsubJar: string;
  fakeGcsServer: string;
}

/**
 * Finds them: Java, the Google Cloud SDK's component `pubsub-emulator`, and fake-gcs-server, on the path or in the cache
 * folder, into which it is built the first time.
 *
 * @throws when something is missing; the message says what, and how to get it
 */
export async function findTools(): Promise<Tools> {
  const java = onPath('java');
  const pubsubJar = findPubSubJar();
  const go = onPath('go');
  const fakeGcsServer = onPath('fake-gcs-server') ?? ifExists(join(CACHE, 'fake-gcs-server'));
  const missing = [
    java ? '' : 'Java: install a runtime, so that `java` is on the path (Debian: default-jre-headless)',
    pubsubJar
      ? ''
      : "Google's Pub/Sub emulator: install the Google Cloud SDK, so that `gcloud` is on the path, and its component " +
        '`gcloud components install pubsub-emulator` (packaged: google-cloud-cli-pubsub-emulator)',
    fakeGcsServer || go ? '' : `fake-gcs-server: install Go, by which it is built, or \`go install ${STORAGE_SERVER}\``,
  ].filter(Boolean);
  if (missing.length > 0) {
    throw new Error(`The tests against emulators need what is not on this machine:\n- ${missing.join('\n- ')}`);
  }
  return { java: java!, pubsubJar: pubsubJar!, fakeGcsServer: fakeGcsServer ?? (await buildStorageServer(go!)) };
}

/** The SDK has it in a folder beside that of `gcloud`, which may be a link to it. */
function findPubSubJar(): string | undefined {
  const gcloud = onPath('gcloud');
  if (gcloud === undefined) return undefined;
  const folder = ifExists(join(realpathSync(gcloud), '../../platform/pubsub-emulator/lib'));
  const jar = folder && readdirSync(folder).find((name) => /^cloud-pubsub-emulator-.*\.jar$/.test(name));
  return jar && join(folder, jar);
}

async function buildStorageServer(go: string): Promise<string> {
  console.error(`Building ${STORAGE_SERVER}, once; this takes a minute or two …`);
  const child = spawn(go, ['install', STORAGE_SERVER], {
    env: { ...process.env, GOBIN: CACHE, GOFLAGS: '' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`fake-gcs-server could not be built: go install ended with ${code}`);
  return join(CACHE, 'fake-gcs-server');
}

function onPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).find(existsSync);
}

function ifExists(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}
