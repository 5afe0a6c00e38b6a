/** importObject: a notification comes, the object generation that it names is imported. */

import { randomUUID } from 'node:crypto';
import type { ImportObjectConfig } from './config.ts';
import type { Block, Origin, Rejection } from './import/block.ts';
import { recordBlocks } from './import/content.ts';
import { importBlocks, MAX_UNSETTLED_BYTES } from './import/import.ts';
import { Ledger } from './import/ledger.ts';
import { RecordParser } from './import/records.ts';
import { type Run, startRun } from './import/run.ts';
import type { Sender } from './import/sender.ts';
import { type Logger, loggedError, withTrace } from './log.ts';
import { type CloudEvent, readNotification } from './notification.ts';
import { register, unregister } from './shutdown.ts';
import { createReadingStorage, createStorage } from './storage/client.ts';
import { DeadLetterWriter } from './storage/dead-letters.ts';
import { type ObjectGeneration, objectDeadLetterName } from './storage/names.ts';
import { getMetadata, ObjectGoneError, readObject } from './storage/read-object.ts';
import { failure, workOf } from './summary.ts';
import transform from './transform.ts';

/** Handles one CloudEvent; what it throws makes the delivery be refused, and tried again later. */
export type ImportObject = (cloudEvent: CloudEvent) => Promise<void>;

/** Makes the function, once for the process. */
export function createImportObject(config: ImportObjectConfig, sender: Sender, processLogger: Logger): ImportObject {
  const reading = createReadingStorage(config.storageEndpoint);
  const stateBucket = createStorage(config.storageEndpoint).bucket(config.stateBucket);
  const projectId = config.objectTopic.split('/')[1]!;

  return async (cloudEvent) => {
    const logger = withTrace(processLogger, projectId, cloudEvent.traceparent);
    const notification = readNotification(cloudEvent);
    if ('problem' in notification) {
      logger.warn({ id: notification.id }, `A CloudEvent is not one of ours and is left out: ${notification.problem}`);
      return;
    }
    const { object } = notification;
    if (object.bucket === config.stateBucket) {
      const fields = { ...object, code: 'state_bucket_watched' };
      logger.error(
        fields,
        'The state bucket notifies of its objects, which are not imported: remove that notification',
      );
      return;
    }
    if (!object.object.startsWith(config.objectPrefix)) {
      logger.info({ ...object, reason: 'prefix' }, 'object skipped');
      return;
    }
    const run = startRun(config.deadlineMs);
    register(run);
    try {
      await importGeneration(object, run, logger);
    } finally {
      unregister(run);
      run.end();
    }
  };

  async function importGeneration(object: ObjectGeneration, run: Run, logger: Logger): Promise<void> {
    const holder = randomUUID();
    const ledger = new Ledger();
    const deadLetters = new DeadLetterWriter(
      stateBucket,
      (rejections) => objectDeadLetterName(object, firstOffset(rejections), holder),
      run,
    );
    const summary = () => ({
      ...object,
      ...ledger.counts,
      ...workOf(run),
      ...(deadLetters.names.length > 0 ? { deadLetters: deadLetters.names.slice(0, 10) } : {}),
    });
    try {
      const file = reading.bucket(object.bucket).file(object.object, { generation: object.generation });
      const metadata = await getMetadata(file);
      const origin: Origin = { sourceOf: (offset, line) => ({ ...object, line, offset }) };
      const blocks = recordBlocks(readObject(file, metadata, run), {
        parser: new RecordParser({ origin, insertIdOf: config.insertIdOf, ordinal: 'line' }),
        verifyStored: async () => {
          for await (const _ of readObject(file, metadata, run));
        },
      });
      const isComplete = await importBlocks(
        opened(blocks, ledger),
        {
          ...config,
          sender,
          transform,
          maxUnsettledBytes: MAX_UNSETTLED_BYTES,
          async settle(block) {
            if (block.rejections.length > 0) await deadLetters.write(block.rejections);
            ledger.settle(block);
          },
          flush: () => deadLetters.flush(),
        },
        run,
      );
      if (isComplete) return logger.info(summary(), 'object imported');
    } catch (error) {
      if (error instanceof ObjectGoneError && run.stats.attempts === 0 && ledger.counts.read === 0) {
        logger.warn({ ...summary(), state: 'gone' }, 'object gone');
        return;
      }
      throw failure(logger, summary(), error, 'object failed');
    }
    throw loggedError(logger, 'warn', { ...summary(), reason: run.stopReason }, 'object refused');
  }
}

async function* opened(blocks: AsyncIterable<Block[]>, ledger: Ledger): AsyncGenerator<Block[]> {
  for await (const some of blocks) {
    ledger.open(some);
    yield some;
  }
}

function firstOffset(rejections: readonly Rejection[]): number {
  return Math.min(...rejections.map(({ source }) => ('offset' in source ? source.offset : 0)));
}
