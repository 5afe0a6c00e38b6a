/** Writes dead letters to their bucket, many in one object, and tells when they are durable. */

import type { Bucket } from '@google-cloud/storage';
import { offsetOf, type Rejection } from '../core/block.ts';
import { encodeDeadLetter } from '../core/dead-letter.ts';
import { mergeRejections } from '../core/rejections.ts';
import type { Run } from '../core/run.ts';
import { statusOf, withTimeout } from './requests.ts';

/** How long rejections are batched, in milliseconds. */
const LINGER_MS = 1_000;
/** Characters of dead letters that are written together. */
const MAX_GROUP_LENGTH = 4_194_304;
/** Characters of dead letters that wait to be written until a caller has to wait too. */
const MAX_WAITING_LENGTH = 2 * MAX_GROUP_LENGTH;
/** How long writing one object may take, with all that the client tries again, in milliseconds. */
const WRITE_TIMEOUT_MS = 60_000;
/** The same once the run winds down, when little time is left. */
const LAST_WRITE_TIMEOUT_MS = 10_000;

/** Dead letters that go into one object, and those who wait for it. */
interface Group {
  lines: (string | Buffer)[];
  /** A rejection that stands for several, and for those that follow it. */
  summed?: Rejection | undefined;
  /** Characters of the lines. */
  length: number;
  /** The least offset, or index, of a record. */
  firstOffset: number;
  written: PromiseWithResolvers<void>;
}

/** Writes rejections down as dead letters. */
export class DeadLetterWriter {
  /** Approximate bytes of dead letters that are not durable yet. */
  waitingBytes = 0;
  readonly #bucketOf: () => Promise<Bucket>;
  readonly #nameOf: (firstOffset: number) => string;
  readonly #run: Run;
  #group: Group | undefined;
  /** Settled when the previous object is written: one is in progress at a time. */
  #previous: Promise<unknown> = Promise.resolve();

  /**
   * @param bucketOf resolves with the bucket of dead letters; called when something is to be written
   * @param nameOf   the name of an object, by the least offset of a record in it; with a UUID, so that it is never the same
   *                 twice
   * @param run      nothing is written once it is aborted
   */
  constructor(bucketOf: () => Promise<Bucket>, nameOf: (firstOffset: number) => string, run: Run) {
    this.#bucketOf = bucketOf;
    this.#nameOf = nameOf;
    this.#run = run;
  }

  /** Resolves when the rejections are durable. */
  async write(rejections: readonly Rejection[]): Promise<void> {
    const written = new Set<Promise<void>>();
    const now = new Date();
    let last = -1;
    // Those of one record stay together: the object is named after the place of its first.
    for (const rejection of rejections.toSorted((a, b) => offsetOf(a.location) - offsetOf(b.location))) {
      const offset = offsetOf(rejection.location);
      if (offset !== last && this.#isFull()) {
        this.flush();
        // Letters repeat metadata or attributes: many can be far larger than what they were made of.
        if (this.waitingBytes >= MAX_WAITING_LENGTH) await Promise.all(written);
      }
      last = offset;
      this.#group ??= this.#newGroup();
      const group = this.#group;
      this.#add(group, rejection, now);
      group.firstOffset = Math.min(group.firstOffset, offset);
      written.add(group.written.promise);
    }
    if (this.#isFull()) this.flush();
    await Promise.all(written);
  }

  #isFull(): boolean {
    const group = this.#group;
    return group !== undefined && group.length + (group.summed?.stored?.length ?? 0) >= MAX_GROUP_LENGTH;
  }

  #add(group: Group, rejection: Rejection, now: Date): void {
    if (group.summed !== undefined && mergeRejections(group.summed, rejection)) return;
    if (rejection.range === undefined) {
      this.#addLine(group, rejection, now);
      return;
    }
    if (group.summed !== undefined) this.#addLine(group, group.summed, now);
    group.summed = { ...rejection, range: { ...rejection.range } };
  }

  #addLine(group: Group, rejection: Rejection, now: Date): void {
    const line = encodeDeadLetter(rejection, now);
    group.lines.push(line);
    group.length += line.length;
    this.waitingBytes += line.length;
  }

  /** Writes out what is buffered. */
  flush(): void {
    const group = this.#group;
    if (group === undefined) return;
    this.#group = undefined;
    if (group.summed !== undefined) this.#addLine(group, group.summed, new Date());
    group.summed = undefined;
    this.#previous = this.#previous.then(() => this.#save(group)).then(group.written.resolve, group.written.reject);
  }

  #newGroup(): Group {
    const written = Promise.withResolvers<void>();
    // Whoever waits for it may still be adding to another group.
    written.promise.catch(() => {});
    const group = { lines: [], length: 0, firstOffset: Number.POSITIVE_INFINITY, written };
    const flush = () => {
      if (this.#group === group) this.flush();
    };
    this.#run.clock.sleep(LINGER_MS, this.#run.stopping).then(flush, flush);
    return group;
  }

  async #save(group: Group): Promise<void> {
    const { aborted, stopping } = this.#run;
    aborted.throwIfAborted();
    const timeoutMs = stopping.aborted ? LAST_WRITE_TIMEOUT_MS : WRITE_TIMEOUT_MS;
    const name = this.#nameOf(group.firstOffset);
    const content = contentOf(group.lines);
    // The timer of the group holds it for a while.
    group.lines = [];
    const file = (await this.#bucketOf()).file(name);
    try {
      const saved = file.save(content, {
        resumable: false,
        contentType: 'application/x-ndjson',
        preconditionOpts: { ifGenerationMatch: 0 },
      });
      await withTimeout(saved, timeoutMs, aborted);
    } catch (error) {
      // Nobody else uses the name, so an attempt of this very write succeeded and its answer was lost. The object itself
      // cannot be looked at: the functions may create dead letters and not read them.
      if (statusOf(error) !== 412) throw error;
    }
    this.waitingBytes -= group.length;
  }
}

/** Lines as one content; nothing is copied that is large and alone. */
function contentOf(lines: readonly (string | Buffer)[]): string | Buffer {
  if (lines.length === 1) return lines[0]!;
  if (lines.every((line) => typeof line === 'string')) return lines.join('');
  return Buffer.concat(lines.map((line) => (typeof line === 'string' ? Buffer.from(line) : line)));
}
