/** Ctrl-C and SIGTERM: the first one winds a run down, another one cuts it off. */

import type { Run } from '../../functions/core/run.ts';

/** A signal that follows so soon, in milliseconds, is the same one: npm passes on what the terminal has sent to both. */
const SAME_SIGNAL_MS = 300;

/** What has become of Ctrl-C. */
export interface Interrupts {
  readonly isInterrupted: boolean;
  /** The run that is under way from now on. */
  watch(run: Run): void;
}

/**
 * Handles SIGINT and SIGTERM from now on.
 *
 * @param onInterrupt called at the first one
 * @param now         milliseconds of a monotonic clock
 */
export function handleInterrupts(onInterrupt: () => void, now = () => performance.now()): Interrupts {
  let run: Run | undefined;
  let interruptedAt: number | undefined;
  const interrupt = () => {
    if (interruptedAt === undefined) {
      interruptedAt = now();
      onInterrupt();
      run?.stop('shutdown');
    } else if (now() - interruptedAt > SAME_SIGNAL_MS) {
      run?.abort();
    }
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  return {
    get isInterrupted() {
      return interruptedAt !== undefined;
    },
    watch(next) {
      run = next;
    },
  };
}
