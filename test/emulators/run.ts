/** `npm run test:emulators`: the tests of both functions once more, between servers that others wrote. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { NAMES } from '../../local-cloud/cloud.ts';
import { testDrainSubscription } from '../functions/drain-subscription.cases.ts';
import { testImportObject } from '../functions/import-object.cases.ts';
import { eventLines, eventText, ndjson } from '../support/event.ts';
import { assertNothingLeaked, type CloudUnderTest } from '../support/serving.ts';
import { startEmulatedCloud } from './cloud.ts';
import { findTools } from './tools.ts';

// Whatever ends this process ends those that it started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

const tools = await findTools();

describe("importObject, between fake-gcs-server and Google's Pub/Sub emulator", () => {
  testImportObject((env) => startEmulatedCloud(tools, env));
});

describe("drainSubscription, between fake-gcs-server and Google's Pub/Sub emulator", () => {
  testDrainSubscription((env) => startEmulatedCloud(tools, env));
});

describe("an object, from its upload to fake-gcs-server to its ack at Google's Pub/Sub emulator", () => {
  const EVENTS = 1_200;
  let cloud: CloudUnderTest;

  before(async () => {
    cloud = await startEmulatedCloud(tools, {
      IMPORT_DEADLINE_SECONDS: '1',
      IMPORT_MAX_BATCH_EVENTS: '50',
      IMPORT_MAX_CONCURRENCY: '2',
    });
  });
  after(() => cloud?.close());

  test('an import continues after each deadline until every event has arrived, and all notifications are acknowledged', {
    timeout: 60_000,
  }, async () => {
    cloud.mixpanel.fault = () => ({ delayMs: 300 });
    // Large enough that a batch is about a block: the checkpoint moves from block to block.
    const content = ndjson(eventLines(EVENTS, 'id', { text: 'x'.repeat(20_000) }));
    assert.equal(await cloud.upload('large', content), 204);
    const found = (await cloud.loggedUntil('object imported')) as { message: string; imported?: number }[];
    assert.ok(found.length >= 3, `several invocations: ${JSON.stringify(found)}`);
    assert.deepEqual([...new Set(found.slice(0, -1).map(({ message }) => message))], ['object continued']);
    assert.equal(
      found.reduce((total, { imported = 0 }) => total + imported, 0),
      EVENTS,
    );
    assert.equal(cloud.mixpanel.events().length, EVENTS);
    await untilAcknowledged();
    assertNothingLeaked(cloud.printed);
  });

  test('a notification stays in its subscription while it is refused, and is acknowledged when the object is imported', {
    timeout: 60_000,
  }, async () => {
    await cloud.reset();
    cloud.mixpanel.fault = () => ({ status: 401 });
    assert.equal(await cloud.upload('refused', `${eventText('refused')}\n`), 500);
    assert.equal(await cloud.backlog(NAMES.objectSubscription), 1);
    cloud.mixpanel.fault = undefined;
    await cloud.loggedUntil('object imported');
    assert.equal(cloud.mixpanel.count('refused'), 1);
    await untilAcknowledged();
    assertNothingLeaked(cloud.printed);
  });

  /** The answer to a push follows the function's last line a moment later. */
  async function untilAcknowledged(): Promise<void> {
    while ((await cloud.backlog(NAMES.objectSubscription)) > 0) await setTimeout(100);
  }
});
