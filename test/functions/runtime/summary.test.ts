import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ImportError } from '../../../functions/core/errors.ts';
import { type Clock, startRun } from '../../../functions/core/run.ts';
import { createLogger, loggedError } from '../../../functions/runtime/log.ts';
import { codeOf, failure, statsOf } from '../../../functions/runtime/summary.ts';

const logger = createLogger({ write: () => assert.fail('it is the framework that writes the line') });
const summary = { bucket: 'b', read: 3 };

/** The fields of the line that the framework prints. */
function fieldsOf(error: Error): Record<string, unknown> {
  assert.ok(!error.stack!.includes('\n'), 'one line');
  const { timestamp: _, ...fields } = JSON.parse(error.stack!);
  return fields;
}

test('a summary says what the run did, and how long it took', () => {
  let now = 1_000.4;
  const clock: Clock = { now: () => now, random: () => 0, sleep: () => new Promise(() => {}) };
  const run = startRun(undefined, clock);
  Object.assign(run.stats, { batches: 1, attempts: 2, throttled: 3, bytes: 4, accepted: 5 });
  now += 1_234.5;
  assert.deepEqual(statsOf(run), { batches: 1, attempts: 2, throttled: 3, bytes: 4, durationMs: 1_235 });
});

test('the code of an error is that of an ImportError, and says of any other that it is unexpected', () => {
  assert.equal(codeOf(new ImportError('lease_lost', 'x')), 'lease_lost');
  for (const thrown of [new RangeError('x'), Object.assign(new Error('x'), { code: 503 }), 'text', undefined]) {
    assert.equal(codeOf(thrown), 'unexpected');
  }
});

describe('a failure', () => {
  test('a failure is one ERROR with the code, the status and the text of an ImportError, and without a stack trace', () => {
    const cause = new ImportError('credentials_refused', 'check the secret', { status: 401, attempts: 2 });
    const error = failure(logger, summary, cause, 'object failed');
    assert.equal(error.message, 'object failed');
    assert.deepEqual(fieldsOf(error), {
      severity: 'ERROR',
      message: 'object failed',
      bucket: 'b',
      read: 3,
      code: 'credentials_refused',
      status: 401,
      error: 'check the secret',
    });
  });

  test('a failure has no status if there was no answer', () => {
    const error = failure(logger, summary, new ImportError('checksum_mismatch', 'x'), 'object failed');
    assert.ok(!('status' in fieldsOf(error)));
  });

  test('a failure that nobody expected has a code too, and its stack', () => {
    const cause = new RangeError('too far');
    const { stack, ...fields } = fieldsOf(failure(logger, summary, cause, 'object failed'));
    assert.equal(stack, cause.stack);
    assert.deepEqual(fields, {
      severity: 'ERROR',
      message: 'object failed',
      bucket: 'b',
      read: 3,
      code: 'unexpected',
      error: 'RangeError: too far',
    });
  });

  test('a failure can be any value that was thrown', () => {
    for (const thrown of ['text', undefined, null, 5]) {
      assert.equal(fieldsOf(failure(logger, summary, thrown, 'object failed')).error, `Error: ${thrown}`);
    }
  });

  test('a failure that is a log line already remains as it is', () => {
    const logged = loggedError(logger, 'info', { reason: 'lease' }, 'object refused');
    assert.equal(failure(logger, summary, logged, 'object failed'), logged);
    assert.equal(fieldsOf(logged).message, 'object refused');
  });
});
