/** Imports one object generation under its lease: from its checkpoint on, as far as time allows. */

import { randomUUID } from 'node:crypto';
import type { File, Storage } from '@google-cloud/storage';
import { crc32c } from '@node-rs/crc32';
import type { ImportObjectConfig } from './config.ts';
import { addCounts, type Block, isAllRejected, type Location, noCounts, START, withoutSettled } from './core/block.ts';
import { ImportError } from './core/errors.ts';
import { readBlocks } from './core/formats/read-blocks.ts';
import { importBlocks } from './core/import-blocks.ts';
import { Ledger } from './core/ledger.ts';
import type { Mapping } from './core/mappings/mapping.ts';
import type { MappingOf } from './core/mappings/mappings.ts';
import type { Sender } from './core/mixpanel/sender.ts';
import { RejectionLimit } from './core/rejections.ts';
import type { Run } from './core/run.ts';
import type { Settlement } from './core/settlement.ts';
import type { ExclusionReason } from './object-filter.ts';
import { type Logger, loggedError } from './runtime/log.ts';
import { codeOf, failure, statsOf } from './runtime/summary.ts';
import { hasMoved, noProgress, type Progress } from './storage/checkpoint.ts';
import { DeadLetterWriter } from './storage/dead-letters.ts';
import { acquireLease, type Lease } from './storage/lease.ts';
import { checkpointName, type ObjectGeneration, objectDeadLetterName } from './storage/names.ts';
import { objectSource } from './storage/object-source.ts';
import {
  createObjectReader,
  createRangeReader,
  getMetadata,
  isStored,
  ObjectGoneError,
  type ObjectReader,
} from './storage/read-object.ts';
import { withTimeout } from './storage/requests.ts';

/** How long to wait for a read to be broken off, in milliseconds; one that stalls notices late. */
const CLOSE_TIMEOUT_MS = 500;

/** Characters of an error's message that the checkpoint keeps. */
const MAX_MESSAGE_LENGTH = 1_000;

/** What an import works with. */
export interface GenerationContext {
  config: ImportObjectConfig;
  sender: Sender;
  /** What becomes of records, by what they are read from. */
  mappingOf: MappingOf;
  logger: Logger;
  run: Run;
  /** A client that leaves retries to us, and one that does not. */
  reading: Storage;
  writing: Storage;
  /** Why the object's name is not meant: it is skipped then, unless it was begun already. */
  exclusion?: ExclusionReason | undefined;
  /** Has another invocation continue the import. */
  publishContinuation(): Promise<void>;
}

/** How an invocation ended. */
type End =
  | { kind: 'imported' | 'gone' | 'continued' | 'refused' }
  /** It was set aside; without a reason, because it never got on. */
  | { kind: 'stalled'; reason?: ImportError }
  /** It is to be tried again, by the same notification. */
  | { kind: 'failed'; error: unknown };

/**
 * Imports what is left of the object and logs one summary.
 *
 * @throws an error that refuses the delivery, if it is to be tried again; it is logged already
 */
export async function importGeneration(object: ObjectGeneration, context: GenerationContext): Promise<void> {
  const { config, logger, run, reading, exclusion } = context;
  const holder = randomUUID();
  const bucket = reading.bucket(config.stateBucket);
  const summary = (counts = noCounts()) => ({ ...object, ...counts, ...statsOf(run) });
  const file = fileOf(object, reading);
  const acquired = await acquireLease({
    bucket,
    name: checkpointName(object),
    holder,
    leaseMs: config.leaseMs,
    run,
    isStored: () => isStored(file, run),
    mayBegin: exclusion === undefined,
  }).catch((error) => {
    if (error === run.stopping.reason) {
      throw loggedError(logger, 'warn', { ...summary(), reason: run.stopReason }, 'object refused');
    }
    throw failure(logger, summary(), error, 'object failed');
  });
  if (acquired.kind === 'over' || acquired.kind === 'not begun') {
    const reason = acquired.kind === 'over' ? acquired.state : exclusion;
    logger.info({ ...summary(), reason }, 'object skipped');
    return;
  }
  if (acquired.kind === 'held') {
    throw loggedError(logger, 'info', { ...summary(), reason: 'lease', until: acquired.until }, 'object refused');
  }
  if (acquired.kind === 'stalled') {
    logStalled(logger, summary(), acquired.begin);
    return;
  }
  const { lease } = acquired;
  const task = new ImportTask(object, lease, context);
  const end = await endOf(task, lease, context);
  const fields = summary(task.counts);
  switch (end.kind) {
    case 'imported':
      if (isAllRejected(task.progress().counts)) logger.warn({ ...fields, code: 'all_rejected' }, 'object imported');
      else logger.info(fields, 'object imported');
      warnOfNames(task, logger, object);
      break;
    case 'continued':
      logger.info({ ...fields, reason: run.stopReason }, 'object continued');
      break;
    case 'gone':
      if (task.hasBegun) logger.error({ ...fields, state: 'gone', code: 'object_gone' }, 'object gone');
      else logger.warn({ ...fields, state: 'gone' }, 'object gone');
      break;
    case 'stalled':
      logStalled(logger, fields, task.progress(), end.reason);
      break;
    case 'refused':
      throw loggedError(logger, 'warn', { ...fields, reason: run.stopReason }, 'object refused');
    case 'failed':
      throw failure(logger, fields, end.error, 'object failed');
  }
}

function fileOf({ bucket, object, generation }: ObjectGeneration, storage: Storage): File {
  return storage.bucket(bucket).file(object, { generation });
}

/** Says that no record of an object has an event where the mapping looks for it, and what the first one has. */
function warnOfNames(task: ImportTask, logger: Logger, object: ObjectGeneration): void {
  const names = task.namesWithoutEvent;
  if (names === undefined || task.progress().counts.imported > 0) return;
  const fields = { ...object, code: 'mapping_finds_nothing', names };
  logger.warn(fields, 'No record has an event where the mapping looks for it. The first record has these names');
}

function logStalled(logger: Logger, summary: object, { position }: Progress, reason?: ImportError): void {
  const { offset, line } = position;
  const {
    code = 'stalled',
    message = 'Several invocations in a row settled nothing. Inspect the record there, then run backfill --again',
  } = reason ?? {};
  logger.error({ ...summary, state: 'stalled', code, offset, line, error: message }, 'object stalled');
}

function logBlocked(logger: Logger, location: Location, blockedMs: number): void {
  const error = 'A transform must not block: the lease on the object is not renewed meanwhile, and may be lost';
  logger.error(
    { ...location, code: 'transform_blocked', seconds: Math.round(blockedMs / 1_000), error },
    'transform blocked',
  );
}

/** Waits until the import has ended, writes the checkpoint, and has it continued if there is more to do. */
async function endOf(task: ImportTask, lease: Lease, { run, publishContinuation }: GenerationContext): Promise<End> {
  lease.keep(() => task.progress());
  try {
    if (await task.run()) {
      await lease.release('done', task.progress());
      return { kind: 'imported' };
    }
  } catch (error) {
    return endOfFailure(task, lease, error);
  }
  try {
    if (!hasMoved(task.progress(), lease.begin)) return await endWithoutProgress(task, lease, run);
    await lease.release('running', task.progress());
    if (run.stopReason === 'shutdown') return { kind: 'refused' };
    await publishContinuation();
    return { kind: 'continued' };
  } catch (error) {
    return endOfFailure(task, lease, error);
  }
}

/** Time ran out, or the instance is told to end, before anything was settled. */
async function endWithoutProgress(task: ImportTask, lease: Lease, run: Run): Promise<End> {
  const { stopReason, stats } = run;
  if (stopReason === 'deadline' && stats.deferred === 0) {
    const message =
      'Time ran out before anything was settled, although every request was answered: check the transform';
    const isStalled = await lease.releaseFruitless(task.progress(), { code: stopReason, message });
    return { kind: isStalled ? 'stalled' : 'refused' };
  }
  const isOutage = stopReason === 'deadline' || stopReason === 'retry-after';
  const outage = isOutage && { code: stopReason, message: outageMessage(stopReason, stats) };
  await lease.release('running', task.progress(), outage || 'interrupted');
  return { kind: 'refused' };
}

function outageMessage(reason: 'deadline' | 'retry-after', { attempts, throttled }: Run['stats']): string {
  if (reason === 'retry-after') {
    return "Mixpanel asked for a pause that is longer than the time left: check the project's rate limit";
  }
  const begin = 'Time ran out before anything was settled';
  if (attempts === 0) return `${begin}, and before any request to Mixpanel: check Cloud Storage`;
  return `${begin}, after ${attempts} requests with ${throttled} answers 429: check Mixpanel's status page and the project's rate limit`;
}

async function endOfFailure(task: ImportTask, lease: Lease, error: unknown): Promise<End> {
  if (error instanceof ObjectGoneError) {
    try {
      await lease.release('gone', task.progress());
      return { kind: 'gone' };
    } catch (releaseError) {
      return { kind: 'failed', error: releaseError };
    }
  }
  if (error instanceof ImportError && error.code === 'memory_exceeded') {
    // Nothing is wrong with the data, and nothing changes until somebody acts.
    try {
      await lease.release('stalled', task.progress(), { code: error.code, message: error.message });
      return { kind: 'stalled', reason: error };
    } catch (releaseError) {
      return { kind: 'failed', error: releaseError };
    }
  }
  const isCorrupt = error instanceof ImportError && error.code === 'checksum_mismatch';
  const message = (error instanceof Error ? error.message : String(error)).slice(0, MAX_MESSAGE_LENGTH);
  const lastError = { code: codeOf(error), message };
  // Ignore errors from releasing the lease: the original error is more useful.
  await lease.release('running', isCorrupt ? noProgress() : task.progress(), lastError).catch(() => {});
  return { kind: 'failed', error };
}

/** The import of what is left of one object. */
class ImportTask {
  readonly #object: ObjectGeneration;
  readonly #context: GenerationContext;
  readonly #begin: Progress;
  readonly #ledger: Ledger;
  readonly #deadLetters: DeadLetterWriter;
  readonly #limit = new RejectionLimit();
  #format: Pick<Progress, 'format' | 'compression'>;
  #metadata: Progress['metadata'];
  #reader: ObjectReader | undefined;
  #mapping: Mapping | undefined;

  constructor(object: ObjectGeneration, { begin }: Lease, context: GenerationContext) {
    this.#object = object;
    this.#context = context;
    this.#begin = begin;
    this.#ledger = new Ledger(begin.position);
    this.#format = { format: begin.format, compression: begin.compression };
    this.#metadata = begin.metadata;
    this.#deadLetters = new DeadLetterWriter(
      async () => context.writing.bucket(context.config.deadLetterBucket),
      (firstOffset) => objectDeadLetterName(object, firstOffset, randomUUID()),
      context.run,
    );
  }

  /** Counts of what this invocation settled. */
  get counts() {
    return this.#ledger.counts;
  }

  /** Names in the first record, if no record had an event where the mapping looks for it. */
  get namesWithoutEvent(): readonly string[] | undefined {
    return this.#mapping?.kind === 'mapped' ? this.#mapping.namesWithoutEvent : undefined;
  }

  /** Whether any of the object was read, by this invocation or an earlier one. */
  get hasBegun(): boolean {
    return this.#begin.position.offset > 0 || (this.#reader?.bytesRead ?? 0) > 0;
  }

  progress(): Progress {
    const counts = { ...this.#begin.counts };
    addCounts(counts, this.#ledger.counts);
    const { position, settledPart } = this.#ledger;
    if (settledPart !== undefined) {
      counts.read += settledPart.records;
      counts.imported += settledPart.records;
    }
    const settledTo = Math.max(settledPart?.offset ?? 0, this.#begin.position.settledTo ?? 0);
    const { settledTo: _, ...watermark } = settledPart?.position ?? position;
    return {
      ...this.#format,
      position: settledTo > watermark.offset ? { ...watermark, settledTo } : watermark,
      counts,
      metadata: this.#metadata,
    };
  }

  /** Resolves with whether everything is settled; rejected if the import cannot continue. */
  async run(): Promise<boolean> {
    const { config, sender, run, logger } = this.#context;
    const source = this.#blocks();
    const settlement = this.#settlement();
    const slowRecordMs = config.leaseMs / 2;
    const onSlowRecord = (location: Location, blockedMs: number) => logBlocked(logger, location, blockedMs);
    try {
      return await importBlocks(source, { ...config, sender, settlement, slowRecordMs, onSlowRecord }, run);
    } finally {
      // Breaking off a read closes the client's other connections too, so do it before the checkpoint is written.
      await withTimeout(source.return(undefined), CLOSE_TIMEOUT_MS).catch(() => {});
    }
  }

  async *#blocks(): AsyncGenerator<Block[]> {
    const { config, mappingOf, reading, run } = this.#context;
    const { format, compression, position } = this.#begin;
    const file = fileOf(this.#object, reading);
    const stored = await getMetadata(file, run);
    this.#metadata ??= stored.custom;
    const about = objectSource(this.#object, this.#metadata);
    this.#mapping = mappingOf(about.context);
    const source = { ...about, mapping: this.#mapping, limit: this.#limit };
    // Of content that is not compressed, the checkpoint's checksum is that of the stored bytes too.
    const start = compression?.length === 0 ? position : START;
    this.#reader = createObjectReader(file, stored, run, { start });
    const { read } = this.#reader;
    // At offset 0 nothing has been settled, so detect the format again.
    const isResumed = format !== null && compression !== null && position.offset > 0;
    const content = readBlocks(read(), {
      context: { source, insertIdOf: config.insertIdOf, ordinal: 'line', checksumOf: crc32c },
      ranges: createRangeReader(file, stored, run),
      resumption: isResumed ? { format, compression, position } : undefined,
      onFormat: (name, layers) => {
        this.#format = { format: name, compression: layers };
      },
      // Verify the very bytes that could not be decompressed: a second read might bring others.
      async verifyStored() {
        for await (const _ of read()) run.stopping.throwIfAborted();
      },
    });
    const { settledTo = 0 } = position;
    for await (const blocks of content) yield blocks.map((block) => withoutSettled(block, settledTo));
  }

  #settlement(): Settlement {
    const ledger = this.#ledger;
    const deadLetters = this.#deadLetters;
    const limit = this.#limit;
    return {
      get unsettledBytes() {
        return ledger.unsettledBytes + deadLetters.waitingBytes + limit.heldBytes;
      },
      open: (block) => ledger.open(block),
      async settle(block) {
        if (block.rejections.length > 0) await deadLetters.write(block.rejections);
        // They are durable; the block may have to wait for others before the ledger releases it.
        limit.release(block.rejections);
        block.rejections = [];
        ledger.settle(block);
      },
      flush: () => deadLetters.flush(),
    };
  }
}
