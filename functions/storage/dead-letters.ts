/** Writes dead letters to the state bucket, many in one object, and tells when they are durable. */

import type { Bucket } from '@google-cloud/storage';
import { crc32c } from '@node-rs/crc32';
import { offsetOf, type Rejection } from '../core/block.ts';
import { formatDeadLetter } from '../core/dead-letter.ts';
import type { Run } from '../core/run.ts';
import { encodeChecksum, statusOf, withTimeout } from './requests.ts';

/** How long rejections wait for company, in milliseconds. */
const LINGER_MS = 1_000;
/** Bytes of dead letters with which they wait no longer. */
const MAX_WAITING_BYTES = 4_194_304;
/** What a dead letter is longer than its record, about. */
const OVERHEAD_BYTES = 400;
/** How long writing one object may take, with all that the client tries again, in milliseconds. */
const WRITE_TIMEOUT_MS = 60_000;
/** The same once the run winds down, when little time is left. */
const LAST_WRITE_TIMEOUT_MS = 10_000;

/** Rejections that go into one object, and those who wait for it. */
interface Group {
  rejections: Rejection[];
  bytes: number;
  written: PromiseWithResolvers<void>;
}

/** Takes rejections and writes them down. */
export class DeadLetterWriter {
  /** Bytes of dead letters that are not durable, about. */
  waitingBytes = 0;
  readonly #bucketOf: () => Promise<Bucket>;
  readonly #nameOf: (rejections: readonly Rejection[]) => string;
  readonly #run: Run;
  #group: Group | undefined;
  /** Settled when the object before is written: one is under way at a time. */
  #previous: Promise<unknown> = Promise.resolve();

  /**
   * @param bucketOf resolves with the state bucket; called when something is to be written
   * @param nameOf   the name of the object for these rejections; never the same twice
   * @param run      nothing is written any more once it is aborted
   */
  constructor(bucketOf: () => Promise<Bucket>, nameOf: (rejections: readonly Rejection[]) => string, run: Run) {
    this.#bucketOf = bucketOf;
    this.#nameOf = nameOf;
    this.#run = run;
  }

  /** Resolves when the rejections are durable. */
  async write(rejections: readonly Rejection[]): Promise<void> {
    const written = new Set<Promise<void>>();
    let last = -1;
    // Those of one record stay together: the object is named after the place of its first.
    for (const rejection of rejections.toSorted((a, b) => offsetOf(a.location) - offsetOf(b.location))) {
      if (offsetOf(rejection.location) !== last && (this.#group?.bytes ?? 0) >= MAX_WAITING_BYTES) this.flush();
      last = offsetOf(rejection.location);
      this.#group ??= this.#newGroup();
      const group = this.#group;
      const bytes = rejection.record.length + OVERHEAD_BYTES;
      group.rejections.push(rejection);
      group.bytes += bytes;
      this.waitingBytes += bytes;
      written.add(group.written.promise);
    }
    if ((this.#group?.bytes ?? 0) >= MAX_WAITING_BYTES) this.flush();
    await Promise.all(written);
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

  async #save({ rejections, bytes }: Group): Promise<void> {
    const { aborted, stopping } = this.#run;
    aborted.throwIfAborted();
    const timeoutMs = stopping.aborted ? LAST_WRITE_TIMEOUT_MS : WRITE_TIMEOUT_MS;
    const name = this.#nameOf(rejections);
    const now = new Date();
    const content = rejections.map((rejection) => formatDeadLetter(rejection, now)).join('');
    const file = (await this.#bucketOf()).file(name);
    try {
      const saved = file.save(content, {
        resumable: false,
        contentType: 'application/x-ndjson',
        preconditionOpts: { ifGenerationMatch: 0 },
      });
      await withTimeout(saved, timeoutMs, aborted);
    } catch (error) {
      // An attempt of this very write may have succeeded without our hearing of it.
      if (statusOf(error) !== 412) throw error;
      const [metadata] = await withTimeout(file.getMetadata(), timeoutMs, aborted);
      if (metadata.crc32c !== encodeChecksum(crc32c(content))) throw error;
    }
    this.waitingBytes -= bytes;
  }
}
