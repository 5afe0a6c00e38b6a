/** Ends a command that gets nowhere: a client of Mixpanel that does not try for ever. */

import { ConnectionError, type MixpanelClient } from '../functions/core/mixpanel/client.ts';
import { type Answer, readRetryAfter } from '../functions/core/mixpanel/response.ts';
import { UsageError } from './import/arguments.ts';
import { formatDuration } from './import/quantities.ts';

/** How long a command continues without any success, by default. */
const GIVE_UP_MS = 600_000;
/** Tries at an address that was never reached. */
const MAX_TRIES = 3;
/** The name does not resolve, or nothing listens there. */
const NOBODY_THERE = /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED)$/;
const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Mixpanel was not reached, or did not take anything, for too long. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

/**
 * @param text such as `90s`, `10m` or `2h`
 * @returns milliseconds; default: ten minutes
 * @throws {@link UsageError}
 */
export function parseGiveUpAfter(text: string | undefined): number {
  if (text === undefined) return GIVE_UP_MS;
  const [, number, unit] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const ms = Number(number) * UNITS[unit!]!;
  if (ms > 0) return ms;
  throw new UsageError(`--give-up-after ${text}: must be a time such as 90s, 10m or 2h`);
}

/**
 * The client, which throws an {@link UnreachableError} in place of trying on: at once if nobody is there at three tries
 * in a row before the first success, and when for `limitMs` no attempt succeeded. A pause that Mixpanel asked for does
 * not count, nor does time in which nothing was to be sent.
 *
 * @param url base URL, for the message
 * @param now milliseconds of a monotonic clock
 */
export function givingUp(
  client: MixpanelClient,
  { url, limitMs, now = () => performance.now() }: { url: string; limitMs: number; now?: () => number },
): MixpanelClient {
  let hasSucceeded = false;
  /** When the first attempt after the last success began, pauses left out. */
  let failingSince: number | undefined;
  let pausedUntil = Number.NEGATIVE_INFINITY;
  let tries = 0;
  let triedAt = Number.NEGATIVE_INFINITY;

  function fail(what: string, startedAt: number, retryAfterMs = 0): void {
    failingSince ??= startedAt;
    const failedFor = now() - failingSince;
    if (failedFor >= limitMs) {
      throw new UnreachableError(
        `${url} took nothing for ${formatDuration(failedFor)}: ${what}. Check the network, MIXPANEL_REGION and MIXPANEL_API_URL, and https://status.mixpanel.com; --give-up-after sets how long is tried`,
      );
    }
    const until = now() + retryAfterMs;
    if (until > pausedUntil) failingSince += until - Math.max(pausedUntil, now());
    pausedUntil = Math.max(pausedUntil, until);
  }

  /** Attempts side by side are one try. */
  function countTry(what: string, startedAt: number): void {
    if (startedAt >= triedAt) tries++;
    triedAt = now();
    if (hasSucceeded || tries < MAX_TRIES) return;
    throw new UnreachableError(
      `${url} cannot be reached: ${what}, at ${MAX_TRIES} tries. Check the network and the proxy, MIXPANEL_REGION and MIXPANEL_API_URL`,
    );
  }

  return {
    ...client,
    async post(body, signal) {
      const startedAt = now();
      try {
        const answer = await client.post(body, signal);
        tries = 0;
        if (isPutOff(answer)) {
          fail(`it answered ${answer.status}`, startedAt, readRetryAfter(answer.retryAfter, Date.now()));
        } else {
          hasSucceeded = true;
          failingSince = undefined;
        }
        return answer;
      } catch (error) {
        if (!(error instanceof ConnectionError) || signal.aborted) throw error;
        if (NOBODY_THERE.test(error.code ?? '')) countTry(error.message, startedAt);
        else tries = 0;
        fail(error.message, startedAt);
        throw error;
      }
    },
  };
}

/** Whether the answer makes the sender try again. */
function isPutOff({ status, body }: Answer): boolean {
  return status === 429 || status === 408 || status >= 500 || (status === 200 && !body.trimStart().startsWith('{'));
}
