/** Imports one object generation under its lease: from its checkpoint on, as far as time allows. */

import { randomUUID } from 'node:crypto';
import type { Storage } from '@google-cloud/storage';
import { crc32c } from '@node-rs/crc32';
import type { ImportObjectConfig } from './config.ts';
import { addCounts, type Block, noCounts, type Rejection, START } from './core/block.ts';
import { ImportError } from './core/errors.ts';
import { passThrough } from './core/event.ts';
import { RecordParser } from './core/formats/json/parser.ts';
import { recordBlocks } from './core/formats/read-blocks.ts';
import { importBlocks, MAX_UNSETTLED_BYTES } from './core/import-blocks.ts';
import { Ledger } from './core/ledger.ts';
import type { Sender } from './core/mixpanel/sender.ts';
import type { Run } from './core/run.ts';
import { type Logger, loggedError } from './runtime/log.ts';
import { failure, workOf } from './runtime/summary.ts';
import { noProgress, type Progress } from './storage/checkpoint.ts';
import { DeadLetterWriter } from './storage/dead-letters.ts';
import { acquireLease, type Lease } from './storage/lease.ts';
import { checkpointName, type ObjectGeneration, objectDeadLetterName } from './storage/names.ts';
import { createObjectReader, getMetadata, ObjectGoneError, type ObjectReader } from './storage/read-object.ts';
import { inTime } from './storage/requests.ts';
import transform from './transform.ts';

/** Leases that have expired without movement, from which on each is an ERROR. */
const MANY_TAKEOVERS = 3;
/** How long breaking off a read is waited for, in milliseconds; one that stalls notices late. */
const CLOSE_TIMEOUT_MS = 500;

/** What an import works with. */
export interface GenerationContext {
  config: ImportObjectConfig;
  sender: Sender;
  logger: Logger;
  run: Run;
  /** A client that leaves trying again to us, and one that does not. */
  reading: Storage;
  writing: Storage;
  /** Has the import gone on with in another invocation. */
  publishContinuation(): Promise<void>;
}

/**
 * Imports what is left of the object and logs one summary.
 *
 * @throws an error that refuses the delivery, where it is to be tried again; it is logged already
 */
export async function importGeneration(object: ObjectGeneration, context: GenerationContext): Promise<void> {
  const { config, logger, run, reading } = context;
  const holder = randomUUID();
  const bucket = reading.bucket(config.stateBucket);
  const summary = (counts = noCounts()) => ({ ...object, ...counts, ...workOf(run) });
  const acquired = await acquireLease({
    bucket,
    name: checkpointName(object),
    holder,
    leaseMs: config.leaseMs,
    run,
  }).catch((error) => {
    if (error === run.stopping.reason) {
      throw loggedError(logger, 'warn', { ...summary(), reason: run.stopReason }, 'object refused');
    }
    throw failure(logger, summary(), error, 'object failed');
  });
  if (acquired.kind === 'over') {
    logger.info({ ...summary(), reason: acquired.state }, 'object skipped');
    return;
  }
  if (acquired.kind === 'held') {
    throw loggedError(logger, 'info', { ...summary(), reason: 'lease', until: acquired.until }, 'object refused');
  }
  const { lease } = acquired;
  if (lease.takeovers >= MANY_TAKEOVERS) {
    const fields = { ...object, code: 'no_progress', takeovers: lease.takeovers, offset: lease.begin.offset };
    logger.error(fields, 'Invocations end again and again without progress at this offset: look at what stands there');
  }
  const work = startWork(object, lease, holder, context);
  try {
    const end = await endOf(work, lease, run);
    if (end === 'continued') await context.publishContinuation();
    const fields = { ...summary(work.ledger.counts), ...(end === 'continued' ? { reason: run.stopReason } : {}) };
    if (end === 'refused') throw loggedError(logger, 'warn', { ...fields, reason: run.stopReason }, 'object refused');
    if (end !== 'gone') logger.info(fields, `object ${end}`);
    else if (work.hasBegun()) logger.error({ ...fields, state: 'gone', code: 'object_gone' }, 'object gone');
    else logger.warn({ ...fields, state: 'gone' }, 'object gone');
  } catch (error) {
    throw failure(logger, summary(work.ledger.counts), error, 'object failed');
  }
}

/** Waits until the import has ended, and writes down how. */
async function endOf(work: Work, lease: Lease, run: Run): Promise<'imported' | 'gone' | 'continued' | 'refused'> {
  lease.keep(work.progress);
  try {
    if (await work.result) {
      await lease.release('done', work.progress());
      return 'imported';
    }
  } catch (error) {
    if (error instanceof ObjectGoneError) {
      await lease.release('gone', work.progress());
      return 'gone';
    }
    const isCorrupt = error instanceof ImportError && error.code === 'checksum_mismatch';
    // The error at hand says more than one that comes of letting go.
    await lease.release('running', isCorrupt ? noProgress() : work.progress()).catch(() => {});
    throw error;
  }
  await lease.release('running', work.progress());
  const hasMoved = work.ledger.position.offset > lease.begin.offset;
  return hasMoved && run.stopReason !== 'shutdown' ? 'continued' : 'refused';
}

/** An import under way. */
interface Work {
  ledger: Ledger;
  /** Whether any of the object was read, now or by an earlier invocation. */
  hasBegun(): boolean;
  progress: () => Progress;
  /** Whether all of the object is settled; rejected when the import cannot go on. */
  result: Promise<boolean>;
}

function startWork(object: ObjectGeneration, lease: Lease, holder: string, context: GenerationContext): Work {
  const { config, run } = context;
  const { begin } = lease;
  const { offset, line, checksum } = begin;
  const ledger = new Ledger({ offset, line, checksum });
  let { gzip } = begin;
  let reader: ObjectReader | undefined;
  const parser = new RecordParser({
    origin: { sourceOf: (offset, line) => ({ ...object, line, offset }) },
    insertIdOf: config.insertIdOf,
    ordinal: 'line',
    checksumOf: crc32c,
    isTransformed: transform !== passThrough,
    resumeAt: begin.format === null ? undefined : { format: begin.format, offset, line, checksum },
  });
  const deadLetters = new DeadLetterWriter(
    async () => context.writing.bucket(config.stateBucket),
    (rejections) => objectDeadLetterName(object, firstOffset(rejections), holder),
    run,
  );

  async function* blocks(): AsyncGenerator<Block[]> {
    const file = context.reading.bucket(object.bucket).file(object.object, { generation: object.generation });
    // Of what is not compressed, the checkpoint's checksum is that of the stored bytes too.
    const start = begin.gzip === false ? { offset, checksum } : START;
    reader = createObjectReader(file, await getMetadata(file, run), run, { start });
    const { read } = reader;
    const content = recordBlocks(read(), {
      parser,
      // At the beginning the first bytes tell once more: no decision was made that anything depends on.
      resume: begin.gzip === null || offset === 0 ? undefined : { isGzip: begin.gzip, offset, checksum },
      checksumOf: crc32c,
      onFormat: (isGzip) => {
        gzip = isGzip;
      },
      // The very bytes that could not be decompressed are verified: a second read might bring others.
      async verifyStored() {
        for await (const _ of read()) run.stopping.throwIfAborted();
      },
    });
    for await (const some of content) {
      ledger.open(some);
      yield some;
    }
  }

  const options = {
    ...config,
    sender: context.sender,
    transform,
    unsettledBytes: () => ledger.aheadBytes + deadLetters.waitingBytes,
    maxUnsettledBytes: MAX_UNSETTLED_BYTES,
    async settle(block: Block) {
      if (block.rejections.length > 0) await deadLetters.write(block.rejections);
      // They are durable, and the block may have to wait for others before the ledger lets it go.
      block.rejections.length = 0;
      ledger.settle(block);
    },
    flush: () => deadLetters.flush(),
  };
  const progress = () => {
    const counts = { ...begin.counts };
    addCounts(counts, ledger.counts);
    return { format: parser.format ?? begin.format, gzip, ...ledger.position, counts };
  };
  const hasBegun = () => offset > 0 || (reader?.bytesRead ?? 0) > 0;
  const source = blocks();
  // A read that is broken off takes the client's other connections with it: the checkpoint is written after that.
  const close = () => inTime(source.return(undefined), CLOSE_TIMEOUT_MS).catch(() => {});
  return { ledger, hasBegun, progress, result: importBlocks(source, options, run).finally(close) };
}

function firstOffset(rejections: readonly Rejection[]): number {
  return Math.min(...rejections.map(({ source }) => ('offset' in source ? source.offset : 0)));
}
