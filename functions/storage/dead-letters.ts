/** Writes dead letters to the state bucket, many in one object, and tells when they are durable. */

import type { Bucket } from '@google-cloud/storage';
import type { Rejection } from '../import/block.ts';
import { formatDeadLetter } from '../import/dead-letter.ts';
import type { Run } from '../import/run.ts';
import { statusOf } from './client.ts';

/** How long rejections wait for company, in milliseconds. */
const LINGER_MS = 1_000;
/** Bytes of records with which they wait no longer. */
const MAX_WAITING_BYTES = 4_194_304;

/** Rejections that go into one object, and those who wait for it. */
interface Group {
  rejections: Rejection[];
  bytes: number;
  written: PromiseWithResolvers<void>;
}

/** Takes rejections and writes them down. */
export class DeadLetterWriter {
  /** Names of the objects that were written. */
  readonly names: string[] = [];
  readonly #bucket: Bucket;
  readonly #nameOf: (rejections: readonly Rejection[]) => string;
  readonly #run: Run;
  #group: Group | undefined;
  /** Settled when the object before is written: one is under way at a time. */
  #previous: Promise<unknown> = Promise.resolve();

  /**
   * @param bucket the state bucket
   * @param nameOf the name of the object for these rejections; never the same twice
   */
  constructor(bucket: Bucket, nameOf: (rejections: readonly Rejection[]) => string, run: Run) {
    this.#bucket = bucket;
    this.#nameOf = nameOf;
    this.#run = run;
  }

  /** Resolves when the rejections are durable. */
  write(rejections: readonly Rejection[]): Promise<void> {
    this.#group ??= this.#newGroup();
    const group = this.#group;
    group.rejections.push(...rejections);
    for (const { record } of rejections) group.bytes += record.length;
    if (group.bytes >= MAX_WAITING_BYTES) this.flush();
    return group.written.promise;
  }

  /** What waits for company need not wait any longer. */
  flush(): void {
    const group = this.#group;
    if (group === undefined) return;
    this.#group = undefined;
    this.#previous = this.#previous.then(() => this.#save(group)).then(group.written.resolve, group.written.reject);
  }

  #newGroup(): Group {
    const group = { rejections: [], bytes: 0, written: Promise.withResolvers<void>() };
    const flush = () => {
      if (this.#group === group) this.flush();
    };
    this.#run.clock.sleep(LINGER_MS, this.#run.stopping).then(flush, flush);
    return group;
  }

  async #save({ rejections }: Group): Promise<void> {
    const name = this.#nameOf(rejections);
    const now = new Date();
    const content = rejections.map((rejection) => formatDeadLetter(rejection, now)).join('');
    const file = this.#bucket.file(name);
    try {
      await file.save(content, {
        resumable: false,
        contentType: 'application/x-ndjson',
        preconditionOpts: { ifGenerationMatch: 0 },
      });
    } catch (error) {
      // An attempt of this very write may have succeeded without our hearing of it.
      if (statusOf(error) !== 412 || (await file.download())[0].toString() !== content) throw error;
    }
    this.names.push(name);
  }
}
