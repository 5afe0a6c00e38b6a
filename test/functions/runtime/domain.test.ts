import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type ServedFunction, serveFunction } from '../../../local-cloud/served-function.ts';

const source = new URL('./domain.served.ts', import.meta.url).pathname;

describe('a function that has left its domain', { timeout: 20_000 }, () => {
  let served: ServedFunction;
  let lines: string[];

  beforeEach(async () => {
    lines = [];
    const env = { METADATA_SERVER_DETECTION: 'none' };
    served = await serveFunction({ target: 'importObject', source, env, onLine: (line) => lines.push(line) });
  });

  afterEach(() => served.stop('SIGKILL'));

  test('a function that has left its domain is outside of it, also after an await, in every invocation', async () => {
    for (let invocation = 0; invocation < 3; invocation++) {
      const answers = await Promise.all([1, 2].map(() => fetch(served.url).then((response) => response.json())));
      for (const answer of answers) assert.deepEqual(answer, { before: true, after: false, later: false });
    }
  });

  test('an exception that nobody awaits ends the process, so that the message is delivered again', async () => {
    const status = await fetch(`${served.url}/throw`).then(
      (response) => response.status,
      () => 'broken off',
    );
    assert.ok(status === 500 || status === 'broken off', `the answer is ${status}`);
    await assert.rejects(fetch(served.url));
    await served.stop('SIGKILL');
    assert.ok(lines.includes('Uncaught exception'), lines.join('\n'));
  });
});
