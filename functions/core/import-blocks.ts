/** The pipeline: blocks of records in, events to Mixpanel, an outcome for every record, blocks settled. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Block, cutBlock, isBalanced, type Location, lengthOf, type Rejection } from './block.ts';
import { ImportError } from './errors.ts';
import { addRecords, locationOf, ManyEvents, type Mapped, type MappedRecord, placeOf, RecordMapper } from './events.ts';
import type { InsertIdOf } from './insert-id.ts';
import { AS_THEY_ARE, type MappedRecords } from './mappings/mapping.ts';
import { type Batch, BatchBuilder } from './mixpanel/batch.ts';
import type { Sender } from './mixpanel/sender.ts';
import { OutcomeRecorder } from './outcomes.ts';
import { addRejection } from './rejections.ts';
import type { Run } from './run.ts';
import type { Settlement } from './settlement.ts';
import { Signal } from './signal.ts';

const EMPTY = Buffer.alloc(0);
/** Bytes of a source that may be read ahead of what is settled. */
const MAX_UNSETTLED_BYTES = 64_000_000;
/** Events of one record after which other work of the process gets its turn, such as renewing a lease. */
const EVENTS_A_TURN = 2_000;

/** How a source is imported. */
export interface ImportOptions {
  sender: Sender;
  insertIdOf: InsertIdOf;
  gzipLevel: number;
  /** Batches in progress at most. */
  maxConcurrency: number;
  /** Uncompressed bytes of batches in progress at most; a single batch may be larger. */
  maxBytesInFlight: number;
  settlement: Settlement;
  /** Reading waits while more bytes than this are unsettled. */
  maxUnsettledBytes?: number;
  /** Told of a record whose transform blocked the process for {@link slowRecordMs} or longer, when it returns. */
  onSlowRecord?: (location: Location, blockedMs: number) => void;
  /** Default: never told. */
  slowRecordMs?: number;
  /** How long a batch that is not full waits for more events; default: until the source ends. */
  lingerMs?: number;
}

/**
 * Imports what `source` yields until it ends or the run stops.
 *
 * @param source yields blocks whose bytes need only last until the next are asked for, unless they own them
 * @returns whether everything is settled; if not, `run.stopReason` says why
 * @throws {@link ImportError} if Mixpanel refuses the configuration; whatever `source` and the settlement throw
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
        // Send and settle what was read before: the source may be gone when it is read again.
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
  // Do not wait for a source that itself waits for its next bytes.
  iterator.return?.().catch(() => {});
  pipeline.throwFailure();
  return isExhausted && pipeline.openBlocks === 0;
}

/** The state of one import: the batch under construction, and everything in progress. */
class Pipeline {
  /** Blocks that were opened and are not settled. */
  openBlocks = 0;
  readonly #options: ImportOptions;
  readonly #run: Run;
  #builder = new BatchBuilder();
  /** Idle builders: while one batch is compressed the next one is filled. */
  readonly #spare = [new BatchBuilder()];
  /** The block whose records are being added to batches, and how many of them are. */
  #block: Block | undefined;
  #added = 0;
  /** Records that had been cut away from it when it was taken. */
  #cutBefore = 0;
  /** Whether some events of the next record are in a batch and others are not. */
  #isInsideRecord = false;
  /** Number of the batch whose first events wait for more, and whether they have waited long enough. */
  #lingering: number | undefined;
  #hasLingered = false;
  #batches = 0;
  #bytesInFlight = 0;
  /** Blocks that are being settled. */
  #settling = 0;
  #failure: { error: unknown } | undefined;
  /** Notified whenever something in progress has changed. */
  readonly #change = new Signal();

  constructor(options: ImportOptions, run: Run) {
    this.#options = options;
    this.#run = run;
    run.stopping.addEventListener('abort', () => this.#change.notify(), { once: true });
  }

  /** Waits for `next`, and meanwhile sends the batch that has waited long enough; undefined if the run stops first. */
  async until<Value>(next: Promise<Value>): Promise<Value | undefined> {
    let settled: { value: Value } | { error: unknown } | undefined;
    next
      .then(
        (value) => {
          settled = { value };
        },
        (error: unknown) => {
          settled = { error };
        },
      )
      .finally(() => this.#change.notify());
    while (settled === undefined && !this.#run.stopping.aborted) {
      if (this.#hasLingered) {
        await this.dispatch();
        continue;
      }
      this.#startLinger();
      await this.#change.wait();
    }
    if (settled === undefined) return undefined;
    if ('error' in settled) throw settled.error;
    return settled.value;
  }

  /** Turns a block's records into events. */
  async take(block: Block): Promise<void> {
    this.#cutBefore = block.cutAway;
    this.#open(block);
    const { records } = block;
    const { mapping } = block.source;
    if (records.form === 'json' && mapping.kind === 'verbatim') await this.#addRecords();
    else await this.#addMapped(mapping.kind === 'mapped' ? mapping : AS_THEY_ARE);
    const last = this.#block!;
    this.#block = undefined;
    if (records.form === 'rows') records.release?.();
    if (!this.#run.stopping.aborted) this.#complete(last);
  }

  /**
   * Sends the batch under construction as soon as there is room for it. If it ends in the middle of a block, the block is
   * cut there, so that a checkpoint can follow every batch.
   */
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
      await this.#change.wait();
    }
    if (this.#run.stopping.aborted) return;
    this.#cut();
    this.#builder = this.#spare.pop()!;
    this.#hasLingered = false;
    this.#batches++;
    this.#run.stats.batches++;
    void this.#send(builder, builder.bytes);
  }

  /** Waits while too much is read and not settled. */
  async roomForMore(): Promise<void> {
    const { settlement, maxUnsettledBytes = MAX_UNSETTLED_BYTES } = this.#options;
    while (!this.#run.stopping.aborted && settlement.unsettledBytes > maxUnsettledBytes) {
      if (this.#batches + this.#settling > 0) await this.#change.wait();
      else if (this.#builder.events > 0) await this.dispatch();
      else break;
    }
  }

  /** Waits until nothing is in progress. */
  async drained(): Promise<void> {
    while (this.#batches > 0) await this.#change.wait();
    this.#options.settlement.flush();
    while (this.#settling > 0) await this.#change.wait();
  }

  /** Ends the run because of an error; only the first one counts. */
  fail(error: unknown): void {
    if (error === this.#run.stopping.reason) {
      this.#run.stats.deferred++;
      return;
    }
    this.#failure ??= { error };
    this.#run.stop('failure');
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #open(block: Block): void {
    this.openBlocks++;
    this.#block = block;
    this.#added = 0;
    this.#options.settlement.open(block);
  }

  /** Cuts the current block after the records that are in batches, if it can settle in parts. */
  #cut(): void {
    const block = this.#block;
    if (block?.positionAt === undefined || this.#isInsideRecord) return;
    if (this.#added === 0 || this.#added === lengthOf(block.records)) return;
    const rest = cutBlock(block, this.#added);
    this.#complete(block);
    this.#open(rest);
  }

  /** All records of a block are in batches. */
  #complete(block: Block): void {
    // From now on they are recovered from the batches; do not keep the buffer of a message.
    if (block.records.form === 'json' && !block.records.ownsBytes) block.records.bytes = EMPTY;
    this.#settleEvents(block, 1);
  }

  async #addRecords(): Promise<void> {
    const { insertIdOf, sender } = this.#options;
    for (;;) {
      const block = this.#block!;
      const { records } = block;
      if (records.form !== 'json' || this.#added === records.starts.length) return;
      const added = addRecords(this.#builder, block, records, this.#added, sender.limits, insertIdOf);
      this.#added += added;
      if (added > 0) continue;
      await this.dispatch();
      if (this.#run.stopping.aborted) return;
    }
  }

  async #addMapped(mapping: MappedRecords): Promise<void> {
    const mapper = new RecordMapper(this.#block!, mapping, this.#options.insertIdOf);
    const length = lengthOf(this.#block!.records);
    const pending: (Mapped | Promise<Mapped>)[] = [];
    let record = 0;
    for (; record < length; record++) {
      const mapped = this.#options.slowRecordMs === undefined ? mapper.map(record) : this.#mapTimed(mapper, record);
      if (mapped instanceof Promise || pending.length > 0) {
        pending.push(mapped);
        continue;
      }
      // Almost every record is added without waiting.
      if (!this.#tryAdd(record, mapped)) await this.#addLater(record, mapped);
      if (this.#run.stopping.aborted) return;
    }
    if (pending.length === 0) return;
    record -= pending.length;
    // A slow transform must not delay a batch, and one that never resolves must not keep the run from stopping.
    for (const mapped of (await this.until(Promise.all(pending))) ?? []) {
      if (!this.#tryAdd(record, mapped)) await this.#addLater(record, mapped);
      if (this.#run.stopping.aborted) return;
      record++;
    }
  }

  #mapTimed(mapper: RecordMapper, record: number): Mapped | Promise<Mapped> {
    const { slowRecordMs, onSlowRecord } = this.#options;
    const { clock } = this.#run;
    const startedAt = clock.now();
    const mapped = mapper.map(record);
    const blockedMs = clock.now() - startedAt;
    if (blockedMs >= slowRecordMs!) onSlowRecord?.(locationOf(this.#block!, this.#indexOf(record)), blockedMs);
    return mapped;
  }

  /** Adds the events of a record if all of them fit in the batch, so that a batch can end after any record. */
  #tryAdd(record: number, mapped: Mapped): boolean {
    const block = this.#block!;
    const index = this.#indexOf(record);
    if (typeof mapped === 'string') {
      if (!this.#fits(mapped)) return false;
      this.#builder.addText(block, index, mapped);
    } else if (mapped instanceof ManyEvents) {
      return false;
    } else {
      const { texts, indexes } = mapped;
      if (texts.length > 0 && !this.#fitsAll(texts)) return false;
      this.#count(mapped, index);
      for (let event = 0; event < texts.length; event++) {
        this.#builder.addText(block, index, texts[event]!, indexes?.[event]);
      }
    }
    this.#added = index + 1;
    return true;
  }

  /** Begins a new batch for a record. If even that cannot hold all of its events, they go into several. */
  async #addLater(record: number, mapped: Mapped): Promise<void> {
    await this.dispatch();
    if (this.#run.stopping.aborted || this.#tryAdd(record, mapped) || typeof mapped === 'string') return;
    this.#isInsideRecord = true;
    if (mapped instanceof ManyEvents) await this.#addMany(record, mapped);
    else await this.#addEach(record, mapped);
    if (this.#run.stopping.aborted) return;
    this.#isInsideRecord = false;
    this.#added = this.#indexOf(record) + 1;
  }

  async #addEach(record: number, mapped: MappedRecord): Promise<void> {
    this.#count(mapped, this.#indexOf(record));
    for (const [event, text] of mapped.texts.entries()) {
      if (!this.#fits(text)) await this.dispatch();
      if (this.#run.stopping.aborted) return;
      this.#builder.addText(this.#block!, this.#indexOf(record), text, mapped.indexes?.[event]);
    }
  }

  async #addMany(record: number, events: ManyEvents): Promise<void> {
    this.#block!.counts.expanded += events.length - 1;
    for (const made of events) {
      if (made.index % EVENTS_A_TURN === 0) await nextTurn();
      if ('rejection' in made) {
        this.#addRejection(made.rejection, this.#indexOf(record));
      } else {
        if (!this.#fits(made.text)) await this.dispatch();
        if (this.#run.stopping.aborted) return;
        this.#builder.addText(this.#block!, this.#indexOf(record), made.text, made.index);
      }
    }
  }

  /** Index in the current block of a record of the block that was taken. */
  #indexOf(record: number): number {
    return record + this.#cutBefore - this.#block!.cutAway;
  }

  #count({ rejections, expanded }: MappedRecord, record: number): void {
    const { counts } = this.#block!;
    if (expanded === -1) counts.dropped++;
    else counts.expanded += expanded;
    for (const rejection of rejections) this.#addRejection(rejection, record);
  }

  #addRejection(rejection: Rejection, record: number): void {
    const block = this.#block!;
    block.counts.rejected++;
    const canExtend = block.rejections.length > block.foundRejections;
    addRejection(block.rejections, { ...placeOf(block, record), canExtend }, () => rejection);
  }

  #fits(text: string): boolean {
    const { limits } = this.#options.sender;
    // UTF-8 takes at most three bytes for a UTF-16 code unit.
    return this.#builder.fits(3 * text.length, limits) || this.#builder.fits(Buffer.byteLength(text), limits);
  }

  #fitsAll(texts: readonly string[]): boolean {
    let bytes = 0;
    for (const text of texts) bytes += Buffer.byteLength(text);
    return this.#builder.fits(bytes, this.#options.sender.limits, texts.length);
  }

  async #send(builder: BatchBuilder, bytes: number): Promise<void> {
    this.#bytesInFlight += bytes;
    try {
      const batch: Batch = await builder.seal(this.#options.gzipLevel);
      this.#spare.push(builder);
      this.#change.notify();
      const outcomes = new OutcomeRecorder(batch);
      await this.#options.sender.send(batch, this.#run, async (part) => {
        for (const { block, events } of await outcomes.record(part)) this.#settleEvents(block, events);
      });
    } catch (error) {
      this.fail(error);
    } finally {
      this.#batches--;
      this.#bytesInFlight -= bytes;
      this.#change.notify();
    }
  }

  /** So many events of the block have their outcomes; one more counts once its records are all in batches. */
  #settleEvents(block: Block, events: number): void {
    block.pending -= events;
    if (block.pending > 0) return;
    if (!isBalanced(block.counts)) {
      const message = `The counts of a block do not add up: ${JSON.stringify(block.counts)}. This is a defect, please report it`;
      this.fail(new ImportError('accounts_unbalanced', message));
      return;
    }
    const settled = this.#options.settlement.settle(block);
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
        this.#change.notify();
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
        this.#change.notify();
      },
      () => {},
    );
  }
}
