/** drainSubscription: called every minute, it imports what waits in a subscription. */

import { randomUUID } from 'node:crypto';
import type { v1 } from '@google-cloud/pubsub';
import type { Bucket } from '@google-cloud/storage';
import type { DrainSubscriptionConfig } from './config.ts';
import { addCounts, type Block, noCounts } from './core/block.ts';
import { importBlocks, MAX_UNSETTLED_BYTES } from './core/import-blocks.ts';
import type { Sender } from './core/mixpanel/sender.ts';
import { type Run, startRun } from './core/run.ts';
import { Acks } from './pubsub/acks.ts';
import { toBlock } from './pubsub/message-block.ts';
import { pullMessages, type ReceivedMessage } from './pubsub/pull.ts';
import { type Logger, loggedError } from './runtime/log.ts';
import { register, unregister } from './runtime/shutdown.ts';
import { failure, workOf } from './runtime/summary.ts';
import { DeadLetterWriter } from './storage/dead-letters.ts';
import { messageDeadLetterName } from './storage/names.ts';
import transform from './transform.ts';

/** How long a batch that is not full waits for more messages, in milliseconds. */
const LINGER_MS = 1_000;
/** Decompressed bytes of messages that are worked on before more of a pull are decompressed. */
const SLICE_BYTES = 1_048_576;
/** What a message takes of memory besides its data until it is settled, about; with small ones it is most. */
const MESSAGE_BYTES = 2_000;

/** Drains once, and returns the summary; what it throws is to be answered with 500. */
export type DrainSubscription = (logger: Logger) => Promise<object>;

/** Makes the function, once for the process. */
export function createDrainSubscription(
  config: DrainSubscriptionConfig,
  sender: Sender,
  subscriber: v1.SubscriberClient,
): DrainSubscription {
  const subscription = config.eventSubscription;
  let stateBucket: Promise<Bucket> | undefined;

  return async (logger) => {
    const run = startRun(config.deadlineMs);
    register(run);
    try {
      return await drain(run, logger);
    } finally {
      unregister(run);
      run.end();
    }
  };

  /** Loads the storage client only now: most drains have no dead letters, and an instance starts sooner without. */
  function findStateBucket(): Promise<Bucket> {
    stateBucket ??= import('./storage/client.ts').then(({ createStorage }) =>
      createStorage(config.storageEndpoint).bucket(config.stateBucket),
    );
    return stateBucket;
  }

  async function drain(run: Run, logger: Logger): Promise<object> {
    const counts = noCounts();
    /** Messages that are not settled, by their blocks. */
    const ackIds = new Map<Block, string>();
    /** Messages that were pulled and are not decompressed yet. */
    const undecoded = new Set<string>();
    let unsettledBytes = 0;
    const acks = new Acks(subscriber, subscription, (error) =>
      logger.warn({ subscription, error: error.message }, 'A call to Pub/Sub failed: its messages will come again'),
    );
    const giveBack = (messages: ReceivedMessage[]) => acks.giveBack(messages.map(({ ackId }) => ackId ?? ''));
    const deadLetters = new DeadLetterWriter(
      findStateBucket,
      () => messageDeadLetterName(subscription, new Date(), randomUUID()),
      run,
    );
    const settle = (block: Block) => {
      addCounts(counts, block.counts);
      acks.ack(ackIds.get(block)!);
      ackIds.delete(block);
      unsettledBytes -= block.size + MESSAGE_BYTES;
    };
    const summary = () => ({ subscription, messages: acks.acknowledged, ...counts, ...workOf(run) });

    async function* blocks(): AsyncGenerator<Block[]> {
      const pulled = pullMessages({ subscriber, subscription, idleMs: config.drainIdleMs, run, giveBack });
      for await (const messages of pulled) {
        for (const { ackId } of messages) undecoded.add(ackId ?? '');
        let some: Block[] = [];
        let bytes = 0;
        for (const message of messages) {
          const block = toBlock(message, subscription, config.insertIdOf);
          undecoded.delete(message.ackId ?? '');
          ackIds.set(block, message.ackId ?? '');
          unsettledBytes += block.size + MESSAGE_BYTES;
          some.push(block);
          bytes += block.size;
          if (bytes < SLICE_BYTES) continue;
          yield some;
          some = [];
          bytes = 0;
        }
        yield some;
      }
    }

    const source = blocks();
    try {
      await importBlocks(
        source,
        {
          ...config,
          sender,
          transform,
          unsettledBytes: () => unsettledBytes + deadLetters.waitingBytes,
          maxUnsettledBytes: MAX_UNSETTLED_BYTES,
          lingerMs: LINGER_MS,
          settle(block) {
            if (block.rejections.length === 0) return settle(block);
            return deadLetters.write(block.rejections).then(() => settle(block));
          },
          flush: () => deadLetters.flush(),
        },
        run,
      );
    } catch (error) {
      await handBack();
      throw failure(logger, summary(), error, 'subscription drained');
    }
    await handBack();
    const givenBack = ackIds.size + undecoded.size;
    const result = { ...summary(), ...(givenBack > 0 ? { reason: run.stopReason, givenBack } : {}) };
    if (givenBack > 0 && (run.stopReason === 'shutdown' || acks.acknowledged === 0)) {
      throw loggedError(logger, 'warn', result, 'subscription drained');
    }
    logger.info(result, 'subscription drained');
    return result;

    async function handBack(): Promise<void> {
      // Pulls that are still under way may bring messages, which are given back too.
      await source.return(undefined);
      acks.giveBack([...ackIds.values(), ...undecoded]);
      await acks.close();
    }
  }
}
