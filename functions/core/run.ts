/** One run of an import: when it has to stop, and what it has done so far. */

import { setMaxListeners } from 'node:events';
import { ImportError } from './errors.ts';

/** Why a run stops before its source is exhausted. */
export type StopReason = 'deadline' | 'retry-after' | 'shutdown' | 'lease-lost' | 'failure' | 'end';

/** Clock, randomness and sleep; injected, so that tests control them. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** A number from 0 to 1, 1 excluded. */
  random(): number;
  /** Resolves after so many milliseconds; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** What a run did, for its summary line. */
interface RunStats {
  batches: number;
  attempts: number;
  /** Answers 429. */
  throttled: number;
  /** Uncompressed bytes sent, repetitions included. */
  bytes: number;
  /** Events that Mixpanel took. */
  accepted: number;
  /**
   * Requests that were put off: those to Cloud Storage that failed and were repeated, and batches whose answer was still
   * to come when the run stopped.
   */
  deferred: number;
}

/** The life of one run. */
export interface Run {
  readonly clock: Clock;
  readonly stats: RunStats;
  /** Aborted when no new attempt may start; its reason is an {@link ImportError} with the code `stopped`. */
  readonly stopping: AbortSignal;
  /** Why it winds down, once it does. */
  readonly stopReason: StopReason | undefined;
  /** Aborted when attempts in flight are to be cut off too. */
  readonly aborted: AbortSignal;
  /** When the run began, by {@link Clock.now}. */
  readonly startedAt: number;
  /** When the run will be stopped, by {@link Clock.now}. */
  readonly deadline: number;
  /** Stops the run; only the first reason counts. */
  stop(reason: StopReason): void;
  /** Cuts off what is in flight. */
  abort(): void;
  /** Releases the timer of the deadline. */
  end(): void;
}

/** The longest time that a timer carries, 24 days; with a longer one it fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The process's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  random: Math.random,
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const onTime = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const timer = setTimeout(onTime, Math.min(ms, MAX_TIMER_MS));
      signal.addEventListener('abort', onAbort, { once: true });
    }),
};

/**
 * Begins a run.
 *
 * @param deadlineMs how long it may take before it is stopped; default: forever
 */
export function startRun(deadlineMs = Number.POSITIVE_INFINITY, clock: Clock = systemClock): Run {
  const stopper = new AbortController();
  const aborter = new AbortController();
  // Every attempt and every wait listens.
  setMaxListeners(0, stopper.signal, aborter.signal);
  let stopReason: StopReason | undefined;
  const stop = (reason: StopReason) => {
    stopReason ??= reason;
    stopper.abort(
      new ImportError('stopped', `The import was wound down (${stopReason}): what is not settled stays for later`),
    );
  };
  if (Number.isFinite(deadlineMs)) {
    clock.sleep(deadlineMs, stopper.signal).then(
      () => stop('deadline'),
      () => {},
    );
  }
  return {
    clock,
    stats: { batches: 0, attempts: 0, throttled: 0, bytes: 0, accepted: 0, deferred: 0 },
    stopping: stopper.signal,
    get stopReason() {
      return stopReason;
    },
    aborted: aborter.signal,
    startedAt: clock.now(),
    deadline: clock.now() + deadlineMs,
    stop,
    abort: () => {
      stop('shutdown');
      aborter.abort(stopper.signal.reason);
    },
    end: () => stop('end'),
  };
}
