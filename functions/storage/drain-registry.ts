/** The registry of a subscription's drains: those at work, and those that crashed. One object, changed by compare-and-swap. */

import type { Bucket } from '@google-cloud/storage';
import { statusOf } from './requests.ts';

/** What the registry says. Times are RFC 3339, in UTC. */
export interface Drains {
  /** Drains at work, by id: when each was last seen. */
  drains: Record<string, string>;
  /** Drains that crashed: when that was noticed. */
  ended: Record<string, string>;
  /** Until when every drain works carefully; null if none has to. */
  carefulUntil: string | null;
}

/** Changes what the registry says, in place. Called again if another drain was faster. */
export type Change = (drains: Drains) => void;

/** Longest pause, in milliseconds, after another drain was faster: the service takes about one change a second. */
const MAX_PAUSE_MS = 500;

/** One for the process: what it has seen last saves reading it. */
export class DrainRegistry {
  readonly #bucketOf: () => Promise<Bucket>;
  readonly #name: string;
  #seen: { drains: Drains; generation: number | string } = { drains: none(), generation: 0 };

  /**
   * @param bucketOf resolves with the state bucket; not called before the first change
   * @param name     of the object
   */
  constructor(bucketOf: () => Promise<Bucket>, name: string) {
    this.#bucketOf = bucketOf;
    this.#name = name;
  }

  /**
   * Changes the registry.
   *
   * @param signal no attempt begins once it is aborted
   * @returns what it says now
   * @throws the signal's reason; what Cloud Storage answers
   */
  async update(change: Change, signal: AbortSignal): Promise<Drains> {
    const bucket = await this.#bucketOf();
    for (;;) {
      signal.throwIfAborted();
      const drains = structuredClone(this.#seen.drains);
      change(drains);
      const file = bucket.file(this.#name);
      try {
        // What does not exist cannot be read without the right to list. So it is written first, and read if it is there.
        await file.save(JSON.stringify(drains), {
          resumable: false,
          contentType: 'application/json',
          preconditionOpts: { ifGenerationMatch: this.#seen.generation },
        });
        this.#seen = { drains, generation: file.metadata.generation! };
        return drains;
      } catch (error) {
        if (statusOf(error) !== 412) throw error;
      }
      await this.#read(bucket);
    }
  }

  async #read(bucket: Bucket): Promise<void> {
    await pause();
    try {
      const [{ generation }] = await bucket.file(this.#name).getMetadata();
      const [content] = await bucket.file(this.#name, { generation: generation! }).download();
      this.#seen = { drains: parse(content.toString()), generation: generation! };
    } catch (error) {
      const status = statusOf(error);
      // It was changed in between, or somebody deleted it.
      if (status !== 404 && status !== 403) throw error;
      this.#seen = { drains: none(), generation: 0 };
    }
  }
}

function none(): Drains {
  return { drains: {}, ended: {}, carefulUntil: null };
}

/** What cannot be read counts as empty: the drains that are at work enter themselves again. */
function parse(text: string): Drains {
  try {
    const { drains, ended, carefulUntil } = JSON.parse(text);
    const until = Number.isNaN(Date.parse(carefulUntil)) ? null : carefulUntil;
    return { drains: timesOf(drains), ended: timesOf(ended), carefulUntil: until };
  } catch {
    return none();
  }
}

function timesOf(value: unknown): Record<string, string> {
  const isTime = (entry: [string, unknown]): entry is [string, string] => !Number.isNaN(Date.parse(String(entry[1])));
  return Object.fromEntries(Object.entries(Object(value)).filter(isTime));
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_PAUSE_MS));
}
