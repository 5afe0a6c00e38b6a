/** A Pub/Sub for tests and laptops: the gRPC service that official clients reach through PUBSUB_EMULATOR_HOST, and publishing by REST. */
import { EventEmitter, once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { LOOPBACK } from '../guard.ts';
import { guardCalls } from './guard.ts';
import { publisherService, StatusError, subscriberService } from './protocol.ts';
import { type Caller, createPullMethods } from './pull.ts';
import { createResources, type Observers, type Resources } from './resources.ts';
import { createFront, createRestServer, MAX_REQUEST_BYTES } from './rest.ts';
import { type Backlog, type Clock, type Message, systemClock } from './subscription.ts';

/** Settings of a local Pub/Sub. */
export interface PubSubOptions {
  /** Default 0: any free port. */
  port?: number;
  /** For ack deadlines, back-off and publish times. Default: the machine's own. */
  clock?: Clock;
  /** Spreads back-offs, which the real service keeps to only approximately. Default: as the retry policy says. */
  random?: () => number;
  /** The shortest `ackDeadlineSeconds` that a subscription may have. Default 10, as in the real service. */
  minAckDeadlineSeconds?: number;
  /** Pushes under way at once, for each subscription. Default 3. */
  maxOutstandingPushes?: number;
  /**
   * Instances behind a push endpoint, each serving one push at a time: one that finds none free waits for up to 10 s, and is
   * then refused with 429, as Cloud Run does. Without a limit by default.
   */
  pushInstances?: number;
}

/** A unary call that has come in. */
export interface PubSubCall {
  /** The method's name in gRPC, for example `Pull`. */
  method: string;
  /** 1 for the first call of this method. */
  sequence: number;
  /** The decoded request. */
  request: unknown;
}

/**
 * What goes wrong with a call: refused with a gRPC status `code`; held up by `delayMs` and then done; or done, and then
 * answered with the gRPC status `applyThen` as if it were not.
 */
export type PubSubFault = { code: number; message?: string } | { delayMs: number } | { applyThen: number };

/** The events of a local Pub/Sub, a batch at a time; subscriptions and topics by their full names. */
export interface PubSubEvents {
  publish: [{ topic: string; messageIds: string[]; messages: readonly Message[] }];
  deliver: [{ subscription: string; messages: { messageId: string; attempt: number }[] }];
  ack: [{ subscription: string; messageIds: string[] }];
  /** `status` 0 stands for a push without an answer. */
  push: [{ subscription: string; messageId: string; status: number }];
}

/**
 * Starts a Pub/Sub on 127.0.0.1 that keeps all it has in memory.
 *
 * Official clients use it with PUBSUB_EMULATOR_HOST set to its `host`. It delivers at least once, to pull, streaming
 * pull and push. Filters, ordering, exactly-once delivery, dead-letter policies, retention and snapshots are not there: the first
 * five are accepted and have no effect (but for `deliveryAttempt`, which a dead-letter policy brings as in the real service).
 *
 * @param options - see {@link PubSubOptions}
 * @returns the server, listening
 * @throws Error when the port is taken
 */
export async function startPubSub(options: PubSubOptions = {}): Promise<PubSubServer> {
  const server = new PubSubServer(options);
  await server.listen(options.port ?? 0);
  return server;
}

/** A running local Pub/Sub; {@link startPubSub} makes it. */
export class PubSubServer extends EventEmitter<PubSubEvents> {
  /** Asked for each unary call; what it returns goes wrong. */
  fault: ((call: PubSubCall) => PubSubFault | undefined) | undefined;
  /** The port it listens on. */
  port = 0;
  readonly #resources: Resources;
  readonly #grpc = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.max_send_message_length': -1,
    interceptors: [guardCalls],
  });
  readonly #rest = createRestServer((request) => this.#call('Publish', request, this.#resources.Publish));
  readonly #sockets = new Set<Socket>();
  readonly #front = createFront(
    this.#grpc.createConnectionInjector(ServerCredentials.createInsecure()),
    this.#rest,
    this.#sockets,
  );
  readonly #closing = new AbortController();
  readonly #calls = new Map<string, number>();

  /** @param options - as for {@link startPubSub} */
  constructor(options: PubSubOptions) {
    super();
    this.#resources = createResources({
      clock: options.clock ?? systemClock,
      random: options.random,
      minAckDeadlineSeconds: options.minAckDeadlineSeconds ?? 10,
      maxOutstandingPushes: options.maxOutstandingPushes ?? 3,
      pushInstances: options.pushInstances,
      observers: this.#observers(),
    });
    const pullMethods = createPullMethods(this.#resources);
    this.#grpc.addService(publisherService, this.#handlers(publisherService, this.#resources));
    this.#grpc.addService(subscriberService, {
      ...this.#handlers(subscriberService, { ...this.#resources, ...pullMethods }),
      StreamingPull: pullMethods.StreamingPull,
    });
  }

  /** What PUBSUB_EMULATOR_HOST must be for clients to come here. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** @param port - to listen on; 0 for any that is free */
  async listen(port: number): Promise<void> {
    this.#front.listen(port, LOOPBACK);
    await once(this.#front, 'listening');
    this.port = (this.#front.address() as AddressInfo).port;
  }

  /**
   * Publishes without a client.
   *
   * @param topic - `projects/P/topics/T`
   * @param message - with data, attributes, or both
   * @returns the message's id
   * @throws StatusError when there is no such topic or the message is not valid
   */
  publish(topic: string, message: { data?: Buffer | string; attributes?: Record<string, string> }): string {
    const data = typeof message.data === 'string' ? Buffer.from(message.data) : message.data;
    return this.#resources.publish(topic, [{ ...message, ...(data ? { data } : {}) }])[0] as string;
  }

  /**
   * @param subscription - `projects/P/subscriptions/S`
   * @returns what it holds at this moment
   * @throws StatusError when there is no such subscription
   */
  backlog(subscription: string): Backlog {
    return this.#resources.subscription(subscription).queue.backlog();
  }

  /**
   * Ends the ack deadline of everything that was handed out, as it ends by itself where a receiver was killed.
   *
   * @param subscription - `projects/P/subscriptions/S`
   * @throws StatusError when there is no such subscription
   */
  expire(subscription: string): void {
    this.#resources.subscription(subscription).queue.expireAll();
  }

  /** Ends every call, stream and push under way, and stops listening. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#resources.close(new StatusError(status.UNAVAILABLE, 'The local Pub/Sub is closing.'));
    const closed = [promisify(this.#grpc.tryShutdown.bind(this.#grpc))(), once(this.#front.close(), 'close')];
    this.#grpc.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  #observers(): Observers {
    const ids = (messages: Message[]) => messages.map(({ messageId }) => messageId);
    // Without a listener nothing is put together for it: these run for every batch.
    return {
      onPublish: (topic, messages) => {
        if (this.listenerCount('publish') > 0) this.emit('publish', { topic, messageIds: ids(messages), messages });
      },
      onDeliver: (subscription, deliveries) => {
        if (this.listenerCount('deliver') === 0) return;
        const messages = deliveries.map(({ message, attempt }) => ({ messageId: message.messageId, attempt }));
        this.emit('deliver', { subscription, messages });
      },
      onAck: (subscription, messages) => {
        if (this.listenerCount('ack') > 0) this.emit('ack', { subscription, messageIds: ids(messages) });
      },
      onPush: (subscription, outcome) => {
        this.emit('push', { subscription, ...outcome });
      },
    };
  }

  #handlers(service: object, methods: object) {
    const names = Object.keys(service).filter((name) => name !== 'StreamingPull');
    return Object.fromEntries(names.map((name) => [name, this.#unary(name, methods[name as keyof typeof methods])]));
  }

  #unary(method: string, handle: (request: unknown, caller: Caller) => unknown) {
    return async (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
      try {
        callback(null, await this.#call(method, call.request, (request) => handle(request, call)));
      } catch (error) {
        callback(error as Error);
      }
    };
  }

  /** Carries a call out, or has go wrong with it what is asked for. */
  async #call<Request>(method: string, request: Request, handle: (request: Request) => unknown): Promise<unknown> {
    const sequence = (this.#calls.get(method) ?? 0) + 1;
    this.#calls.set(method, sequence);
    const fault = this.fault?.({ method, sequence, request });
    if (fault && 'code' in fault) throw new StatusError(fault.code, fault.message ?? 'A fault on request.');
    if (fault && 'delayMs' in fault) await sleep(fault.delayMs, undefined, { signal: this.#closing.signal });
    const response = await handle(request);
    if (fault && 'applyThen' in fault) throw new StatusError(fault.applyThen, 'A fault after the fact.');
    return response;
  }
}
