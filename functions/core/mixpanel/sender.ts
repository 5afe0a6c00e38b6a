/** Brings a batch to Mixpanel: tries again what can succeed later, splits what is too large or refused as a whole. */

import pRetry from 'p-retry';
import { ImportError } from '../errors.ts';
import type { Run } from '../run.ts';
import type { Batch, BatchLimits } from './batch.ts';
import { ConnectionError, type MixpanelClient } from './client.ts';
import { Limiter, type Permit, PROBE_INTERVAL_MS } from './limiter.ts';
import { cutPart, type Part, readPart } from './part.ts';
import { createProjectProbe } from './project-probe.ts';
import { judge, type Refusal, type Verdict } from './response.ts';
import { SizeLimit } from './size-limit.ts';

/** How many times a part is sent again if Mixpanel reports another count than was sent. */
const MAX_RESENDS = 3;
/** Events that are sent at most to learn whether a pause still holds. */
const MAX_PROBE_EVENTS = 100;

/** How a sender behaves. */
export interface SenderOptions extends BatchLimits {
  maxConcurrency: number;
  gzipLevel: number;
  /** Back-off before the second attempt; doubles with each further one, up to the maximum. */
  retryMinDelayMs: number;
  retryMaxDelayMs: number;
  /** Told of what is worth a line in the log. */
  onNotice?: (notice: SenderNotice) => void;
}

/** What a sender reports besides outcomes. */
export type SenderNotice =
  /** An attempt was deferred. */
  | { kind: 'retry'; what: string; attempt: number; delayMs: number }
  /** Mixpanel asked for a pause of a minute or more; told once a minute at most. */
  | { kind: 'throttled'; what: string; delayMs: number }
  /** An event became a rejection, as Mixpanel neither counts it as imported nor names it as failed. */
  | { kind: 'miscounted'; status: number; sent: number; imported: number | undefined };

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

/** A verdict after which the same request is not sent again. */
type Conclusion = Exclude<Verdict, { kind: 'retry' | 'refused' }>;

/** What became of a request. */
interface Requested {
  /** What was sent: all of the part, or its beginning if that was enough to learn whether a pause still holds. */
  sent: Part;
  /** What was not sent of it. */
  rest: Part | undefined;
  verdict: Conclusion;
}

/** The delivery of one batch. */
interface Delivery {
  run: Run;
  onSettled: (part: SettledPart) => Promise<void>;
  /** Single events that were refused without a reason of their own: dead letters only if the configuration is right. */
  suspects: { part: SettledPart; status: number }[];
  /** The size of the largest part that was accepted. */
  acceptedBytes: number;
  /** Whether a part was too large, and not because of a single event. */
  isTooLarge: boolean;
}

/** Thrown to p-retry: the attempt failed, another one may succeed. */
class RetryError extends Error {
  readonly delayMs: number;
  /** Whether the limiter does the waiting. */
  readonly isPause: boolean;

  constructor(what: string, delayMs: number, isPause = false) {
    super(what);
    this.delayMs = delayMs;
    this.isPause = isPause;
  }
}

/** A sender over `client`. */
export function createSender(client: MixpanelClient, options: SenderOptions): Sender {
  const limiter = new Limiter(options.maxConcurrency);
  const size = new SizeLimit(options);
  const project = createProjectProbe(async (part, run) => void (await request(part, run, 0)));
  let throttledAt = Number.NEGATIVE_INFINITY;

  /** @returns whether an event of the part is too large by itself */
  async function deliver(part: Part, delivery: Delivery, resends = MAX_RESENDS): Promise<boolean> {
    const { sent, rest, verdict } = await request(part, delivery.run, part.events === 1 ? MAX_RESENDS : resends);
    const hasLargeEvent = await conclude(sent, verdict, delivery);
    if (rest === undefined) return hasLargeEvent;
    return (await deliver(rest, delivery)) || hasLargeEvent;
  }

  async function conclude(part: Part, verdict: Conclusion, delivery: Delivery): Promise<boolean> {
    const { first, events } = part;
    if (verdict.kind === 'settled') {
      delivery.run.stats.accepted += events - verdict.refusals.length;
      delivery.acceptedBytes = Math.max(delivery.acceptedBytes, part.bytes);
      const refusals = verdict.refusals.map((refusal) => ({ ...refusal, index: refusal.index + first }));
      await delivery.onSettled({ first, events, refusals });
      return false;
    }
    if (events === 1) {
      if (verdict.kind === 'miscounted') await refuseMiscounted(part, verdict, delivery);
      else refuse(part, verdict, delivery);
      return verdict.kind === 'too-large';
    }
    // In a wrong project every event would be sent by itself before the last answer tells.
    if (verdict.kind === 'bisect') await requireRightProject(delivery.run, 400);
    let hasLargeEvent = false;
    // Halves of what does not add up are halved at once: only single events are worth the time of trying again.
    const resends = verdict.kind === 'miscounted' ? 0 : MAX_RESENDS;
    for (const half of await cutPart(part, events >> 1, options.gzipLevel)) {
      if (await deliver(half, delivery, resends)) hasLargeEvent = true;
    }
    if (verdict.kind === 'too-large' && !hasLargeEvent) delivery.isTooLarge = true;
    return hasLargeEvent;
  }

  function refuse(part: Part, verdict: Conclusion & { kind: 'too-large' | 'bisect' }, { suspects }: Delivery): void {
    const isTooLarge = verdict.kind === 'too-large';
    const message = isTooLarge ? `larger than Mixpanel takes: ${part.bytes} bytes` : verdict.message;
    suspects.push({ part: refused(part, 'event', message), status: isTooLarge ? 413 : 400 });
  }

  async function refuseMiscounted(
    part: Part,
    { status, imported }: Conclusion & { kind: 'miscounted' },
    { run, onSettled }: Delivery,
  ): Promise<void> {
    const what = `Mixpanel answered ${status} to one event and counted ${imported ?? 'nothing'} as imported`;
    if (!(await project.isRight(run))) {
      throw new ImportError('request_refused', `${what}: check MIXPANEL_REGION and MIXPANEL_API_URL`, { status });
    }
    options.onNotice?.({ kind: 'miscounted', status, sent: part.events, imported });
    await onSettled(refused(part, 'response', what));
  }

  /** Throws if nothing shows that events of this project can be accepted. */
  async function requireRightProject(run: Run, status: number): Promise<void> {
    if (await project.isRight(run)) return;
    throw new ImportError(
      'request_refused',
      `Mixpanel refused events with ${status} without naming one, and does not name an invalid probe either: check MIXPANEL_PROJECT_ID, MIXPANEL_REGION and MIXPANEL_API_URL`,
      { status },
    );
  }

  function request(part: Part, run: Run, resends: number): Promise<Requested> {
    let miscounts = 0;
    return pRetry(
      async (attempt) => {
        const requested = await attemptOnce(part, run, attempt);
        if (requested.verdict.kind !== 'miscounted' || miscounts++ >= resends) return requested;
        throw new RetryError('counted other than what was sent', backOff(options, attempt, run));
      },
      {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 0,
        // Do not pass the run's signal to p-retry: it would discard the answer of an attempt in flight.
        onFailedAttempt: async ({ error, attemptNumber }) => {
          if (!(error instanceof RetryError)) throw error;
          const { message, delayMs, isPause } = error;
          if (!run.stopping.aborted) {
            options.onNotice?.({ kind: 'retry', what: message, attempt: attemptNumber, delayMs });
          }
          if (!isPause) await run.clock.sleep(delayMs, run.stopping);
        },
      },
    );
  }

  async function attemptOnce(part: Part, run: Run, attempt: number): Promise<Requested> {
    const permit = await limiter.acquire(run);
    let isSuccess = false;
    try {
      const isCut = permit === 'probe' && part.events > MAX_PROBE_EVENTS;
      const [sent, rest] = isCut ? await cutPart(part, MAX_PROBE_EVENTS, options.gzipLevel) : [part, undefined];
      run.stopping.throwIfAborted();
      run.stats.attempts++;
      run.stats.bytes += sent.bytes;
      const answer = await client.post(sent.body, run.aborted);
      const verdict = await judge(answer, sent.events, Date.now(), () => readPart(sent));
      if (verdict.kind === 'refused') throw refusal(answer.status, attempt);
      if (verdict.kind === 'retry') throw putOff(verdict, run, attempt, permit);
      project.note(verdict, run);
      if (permit === 'probe') limiter.resume();
      isSuccess = verdict.kind === 'settled';
      return { sent, rest, verdict };
    } catch (error) {
      if (error instanceof ConnectionError) throw new RetryError(error.message, backOff(options, attempt, run));
      throw error;
    } finally {
      limiter.release(isSuccess, permit);
    }
  }

  /** Pauses what has to be paused, and says when the request may be made again. */
  function putOff(verdict: Verdict & { kind: 'retry' }, run: Run, attempt: number, permit: Permit): RetryError {
    const { isThrottled, retryAfterMs } = verdict;
    const what = `Mixpanel ${verdict.what}`;
    const now = run.clock.now();
    const delayMs = retryAfterMs === undefined ? backOff(options, attempt, run) : retryAfterMs + jitter(options, run);
    const isLong = retryAfterMs !== undefined && delayMs > PROBE_INTERVAL_MS;
    if (isThrottled) run.stats.throttled++;
    if (isThrottled || isLong) {
      limiter.pause(delayMs, now, permit, isThrottled);
      if (delayMs >= PROBE_INTERVAL_MS && now - throttledAt >= PROBE_INTERVAL_MS) {
        throttledAt = now;
        options.onNotice?.({ kind: 'throttled', what, delayMs });
      }
    }
    if (retryAfterMs !== undefined && permit === 'attempt' && now + delayMs > run.deadline) run.stop('retry-after');
    return new RetryError(what, delayMs, isLong);
  }

  return {
    limits: size.limits,
    async send(batch, run, onSettled) {
      const delivery: Delivery = { run, onSettled, suspects: [], acceptedBytes: 0, isTooLarge: false };
      await deliver({ ...batch, first: 0 }, delivery);
      if (delivery.isTooLarge && delivery.acceptedBytes > 0) size.lower(delivery.acceptedBytes);
      else if (delivery.acceptedBytes === batch.bytes) size.accept(batch.bytes);
      const [suspect] = delivery.suspects;
      if (suspect === undefined) return;
      await requireRightProject(run, suspect.status);
      for (const { part } of delivery.suspects) await onSettled(part);
    },
  };
}

/** A part of one event, refused. */
function refused({ first, events }: Part, field: string, message: string): SettledPart {
  return { first, events, refusals: [{ index: first, field, message }] };
}

/** Mixpanel's advice: from 2 s, doubling to 60 s, plus 1 to 5 s (https://developer.mixpanel.com/reference/import-events#rate-limits). */
function backOff(options: SenderOptions, attempt: number, run: Run): number {
  return Math.min(options.retryMinDelayMs * 2 ** (attempt - 1), options.retryMaxDelayMs) + jitter(options, run);
}

function jitter({ retryMinDelayMs }: SenderOptions, run: Run): number {
  return retryMinDelayMs * (0.5 + 2 * run.clock.random());
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
