/**
 * The part of Pub/Sub's gRPC protocol that the local Pub/Sub speaks: its methods and refusals.
 * https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1
 */
import protos from '@google-cloud/pubsub/build/protos/protos.js';
import { type ServiceDefinition, status } from '@grpc/grpc-js';

const { Empty } = protos.google.protobuf;

/** The message types of `google.pubsub.v1`, as the official client ships them. */
const v1 = protos.google.pubsub.v1;

/** The Publisher's methods that the local Pub/Sub has. */
export const publisherService = {
  CreateTopic: unary('Publisher/CreateTopic', v1.Topic, v1.Topic),
  GetTopic: unary('Publisher/GetTopic', v1.GetTopicRequest, v1.Topic),
  ListTopics: unary('Publisher/ListTopics', v1.ListTopicsRequest, v1.ListTopicsResponse),
  DeleteTopic: unary('Publisher/DeleteTopic', v1.DeleteTopicRequest, Empty),
  Publish: unary('Publisher/Publish', v1.PublishRequest, v1.PublishResponse),
  ListTopicSubscriptions: unary(
    'Publisher/ListTopicSubscriptions',
    v1.ListTopicSubscriptionsRequest,
    v1.ListTopicSubscriptionsResponse,
  ),
} satisfies ServiceDefinition;

/** The Subscriber's methods that the local Pub/Sub has. */
export const subscriberService = {
  CreateSubscription: unary('Subscriber/CreateSubscription', v1.Subscription, v1.Subscription),
  GetSubscription: unary('Subscriber/GetSubscription', v1.GetSubscriptionRequest, v1.Subscription),
  UpdateSubscription: unary('Subscriber/UpdateSubscription', v1.UpdateSubscriptionRequest, v1.Subscription),
  ListSubscriptions: unary('Subscriber/ListSubscriptions', v1.ListSubscriptionsRequest, v1.ListSubscriptionsResponse),
  DeleteSubscription: unary('Subscriber/DeleteSubscription', v1.DeleteSubscriptionRequest, Empty),
  ModifyPushConfig: unary('Subscriber/ModifyPushConfig', v1.ModifyPushConfigRequest, Empty),
  ModifyAckDeadline: unary('Subscriber/ModifyAckDeadline', v1.ModifyAckDeadlineRequest, Empty),
  Acknowledge: unary('Subscriber/Acknowledge', v1.AcknowledgeRequest, Empty),
  Pull: unary('Subscriber/Pull', v1.PullRequest, v1.PullResponse),
  StreamingPull: {
    ...unary('Subscriber/StreamingPull', v1.StreamingPullRequest, v1.StreamingPullResponse),
    requestStream: true,
    responseStream: true,
  },
} satisfies ServiceDefinition;

/** A refusal that the caller gets as a gRPC status. */
export class StatusError extends Error {
  /** The gRPC status code. */
  readonly code: number;

  /**
   * @param code - the gRPC status code
   * @param message - what is wrong, for the caller
   */
  constructor(code: number, message: string) {
    super(message);
    this.name = 'StatusError';
    this.code = code;
  }
}

/**
 * @param name - the resource that does not exist
 * @returns the refusal NOT_FOUND
 */
export function notFound(name: string): StatusError {
  return new StatusError(status.NOT_FOUND, `Resource not found (resource=${name.split('/').at(-1)}).`);
}

/**
 * @param name - the resource that exists already
 * @returns the refusal ALREADY_EXISTS
 */
export function alreadyExists(name: string): StatusError {
  const message = `Resource already exists in the project (resource=${name.split('/').at(-1)}).`;
  return new StatusError(status.ALREADY_EXISTS, message);
}

/**
 * @param message - what is wrong with the request
 * @returns the refusal INVALID_ARGUMENT
 */
export function invalidArgument(message: string): StatusError {
  return new StatusError(status.INVALID_ARGUMENT, message);
}

interface Codec<Sent, Received> {
  encode(message: Sent): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Received;
}

function unary<RequestInput, Request, ResponseInput, Response>(
  path: string,
  request: Codec<RequestInput, Request>,
  response: Codec<ResponseInput, Response>,
) {
  return {
    path: `/google.pubsub.v1.${path}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (value: RequestInput) => request.encode(value).finish() as Buffer,
    requestDeserialize: (bytes: Buffer) => request.decode(bytes),
    responseSerialize: (value: ResponseInput) => response.encode(value).finish() as Buffer,
    responseDeserialize: (bytes: Buffer) => response.decode(bytes),
  };
}
