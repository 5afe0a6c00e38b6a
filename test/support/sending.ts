/** What the tests of the sending half share: batches made of lines, time that passes by itself, a sender before the local Mixpanel. */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { type Block, lengthOf } from '../../functions/core/block.ts';
import { addRecords } from '../../functions/core/events.ts';
import { type InsertIdOf, insertIdByContent } from '../../functions/core/insert-id.ts';
import { type Batch, BatchBuilder, type BatchLimits } from '../../functions/core/mixpanel/batch.ts';
import { createMixpanelClient, type MixpanelClient } from '../../functions/core/mixpanel/client.ts';
import type { Refusal } from '../../functions/core/mixpanel/response.ts';
import { createSender, type SenderNotice, type SenderOptions } from '../../functions/core/mixpanel/sender.ts';
import { type Clock, type Run, startRun } from '../../functions/core/run.ts';
import { type MixpanelOptions, startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { MARKER, ndjson } from './event.ts';
import { columnsOf, parse } from './parsing.ts';

export const USERNAME = 'account.a1b2c3';
export const SECRET = 'hush-hush-open-sesame';

const PROJECT_ID = '42';

/** Limits that no batch of a test meets. */
const NO_LIMITS: BatchLimits = { maxEvents: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER };

/** Adds all records of a block to one batch, as they go through an import without a transform. */
export function addAllRecords(builder: BatchBuilder, block: Block, insertIdOf: InsertIdOf = insertIdByContent): void {
  for (let record = 0; record < lengthOf(block.records); ) {
    const added = addRecords(builder, block, columnsOf(block), record, NO_LIMITS, insertIdOf);
    assert.ok(added > 0);
    record += added;
  }
}

/** The one block that a parser makes of these lines. */
export function blockOf(lines: readonly string[]): Block {
  const { blocks } = parse(Buffer.from(ndjson(lines)));
  assert.equal(blocks.length, 1);
  return blocks[0]!;
}

/** A batch of these records, as they would go through an import without a transform. */
export async function batchOf(lines: readonly string[]): Promise<Batch> {
  const block = blockOf(lines);
  const builder = new BatchBuilder();
  addAllRecords(builder, block);
  assert.equal(builder.events, lines.length, 'every line is an event');
  return builder.seal(6);
}

/** Checks that nobody who prints an error learns what was sent, or as whom. */
export function assertDiscreet(error: unknown): void {
  const text = inspect(error, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null });
  const credentials = Buffer.from(`${USERNAME}:${SECRET}`).toString('base64');
  for (const secret of [MARKER, SECRET, credentials, Buffer.from(SECRET).toString('base64'), 'Basic ', '<Buffer']) {
    assert.ok(!text.includes(secret), `an error holds ${secret}`);
  }
}

/** Time that passes only when it is told to, or by itself when everybody sleeps. */
export interface VirtualClock extends Clock {
  /** How long each sleep was to last, in the order in which they began. */
  readonly slept: number[];
  /** Sleeps that have not ended. */
  readonly sleepers: number;
  /** Lets so many milliseconds pass at once. */
  advance(ms: number): void;
}

/**
 * A clock that begins at 0.
 *
 * @param isBusy whether something is in progress besides sleep; time does not pass meanwhile. Without it, it passes by `advance` alone
 */
export function virtualClock(isBusy?: () => boolean, random: () => number = () => 0.5): VirtualClock {
  let now = 0;
  let isWatching = false;
  const slept: number[] = [];
  const sleepers = new Set<{ due: number; wake: () => void }>();

  function advanceTo(time: number): void {
    now = Math.max(now, time);
    for (const sleeper of sleepers) if (sleeper.due <= now) sleeper.wake();
  }

  async function watch(isBusy: () => boolean): Promise<void> {
    if (isWatching) return;
    isWatching = true;
    // Several turns, as whoever was woken may need some until it begins the next thing.
    for (let quietTurns = 0; sleepers.size > 0; await turn()) {
      quietTurns = isBusy() ? 0 : quietTurns + 1;
      if (quietTurns < 5) continue;
      quietTurns = 0;
      advanceTo(Math.min(...[...sleepers].map(({ due }) => due)));
    }
    isWatching = false;
  }

  return {
    slept,
    get sleepers() {
      return sleepers.size;
    },
    now: () => now,
    random,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        slept.push(ms);
        const onAbort = () => {
          sleepers.delete(sleeper);
          reject(signal.reason);
        };
        const wake = () => {
          sleepers.delete(sleeper);
          signal.removeEventListener('abort', onAbort);
          resolve();
        };
        const sleeper = { due: now + ms, wake };
        sleepers.add(sleeper);
        signal.addEventListener('abort', onAbort, { once: true });
        if (isBusy !== undefined) void watch(isBusy);
      }),
    advance: (ms) => advanceTo(now + ms),
  };
}

/** What an attempt found when it began. */
interface SeenAttempt {
  /** The time of the clock. */
  at: number;
  /** Attempts in flight, with it. */
  inFlight: number;
  /** Attempts that had ended. */
  ended: number;
}

/** How sending is set up. */
interface SendingOptions extends Partial<SenderOptions> {
  mixpanel?: MixpanelOptions;
  requestTimeoutMs?: number;
  random?: () => number;
}

/** A sender before a local Mixpanel, on a clock that passes by itself; all is stopped when the test ends. */
export async function startSending(t: TestContext, options: SendingOptions = {}) {
  const { mixpanel, requestTimeoutMs = 5_000, random, ...senderOptions } = options;
  const serviceAccount = { username: USERNAME, secret: SECRET, projectId: PROJECT_ID };
  const server = await startMixpanel({ serviceAccount, ...mixpanel });
  const client = createMixpanelClient({
    url: server.url,
    username: USERNAME,
    password: SECRET,
    projectId: PROJECT_ID,
    requestTimeoutMs,
  });
  t.after(async () => {
    client.close();
    await server.close();
  });
  const attempts: SeenAttempt[] = [];
  const notices: SenderNotice[] = [];
  let preparing = 0;
  let inFlight = 0;
  let ended = 0;
  const clock = virtualClock(() => preparing + inFlight > 0, random);
  const watched: MixpanelClient = {
    ...client,
    async post(body, signal) {
      attempts.push({ at: clock.now(), inFlight: ++inFlight, ended });
      try {
        return await client.post(body, signal);
      } catch (error) {
        assertDiscreet(error);
        throw error;
      } finally {
        inFlight--;
        ended++;
      }
    },
  };
  const sender = createSender(watched, {
    maxEvents: 2_000,
    maxBytes: 10_000_000,
    maxConcurrency: 10,
    gzipLevel: 6,
    retryMinDelayMs: 2_000,
    retryMaxDelayMs: 60_000,
    onNotice: (notice) => notices.push(notice),
    ...senderOptions,
  });

  /** Sends a batch; resolves with all refusals, in order. */
  async function refusalsOf(batch: Batch, run: Run): Promise<Refusal[]> {
    const refusals: Refusal[] = [];
    await sender.send(batch, run, async (part) => {
      refusals.push(...part.refusals);
    });
    return refusals.sort((a, b) => a.index - b.index);
  }

  /** Sends so many batches of lines at the same moment, in their order. */
  async function sendAll(texts: readonly (readonly string[])[], run: Run = startRun(undefined, clock)) {
    preparing++;
    const batches = await Promise.all(texts.map(batchOf)).finally(() => preparing--);
    const results = await Promise.allSettled(batches.map((batch) => refusalsOf(batch, run)));
    for (const result of results) if (result.status === 'rejected') assertDiscreet(result.reason);
    return results;
  }

  return {
    server,
    sender,
    clock,
    attempts,
    notices,
    startRun: (deadlineMs?: number) => startRun(deadlineMs, clock),
    /** Sends these lines as one batch. */
    async send(lines: readonly string[], run?: Run): Promise<Refusal[]> {
      const [result] = await sendAll([lines], run);
      if (result!.status === 'rejected') throw result!.reason;
      return result!.value;
    },
    sendAll,
  };
}
