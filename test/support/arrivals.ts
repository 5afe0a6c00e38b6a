/** Counts, taken at the servers, of what the functions were given: what arrived, what was put aside, what still waits. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Checkpoint, parseCheckpoint } from '../../functions/storage/checkpoint.ts';
import { NAMES } from '../../local-cloud/cloud.ts';
import { eventText } from './event.ts';
import { assertNothingLeaked, type LogLine, type TestCloud } from './serving.ts';

/** Lines in which all are valid except one that is not an event and one that Mixpanel refuses. */
export interface Given {
  lines: string[];
  /** The `$insert_id`s of the valid events. */
  ids: string[];
  /** The two others, as they are. */
  bad: string[];
}

/**
 * @param prefix begins the ids
 * @param events how many are valid
 * @param bytes  how large each is, at least
 */
export function givenLines(prefix: string, events: number, bytes: number): Given {
  const text = 'x'.repeat(bytes);
  const ids = Array.from({ length: events }, (_, index) => `${prefix}-${index}`);
  const lines = ids.map((id) => eventText(id, { text }));
  const bad = [JSON.stringify({ 'no event': prefix }), eventText(`${prefix}-refused`, { time: 'never' })];
  lines.splice(events >> 1, 0, bad[0]!);
  lines.splice((events >> 1) + 40, 0, bad[1]!);
  return { lines, ids, bad };
}

/** Fails unless every valid event arrived, once after deduplication, and the others are dead letters, once by their source. */
export async function assertArrived(cloud: TestCloud, { ids, bad }: Given): Promise<void> {
  assert.deepEqual(
    ids.filter((id) => cloud.mixpanel.count(id) === 0),
    [],
    'every event arrives',
  );
  assert.equal(cloud.mixpanel.events().length, ids.length, 'exactly once after deduplication');
  const bySource = new Map((await cloud.deadLetters()).map(({ source, record }) => [JSON.stringify(source), record]));
  assert.deepEqual([...bySource.values()].sort(), [...bad].sort(), 'what cannot arrive is a dead letter');
  assertNothingLeaked(cloud.printed);
}

/** Waits until no notification waits any more; what the deliveries were answered meanwhile. */
export async function deliveredAll(cloud: TestCloud): Promise<number[]> {
  const statuses: number[] = [];
  do {
    const [{ status }] = await once(cloud.pubsub, 'push');
    statuses.push(status);
  } while ((await cloud.backlog(NAMES.objectSubscription)) > 0);
  return statuses;
}

/** The checkpoint of the one generation that an object had. */
export async function checkpointOf(cloud: TestCloud, object: string): Promise<Checkpoint> {
  const bucket = cloud.storageClient.bucket(NAMES.stateBucket);
  const [files] = await bucket.getFiles({ prefix: `checkpoints/${NAMES.importBucket}/${object}/` });
  assert.equal(files.length, 1);
  const checkpoint = parseCheckpoint(String(await files[0]!.download()));
  assert.ok(typeof checkpoint === 'object', String(checkpoint));
  return checkpoint;
}

/** Fails unless the checkpoint says that all of the object is done, with these accounts. */
export async function assertDone(cloud: TestCloud, object: string, { lines, ids, bad }: Given): Promise<void> {
  const { state, leaseExpiresAt, counts } = await checkpointOf(cloud, object);
  assert.deepEqual(
    { state, leaseExpiresAt, counts },
    {
      state: 'done',
      leaseExpiresAt: null,
      counts: { read: lines.length, expanded: 0, imported: ids.length, rejected: bad.length, dropped: 0 },
    },
  );
}

/** The structured lines that were printed. */
export function structured(cloud: TestCloud): LogLine[] {
  const logged = cloud.printed.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  return logged.filter(({ message }) => message !== 'function started');
}

/** The codes of the ERRORs that were logged. */
export function errorCodes(cloud: TestCloud): unknown[] {
  return structured(cloud)
    .filter(({ severity }) => severity === 'ERROR')
    .map(({ code }) => code);
}
