/** Cloud Storage and Pub/Sub of the benchmark: the local ones, in a process of their own. */

import { openAsBlob, readdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { PubSub } from '@google-cloud/pubsub';
import { startPubSub } from '../../local-cloud/pubsub/server.ts';
import { startStorage } from '../../local-cloud/storage/server.ts';
import { WORK } from '../paths.ts';
import { NAMES } from './names.ts';

/** Where the functions find them. */
export interface GoogleAddresses {
  storageUrl: string;
  pubsubHost: string;
}

/** What the process does when it is asked; arguments and results are JSON. */
const methods = { newStateBucket, upload, publish, backlog };

/** What the process can be asked. */
export type GoogleMethods = typeof methods;

const folder = `${WORK}storage`;
removeStateBuckets();
const storage = await startStorage({ folder });
const pubsub = await startPubSub();
storage.createBucket(NAMES.bucket);
const client = new PubSub({ projectId: 'bench', apiEndpoint: pubsub.host, emulatorMode: true });
await client.createTopic(NAMES.objectTopic);
await client.createTopic(NAMES.topic);
await client.createSubscription(NAMES.topic, NAMES.subscription, { ackDeadlineSeconds: 600 });

process.on(
  'message',
  async ({ id, method, argument }: { id: number; method: keyof GoogleMethods; argument: never }) => {
    try {
      process.send!({ id, result: await methods[method](argument) });
    } catch (error) {
      process.send!({ id, error: String(error) });
    }
  },
);
process.on('disconnect', () => process.exit());
process.send!({ storageUrl: storage.url, pubsubHost: pubsub.host } satisfies GoogleAddresses);

/** A bucket without any checkpoint, so that what was imported before is imported again. */
function newStateBucket(): string {
  const name = `bench-state-${Date.now()}`;
  storage.createBucket(name);
  return name;
}

/** Uploads a file unless it was before; returns its generation. */
async function upload({ path, name }: { path: string; name: string }): Promise<string> {
  const found = await fetch(`${storage.url}/storage/v1/b/${NAMES.bucket}/o/${encodeURIComponent(name)}`);
  const body = await openAsBlob(path);
  const known = (await found.json()) as { generation: string; size: string };
  if (found.ok && Number(known.size) === body.size) return known.generation;
  const query = new URLSearchParams({ uploadType: 'media', name });
  const response = await fetch(`${storage.url}/upload/storage/v1/b/${NAMES.bucket}/o?${query}`, {
    method: 'POST',
    body,
  });
  if (!response.ok) throw new Error(`the upload was answered ${response.status}`);
  return ((await response.json()) as { generation: string }).generation;
}

/** Publishes the first `events` lines of a file, one a message. */
async function publish({ path, events }: { path: string; events: number }): Promise<null> {
  await using file = await open(path);
  let left = events;
  for await (const line of file.readLines()) {
    if (left-- === 0) break;
    pubsub.publish(NAMES.topic, { data: line });
  }
  return null;
}

/** Messages that are not acknowledged. */
function backlog(): number {
  const { waiting, outstanding } = pubsub.backlog(NAMES.subscription);
  return waiting + outstanding;
}

function removeStateBuckets(): void {
  rmSync(`${folder}/staging`, { recursive: true, force: true });
  try {
    for (const name of readdirSync(`${folder}/buckets`)) {
      if (name.startsWith('bench-state-')) rmSync(`${folder}/buckets/${name}`, { recursive: true });
    }
  } catch {
    // There is none before the first run.
  }
}
