/** The pipeline: blocks of records in, events to Mixpanel, an outcome for every record, blocks settled. */

import { type Block, isBalanced } from './block.ts';
import { ImportError } from './errors.ts';
import { passThrough, type Transform } from './event.ts';
import { addPassed, type PendingEvents, type TransformedEvent, transformBlock } from './events.ts';
import type { InsertIdOf } from './insert-id.ts';
import { BatchBuilder } from './mixpanel/batch.ts';
import type { Sender } from './mixpanel/sender.ts';
import { recordOutcomes } from './outcomes.ts';
import type { Run } from './run.ts';

const EMPTY = Buffer.alloc(0);

/** How a source is imported. */
export interface ImportOptions {
  sender: Sender;
  transform: Transform;
  insertIdOf: InsertIdOf;
  gzipLevel: number;
  /** Batches under way at most. */
  maxConcurrency: number;
  /** Uncompressed bytes of batches under way, at most; one batch alone may pass it. */
  maxBytesInFlight: number;
  /** Bytes of the source that were read and are not settled; reading waits while they are more than the maximum. */
  unsettledBytes(): number;
  maxUnsettledBytes: number;
  /** How long a batch that is not full waits for more events; for the end of the source unless given. */
  lingerMs?: number;
  /** Takes a block whose events all have outcomes, with its rejections; what it returns is awaited before the end. */
  settle(block: Block): Promise<void> | void;
  /** Nothing more comes to be settled: what waits for company need not wait any longer. */
  flush?(): void;
}

/** Bytes of a source that may be read ahead of what is settled. */
export const MAX_UNSETTLED_BYTES = 64_000_000;

/**
 * Imports what `source` yields until it ends or the run winds down.
 *
 * @param source whose blocks' bytes need only last until the next are asked for; with a transform they must be their own
 * @returns whether all of it is settled; where it is not, `run.stopReason` tells why
 * @throws {@link ImportError} when Mixpanel refuses the configuration; whatever `source` and `settle` throw
 */
export async function importBlocks(source: AsyncIterable<Block[]>, options: ImportOptions, run: Run): Promise<boolean> {
  const pipeline = new Pipeline(options, run);
  const iterator = source[Symbol.asyncIterator]();
  let isExhausted = false;
  try {
    while (!run.stopping.aborted) {
      const result = await pipeline.until(iterator.next()).catch((error: unknown) => ({ error }));
      if (result === undefined) break;
      if ('error' in result) {
        // What was read before is sent and settled all the same: the source may be gone when it is read again.
        await pipeline.dispatch();
        await pipeline.drained();
        throw result.error;
      }
      if (result.done) {
        isExhausted = true;
        await pipeline.dispatch();
        break;
      }
      for (const block of result.value) {
        if (run.stopping.aborted) break;
        await pipeline.take(block);
      }
      await pipeline.roomForMore();
    }
  } catch (error) {
    pipeline.fail(error);
  }
  await pipeline.drained();
  // A source that waits for its next bytes is not waited for.
  iterator.return?.().catch(() => {});
  pipeline.throwFailure();
  return isExhausted && pipeline.openBlocks === 0;
}

/** The state of one import: the batch under construction and all that is under way. */
class Pipeline {
  readonly #options: ImportOptions;
  readonly #run: Run;
  #builder = new BatchBuilder();
  /** Builders at rest: while one batch is compressed the next is filled. */
  readonly #spare = [new BatchBuilder()];
  /** Number of the batch whose first events wait for more, and whether they have waited for long enough. */
  #lingering: number | undefined;
  #hasLingered = false;
  #batches = 0;
  #bytesInFlight = 0;
  /** Blocks that were taken and are not settled. */
  openBlocks = 0;
  /** Blocks that are being settled. */
  #settling = 0;
  #failure: { error: unknown } | undefined;
  /** Resolved at the next change of what is under way. */
  #change = Promise.withResolvers<void>();

  constructor(options: ImportOptions, run: Run) {
    this.#options = options;
    this.#run = run;
    run.stopping.addEventListener('abort', () => this.#changed(), { once: true });
  }

  /** Waits for `next`, and meanwhile sends the batch that has waited for long enough; undefined when the run stops first. */
  async until<Value>(next: Promise<Value>): Promise<Value | undefined> {
    let value: Value | undefined;
    const arrived = next.then((it) => {
      value = it;
    });
    arrived.catch(() => {}); // It is reported by the race, unless the run has stopped.
    while (value === undefined && !this.#run.stopping.aborted) {
      if (this.#hasLingered) await this.dispatch();
      this.#startLinger();
      await Promise.race([arrived, this.#change.promise]);
    }
    return value;
  }

  /** Turns a block's records into events. */
  async take(block: Block): Promise<void> {
    this.openBlocks++;
    await this.#add(block);
    if (this.#run.stopping.aborted) return;
    // Of what a transform made the record cannot be had back.
    if (this.#options.transform === passThrough) block.bytes = EMPTY;
    this.#settleEvents(block, 1);
  }

  /** Sends the batch under construction as soon as there is room for it. */
  async dispatch(): Promise<void> {
    const builder = this.#builder;
    if (builder.events === 0) return;
    const { maxConcurrency, maxBytesInFlight } = this.#options;
    while (
      !this.#run.stopping.aborted &&
      (this.#spare.length === 0 ||
        this.#batches >= maxConcurrency ||
        (this.#batches > 0 && this.#bytesInFlight + builder.bytes > maxBytesInFlight))
    ) {
      await this.#change.promise;
    }
    if (this.#run.stopping.aborted) return;
    this.#builder = this.#spare.pop()!;
    this.#hasLingered = false;
    this.#batches++;
    this.#run.stats.batches++;
    void this.#send(builder, builder.bytes);
  }

  /** Waits while too much is read and not settled. */
  async roomForMore(): Promise<void> {
    while (!this.#run.stopping.aborted && this.#options.unsettledBytes() > this.#options.maxUnsettledBytes) {
      if (this.#batches + this.#settling > 0) await this.#change.promise;
      else if (this.#builder.events > 0) await this.dispatch();
      else break;
    }
  }

  /** Waits until nothing is under way any more. */
  async drained(): Promise<void> {
    while (this.#batches > 0) await this.#change.promise;
    this.#options.flush?.();
    while (this.#settling > 0) await this.#change.promise;
  }

  /** Ends the run because of an error; the first one stands. */
  fail(error: unknown): void {
    if (error === this.#run.stopping.reason) return;
    this.#failure ??= { error };
    this.#run.stop('failure');
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #add(block: Block): Promise<void> {
    const { transform, insertIdOf, sender } = this.#options;
    if (transform === passThrough) {
      for (let record = 0; record < block.starts.length; ) {
        const added = addPassed(this.#builder, block, record, sender.limits, insertIdOf);
        record += added;
        if (added > 0) continue;
        await this.dispatch();
        if (this.#run.stopping.aborted) return;
      }
      return;
    }
    const pending: PendingEvents[] = [];
    await this.#addTransformed(transformBlock(block, transform, insertIdOf, pending));
    if (pending.length === 0) return;
    // Neither a transform that takes its time keeps a batch from being sent, nor one that never ends the run from stopping.
    for (const events of (await this.until(Promise.all(pending))) ?? []) await this.#addTransformed(events);
  }

  async #addTransformed(events: Iterable<TransformedEvent>): Promise<void> {
    const { limits } = this.#options.sender;
    for (const event of events) {
      if (this.#run.stopping.aborted) return;
      // UTF-8 takes three bytes for one of UTF-16's units at most.
      const bytes = this.#builder.fits(3 * event.text.length, limits) ? 0 : Buffer.byteLength(event.text);
      if (!this.#builder.fits(bytes, limits)) await this.dispatch();
      if (this.#run.stopping.aborted) return;
      this.#builder.addText(event, event.text);
    }
  }

  async #send(builder: BatchBuilder, bytes: number): Promise<void> {
    this.#bytesInFlight += bytes;
    try {
      const batch = await builder.seal(this.#options.gzipLevel);
      this.#spare.push(builder);
      this.#changed();
      await recordOutcomes(batch, await this.#options.sender.send(batch, this.#run));
      for (const { block, events } of batch.stretches) this.#settleEvents(block, events);
    } catch (error) {
      this.fail(error);
    } finally {
      this.#batches--;
      this.#bytesInFlight -= bytes;
      this.#changed();
    }
  }

  /** So many events of the block have their outcomes; one more is settled when its records have all been turned into events. */
  #settleEvents(block: Block, events: number): void {
    block.pending -= events;
    if (block.pending > 0) return;
    if (!isBalanced(block.counts)) {
      const message = `The accounts of a block do not balance: ${JSON.stringify(block.counts)}; this is a defect, please report it`;
      this.fail(new ImportError('accounts_unbalanced', message));
      return;
    }
    const settled = this.#options.settle(block);
    if (settled === undefined) {
      this.openBlocks--;
      return;
    }
    this.#settling++;
    settled
      .then(
        () => this.openBlocks--,
        (error) => this.fail(error),
      )
      .finally(() => {
        this.#settling--;
        this.#changed();
      });
  }

  #startLinger(): void {
    const { lingerMs } = this.#options;
    const batch = this.#run.stats.batches;
    if (lingerMs === undefined || this.#builder.events === 0 || this.#lingering === batch) return;
    this.#lingering = batch;
    this.#run.clock.sleep(lingerMs, this.#run.stopping).then(
      () => {
        if (this.#run.stats.batches !== batch) return;
        this.#hasLingered = true;
        this.#changed();
      },
      () => {},
    );
  }

  #changed(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve();
  }
}
