/** How the local Pub/Sub hands out messages to those who pull, and takes their acks. */
import type { protos } from '@google-cloud/pubsub';
import { Metadata, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { invalidArgument, StatusError } from './protocol.ts';
import type { Resources, Subscription } from './resources.ts';
import type { Delivery, Receiver } from './subscription.ts';
import { checkAckDeadline, checkAckIds } from './validation.ts';

type IReceivedMessage = protos.google.pubsub.v1.IReceivedMessage;
type PullRequest = protos.google.pubsub.v1.PullRequest;
type PullResponse = protos.google.pubsub.v1.IPullResponse;
type AcknowledgeRequest = protos.google.pubsub.v1.AcknowledgeRequest;
type ModifyAckDeadlineRequest = protos.google.pubsub.v1.ModifyAckDeadlineRequest;
type StreamingPullRequest = protos.google.pubsub.v1.StreamingPullRequest;
type StreamingPullResponse = protos.google.pubsub.v1.IStreamingPullResponse;

/** A response has at most this, https://cloud.google.com/pubsub/quotas#resource_limits. */
const MAX_PULL_MESSAGES = 1000;
const MAX_PULL_BYTES = 10_000_000;
/** A caller who may hang up while it waits. */
export interface Caller {
  readonly cancelled: boolean;
  once(event: 'cancelled', listener: () => void): unknown;
}

/** The methods of delivery. */
export interface PullMethods {
  Pull(request: PullRequest, caller: Caller): Promise<PullResponse>;
  Acknowledge(request: AcknowledgeRequest): object;
  ModifyAckDeadline(request: ModifyAckDeadlineRequest): object;
  StreamingPull(call: ServerDuplexStream<StreamingPullRequest, StreamingPullResponse>): void;
}

/**
 * Makes the methods that deliver messages.
 *
 * @param resources - where the subscriptions are
 * @returns the methods, by the names they have in gRPC; they throw StatusError as the real service refuses
 */
export function createPullMethods(resources: Resources): PullMethods {
  return {
    Pull(request, caller) {
      const subscription = pullSubscription(resources, request.subscription);
      if (request.maxMessages <= 0) throw invalidArgument('max_messages must be greater than 0.');
      return pull(subscription, request, caller);
    },
    Acknowledge({ subscription, ackIds }) {
      const { queue } = resources.subscription(subscription);
      checkAckIds(ackIds);
      queue.acknowledge(ackIds);
      return {};
    },
    ModifyAckDeadline({ subscription, ackIds, ackDeadlineSeconds }) {
      const { queue } = resources.subscription(subscription);
      checkAckIds(ackIds);
      checkAckDeadline(ackDeadlineSeconds);
      queue.modifyAckDeadline(ackIds, ackDeadlineSeconds * 1000);
      return {};
    },
    StreamingPull(call) {
      let session: StreamSession | undefined;
      call.on('data', (request: StreamingPullRequest) => {
        try {
          session ??= openStream(resources, request, call);
          session.handle(request);
        } catch (error) {
          call.emit('error', error);
        }
      });
      call.once('cancelled', () => session?.close());
      call.once('end', () => {
        session?.close();
        call.end();
      });
    },
  };
}

function pull({ config, queue }: Subscription, request: PullRequest, caller: Caller): Promise<PullResponse> {
  return new Promise((resolve, reject) => {
    const receiver: Receiver = {
      room: () => ({ messages: Math.min(request.maxMessages, MAX_PULL_MESSAGES), bytes: MAX_PULL_BYTES }),
      receive(deliveries) {
        queue.detach(receiver);
        resolve({ receivedMessages: toReceivedMessages(deliveries, Boolean(config.deadLetterPolicy)) });
      },
      settled() {},
      close: reject,
    };
    // Messages for one who has hung up would be out of reach until their ack deadline.
    if (caller.cancelled) return;
    caller.once('cancelled', () => queue.detach(receiver));
    queue.attach(receiver);
    if (request.returnImmediately) {
      queue.detach(receiver);
      resolve({ receivedMessages: [] });
    }
  });
}

interface StreamSession {
  handle(request: StreamingPullRequest): void;
  close(): void;
}

function openStream(
  resources: Resources,
  request: StreamingPullRequest,
  call: ServerDuplexStream<StreamingPullRequest, StreamingPullResponse>,
): StreamSession {
  const { config, queue } = pullSubscription(resources, request.subscription);
  // 0 stands for no limit.
  const maxMessages = toNumber(request.maxOutstandingMessages) || Number.POSITIVE_INFINITY;
  const maxBytes = toNumber(request.maxOutstandingBytes) || Number.POSITIVE_INFINITY;
  let ackDeadlineSeconds = request.streamAckDeadlineSeconds;
  let messages = 0;
  let bytes = 0;
  let isBlocked = false;
  const receiver: Receiver = {
    get ackDeadlineMs() {
      return ackDeadlineSeconds * 1000;
    },
    room() {
      if (isBlocked || call.cancelled) return { messages: 0, bytes: 0 };
      return {
        messages: Math.min(maxMessages - messages, MAX_PULL_MESSAGES),
        bytes: Math.min(maxBytes - bytes, MAX_PULL_BYTES),
      };
    },
    receive(deliveries) {
      messages += deliveries.length;
      for (const { message } of deliveries) bytes += message.data.length;
      isBlocked = !call.write({
        receivedMessages: toReceivedMessages(deliveries, Boolean(config.deadLetterPolicy)),
        subscriptionProperties: { exactlyOnceDeliveryEnabled: false, messageOrderingEnabled: false },
      });
    },
    settled({ message }) {
      messages -= 1;
      bytes -= message.data.length;
    },
    close: (reason) => call.emit('error', reason),
  };
  call.on('drain', () => {
    isBlocked = false;
    queue.dispatch();
  });
  // Clients take the stream for open when the first metadata comes.
  call.sendMetadata(new Metadata());
  checkAckDeadline(ackDeadlineSeconds);
  queue.attach(receiver);
  return {
    handle({ ackIds, modifyDeadlineAckIds, modifyDeadlineSeconds, streamAckDeadlineSeconds }) {
      if (streamAckDeadlineSeconds > 0) ackDeadlineSeconds = streamAckDeadlineSeconds;
      if (ackIds.length > 0) queue.acknowledge(ackIds);
      for (const [index, ackId] of modifyDeadlineAckIds.entries()) {
        const seconds = modifyDeadlineSeconds[index] ?? 0;
        checkAckDeadline(seconds);
        queue.modifyAckDeadline([ackId], seconds * 1000);
      }
    },
    close: () => queue.detach(receiver),
  };
}

function pullSubscription(resources: Resources, name: string): Subscription {
  const subscription = resources.subscription(name);
  if (subscription.push) {
    throw new StatusError(status.FAILED_PRECONDITION, 'This method is not supported for this subscription type.');
  }
  return subscription;
}

function toReceivedMessages(deliveries: Delivery[], sendsAttempt: boolean): IReceivedMessage[] {
  return deliveries.map(({ ackId, attempt, message }) => ({
    ackId,
    message: {
      data: message.data,
      attributes: message.attributes,
      messageId: message.messageId,
      publishTime: {
        seconds: Math.floor(message.publishTime / 1000),
        nanos: Math.floor(message.publishTime % 1000) * 1e6,
      },
      orderingKey: message.orderingKey,
    },
    ...(sendsAttempt ? { deliveryAttempt: attempt } : {}),
  }));
}

function toNumber(int64: number | string | object): number {
  // int64 is decoded as an object; its text is the number.
  return Number(String(int64));
}
