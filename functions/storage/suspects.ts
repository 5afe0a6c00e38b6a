/**
 * Keeps a message whose handling ends the process from taking other messages with it twice. Pub/Sub does not say how
 * often it has delivered a message, so the state bucket does.
 *
 * After a process crashed, drains work carefully for a while: they handle one message at a time, each with a marker.
 * A marker whose drain crashed accuses its message.
 */

import type { Bucket, File } from '@google-cloud/storage';
import type { Clock } from '../core/run.ts';
import type { DrainRegistry, Drains } from './drain-registry.ts';
import { suspectName } from './names.ts';
import { statusOf, withTimeout } from './requests.ts';

/** Times, in milliseconds. */
export interface SuspectTimes {
  /** A drain says so often that it is at work. */
  refreshMs: number;
  /** A drain that was not seen for so long has crashed. */
  staleMs: number;
  /** For so long drains work carefully. */
  carefulMs: number;
  /** For so long a drain waits for the state bucket. */
  timeoutMs: number;
}

/**
 * The messages of a process that ended come back when their ack deadline of 600 s is over (terraform/pubsub.tf), and
 * the retry policy's pause: 10 s at first, and twice as long each time.
 */
export const SUSPECT_TIMES: SuspectTimes = {
  refreshMs: 10_000,
  staleMs: 30_000,
  carefulMs: 600_000 + 120_000,
  timeoutMs: 3_000,
};

/** How long crashed drains stay in the registry, in milliseconds: longer than any message takes to be redelivered. */
const ENDED_MS = 86_400_000;
/** Times that a marker is created, when another one is deleted at the same time. */
const MAX_ATTEMPTS = 3;

/** What to do with a message: handle it, nack it because another drain handles it, or reject it because it ended a process by itself. */
export type Verdict = 'handle' | 'nack' | 'reject';

/** What is needed to look out for suspects. */
export interface SuspectsOptions {
  registry: DrainRegistry;
  bucketOf: () => Promise<Bucket>;
  /** `projects/P/subscriptions/S` */
  subscription: string;
  /** A word that no other drain has. */
  drain: string;
  clock: Clock;
  times: SuspectTimes;
  /** Called once if the state bucket cannot be used: the drain continues without markers. */
  onFailure(error: Error): void;
}

/** One drain's view. None of its methods throws, and none takes longer than a few seconds. */
export class Suspects {
  readonly #options: SuspectsOptions;
  readonly #ended = new AbortController();
  #refreshing: Promise<void> | undefined;
  /** The change of the registry in progress: one at a time. */
  #change: Promise<unknown> = Promise.resolve();
  /** What the registry said last; undefined while it cannot be reached. */
  #drains: Drains | undefined;
  #hasFailed = false;
  /** Markers of ours that exist, or may. */
  readonly #markers = new Set<File>();

  constructor(options: SuspectsOptions) {
    this.#options = options;
  }

  /** Whether messages are to be pulled one at a time: it is not known yet that nothing speaks against more. */
  get isCautious(): boolean {
    return this.#refreshing === undefined || this.isCareful;
  }

  /** Whether messages are to be handled one at a time, with a marker. */
  get isCareful(): boolean {
    const until = this.#drains?.carefulUntil;
    return until !== null && until !== undefined && Date.now() < Date.parse(until);
  }

  /** Enters the drain in the registry; call it before a message is handled. Does nothing the second time. */
  async enter(): Promise<void> {
    if (this.#refreshing !== undefined) return;
    await this.#refresh();
    this.#refreshing = this.#keepRefreshing();
  }

  /** Marks a message that is about to be handled alone. */
  async mark(messageId: string): Promise<Verdict> {
    const { times } = this.#options;
    try {
      return await withTimeout(this.#mark(messageId), times.timeoutMs);
    } catch (error) {
      this.#fail(error);
      return 'handle';
    }
  }

  /** Deletes the markers: their messages were settled or nacked. */
  async unmarkAll(): Promise<void> {
    await Promise.all([...this.#markers].map((file) => this.#unmark(file)));
  }

  /** Takes away what there is of this drain: it ends in order. */
  async leave(): Promise<void> {
    this.#ended.abort();
    if (this.#refreshing === undefined) return;
    await this.#refreshing;
    await Promise.all([
      this.unmarkAll(),
      this.#update((drains) => {
        delete drains.drains[this.#options.drain];
        delete drains.ended[this.#options.drain];
      }),
    ]);
  }

  async #keepRefreshing(): Promise<void> {
    const { clock, times } = this.#options;
    for (;;) {
      try {
        await clock.sleep(times.refreshMs, this.#ended.signal);
      } catch {
        return;
      }
      await this.#refresh();
    }
  }

  /** Says that this drain is at work, and notices which are not any more. */
  #refresh(): Promise<void> {
    const { drain, times } = this.#options;
    return this.#update((drains) => {
      const now = Date.now();
      const time = new Date(now).toISOString();
      drains.drains[drain] = time;
      delete drains.ended[drain];
      for (const [other, seen] of Object.entries(drains.drains)) {
        if (now - Date.parse(seen) <= times.staleMs) continue;
        delete drains.drains[other];
        drains.ended[other] = time;
        drains.carefulUntil = new Date(now + times.carefulMs).toISOString();
      }
      for (const [other, noticed] of Object.entries(drains.ended)) {
        if (now - Date.parse(noticed) > ENDED_MS) delete drains.ended[other];
      }
    });
  }

  #update(change: (drains: Drains) => void): Promise<void> {
    const { registry, times } = this.#options;
    const update = async () => {
      const over = AbortSignal.timeout(times.timeoutMs);
      try {
        this.#drains = await withTimeout(registry.update(change, over), times.timeoutMs);
      } catch (error) {
        this.#fail(error);
      }
    };
    const updated = this.#change.then(update);
    this.#change = updated;
    return updated;
  }

  async #mark(messageId: string): Promise<Verdict> {
    const { bucketOf, subscription, drain } = this.#options;
    const file = (await bucketOf()).file(suspectName(subscription, messageId));
    const content = JSON.stringify({ drain, since: new Date().toISOString() });
    let generation: number | string = 0;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      try {
        await file.save(content, {
          resumable: false,
          contentType: 'application/json',
          preconditionOpts: { ifGenerationMatch: generation },
        });
        this.#markers.add(file);
        return 'handle';
      } catch (error) {
        if (statusOf(error) !== 412) throw error;
      }
      const found = await readMarker(file);
      generation = found?.generation ?? 0;
      if (found === undefined || found.drain === drain) continue;
      // Who has not been seen for too long is noticed here at the latest.
      await this.#refresh();
      if (this.#drains === undefined) return 'handle';
      if (Object.hasOwn(this.#drains.drains, found.drain)) return 'nack';
      if (Object.hasOwn(this.#drains.ended, found.drain)) {
        this.#markers.add(file);
        return 'reject';
      }
      // Its drain ended in order and could not take it away: it accuses nobody.
    }
    return 'nack';
  }

  async #unmark(file: File): Promise<void> {
    const deleted = file.delete({ ignoreNotFound: true, ifGenerationMatch: file.metadata.generation! });
    try {
      await withTimeout(deleted, this.#options.times.timeoutMs);
      this.#markers.delete(file);
    } catch (error) {
      // Another drain has taken it over.
      if (statusOf(error) === 412) this.#markers.delete(file);
      else this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#drains = undefined;
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.onFailure(error as Error);
  }
}

/** Whose marker it is; undefined if it has gone in the meantime. */
async function readMarker(file: File): Promise<{ drain: string; generation: number | string } | undefined> {
  try {
    const [{ generation }] = await file.getMetadata();
    const [content] = await file.bucket.file(file.name, { generation: generation! }).download();
    return { drain: drainOf(content.toString()), generation: generation! };
  } catch (error) {
    const status = statusOf(error);
    // Without the right to list, what does not exist is answered 403.
    if (status === 404 || status === 403) return undefined;
    throw error;
  }
}

function drainOf(marker: string): string {
  try {
    return String(JSON.parse(marker).drain);
  } catch {
    return '';
  }
}
