/** Stops runs when the instance is told to end: Cloud Run sends SIGTERM and leaves 10 s (https://cloud.google.com/run/docs/container-contract). */

import type { Run } from '../core/run.ts';

/** How long requests in flight may take once the signal has come, in milliseconds. */
const GRACE_MS = 5_000;

const runs = new Set<Run>();
let isEnding = false;

/**
 * Handles SIGTERM in place of the functions framework, whose own handler ends the process at once. Call it before
 * the framework registers its own, that is while the function's module is loaded.
 */
export function handleShutdown(): void {
  process.on('newListener', (event, listener) => {
    if (event !== 'SIGTERM' || listener === onSigterm) return;
    process.nextTick(() => process.removeListener('SIGTERM', listener as () => void));
  });
  process.on('SIGTERM', onSigterm);
}

/**
 * Stops the run at SIGTERM.
 *
 * @returns to be called when the run has ended
 */
export function stopOnShutdown(run: Run): () => void {
  runs.add(run);
  if (isEnding) stop(run);
  return () => {
    runs.delete(run);
    if (isEnding && runs.size === 0) endSoon();
  };
}

function onSigterm(): void {
  isEnding = true;
  if (runs.size === 0) endSoon();
  for (const run of runs) stop(run);
}

function stop(run: Run): void {
  run.stop('shutdown');
  setTimeout(() => run.abort(), GRACE_MS).unref();
}

/** Ends the process once the answer to the last invocation has had time to leave. */
function endSoon(): void {
  setTimeout(() => process.exit(0), 100);
}
