/** What the summary line of an invocation says. */

import { ImportError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { LoggedError, type Logger, loggedError } from './log.ts';

/** The fields that tell what a run did, besides its accounts. */
export function workOf(run: Run) {
  const { batches, attempts, throttled, bytes } = run.stats;
  return { batches, attempts, throttled, bytes, durationMs: Math.round(run.clock.now() - run.startedAt) };
}

/** Logs one ERROR, with its code, that an invocation failed; returns what to throw, so that the delivery is refused. */
export function failure(logger: Logger, summary: object, error: unknown, message: string): Error {
  if (error instanceof LoggedError) return error;
  if (error instanceof ImportError) {
    const fields = { ...summary, code: error.code, status: error.status, error: error.message };
    return loggedError(logger, 'error', fields, message);
  }
  const { name, message: text, stack } = error instanceof Error ? error : new Error(String(error));
  return loggedError(logger, 'error', { ...summary, code: 'unexpected', error: `${name}: ${text}`, stack }, message);
}
