import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { NAMES } from '../../local-cloud/cloud.ts';
import type { StorageRequest } from '../../local-cloud/storage/server.ts';
import { eventLines, eventText, MARKER } from '../support/event.ts';
import { assertNothingLeaked, startTestCloud, type TestCloud } from '../support/serving.ts';

const UNAVAILABLE = 14;
const GOOD = 20;
const DEADLY = JSON.stringify({ event: 'deadly', properties: { $insert_id: 'deadly', note: MARKER } });

describe('messages that end the process', () => {
  let cloud: TestCloud;
  before(async () => {
    cloud = await startTestCloud({
      source: new URL('../support/deadly-drain.ts', import.meta.url).pathname,
      ackDeadlineSeconds: 2,
    });
  });
  beforeEach(async () => {
    cloud.storage.fault = undefined;
    cloud.pubsub.fault = undefined;
    cloud.mixpanel.fault = undefined;
    await cloud.reset();
  });
  after(() => cloud?.close());
  const check = (name: string, body: () => Promise<void>) => test(name, { timeout: 60_000 }, body);

  check(
    'a message that ends the process becomes a dead letter after two processes, and all others arrive',
    async () => {
      refuseWhatIsNotThere();
      const good = eventLines(GOOD);
      await cloud.publish(...good.slice(0, 10), DEADLY, ...good.slice(10));
      const ends = await drainAll();
      assert.ok(ends <= 2, `${ends} processes ended`);
      assertArrived(GOOD);
      const letters = await cloud.deadLetters();
      assert.deepEqual(
        letters.map(({ reason, record }) => [reason, record]),
        [[{ field: 'record', message: 'the process ended while it handled this message alone' }, DEADLY]],
      );
      const errors = (await cloud.logged(1)).filter(({ severity }) => severity === 'ERROR');
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['message_ends_process'],
      );
      await assertNothingLeft();
      assertNothingLeaked(cloud.printed);
    },
  );

  check('a drain that ends in order leaves a registry without drains', async () => {
    await cloud.publish(...eventLines(3), 'no event');
    await cloud.drain();
    assert.deepEqual(await suspects(), ['drains.json']);
    await assertNothingLeft();
  });

  check('a drain that pulls nothing writes nothing', async () => {
    const requests: string[] = [];
    cloud.storage.fault = ({ kind }) => {
      requests.push(kind);
      return undefined;
    };
    await cloud.drain();
    assert.deepEqual(requests, []);
  });

  check('a drain continues, with one WARNING, if the state bucket refuses it', async () => {
    cloud.storage.fault = ({ object }) => (isSuspect(object) ? { status: 403 } : undefined);
    await cloud.publish(...eventLines(GOOD));
    await cloud.drain();
    assertArrived(GOOD);
    const warnings = (await cloud.logged(2)).filter(({ severity }) => severity === 'WARNING');
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['suspects_unreachable'],
    );
  });

  check('a message that another drain handles is nacked, and comes again', async () => {
    await beCareful({ other: inMs(3_000) });
    await cloud.publish(eventText('id-0'));
    await mark(lastMessageId(), 'other');
    await cloud.drain();
    assert.equal(cloud.mixpanel.events().length, 0);
    while ((await cloud.backlog()) > 0) await cloud.drain();
    // Nobody refreshed the other drain's entry, so that its process has ended.
    assert.equal((await cloud.deadLetters()).length, 1);
  });

  check('the marker of a drain that ended in order accuses nobody', async () => {
    await beCareful({});
    await cloud.publish(eventText('id-0'));
    await mark(lastMessageId(), 'other');
    await cloud.drain();
    assertArrived(1);
    assert.deepEqual(await cloud.deadLetters(), []);
    await assertNothingLeft();
  });

  check('a careful drain has one message in its hands at a time', async () => {
    await beCareful({});
    let most = 0;
    cloud.pubsub.on('deliver', () => {
      most = Math.max(most, cloud.pubsub.backlog(NAMES.eventSubscription).outstanding);
    });
    await cloud.publish(...eventLines(GOOD), 'no event');
    const begun = performance.now();
    await cloud.drain();
    const seconds = (performance.now() - begun) / 1_000;
    cloud.pubsub.removeAllListeners('deliver');
    assert.equal(most, 1);
    assertArrived(GOOD);
    assert.equal((await cloud.deadLetters()).length, 1);
    // One a second would be the time that a batch waits to be filled.
    assert.ok(seconds < GOOD / 2, `${seconds} s`);
    await assertNothingLeft();
  });

  for (const [moment, isMoment] of [
    ['after its first pull, before it is registered', ({ object }: Asked) => isSuspect(object ?? '')],
    ['while it sends', ({ service }: Asked) => service === 'mixpanel'],
    ['after it sent, before it acknowledges', ({ method }: Asked) => method === 'Acknowledge'],
  ] as const) {
    for (const isCareful of [false, true]) {
      check(`no message is lost if a ${isCareful ? 'careful ' : ''}drain is killed ${moment}`, async () => {
        if (isCareful) await beCareful({});
        await cloud.publish(...eventLines(GOOD));
        const ends = await drainAll(killAt(isMoment));
        assert.equal(ends, 1);
        const letters = await cloud.deadLetters();
        // Who kills a drain from outside accuses the message that it handles alone, and no other.
        assert.ok(letters.length <= (isCareful ? 1 : 0));
        const lettered = letters.map(({ record }) => JSON.parse(record as string).properties.$insert_id);
        assert.deepEqual(new Set([...arrived(), ...lettered]).size, GOOD);
      });
    }
  }

  check('every message arrives if no acknowledgement succeeds for a while', async () => {
    await beCareful({});
    const until = Date.now() + 4_000;
    cloud.pubsub.fault = ({ method }) =>
      method === 'Acknowledge' && Date.now() < until ? { code: UNAVAILABLE } : undefined;
    await cloud.publish(...eventLines(GOOD));
    await drainAll();
    assertArrived(GOOD);
    assert.deepEqual(await cloud.deadLetters(), []);
  });

  /** Drains until nothing is left; returns how many processes ended. */
  async function drainAll(killed?: Promise<unknown>): Promise<number> {
    let ends = 0;
    while ((await cloud.backlog()) > 0 && ends < 4) {
      try {
        await cloud.drain();
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        ends++;
        await (killed ?? cloud.drainSubscription.restart());
      }
    }
    return ends;
  }

  /** Kills the drain when it first asks for what is meant, which is not done, and serves it again. */
  function killAt(isMoment: (asked: Asked) => boolean): Promise<void> {
    const restarted = Promise.withResolvers<void>();
    let isOver = false;
    const kill = (asked: Asked) => {
      if (isOver || !isMoment(asked)) return false;
      isOver = true;
      cloud.drainSubscription.restart().then(restarted.resolve, restarted.reject);
      return true;
    };
    cloud.mixpanel.fault = () => (kill({ service: 'mixpanel' }) ? { destroy: 'before' } : undefined);
    cloud.storage.fault = ({ object }) => (kill({ service: 'storage', object }) ? { destroy: 'before' } : undefined);
    cloud.pubsub.fault = ({ method }) => (kill({ service: 'pubsub', method }) ? { code: UNAVAILABLE } : undefined);
    return restarted.promise;
  }

  /** Answers as Cloud Storage does to those who may not list a bucket. */
  function refuseWhatIsNotThere(): void {
    const there = new Set<string>();
    cloud.storage.on('finalize', ({ name }) => there.add(name));
    cloud.storage.fault = ({ kind, object }: StorageRequest) => {
      if (kind === 'delete') there.delete(object);
      const isRead = kind === 'read' || kind === 'metadata' || kind === 'list';
      return isRead && isSuspect(object) && !there.has(object) ? { status: 403 } : undefined;
    };
  }

  const state = () => cloud.storageClient.bucket(NAMES.stateBucket);
  const folder = `suspects/${NAMES.eventSubscription.split('/').at(-1)}`;
  const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

  async function beCareful(drains: Record<string, string>): Promise<void> {
    const registry = { drains, ended: {}, carefulUntil: inMs(30_000) };
    await state().file(`${folder}/drains.json`).save(JSON.stringify(registry), { resumable: false });
  }

  async function mark(messageId: string, drain: string): Promise<void> {
    const marker = JSON.stringify({ drain, since: inMs(0) });
    await state().file(`${folder}/${messageId}`).save(marker, { resumable: false });
  }

  async function suspects(): Promise<string[]> {
    const [files] = await state().getFiles({ prefix: 'suspects/' });
    return files.map(({ name }) => name.slice(folder.length + 1));
  }

  async function assertNothingLeft(): Promise<void> {
    assert.deepEqual(await suspects(), ['drains.json']);
    const [registry] = await state().file(`${folder}/drains.json`).download();
    assert.deepEqual(JSON.parse(registry.toString()).drains, {});
  }

  function assertArrived(count: number): void {
    assert.deepEqual(arrived().sort(), Array.from({ length: count }, (_, index) => `id-${index}`).sort());
  }

  /** The ids of what Mixpanel counts. */
  function arrived(): unknown[] {
    return cloud.mixpanel.events().map(({ properties }) => properties.$insert_id);
  }

  function lastMessageId(): string {
    return messageIds.at(-1)!;
  }
  const messageIds: string[] = [];
  before(() => cloud.pubsub.on('publish', ({ messageIds: ids }) => messageIds.push(...ids)));
});

/** What a drain asks of a service. */
interface Asked {
  service: string;
  object?: string;
  method?: string;
}

function isSuspect(object: string): boolean {
  return object.startsWith('suspects/');
}
