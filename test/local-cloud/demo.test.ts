import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the demo prints what happens, delivers every event and exits with 0', { timeout: 60_000 }, async () => {
  const demo = spawn(process.execPath, [fileURLToPath(new URL('../../local-cloud/demo.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errors, [code]] = await Promise.all([text(demo.stdout), text(demo.stderr), once(demo, 'close')]);
  assert.equal(errors, '');
  // The content of the events, and the credentials of the local Mixpanel.
  assert.doesNotMatch(output, /sensor-\d|celsius|distinct_id|local-secret|this is no JSON/);
  assert.match(output, /mixpanel +answered 200 to a batch of 1005 events/);
  assert.match(output, /line 7: record: not JSON: it ends in the middle/);
  assert.match(output, /dead letters +gs:\/\/local-mixpanel-state\/dead-letters\/objects\//);
  assert.match(
    output,
    /Every event arrived: 1025 different events are in Mixpanel, 10 came twice and count once, 3 dead letters/,
  );
  assert.equal(code, 0);
});
