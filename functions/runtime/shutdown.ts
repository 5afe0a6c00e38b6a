/** Winds runs down when the instance is told to end: Cloud Run sends SIGTERM and leaves 10 s (https://cloud.google.com/run/docs/container-contract). */

import type { Run } from '../core/run.ts';

/** How long requests in flight may take once the signal has come, in milliseconds. */
const GRACE_MS = 5_000;

const runs = new Set<Run>();
let isEnding = false;

/**
 * Handles SIGTERM in place of the functions framework, whose own handler ends the process at once. To be called before
 * the framework registers it, that is while the function's module is loaded.
 */
export function handleShutdown(): void {
  process.on('newListener', (event, listener) => {
    if (event !== 'SIGTERM' || listener === onSigterm) return;
    process.nextTick(() => process.removeListener('SIGTERM', listener as () => void));
  });
  process.on('SIGTERM', onSigterm);
}

/** Winds the run down at SIGTERM until {@link unregister} is called. */
export function register(run: Run): void {
  runs.add(run);
  if (isEnding) wind(run);
}

/** The run has ended. */
export function unregister(run: Run): void {
  runs.delete(run);
  if (isEnding && runs.size === 0) endSoon();
}

function onSigterm(): void {
  isEnding = true;
  if (runs.size === 0) endSoon();
  for (const run of runs) wind(run);
}

function wind(run: Run): void {
  run.stop('shutdown');
  setTimeout(() => run.abort(), GRACE_MS).unref();
}

/** Ends the process once the answer to the last invocation had the time to leave. */
function endSoon(): void {
  setTimeout(() => process.exit(0), 100);
}
