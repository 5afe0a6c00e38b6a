/** Brings a batch to Mixpanel: tries again what can succeed later, splits what is too large or refused as a whole. */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import pRetry from 'p-retry';
import { ImportError } from '../errors.ts';
import type { Run } from '../run.ts';
import { type Batch, type BatchLimits, compress } from './batch.ts';
import { ConnectionError, type MixpanelClient } from './client.ts';
import { Limiter } from './limiter.ts';
import { judge, type Refusal, type Verdict } from './response.ts';

/** How many times a batch is sent again if Mixpanel reports another count than was sent. */
const MAX_MISCOUNTS = 3;

/** How a sender behaves. */
export interface SenderOptions extends BatchLimits {
  maxConcurrency: number;
  gzipLevel: number;
  /** Back-off before the second attempt; doubles with each further one, up to the maximum. */
  retryMinDelayMs: number;
  retryMaxDelayMs: number;
  /** Told of deferred attempts, and of batches that settled although their count was wrong. */
  onNotice?: (notice: SenderNotice) => void;
}

/** What a sender reports besides outcomes. */
export type SenderNotice =
  | { kind: 'retry'; what: string; attempt: number; delayMs: number }
  | { kind: 'miscounted'; sent: number; imported: number };

/** Consecutive events of a batch that have their outcomes. */
export interface SettledPart {
  /** Index in the batch of its first event. */
  first: number;
  events: number;
  /** Events of the part that Mixpanel refused for good, by their index in the batch, in order; it took all others. */
  refusals: readonly Refusal[];
}

/** Sends batches. One for the process: what it learns about Mixpanel's limits applies to everything that follows. */
export interface Sender {
  /** The most that a batch may hold, as far as is known now. */
  readonly limits: Readonly<BatchLimits>;
  /**
   * Sends a batch until every event has its outcome.
   *
   * @param onSettled told of each part as it settles, also if the run stops before the others do; it is awaited
   * @throws {@link ImportError} `stopped` if the run stops first; `credentials_refused` or `request_refused` if the
   *   configuration is wrong. Nothing is known then of events that `onSettled` was not told of.
   */
  send(batch: Batch, run: Run, onSettled: (part: SettledPart) => Promise<void>): Promise<void>;
}

/** A batch, or a piece of one. */
interface Part {
  body: Buffer;
  events: number;
  bytes: number;
  /** Index in the batch of its first event. */
  first: number;
}

/** The delivery of one batch. */
interface Delivery {
  run: Run;
  onSettled: (part: SettledPart) => Promise<void>;
  /** Whether some part was judged event by event: Mixpanel knows the project. */
  isJudged: boolean;
  /** Single events that were refused as a whole, with 400: dead letters only if the configuration is right. */
  suspects: SettledPart[];
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

  async function deliver(part: Part, delivery: Delivery): Promise<void> {
    const { run, onSettled } = delivery;
    const { first, events } = part;
    const verdict = await request(part, run);
    if (verdict.kind === 'settled') {
      delivery.isJudged = true;
      run.stats.accepted += events - verdict.refusals.length;
      const refusals = verdict.refusals.map((refusal) => ({ ...refusal, index: refusal.index + first }));
      return onSettled({ first, events, refusals });
    }
    if (events === 1) {
      const isTooLarge = verdict.kind === 'too-large';
      const message = isTooLarge ? `larger than Mixpanel takes: ${part.bytes} bytes` : verdict.message;
      const refused = { first, events, refusals: [{ index: first, field: 'event', message }] };
      if (isTooLarge) return onSettled(refused);
      delivery.suspects.push(refused);
      return;
    }
    if (verdict.kind === 'too-large') limits.maxBytes = Math.min(limits.maxBytes, Math.ceil(part.bytes / 2));
    for (const half of await halve(part, options.gzipLevel)) await deliver(half, delivery);
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
        return { kind: 'settled' as const, refusals: [] };
      },
      {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 0,
        // Do not pass the run's signal to p-retry: it would discard the answer of an attempt in flight.
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
    async send(batch, run, onSettled) {
      const delivery: Delivery = { run, onSettled, isJudged: false, suspects: [] };
      await deliver({ ...batch, first: 0 }, delivery);
      if (delivery.suspects.length > 0 && !delivery.isJudged && run.stats.accepted === 0) {
        throw new ImportError(
          'request_refused',
          'Mixpanel refused every single event with 400 and took none: check MIXPANEL_PROJECT_ID, MIXPANEL_REGION and MIXPANEL_API_URL',
          { status: 400 },
        );
      }
      for (const part of delivery.suspects) await onSettled(part);
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
