/** Requests that Mixpanel refuses as a whole, from end to end: is it an event, or the project? */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { FaultHook } from '../../local-cloud/mixpanel/server.ts';
import { assertDone, deliveredAll, errorCodes, structured } from '../support/arrivals.ts';
import { eventLines, eventText, ndjson } from '../support/event.ts';
import { assertNothingLeaked, save, startTestCloud, type TestCloud } from '../support/serving.ts';

const REFUSAL = { code: 400, error: 'some data points in the request failed', status: 'Bad Request' };
const refuse = { status: 400, body: JSON.stringify(REFUSAL) };
const refusePoison: FaultHook = ({ body }) => (body.includes('poison') ? refuse : undefined);
/** 2015-01-01T00:00:00Z */
const LONG_AGO = 1_420_070_400;

describe('requests that are refused as a whole', () => {
  let cloud: TestCloud;

  before(async () => {
    cloud = await startTestCloud();
  });
  beforeEach(() => cloud.reset());
  after(() => cloud?.close());

  test('one poison event on a quiet topic is a dead letter after the first drain, without an ERROR', async () => {
    cloud.mixpanel.fault = refusePoison;
    await cloud.publish(eventText('poison'));
    const { status, body } = await cloud.drain();
    assert.equal(status, 200);
    assert.equal((body as { rejected: number }).rejected, 1);
    assert.equal(await cloud.backlog(), 0);
    const [letter, ...others] = await cloud.deadLetters();
    assert.deepEqual(letter!.reason, { field: 'event', message: REFUSAL.error });
    assert.equal(letter!.record, eventText('poison'));
    assert.deepEqual(others, []);
    assert.deepEqual(errorCodes(cloud), []);
    assert.equal(cloud.mixpanel.requests.length, 2, 'the event and the probe');
  });

  test('one poison event that is all of an object is a dead letter after the first delivery, without an ERROR', async () => {
    cloud.mixpanel.fault = refusePoison;
    assert.equal(await cloud.upload('poison', ndjson([eventText('poison')])), 204);
    assert.deepEqual(
      (await cloud.deadLetters()).map(({ record }) => record),
      [eventText('poison')],
    );
    assert.deepEqual(errorCodes(cloud), []);
  });

  test('a wrong project dead-letters nothing of many old files and messages, however often they are tried; once it is right all arrive', {
    timeout: 60_000,
  }, async () => {
    const [files, events, tries] = [6, 4_001, 3];
    cloud.mixpanel.fault = () => refuse;
    const linesOf = (name: string) => eventLines(events, name, { time: LONG_AGO });
    const names = Array.from({ length: files }, (_, index) => `old-${index}`);
    const refusals = new Map<string, number>();
    const pushes = cloud.pubsub.on('push', ({ messageId }) =>
      refusals.set(messageId, (refusals.get(messageId) ?? 0) + 1),
    );
    for (const name of names) await save(cloud.storageClient, name, ndjson(linesOf(name)));
    await cloud.publish(...linesOf('message').slice(0, 3_000));
    for (let drains = 0; drains < tries; drains++) assert.equal((await cloud.drain()).status, 500);
    while (refusals.size < files || Math.min(...refusals.values()) < tries) await once(pushes, 'push');

    assert.deepEqual(await cloud.deadLetters(), []);
    assert.deepEqual([...new Set(errorCodes(cloud))], ['request_refused']);
    const [error] = structured(cloud).filter(({ severity }) => severity === 'ERROR');
    assert.match(String(error!.error), /check MIXPANEL_PROJECT_ID, MIXPANEL_REGION and MIXPANEL_API_URL/);
    const runs = tries + [...refusals.values()].reduce((sum, count) => sum + count, 0);
    const { length } = cloud.mixpanel.requests;
    assert.ok(length <= 5 * runs, `${length} requests in ${runs} invocations`);

    const delivered = deliveredAll(cloud);
    cloud.mixpanel.fault = undefined;
    await delivered;
    while ((await cloud.backlog()) > 0) await cloud.drain();
    for (const name of names) {
      const lines = linesOf(name);
      await assertDone(cloud, name, { lines, ids: lines, bad: [] });
    }
    assert.equal(cloud.mixpanel.events().length, files * events + 3_000);
    assert.deepEqual(await cloud.deadLetters(), []);
    assertNothingLeaked(cloud.printed);
  });
});

describe('a project with simplified ID merge', () => {
  let cloud: TestCloud;
  const advice = /simplified identity management: leave out \$identify, \$create_alias and \$merge, by .* transform; /;
  const identityEvents = ['$identify', '$create_alias', '$merge'].map((event) =>
    JSON.stringify({ ...JSON.parse(eventText(`id-of-${event.slice(1)}`)), event }),
  );

  before(async () => {
    cloud = await startTestCloud({ mixpanel: { simplified: true } });
  });
  beforeEach(() => cloud.reset());
  after(() => cloud?.close());

  /** Fails unless the identity events are dead letters with advice, and so many others arrived, once each. */
  async function assertSorted(others: number): Promise<void> {
    const letters = await cloud.deadLetters();
    assert.deepEqual(letters.map(({ record }) => record).sort(), [...identityEvents].sort());
    for (const { reason } of letters) {
      assert.equal((reason as { field: string }).field, 'event');
      assert.match((reason as { message: string }).message, advice);
    }
    assert.equal(cloud.mixpanel.events().length, others);
    assert.equal(cloud.mixpanel.duplicates, 0);
    assert.deepEqual(errorCodes(cloud), []);
    assertNothingLeaked(cloud.printed);
  }

  /** Events with the identity events among them. */
  function mixed(count: number): string[] {
    const lines = eventLines(count);
    for (const [index, event] of identityEvents.entries()) lines.splice(700 * (index + 1), 0, event);
    return lines;
  }

  test('imports every other event of an object once; identity events are dead letters that say what to do', async () => {
    assert.equal(await cloud.upload('mixed', ndjson(mixed(5_000))), 204);
    await assertSorted(5_000);
  });

  test('imports every other message once; identity events are dead letters that say what to do', async () => {
    await cloud.publish(...mixed(3_000));
    while ((await cloud.backlog()) > 0) assert.equal((await cloud.drain()).status, 200);
    await assertSorted(3_000);
  });

  test('makes dead letters of identity events that are all that there is', async () => {
    await cloud.publish(...identityEvents);
    assert.equal((await cloud.drain()).status, 200);
    await assertSorted(0);
  });
});
