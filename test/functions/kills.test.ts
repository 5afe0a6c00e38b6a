import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { NAMES } from '../../local-cloud/cloud.ts';
import { eventLines, ndjson } from '../support/event.ts';
import { assertNothingLeaked, startTestCloud, type TestCloud } from '../support/serving.ts';

/** Moments at which a function is killed: at the operation of that number that it asks of Mixpanel, Cloud Storage or Pub/Sub. */
const MOMENTS = [1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 17, 19, 21, 23];
const EVENTS = 200;
const BATCH = 10;

describe('a function that is killed', () => {
  let cloud: TestCloud;
  before(async () => {
    cloud = await startTestCloud({
      ackDeadlineSeconds: 2,
      env: { IMPORT_LEASE_SECONDS: '2', IMPORT_MAX_BATCH_EVENTS: String(BATCH), IMPORT_MAX_CONCURRENCY: '2' },
    });
  });
  after(() => cloud.close());

  for (const moment of MOMENTS) {
    test(`every event of an object arrives exactly once if importObject is killed at operation ${moment}`, {
      timeout: 60_000,
    }, async () => {
      await cloud.reset();
      const name = `killed-at-${moment}`;
      const content = ndjson([...eventLines(EVENTS, `${moment}`), 'no event']);
      const killed = killAt('importObject', moment);
      await cloud.storageClient.bucket(NAMES.importBucket).file(name).save(content, { resumable: false });
      await killed;
      await nothingWaits(NAMES.objectSubscription);
      await assertArrived();
    });

    test(`every event of the messages arrives exactly once if drainSubscription is killed at operation ${moment}`, {
      timeout: 60_000,
    }, async () => {
      await cloud.reset();
      const killed = killAt('drainSubscription', moment);
      cloud.publish(...eventLines(EVENTS, `${moment}`), 'no event');
      await assert.rejects(cloud.drain(), TypeError);
      await killed;
      while (backlog(NAMES.eventSubscription) > 0) await cloud.drain();
      await assertArrived();
    });
  }

  function backlog(subscription: string): number {
    const { waiting, outstanding } = cloud.pubsub.backlog(subscription);
    return waiting + outstanding;
  }

  async function nothingWaits(subscription: string): Promise<void> {
    while (backlog(subscription) > 0) await once(cloud.pubsub, 'push');
  }

  /** Kills a function and starts it again when it asks for the operation of that number, which is carried out all the same. */
  function killAt(target: 'importObject' | 'drainSubscription', moment: number): Promise<void> {
    const restarted = Promise.withResolvers<void>();
    let operations = 0;
    const count = () => {
      if (++operations === moment) cloud[target].restart().then(restarted.resolve, restarted.reject);
      return undefined;
    };
    cloud.mixpanel.fault = count;
    cloud.storage.fault = ({ bucket, kind }) =>
      bucket === NAMES.importBucket && kind === 'upload' ? undefined : count();
    cloud.pubsub.fault = ({ method }) => (method === 'Publish' ? undefined : count());
    return restarted.promise.finally(() => {
      cloud.mixpanel.fault = undefined;
      cloud.storage.fault = undefined;
      cloud.pubsub.fault = undefined;
    });
  }

  async function assertArrived(): Promise<void> {
    assert.equal(cloud.mixpanel.events().length, EVENTS);
    const places = (await cloud.deadLetters()).map(({ source, record }) => [JSON.stringify(source), record]);
    assert.deepEqual([...new Map(places as [string, string][]).values()], ['no event'], 'one rejection, by its source');
    assertNothingLeaked(cloud.printed);
  }
});
