/** What the summary line of an invocation says. */

import { ImportError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { LoggedError, type Logger, loggedError } from './log.ts';

/** What a run did, besides its counts. */
export function statsOf(run: Run) {
  const { batches, attempts, throttled, bytes } = run.stats;
  return { batches, attempts, throttled, bytes, durationMs: Math.round(run.clock.now() - run.startedAt) };
}

/** The code by which an error is found in logs and checkpoints. */
export function codeOf(error: unknown): string {
  return error instanceof ImportError ? error.code : 'unexpected';
}

/** Logs one ERROR, with its code, that an invocation failed; returns what to throw, so that the delivery is refused. */
export function failure(logger: Logger, summary: object, error: unknown, message: string): Error {
  if (error instanceof LoggedError) return error;
  if (error instanceof ImportError) {
    const fields = { ...summary, code: error.code, status: error.status, error: error.message };
    return loggedError(logger, 'error', fields, message);
  }
  const { name, message: text, stack } = error instanceof Error ? error : new Error(String(error));
  return loggedError(logger, 'error', { ...summary, code: codeOf(error), error: `${name}: ${text}`, stack }, message);
}
