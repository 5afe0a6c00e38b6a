/** Brings a batch to Mixpanel: tries again what can succeed later, splits what is too large or refused as a whole. */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import pRetry from 'p-retry';
import { ImportError } from '../errors.ts';
import type { Run } from '../run.ts';
import { type Batch, type BatchLimits, compress } from './batch.ts';
import { ConnectionError, type MixpanelClient } from './client.ts';
import { Limiter } from './limiter.ts';
import { type Failure, judge, type Verdict } from './response.ts';

/** How often a batch is sent again whose answer counts other than what was sent. */
const MAX_MISCOUNTS = 3;

/** How a sender behaves. */
export interface SenderOptions extends BatchLimits {
  maxConcurrency: number;
  gzipLevel: number;
  /** Back-off before the second attempt; doubles with each further one, up to the maximum. */
  retryMinDelayMs: number;
  retryMaxDelayMs: number;
  /** Told of what is put off, and of what is settled although its count was wrong. */
  onNotice?: (notice: SenderNotice) => void;
}

/** What a sender has to tell besides outcomes. */
export type SenderNotice =
  | { kind: 'retry'; what: string; attempt: number; delayMs: number }
  | { kind: 'miscounted'; sent: number; imported: number };

/** Sends batches; one for the process, as what it learns of Mixpanel's limits concerns all that follows. */
export interface Sender {
  /** What a batch may hold at most, as far as is known now. */
  readonly limits: Readonly<BatchLimits>;
  /**
   * @returns the events that Mixpanel refused, for good; it took all the others
   * @throws {@link ImportError} `stopped`, when the run winds down first; `credentials_refused` or `request_refused`,
   *   when the configuration is wrong. Nothing is known of the batch's events then.
   */
  send(batch: Batch, run: Run): Promise<Failure[]>;
}

/** A batch, or a piece of one. */
interface Part {
  body: Buffer;
  events: number;
  bytes: number;
  /** Index in the batch of its first event. */
  first: number;
}

/** What was learned from the answers to the parts of a batch. */
interface Findings {
  /** Some part was refused as a whole, with 400. */
  isRefused: boolean;
  /** Some part was looked at event by event: Mixpanel knows the project. */
  isJudged: boolean;
}

/** Thrown to p-retry: the attempt failed, another one may succeed. */
class RetryError extends Error {
  readonly delayMs: number;

  constructor(what: string, delayMs: number) {
    super(what);
    this.delayMs = delayMs;
  }
}

const gunzipAsync = promisify(gunzip);

/** A sender over `client`. */
export function createSender(client: MixpanelClient, options: SenderOptions): Sender {
  const limiter = new Limiter(options.maxConcurrency);
  const limits = { maxEvents: options.maxEvents, maxBytes: options.maxBytes };

  async function deliver(part: Part, run: Run, findings: Findings): Promise<Failure[]> {
    const verdict = await request(part, run);
    if (verdict.kind === 'settled') {
      findings.isJudged = true;
      run.stats.accepted += part.events - verdict.failures.length;
      return verdict.failures.map((failure) => ({ ...failure, index: failure.index + part.first }));
    }
    const message = verdict.kind === 'too-large' ? `larger than Mixpanel takes: ${part.bytes} bytes` : verdict.message;
    if (verdict.kind === 'bisect') findings.isRefused = true;
    if (part.events === 1) return [{ index: part.first, field: 'event', message }];
    if (verdict.kind === 'too-large') limits.maxBytes = Math.min(limits.maxBytes, Math.ceil(part.bytes / 2));
    const failures: Failure[] = [];
    for (const half of await halve(part, options.gzipLevel)) failures.push(...(await deliver(half, run, findings)));
    return failures;
  }

  function request(part: Part, run: Run): Promise<Exclude<Verdict, { kind: 'retry' | 'miscounted' | 'refused' }>> {
    let miscounts = 0;
    return pRetry(
      async (attempt) => {
        const verdict = await attemptOnce(part, run, attempt);
        if (verdict.kind !== 'miscounted') return verdict;
        if (miscounts++ < MAX_MISCOUNTS) {
          throw new RetryError('counted other than what was sent', backOff(options, attempt, run));
        }
        options.onNotice?.({ kind: 'miscounted', sent: part.events, imported: verdict.imported });
        return { kind: 'settled' as const, failures: [] };
      },
      {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 0,
        // The signal of the run is not p-retry's: that would discard the answer to an attempt in flight.
        onFailedAttempt: async ({ error, attemptNumber }) => {
          if (!(error instanceof RetryError)) throw error;
          if (!run.stopping.aborted) {
            options.onNotice?.({ kind: 'retry', what: error.message, attempt: attemptNumber, delayMs: error.delayMs });
          }
          await run.clock.sleep(error.delayMs, run.stopping);
        },
      },
    );
  }

  async function attemptOnce(part: Part, run: Run, attempt: number) {
    await limiter.acquire(run);
    let isSuccess = false;
    try {
      run.stats.attempts++;
      run.stats.bytes += part.bytes;
      const answer = await client.post(part.body, run.aborted);
      const verdict = judge(answer, part.events, Date.now());
      if (verdict.kind === 'refused') throw refusal(answer.status, attempt);
      if (verdict.kind === 'retry') {
        const delayMs =
          verdict.retryAfterMs === undefined
            ? backOff(options, attempt, run)
            : verdict.retryAfterMs + jitter(options, run);
        if (verdict.isThrottled) {
          run.stats.throttled++;
          limiter.pause(delayMs, run.clock.now());
        }
        if (verdict.retryAfterMs !== undefined && run.clock.now() + delayMs > run.deadline) run.stop('retry-after');
        throw new RetryError(`Mixpanel ${verdict.what}`, delayMs);
      }
      isSuccess = verdict.kind === 'settled';
      return verdict;
    } catch (error) {
      if (error instanceof ConnectionError) throw new RetryError(error.message, backOff(options, attempt, run));
      throw error;
    } finally {
      limiter.release(isSuccess);
    }
  }

  return {
    limits,
    async send(batch, run) {
      const findings = { isRefused: false, isJudged: false };
      const failures = await deliver({ ...batch, first: 0 }, run, findings);
      if (findings.isRefused && !findings.isJudged && run.stats.accepted === 0) {
        throw new ImportError(
          'request_refused',
          'Mixpanel refused every single event with 400 and took none: check MIXPANEL_PROJECT_ID, MIXPANEL_REGION and MIXPANEL_API_URL',
          { status: 400 },
        );
      }
      return failures;
    },
  };
}

/** Mixpanel's advice: from 2 s, doubling to 60 s, plus 1 to 5 s (https://developer.mixpanel.com/reference/import-events#rate-limits). */
function backOff(options: SenderOptions, attempt: number, run: Run): number {
  return Math.min(options.retryMinDelayMs * 2 ** (attempt - 1), options.retryMaxDelayMs) + jitter(options, run);
}

function jitter({ retryMinDelayMs }: SenderOptions, run: Run): number {
  return retryMinDelayMs * (0.5 + 2 * run.clock.random());
}

async function halve(part: Part, level: number): Promise<Part[]> {
  const text: Buffer = await gunzipAsync(part.body);
  const events = part.events >> 1;
  let middle = 0;
  for (let event = 0; event < events; event++) middle = text.indexOf(0x0a, middle) + 1;
  const halves = [text.subarray(0, middle), text.subarray(middle)] as const;
  const [first, second] = await Promise.all(halves.map((half) => compress(half, level)));
  return [
    { body: first!, events, bytes: halves[0].length, first: part.first },
    { body: second!, events: part.events - events, bytes: halves[1].length, first: part.first + events },
  ];
}

function refusal(status: number, attempts: number): ImportError {
  const tried = `after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`;
  if (status === 401 || status === 403) {
    return new ImportError(
      'credentials_refused',
      `Mixpanel refused the credentials with ${status}, ${tried}: check MIXPANEL_SERVICE_ACCOUNT_USERNAME, MIXPANEL_SERVICE_ACCOUNT_SECRET and MIXPANEL_PROJECT_ID (the account needs the role Admin or Owner in that project), or MIXPANEL_PROJECT_TOKEN, and MIXPANEL_REGION`,
      { status, attempts },
    );
  }
  const hint =
    status === 402
      ? 'check the plan and the billing of the Mixpanel project'
      : 'check MIXPANEL_REGION, MIXPANEL_API_URL and MIXPANEL_PROJECT_ID';
  return new ImportError('request_refused', `Mixpanel refused the request with ${status}, ${tried}: ${hint}`, {
    status,
    attempts,
  });
}
