/** Acknowledges messages, many in one call, and nacks those that cannot be settled for now. */

import type { v1 } from '@google-cloud/pubsub';
import { CALL_OPTIONS } from './client.ts';

/** Ids in one call: far below the 512 KiB that a request may have. */
const MAX_IDS = 1_000;
/** How long acks are batched, in milliseconds. */
const LINGER_MS = 100;

/** Gathers acks. A call that fails is not an error: the message comes again, and its events have the same ids. */
export class Acks {
  /** Messages that were acknowledged. */
  acknowledged = 0;
  readonly #subscriber: v1.SubscriberClient;
  readonly #subscription: string;
  readonly #onFailure: (error: Error) => void;
  readonly #calls = new Set<Promise<void>>();
  #ids: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param onFailure told of each call that failed, once the client has given up */
  constructor(subscriber: v1.SubscriberClient, subscription: string, onFailure: (error: Error) => void) {
    this.#subscriber = subscriber;
    this.#subscription = subscription;
    this.#onFailure = onFailure;
  }

  /** Acknowledges soon. Without an id a message comes again: in a call, it would have those of all others refused. */
  ack(ackId: string): void {
    if (ackId === '') return;
    this.#ids.push(ackId);
    if (this.#ids.length >= MAX_IDS) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), LINGER_MS);
  }

  /** Has messages delivered again at once, or after the subscription's back-off. */
  nack(ackIds: readonly string[]): void {
    const given = ackIds.filter((ackId) => ackId !== '');
    for (let at = 0; at < given.length; at += MAX_IDS) {
      const ids = given.slice(at, at + MAX_IDS);
      const request = { subscription: this.#subscription, ackIds: ids, ackDeadlineSeconds: 0 };
      this.#call(this.#subscriber.modifyAckDeadline(request, CALL_OPTIONS));
    }
  }

  /** Acknowledges at once what waits; resolves when all calls have ended. */
  async flush(): Promise<void> {
    this.#send();
    while (this.#calls.size > 0) await Promise.all(this.#calls);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ids = this.#ids;
    if (ids.length === 0) return;
    this.#ids = [];
    this.#call(
      this.#subscriber.acknowledge({ subscription: this.#subscription, ackIds: ids }, CALL_OPTIONS).then(() => {
        this.acknowledged += ids.length;
      }),
    );
  }

  #call(call: Promise<unknown>): void {
    const ended: Promise<void> = call.then(() => {}, this.#onFailure).finally(() => this.#calls.delete(ended));
    this.#calls.add(ended);
  }
}
