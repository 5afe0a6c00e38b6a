/**
 * Delivery of a push subscription's messages to its HTTP endpoint.
 * https://cloud.google.com/pubsub/docs/push
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Instances } from './instances.ts';
import type { Delivery, Receiver } from './subscription.ts';

/** Any other answer, or none, gives the message back. */
const ACK_STATUSES = new Set([102, 200, 201, 202, 204]);

/** What became of one push. */
export interface PushOutcome {
  messageId: string;
  /** The HTTP status; 0 where no answer came: the connection failed or the ack deadline ended. */
  status: number;
}

/**
 * Makes the receiver that pushes to an endpoint.
 *
 * @param options - where to push to and what to do with the outcome
 * @param options.subscription - its full name, which stands in every body
 * @param options.endpoint - an http: or https: URL
 * @param options.maxOutstanding - pushes under way at once, at most
 * @param options.instances - what serves the endpoint; without it every push is sent at once
 * @param options.sendsAttempt - whether the body has `deliveryAttempt`, as it has with a dead-letter policy
 * @param options.settle - called with the answer's verdict: ack, or give back
 * @param options.onPush - observes
 * @returns a receiver for the subscription's queue; the queue's own ack deadline is the time-out of a push
 */
export function createPushReceiver(options: {
  subscription: string;
  endpoint: string;
  maxOutstanding: number;
  instances?: Instances | undefined;
  sendsAttempt: boolean;
  settle(ackId: string, isAcked: boolean): void;
  onPush(outcome: PushOutcome): void;
}): Receiver {
  const { instances } = options;
  /** Pushes under way, by their ackIds; undefined while they wait for an instance. */
  const requests = new Map<string, http.ClientRequest | undefined>();
  let isClosed = false;
  return {
    room: () => ({ messages: options.maxOutstanding - requests.size, bytes: Number.POSITIVE_INFINITY }),
    receive(deliveries) {
      for (const delivery of deliveries) begin(delivery);
    },
    settled(delivery) {
      const request = requests.get(delivery.ackId);
      requests.delete(delivery.ackId);
      request?.destroy();
    },
    close() {
      isClosed = true;
      for (const request of requests.values()) request?.destroy();
      requests.clear();
    },
  };

  function begin(delivery: Delivery): void {
    const { ackId } = delivery;
    requests.set(ackId, undefined);
    if (instances === undefined) {
      push(delivery, () => {});
      return;
    }
    instances.acquire((hasInstance) => {
      // Meanwhile the subscription may have been closed, or the delivery's ack deadline have ended.
      const isOpen = requests.has(ackId);
      if (hasInstance && isOpen) push(delivery, () => instances.release());
      else if (hasInstance) instances.release();
      else if (isOpen) settle(delivery, 429);
    });
  }

  function settle({ ackId, message }: Delivery, status: number): void {
    // Whoever listens sees the message acked or given back.
    options.settle(ackId, ACK_STATUSES.has(status));
    if (!isClosed) options.onPush({ messageId: message.messageId, status });
  }

  /** @param onEnd - called when the endpoint is done with it, before it is settled */
  function push(delivery: Delivery, onEnd: () => void): void {
    const { ackId } = delivery;
    const body = pushBody(delivery, options);
    const { request: send } = options.endpoint.startsWith('https:') ? https : http;
    // No kept connections: one that the receiver closes meanwhile would look like a failed push.
    const request = send(options.endpoint, {
      method: 'POST',
      agent: false,
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        'user-agent': 'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)',
      },
    });
    requests.set(ackId, request);
    let isOver = false;
    const end = (status: number) => {
      if (isOver) return;
      isOver = true;
      onEnd();
      settle(delivery, status);
    };
    request.on('information', ({ statusCode }) => {
      if (statusCode === 102) end(statusCode);
    });
    request.on('response', (response) => {
      response.resume();
      response.on('end', () => end(response.statusCode ?? 0));
      response.on('error', () => end(0));
    });
    request.on('error', () => end(0));
    request.on('close', () => end(0));
    request.end(body);
  }
}

function pushBody(delivery: Delivery, options: { subscription: string; sendsAttempt: boolean }): Buffer {
  const { attributes, data, messageId, orderingKey, publishTime } = delivery.message;
  const publishedAt = new Date(publishTime).toISOString();
  return Buffer.from(
    JSON.stringify({
      ...(options.sendsAttempt ? { deliveryAttempt: delivery.attempt } : {}),
      message: {
        // As everywhere in the JSON form of protocol buffers, what is empty is left out.
        ...(Object.keys(attributes).length > 0 ? { attributes } : {}),
        ...(data.length > 0 ? { data: data.toString('base64') } : {}),
        messageId,
        message_id: messageId,
        ...(orderingKey ? { orderingKey } : {}),
        publishTime: publishedAt,
        publish_time: publishedAt,
      },
      subscription: options.subscription,
    }),
  );
}
