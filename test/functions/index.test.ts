import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VERSION } from '../../functions/version.ts';
import { serveFunction } from '../../local-cloud/served-function.ts';
import { MARKER } from '../support/event.ts';
import { assertNothingLeaked } from '../support/serving.ts';

const VALID = {
  METADATA_SERVER_DETECTION: 'none',
  MIXPANEL_PROJECT_TOKEN: MARKER,
  STATE_BUCKET: 'state',
  OBJECT_TOPIC: 'projects/p/topics/t',
  EVENT_SUBSCRIPTION: 'projects/p/subscriptions/s',
};

describe('the environment of a function', () => {
  const rows = [
    {
      target: 'importObject',
      env: { MIXPANEL_REGION: 'mars-7', OBJECT_TOPIC: 'topic-7', STATE_BUCKET: '' },
      names: [
        'MIXPANEL_REGION must be one of us, eu, in',
        'STATE_BUCKET must be',
        'OBJECT_TOPIC must be projects/P/topics/T',
      ],
    },
    {
      target: 'drainSubscription',
      env: { IMPORT_GZIP_LEVEL: '17', EVENT_SUBSCRIPTION: '', MIXPANEL_PROJECT_TOKEN: '' },
      names: [
        'MIXPANEL_PROJECT_TOKEN',
        'IMPORT_GZIP_LEVEL must be a whole number from 1 to 9',
        'EVENT_SUBSCRIPTION must be',
      ],
    },
  ] as const;
  for (const { target, env, names } of rows) {
    test(`${target} does not start if its environment is wrong, and one line names every faulty variable and no value`, {
      timeout: 20_000,
    }, async () => {
      const lines: string[] = [];
      const served = serveFunction({ target, env: { ...VALID, ...env }, onLine: (line) => lines.push(line) });
      await assert.rejects(served, /ended before it answered/);
      assert.equal(lines.length, 1);
      const { timestamp: _, ...entry } = JSON.parse(lines[0]!);
      const { severity, code, message } = entry;
      assert.deepEqual([severity, code], ['ERROR', 'configuration']);
      for (const name of names) assert.ok(message.includes(name), `${name} in ${message}`);
      assert.doesNotMatch(JSON.stringify(entry), /mars-7|topic-7|17/);
      assertNothingLeaked(lines);
    });
  }

  test('drainSubscription starts without the variables that only importObject needs', { timeout: 20_000 }, async () => {
    const { OBJECT_TOPIC: _, ...env } = VALID;
    const lines: string[] = [];
    const served = await serveFunction({ target: 'drainSubscription', env, onLine: (line) => lines.push(line) });
    await served.stop();
    const { severity, version, function: target, message } = JSON.parse(lines[0]!);
    assert.deepEqual(
      { severity, version, target, message },
      { severity: 'INFO', version: VERSION, target: 'drainSubscription', message: 'function started' },
    );
  });
});
