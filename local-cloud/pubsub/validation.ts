/** What the local Pub/Sub refuses as the real service does: its limits, and what is not well formed. */
import type { protos } from '@google-cloud/pubsub';
import { invalidArgument } from './protocol.ts';
import type { DeliveryPolicy } from './subscription.ts';

type IPubsubMessage = protos.google.pubsub.v1.IPubsubMessage;
type ISubscription = protos.google.pubsub.v1.ISubscription;

/** Limits of a publish request, https://cloud.google.com/pubsub/quotas#resource_limits. */
const MAX_PUBLISH_MESSAGES = 1000;
const MAX_PUBLISH_BYTES = 10_000_000;
const MAX_ATTRIBUTES = 100;
const MAX_ATTRIBUTE_KEY_BYTES = 256;
const MAX_ATTRIBUTE_VALUE_BYTES = 1024;
/** The same page: acks and modified deadlines, 512 KiB a request. */
const MAX_ACK_REQUEST_BYTES = 524_288;

const MAX_ACK_DEADLINE_SECONDS = 600;
const MAX_BACKOFF_MS = 600_000;
const RESOURCE_ID = /^(?!goog)[A-Za-z][\w\-.~+%]{2,254}$/;

/**
 * Checks a resource name against https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names.
 *
 * @param kind - what the name should be of
 * @param name - `projects/P/topics/T` or `projects/P/subscriptions/S`
 * @throws StatusError INVALID_ARGUMENT, when it is none
 */
export function checkName(kind: 'topics' | 'subscriptions', name: string): void {
  const [projects, project, collection, id = '', ...rest] = name.split('/');
  const isValid =
    projects === 'projects' && project && collection === kind && rest.length === 0 && RESOURCE_ID.test(id);
  if (!isValid) {
    throw invalidArgument(
      `Invalid resource name given (name=${name}). Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information.`,
    );
  }
}

/**
 * @param messages - of a publish request
 * @throws StatusError INVALID_ARGUMENT, when there are none, too many, too large ones, or one without content
 */
export function checkPublish(messages: IPubsubMessage[]): void {
  if (messages.length === 0) throw invalidArgument('The request must contain at least one message.');
  checkLimit('message_count', messages.length, MAX_PUBLISH_MESSAGES);
  let bytes = 0;
  for (const { data, attributes, orderingKey } of messages) {
    bytes += data?.length ?? 0;
    const pairs = Object.entries(attributes ?? {});
    if (!data?.length && pairs.length === 0 && !orderingKey) {
      throw invalidArgument('A message must have data or at least one attribute.');
    }
    checkLimit('attribute_count', pairs.length, MAX_ATTRIBUTES);
    for (const [key, value] of pairs) {
      const [keyBytes, valueBytes] = [Buffer.byteLength(key), Buffer.byteLength(value)];
      checkLimit('attribute_key_size', keyBytes, MAX_ATTRIBUTE_KEY_BYTES);
      checkLimit('attribute_value_size', valueBytes, MAX_ATTRIBUTE_VALUE_BYTES);
      bytes += keyBytes + valueBytes;
    }
  }
  checkLimit('request_size', bytes, MAX_PUBLISH_BYTES);
}

/**
 * @param config - of a subscription that is to be created or changed
 * @param policy - what follows from it for its deliveries
 * @param minAckDeadlineSeconds - 10 in the real service
 * @throws StatusError INVALID_ARGUMENT, when its ack deadline, push endpoint or retry policy is not valid
 */
export function checkSubscription(config: ISubscription, policy: DeliveryPolicy, minAckDeadlineSeconds: number): void {
  const ackDeadlineSeconds = config.ackDeadlineSeconds ?? 0;
  if (ackDeadlineSeconds < minAckDeadlineSeconds || ackDeadlineSeconds > MAX_ACK_DEADLINE_SECONDS) {
    throw invalidArgument(
      `Invalid ack deadline given (ack_deadline_seconds=${ackDeadlineSeconds}). It must be 0, or from ${minAckDeadlineSeconds} to ${MAX_ACK_DEADLINE_SECONDS}.`,
    );
  }
  const endpoint = config.pushConfig?.pushEndpoint;
  if (endpoint && !(URL.canParse(endpoint) && /^https?:\/\//.test(endpoint))) {
    throw invalidArgument(`Invalid push endpoint given (endpoint=${endpoint}).`);
  }
  const { minBackoffMs, maxBackoffMs } = policy;
  if (minBackoffMs < 0 || maxBackoffMs > MAX_BACKOFF_MS || minBackoffMs > maxBackoffMs) {
    throw invalidArgument(
      'Invalid retry policy given. Its back-off must be from 0 to 600 seconds, minimum to maximum.',
    );
  }
}

/**
 * @param ackIds - of one request
 * @throws StatusError INVALID_ARGUMENT, when there are none or they are too long taken together
 */
export function checkAckIds(ackIds: string[]): void {
  if (ackIds.length === 0) throw invalidArgument('No ack ids specified.');
  let bytes = 0;
  for (const ackId of ackIds) bytes += ackId.length;
  if (bytes > MAX_ACK_REQUEST_BYTES) {
    throw invalidArgument(`Request payload size exceeds the limit: ${MAX_ACK_REQUEST_BYTES} bytes.`);
  }
}

/**
 * @param seconds - a modified ack deadline, or a stream's
 * @throws StatusError INVALID_ARGUMENT, when it is not from 0 to 600
 */
export function checkAckDeadline(seconds: number): void {
  if (seconds < 0 || seconds > MAX_ACK_DEADLINE_SECONDS) {
    throw invalidArgument(`Invalid ack deadline given (ack_deadline_seconds=${seconds}). It must be from 0 to 600.`);
  }
}

function checkLimit(what: string, value: number, maximum: number): void {
  if (value <= maximum) return;
  throw invalidArgument(
    `The value for ${what} is too large. You passed ${value} in the request, but the maximum value is ${maximum}.`,
  );
}
