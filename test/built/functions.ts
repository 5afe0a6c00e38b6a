/** Calls each function once, as `npm run build` compiled it and the functions framework serves it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventText } from '../support/event.ts';
import { assertNothingLeaked, startTestCloud } from '../support/serving.ts';

test('the built functions import an object and a message', { timeout: 30_000 }, async () => {
  // The folder of the package: its `main` is what is deployed.
  const cloud = await startTestCloud({ source: fileURLToPath(new URL('../..', import.meta.url)) });
  try {
    assert.equal(await cloud.upload('a.ndjson', `${eventText('id-1')}\n`), 204);
    assert.equal(cloud.mixpanel.count('id-1'), 1);
    cloud.publish(eventText('id-2'));
    assert.equal((await cloud.drain()).status, 200);
    assert.equal(cloud.mixpanel.count('id-2'), 1);
    assertNothingLeaked(cloud.printed);
  } finally {
    await cloud.close();
  }
});
