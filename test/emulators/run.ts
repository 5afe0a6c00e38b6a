/** `npm run test:emulators`: the tests of both functions once more, between servers that others wrote. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { NAMES } from '../../local-cloud/cloud.ts';
import { testDrainSubscription } from '../functions/drain-subscription.cases.ts';
import { testImportObject } from '../functions/import-object.cases.ts';
import { assertNothingLeaked, type CloudUnderTest, eventJson } from '../support/serving.ts';
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

describe("an object, from its upload to fake-gcs-server to the ack that Google's Pub/Sub emulator gets", () => {
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

  test('goes on in continuations when time runs out, until every event arrived, and leaves no notification behind', {
    timeout: 60_000,
  }, async () => {
    cloud.mixpanel.fault = () => ({ delayMs: 300 });
    // Large enough that a batch is about a block: the checkpoint moves from block to block.
    const event = (id: number) => `${eventJson(id, { text: 'x'.repeat(20_000) })}\n`;
    const content = Array.from({ length: EVENTS }, (_, id) => event(id)).join('');
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

  test('stays in its subscription while it is refused, and leaves it once it is imported', {
    timeout: 60_000,
  }, async () => {
    await cloud.reset();
    cloud.mixpanel.fault = () => ({ status: 401 });
    assert.equal(await cloud.upload('refused', `${eventJson('refused')}\n`), 500);
    assert.equal(await cloud.backlog(NAMES.objectSubscription), 1);
    cloud.mixpanel.fault = undefined;
    await cloud.loggedUntil('object imported');
    assert.equal(cloud.mixpanel.count('id-refused'), 1);
    await untilAcknowledged();
    assertNothingLeaked(cloud.printed);
  });

  /** The answer to a push follows the function's last line a moment later. */
  async function untilAcknowledged(): Promise<void> {
    while ((await cloud.backlog(NAMES.objectSubscription)) > 0) await setTimeout(100);
  }
});
