/** The topics and subscriptions of the local Pub/Sub: what its methods but those of delivery do. */
import type { protos } from '@google-cloud/pubsub';
import { Instances } from './instances.ts';
import { alreadyExists, invalidArgument, notFound } from './protocol.ts';
import { createPushReceiver, type PushOutcome } from './push.ts';
import {
  type Clock,
  type Delivery,
  type DeliveryPolicy,
  type Message,
  type Receiver,
  SubscriptionQueue,
} from './subscription.ts';
import { checkName, checkPublish, checkSubscription } from './validation.ts';

type ITopic = protos.google.pubsub.v1.ITopic;
type ISubscription = protos.google.pubsub.v1.ISubscription;
type IDuration = protos.google.protobuf.IDuration;

/** A subscription and what is on its way to whoever consumes it. */
export interface Subscription {
  readonly config: ISubscription & { name: string };
  readonly queue: SubscriptionQueue;
  /** Present while the subscription is one of push. */
  push?: Receiver;
}

interface Topic {
  readonly config: ITopic & { name: string };
  readonly subscriptions: Set<Subscription>;
}

/** What the local Pub/Sub lets others observe. */
export interface Observers {
  onPublish(topic: string, messages: Message[]): void;
  onDeliver(subscription: string, deliveries: Delivery[]): void;
  onAck(subscription: string, messages: Message[]): void;
  onPush(subscription: string, outcome: PushOutcome): void;
}

const DEFAULT_ACK_DEADLINE_SECONDS = 10;
const DEFAULT_PAGE_SIZE = 100;
const MIN_PUSH_BACKOFF_MS = 100;
const MAX_PUSH_BACKOFF_MS = 60_000;
/** Of about the length that the real service's ids have, so that limits of request size bite as they do there. */
const ACK_ID_LENGTH = 180;

/** The topics and subscriptions of one server. */
export type Resources = ReturnType<typeof createResources>;

/**
 * Makes an empty set of topics and subscriptions.
 *
 * @param options - the clock, the limits that tests lower, and who observes
 * @returns the methods, by the names they have in gRPC; each throws {@link StatusError} as the real service refuses
 */
export function createResources(options: {
  clock: Clock;
  random: (() => number) | undefined;
  minAckDeadlineSeconds: number;
  maxOutstandingPushes: number;
  pushInstances: number | undefined;
  observers: Observers;
}) {
  const { clock, observers } = options;
  const topics = new Map<string, Topic>();
  const subscriptions = new Map<string, Subscription>();
  // Higher than those of an earlier run, and of one length, so that they increase as text too.
  let lastMessageId = Date.now() * 1000;

  return {
    subscription: findSubscription,
    publish,

    CreateTopic(config: ITopic): ITopic {
      const name = config.name ?? '';
      checkName('topics', name);
      if (topics.has(name)) throw alreadyExists(name);
      topics.set(name, { config: { ...config, name }, subscriptions: new Set() });
      return config;
    },
    GetTopic: (request: protos.google.pubsub.v1.GetTopicRequest): ITopic => findTopic(request.topic).config,
    ListTopics(request: protos.google.pubsub.v1.ListTopicsRequest) {
      const all = [...topics.values()].filter(({ config }) => config.name.startsWith(`${request.project}/`));
      const { page, nextPageToken } = paginate(all, request);
      return { topics: page.map(({ config }) => config), nextPageToken };
    },
    ListTopicSubscriptions(request: protos.google.pubsub.v1.ListTopicSubscriptionsRequest) {
      const { page, nextPageToken } = paginate([...findTopic(request.topic).subscriptions], request);
      return { subscriptions: page.map(({ config }) => config.name), nextPageToken };
    },
    DeleteTopic({ topic }: protos.google.pubsub.v1.DeleteTopicRequest) {
      for (const { config } of findTopic(topic).subscriptions) config.topic = '_deleted-topic_';
      topics.delete(topic);
      return {};
    },
    Publish(request: protos.google.pubsub.v1.PublishRequest) {
      return { messageIds: publish(request.topic, request.messages) };
    },

    CreateSubscription(request: ISubscription): ISubscription {
      const name = request.name ?? '';
      checkName('subscriptions', name);
      const topic = findTopic(request.topic ?? '');
      if (subscriptions.has(name)) throw alreadyExists(name);
      const subscription = createSubscription({
        ...request,
        name,
        ackDeadlineSeconds: request.ackDeadlineSeconds || DEFAULT_ACK_DEADLINE_SECONDS,
        messageRetentionDuration: request.messageRetentionDuration ?? { seconds: 7 * 24 * 3600 },
        state: 'ACTIVE',
      });
      subscriptions.set(name, subscription);
      topic.subscriptions.add(subscription);
      return subscription.config;
    },
    GetSubscription(request: protos.google.pubsub.v1.GetSubscriptionRequest): ISubscription {
      return findSubscription(request.subscription).config;
    },
    ListSubscriptions(request: protos.google.pubsub.v1.ListSubscriptionsRequest) {
      const all = [...subscriptions.values()].filter(({ config }) => config.name.startsWith(`${request.project}/`));
      const { page, nextPageToken } = paginate(all, request);
      return { subscriptions: page.map(({ config }) => config), nextPageToken };
    },
    UpdateSubscription(request: protos.google.pubsub.v1.UpdateSubscriptionRequest): ISubscription {
      const paths = (request.updateMask?.paths ?? []).map(topLevelField);
      if (!request.subscription || paths.length === 0) throw invalidArgument('The update_mask must not be empty.');
      const subscription = findSubscription(request.subscription.name ?? '');
      const changes = request.subscription as Record<string, unknown>;
      configure(subscription, Object.fromEntries(paths.map((path) => [path, changes[path]])));
      return subscription.config;
    },
    ModifyPushConfig(request: protos.google.pubsub.v1.ModifyPushConfigRequest) {
      configure(findSubscription(request.subscription), { pushConfig: request.pushConfig });
      return {};
    },
    DeleteSubscription(request: protos.google.pubsub.v1.DeleteSubscriptionRequest) {
      const subscription = findSubscription(request.subscription);
      subscriptions.delete(request.subscription);
      topics.get(subscription.config.topic ?? '')?.subscriptions.delete(subscription);
      subscription.queue.close(notFound(request.subscription));
      return {};
    },

    /** @param reason - what those who wait for messages are told */
    close(reason: Error): void {
      for (const { queue } of subscriptions.values()) queue.close(reason);
    },
  };

  function findTopic(name: string): Topic {
    checkName('topics', name);
    const topic = topics.get(name);
    if (!topic) throw notFound(name);
    return topic;
  }

  function findSubscription(name: string): Subscription {
    checkName('subscriptions', name);
    const subscription = subscriptions.get(name);
    if (!subscription) throw notFound(name);
    return subscription;
  }

  function publish(topicName: string, inputs: protos.google.pubsub.v1.IPubsubMessage[]): string[] {
    const topic = findTopic(topicName);
    checkPublish(inputs);
    const publishTime = clock.now();
    const messages = inputs.map((input): Message => {
      lastMessageId += 1;
      return {
        messageId: String(lastMessageId),
        data: toBuffer(input.data),
        attributes: input.attributes ?? {},
        orderingKey: input.orderingKey ?? '',
        publishTime,
      };
    });
    for (const { queue } of topic.subscriptions) queue.add(messages);
    observers.onPublish(topicName, messages);
    return messages.map(({ messageId }) => messageId);
  }

  function createSubscription(config: Subscription['config']): Subscription {
    checkSubscription(config, deliveryPolicy(config), options.minAckDeadlineSeconds);
    const queue = new SubscriptionQueue({
      policy: deliveryPolicy(config),
      clock,
      random: options.random,
      ackIdPrefix: `${Buffer.from(config.name).toString('base64url').padEnd(ACK_ID_LENGTH, '_')}-`,
      onDeliver: (deliveries) => observers.onDeliver(config.name, deliveries),
      onAck: (messages) => observers.onAck(config.name, messages),
    });
    const subscription = { config, queue };
    connectPush(subscription);
    return subscription;
  }

  function configure(subscription: Subscription, changes: Partial<ISubscription>): void {
    const config = { ...subscription.config, ...changes };
    config.ackDeadlineSeconds ||= DEFAULT_ACK_DEADLINE_SECONDS;
    checkSubscription(config, deliveryPolicy(config), options.minAckDeadlineSeconds);
    Object.assign(subscription.config, config);
    subscription.queue.policy = deliveryPolicy(config);
    if ('pushConfig' in changes) connectPush(subscription);
  }

  function connectPush(subscription: Subscription): void {
    const { config, queue } = subscription;
    const endpoint = config.pushConfig?.pushEndpoint;
    if (subscription.push) {
      queue.detach(subscription.push);
      subscription.push.close(new Error(`push of ${config.name} was configured anew`));
      delete subscription.push;
    }
    if (!endpoint) return;
    subscription.push = createPushReceiver({
      subscription: config.name,
      endpoint,
      maxOutstanding: options.maxOutstandingPushes,
      instances: options.pushInstances === undefined ? undefined : new Instances(options.pushInstances, clock),
      sendsAttempt: Boolean(config.deadLetterPolicy),
      settle: (ackId, isAcked) => (isAcked ? queue.acknowledge([ackId]) : queue.modifyAckDeadline([ackId], 0)),
      onPush: (outcome) => observers.onPush(config.name, outcome),
    });
    queue.attach(subscription.push);
  }
}

function deliveryPolicy(config: ISubscription): DeliveryPolicy {
  const ackDeadlineMs = (config.ackDeadlineSeconds ?? 0) * 1000;
  if (config.retryPolicy) {
    const { minimumBackoff, maximumBackoff } = config.retryPolicy as {
      minimumBackoff?: IDuration;
      maximumBackoff?: IDuration;
    };
    return { ackDeadlineMs, minBackoffMs: toMs(minimumBackoff, 10_000), maxBackoffMs: toMs(maximumBackoff, 600_000) };
  }
  if (config.pushConfig?.pushEndpoint) {
    return { ackDeadlineMs, minBackoffMs: MIN_PUSH_BACKOFF_MS, maxBackoffMs: MAX_PUSH_BACKOFF_MS };
  }
  return { ackDeadlineMs, minBackoffMs: 0, maxBackoffMs: 0 };
}

function toMs(duration: IDuration | null | undefined, defaultMs: number): number {
  // int64 is decoded as an object; its text is the number.
  return duration ? Number(String(duration.seconds ?? 0)) * 1000 + (duration.nanos ?? 0) / 1e6 : defaultMs;
}

function toBuffer(data: Uint8Array | string | null | undefined): Buffer {
  if (data instanceof Uint8Array) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.from(data ?? '');
}

function topLevelField(path: string): string {
  return (path.split('.')[0] as string).replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function paginate<T>(all: T[], { pageSize, pageToken }: { pageSize: number; pageToken: string }) {
  const start = Number(pageToken || 0);
  const end = start + (pageSize || DEFAULT_PAGE_SIZE);
  return { page: all.slice(start, end), nextPageToken: end < all.length ? String(end) : '' };
}
