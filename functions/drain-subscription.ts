/** drainSubscription: called every minute, it imports what waits in a subscription. */

import { randomUUID } from 'node:crypto';
import type { v1 } from '@google-cloud/pubsub';
import type { Bucket, Storage } from '@google-cloud/storage';
import type { DrainSubscriptionConfig } from './config.ts';
import {
  addCounts,
  type Block,
  isAllRejected,
  noCounts,
  type Reason,
  type Rejection,
  type Source,
} from './core/block.ts';
import { MessageReader, rejectedBlock } from './core/formats/read-message.ts';
import { importBlocks } from './core/import-blocks.ts';
import { createMappings, type MappingOf } from './core/mappings/mappings.ts';
import type { Sender } from './core/mixpanel/sender.ts';
import { memoryOf, mergeRejections, RejectionLimit } from './core/rejections.ts';
import { type Run, startRun } from './core/run.ts';
import type { Settlement } from './core/settlement.ts';
import { Signal } from './core/signal.ts';
import { Acks } from './pubsub/acks.ts';
import { dataOf, sourceOf } from './pubsub/message-source.ts';
import { pullMessages, type ReceivedMessage } from './pubsub/pull.ts';
import { type Logger, loggedError, logUnmatched } from './runtime/log.ts';
import { stopOnShutdown } from './runtime/shutdown.ts';
import { failure, statsOf } from './runtime/summary.ts';
import { DeadLetterWriter } from './storage/dead-letters.ts';
import { DrainRegistry } from './storage/drain-registry.ts';
import { drainRegistryName, messageDeadLetterName } from './storage/names.ts';
import { SUSPECT_TIMES, Suspects, type Verdict } from './storage/suspects.ts';
import transform from './transform.ts';

/** How long a batch that is not full waits for more messages, in milliseconds. */
const LINGER_MS = 1_000;
/** Bytes of messages that are handed to the pipeline at a time. */
const SLICE_BYTES = 1_048_576;
/** Approximate memory that a message takes besides its data until it is settled; most of it for small messages. */
const MESSAGE_BYTES = 2_000;

/** How often a dead letter is in memory while it is written: as text, joined with others, and in the request. */
const LETTER_COPIES = 4;

/** Why a message becomes a dead letter that ended a process. */
const SUSPECT: Reason = { field: 'record', message: 'the process ended while it handled this message alone' };

/** Drains once and returns the summary; what it throws is to be answered with 500. */
export type DrainSubscription = (logger: Logger) => Promise<object>;

/** Makes the function, once for the process. */
export function createDrainSubscription(
  config: DrainSubscriptionConfig,
  sender: Sender,
  subscriber: v1.SubscriberClient,
  suspectTimes = SUSPECT_TIMES,
): DrainSubscription {
  let storage: Promise<Storage> | undefined;
  const findStateBucket = () => findBucket(config.stateBucket);
  const registry = new DrainRegistry(findStateBucket, drainRegistryName(config.eventSubscription));

  let mappingOf: MappingOf | undefined;

  return async (logger) => {
    mappingOf ??= createMappings({
      ...config,
      transform,
      onUnmatched: (context) => logUnmatched(logger, context),
    });
    const run = startRun(config.deadlineMs);
    const release = stopOnShutdown(run);
    try {
      const suspects = new Suspects({
        registry,
        bucketOf: findStateBucket,
        subscription: config.eventSubscription,
        drain: randomUUID(),
        clock: run.clock,
        times: suspectTimes,
        onFailure: (error) => warnOfFailure(logger, config.eventSubscription, error),
      });
      return await new Drain({ config, sender, mappingOf, subscriber, run, logger, findBucket, suspects }).run();
    } finally {
      release();
      run.end();
    }
  };

  /** Loads the storage client only when needed: most drains find no messages, and an instance starts faster without. */
  async function findBucket(name: string): Promise<Bucket> {
    storage ??= import('./storage/client.ts').then(({ createStorage }) => createStorage(config.storageEndpoint));
    return (await storage).bucket(name);
  }
}

/** What a drain works with. */
interface DrainContext {
  config: DrainSubscriptionConfig;
  sender: Sender;
  mappingOf: MappingOf;
  subscriber: v1.SubscriberClient;
  run: Run;
  logger: Logger;
  findBucket: (name: string) => Promise<Bucket>;
  suspects: Suspects;
}

/** A message that is not settled. */
interface OpenMessage {
  ackId: string;
  /** Memory that it takes besides its blocks. */
  bytes: number;
  /** Blocks without an outcome, and one more while the message is being read. */
  open: number;
  /** Rejections that are summed up: one letter stands for them, as it has to hold all of the message. */
  summed?: Rejection | undefined;
}

class Drain {
  readonly #context: DrainContext;
  readonly #counts = noCounts();
  readonly #acks: Acks;
  readonly #deadLetters: DeadLetterWriter;
  /** Messages that were pulled and are not settled, with the source of those that are being read. */
  readonly #unread = new Set<string>();
  readonly #open = new Map<Source, OpenMessage>();
  #unsettledBytes = 0;
  readonly #limit = new RejectionLimit();
  /** Notified when a message is settled, or the run winds down. */
  readonly #settled = new Signal();

  constructor(context: DrainContext) {
    const { config, subscriber, logger, run, findBucket } = context;
    const subscription = config.eventSubscription;
    this.#context = context;
    run.stopping.addEventListener('abort', () => this.#settled.notify(), { once: true });
    this.#acks = new Acks(subscriber, subscription, (error) =>
      logger.warn({ subscription, error: error.message }, 'A call to Pub/Sub failed: its messages will come again'),
    );
    this.#deadLetters = new DeadLetterWriter(
      () => findBucket(config.deadLetterBucket),
      () => messageDeadLetterName(subscription, new Date(), randomUUID()),
      run,
    );
  }

  async run(): Promise<object> {
    const { config, sender, run, logger } = this.#context;
    const source = this.#blocks();
    const settlement = this.#settlement();
    const { suspects } = this.#context;
    const options = {
      ...config,
      sender,
      settlement,
      get lingerMs() {
        return suspects.isCareful ? 0 : LINGER_MS;
      },
    };
    try {
      await importBlocks(source, options, run);
    } catch (error) {
      await this.#handBack(source);
      throw failure(logger, this.#summary(), error, 'subscription drained');
    }
    await this.#handBack(source);
    const nacked = this.#open.size + this.#unread.size;
    const result = { ...this.#summary(), ...(nacked > 0 ? { reason: run.stopReason, givenBack: nacked } : {}) };
    if (nacked > 0 && (run.stopReason === 'shutdown' || this.#acks.acknowledged === 0)) {
      throw loggedError(logger, 'warn', result, 'subscription drained');
    }
    if (isAllRejected(this.#counts)) logger.warn({ ...result, code: 'all_rejected' }, 'subscription drained');
    else logger.info(result, 'subscription drained');
    return result;
  }

  async *#blocks(): AsyncGenerator<Block[]> {
    const { config, mappingOf, subscriber, run, suspects } = this.#context;
    const subscription = config.eventSubscription;
    const reader = new MessageReader(config.insertIdOf);
    const nack = (messages: ReceivedMessage[]) => this.#acks.nack(messages.map(({ ackId }) => ackId ?? ''));
    const isCautious = () => suspects.isCautious;
    const pulled = pullMessages({ subscriber, subscription, idleMs: config.drainIdleMs, run, isCautious, nack });
    for await (const messages of pulled) {
      for (const { ackId } of messages) this.#unread.add(ackId ?? '');
      await suspects.enter();
      let blocks: Block[] = [];
      let bytes = 0;
      for (const [index, message] of messages.entries()) {
        let isSuspect = false;
        if (suspects.isCareful) {
          yield blocks;
          blocks = [];
          bytes = 0;
          await this.#allSettled();
          if (run.stopping.aborted) return;
          const verdict = messages.length > 1 ? 'nack' : await this.#mark(message);
          if (verdict === 'nack') {
            this.#nack(messages.slice(index));
            break;
          }
          isSuspect = verdict === 'reject';
        }
        const data = dataOf(message);
        const stored = this.#limit.hasMany ? data : undefined;
        const source = sourceOf(message, subscription, mappingOf, this.#limit, stored);
        const open: OpenMessage = { ackId: message.ackId ?? '', bytes: MESSAGE_BYTES + (stored?.length ?? 0), open: 1 };
        this.#open.set(source, open);
        this.#unread.delete(open.ackId);
        this.#unsettledBytes += open.bytes;
        const read = isSuspect
          ? [rejectedBlock(data, source, SUSPECT, config.insertIdOf)]
          : reader.read(data, source, run.stopping);
        if (Symbol.asyncIterator in read) {
          for await (const block of read) {
            this.#openBlock(block, open);
            yield [...blocks, block];
            blocks = [];
            bytes = 0;
          }
        } else {
          // Almost every message is read without waiting.
          for (const block of read) {
            this.#openBlock(block, open);
            blocks.push(block);
            bytes += block.weight + memoryOf(block.rejections);
            if (bytes < SLICE_BYTES) continue;
            yield blocks;
            blocks = [];
            bytes = 0;
          }
        }
        const closed = this.#closeOne(source);
        if (closed !== undefined) await closed;
      }
      yield blocks;
      if (suspects.isCareful) await this.#allSettled();
    }
  }

  #openBlock(block: Block, message: OpenMessage): void {
    message.open++;
    this.#unsettledBytes += block.weight;
  }

  /** Waits until nothing is in progress: the message that comes next is handled alone. */
  async #allSettled(): Promise<void> {
    const { run, suspects } = this.#context;
    while (this.#open.size > 0 && !run.stopping.aborted) await this.#settled.wait();
    // What stays in progress keeps its marker until it is nacked.
    if (this.#open.size === 0) await Promise.all([this.#acks.flush(), suspects.unmarkAll()]);
  }

  async #mark({ message }: ReceivedMessage): Promise<Verdict> {
    const { config, logger, suspects } = this.#context;
    const messageId = message?.messageId ?? '';
    const verdict = await suspects.mark(messageId);
    if (verdict === 'reject') {
      const fields = { subscription: config.eventSubscription, messageId, code: 'message_ends_process' };
      logger.error(fields, 'The process ended while it handled this message alone: the message becomes a dead letter');
    }
    return verdict;
  }

  #nack(messages: readonly ReceivedMessage[]): void {
    const ackIds = messages.map(({ ackId }) => ackId ?? '');
    for (const ackId of ackIds) this.#unread.delete(ackId);
    this.#acks.nack(ackIds);
  }

  #settlement(): Settlement {
    const drain = this;
    return {
      get unsettledBytes() {
        return drain.#unsettledBytes + LETTER_COPIES * drain.#deadLetters.waitingBytes + drain.#limit.heldBytes;
      },
      // Noted when the message is read: its blocks may come in several slices.
      open() {},
      settle(block) {
        if (block.rejections.length === 0) return drain.#settle(block);
        const rejections = drain.#withoutSummed(block);
        if (rejections.length === 0) return drain.#settle(block);
        return drain.#write(rejections).then(() => drain.#settle(block));
      },
      flush: () => drain.#deadLetters.flush(),
    };
  }

  /** Adds rejections that are summed up to those of the message's other blocks; returns those that are not. */
  #withoutSummed({ source, rejections }: Block): Rejection[] {
    const message = this.#open.get(source)!;
    return rejections.filter((rejection) => {
      if (rejection.range === undefined) return true;
      if (message.summed === undefined) message.summed = rejection;
      else if (mergeRejections(message.summed, rejection)) this.#limit.release([rejection]);
      else return true;
      return false;
    });
  }

  async #write(rejections: readonly Rejection[]): Promise<void> {
    const written = this.#deadLetters.write(rejections);
    if (this.#context.suspects.isCareful) this.#deadLetters.flush();
    await written;
    this.#limit.release(rejections);
  }

  #settle(block: Block): Promise<void> | undefined {
    addCounts(this.#counts, block.counts);
    this.#unsettledBytes -= block.weight;
    return this.#closeOne(block.source);
  }

  /** A block of the message is settled, or the message is read: acknowledges it if nothing else is left of it. */
  #closeOne(source: Source): Promise<void> | undefined {
    const message = this.#open.get(source)!;
    if (--message.open > 0) return undefined;
    const { summed } = message;
    if (summed === undefined) {
      this.#close(source, message);
      return undefined;
    }
    return this.#write([summed]).then(() => this.#close(source, message));
  }

  #close(source: Source, { ackId, bytes }: OpenMessage): void {
    this.#open.delete(source);
    this.#unsettledBytes -= bytes;
    this.#acks.ack(ackId);
    this.#settled.notify();
  }

  async #handBack(source: AsyncGenerator<Block[]>): Promise<void> {
    // Pulls that are still in progress may bring messages; they are nacked too.
    await source.return(undefined);
    this.#acks.nack([...[...this.#open.values()].map(({ ackId }) => ackId), ...this.#unread]);
    await Promise.all([this.#acks.flush(), this.#context.suspects.leave()]);
  }

  #summary(): object {
    const { config, run } = this.#context;
    return {
      subscription: config.eventSubscription,
      messages: this.#acks.acknowledged,
      ...this.#counts,
      ...statsOf(run),
    };
  }
}

function warnOfFailure(logger: Logger, subscription: string, error: Error): void {
  const fields = { subscription, code: 'suspects_unreachable', error: error.message };
  logger.warn(
    fields,
    'The state bucket cannot be used to find messages that end the process: the drain continues without markers',
  );
}
