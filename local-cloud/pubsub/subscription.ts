/** The delivery of one subscription's messages: at least once, under ack deadlines, with back-off. */

/** A published message; all subscriptions of its topic share it. */
export interface Message {
  /** Unique, and increasing with every message. */
  readonly messageId: string;
  readonly data: Buffer;
  readonly attributes: Record<string, string>;
  readonly orderingKey: string;
  /** Milliseconds since the epoch. */
  readonly publishTime: number;
}

/** A message on its way to a receiver; the same object carries the next delivery, should this one fail. */
export interface Delivery {
  readonly message: Message;
  /** What acks this delivery; another delivery of the same message has another one. */
  readonly ackId: string;
  /** 1 for the first delivery. */
  readonly attempt: number;
}

/** Someone who takes messages: a pull that waits, a stream, a push endpoint. */
export interface Receiver {
  /** An ack deadline of its own, instead of the subscription's. */
  readonly ackDeadlineMs?: number;
  /** How many messages it takes at this moment, and how many bytes; it gets one message however large. */
  room(): { messages: number; bytes: number };
  /** Gets at least one delivery. */
  receive(deliveries: Delivery[]): void;
  /** A delivery that it got was acked, given back, or expired. */
  settled(delivery: Delivery): void;
  /** The subscription is no more, or no longer of the receiver's kind. */
  close(reason: Error): void;
}

/** How a subscription delivers. */
export interface DeliveryPolicy {
  ackDeadlineMs: number;
  /** The wait after the first failed delivery; doubles with each further one. 0 for none. */
  minBackoffMs: number;
  maxBackoffMs: number;
}

/** The time, as a subscription needs it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once, `delayMs` from now; returns what calls that off. */
  schedule(delayMs: number, callback: () => void): () => void;
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: Date.now,
  schedule(delayMs, callback) {
    // setTimeout fires at once when it is asked for more than 2^31 - 1.
    const timer = setTimeout(callback, Math.min(delayMs, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

/** What a subscription holds. */
export interface Backlog {
  /** Ready for a receiver, or held back for a while. */
  waiting: number;
  /** Handed out, neither acked nor expired. */
  outstanding: number;
  /** Acked since the subscription was created. */
  acked: number;
  /** That of the oldest message that is not acked; milliseconds since the epoch. */
  oldestPublishTime?: number;
}

interface Entry extends Delivery {
  ackId: string;
  attempt: number;
  /** The last part of the ackId. */
  deliveryNumber: number;
  /** When the ack deadline or the back-off ends. */
  dueAt: number;
  receiver: Receiver | undefined;
}

/** Expired deadlines are looked for at most this often: a look goes over everything that is outstanding. */
const SCAN_INTERVAL_MS = 20;
/** With {@link SubscriptionQueue}'s `random`, a back-off is longer or shorter by this part of it at most. */
const MAX_JITTER = 0.25;

/** The messages of one subscription, from publish to ack. */
export class SubscriptionQueue {
  /** In force from the next delivery or failure on. */
  policy: DeliveryPolicy;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #ackIdPrefix: string;
  readonly #onDeliver: (deliveries: Delivery[]) => void;
  readonly #onAck: (messages: Message[]) => void;
  readonly #waiting = new Fifo<Entry>();
  readonly #outstanding = new Map<number, Entry>();
  readonly #heldBack = new Set<Entry>();
  readonly #receivers: Receiver[] = [];
  #deliveries = 0;
  #acked = 0;
  #scanAt = Number.POSITIVE_INFINITY;
  #cancelScan: () => void = () => {};

  /**
   * @param options - `random`, from 0 to 1, spreads back-offs; `ackIdPrefix` begins every ackId; `onDeliver` and `onAck` observe, a batch at a time
   */
  constructor(options: {
    policy: DeliveryPolicy;
    clock: Clock;
    random?: (() => number) | undefined;
    ackIdPrefix: string;
    onDeliver(deliveries: Delivery[]): void;
    onAck(messages: Message[]): void;
  }) {
    this.policy = options.policy;
    this.#clock = options.clock;
    this.#random = options.random ?? (() => 0.5);
    this.#ackIdPrefix = options.ackIdPrefix;
    this.#onDeliver = options.onDeliver;
    this.#onAck = options.onAck;
  }

  /** @param messages - to deliver, after those that wait already */
  add(messages: Message[]): void {
    for (const message of messages) {
      this.#waiting.push({ message, ackId: '', attempt: 0, deliveryNumber: 0, dueAt: 0, receiver: undefined });
    }
    this.dispatch();
  }

  /** @param receiver - gets messages from now on, in turn with the others, whenever it has room */
  attach(receiver: Receiver): void {
    this.#receivers.push(receiver);
    this.dispatch();
  }

  /** @param receiver - gets no more messages; what it has stays with it until the ack deadline */
  detach(receiver: Receiver): void {
    const index = this.#receivers.indexOf(receiver);
    if (index >= 0) this.#receivers.splice(index, 1);
  }

  /** Hands out what there is to those who have room. A receiver calls it when it has room again. */
  dispatch(): void {
    let withoutRoom = 0;
    while (this.#waiting.size > 0 && withoutRoom < this.#receivers.length) {
      const receiver = this.#receivers.shift() as Receiver;
      this.#receivers.push(receiver);
      const room = receiver.room();
      if (room.messages <= 0 || room.bytes <= 0) {
        withoutRoom += 1;
        continue;
      }
      withoutRoom = 0;
      const deliveries = this.#take(receiver, room);
      receiver.receive(deliveries);
      this.#onDeliver(deliveries);
    }
  }

  /** @param ackIds - deliveries that are done with; those that have expired are passed over */
  acknowledge(ackIds: string[]): void {
    const messages: Message[] = [];
    for (const ackId of ackIds) {
      const entry = this.#find(ackId);
      if (!entry) continue;
      this.#outstanding.delete(entry.deliveryNumber);
      entry.receiver?.settled(entry);
      messages.push(entry.message);
    }
    this.#acked += messages.length;
    if (messages.length > 0) this.#onAck(messages);
    this.dispatch();
  }

  /**
   * @param ackIds - deliveries; those that have expired are passed over
   * @param deadlineMs - their ack deadline from now; 0 gives them back
   */
  modifyAckDeadline(ackIds: string[], deadlineMs: number): void {
    const dueAt = this.#clock.now() + deadlineMs;
    for (const ackId of ackIds) {
      const entry = this.#find(ackId);
      if (!entry) continue;
      if (deadlineMs === 0) this.#giveBack(entry);
      else entry.dueAt = dueAt;
    }
    if (deadlineMs > 0) this.#scanBy(dueAt);
    this.dispatch();
  }

  /** Ends the deadline of everything that is outstanding. */
  expireAll(): void {
    for (const entry of [...this.#outstanding.values()]) this.#giveBack(entry);
    this.dispatch();
  }

  /** @returns what the subscription holds at this moment */
  backlog(): Backlog {
    let oldest = Number.POSITIVE_INFINITY;
    for (const entries of [this.#waiting, this.#outstanding.values(), this.#heldBack]) {
      for (const entry of entries) oldest = Math.min(oldest, entry.message.publishTime);
    }
    return {
      waiting: this.#waiting.size + this.#heldBack.size,
      outstanding: this.#outstanding.size,
      acked: this.#acked,
      ...(Number.isFinite(oldest) ? { oldestPublishTime: oldest } : {}),
    };
  }

  /** @param reason - what the receivers are told; nothing is delivered any more */
  close(reason: Error): void {
    this.#cancelScan();
    this.#scanAt = Number.NEGATIVE_INFINITY; // No other scan is asked for from here on.
    for (const receiver of this.#receivers.splice(0)) receiver.close(reason);
  }

  #take(receiver: Receiver, room: { messages: number; bytes: number }): Delivery[] {
    const deliveries: Delivery[] = [];
    const dueAt = this.#clock.now() + (receiver.ackDeadlineMs ?? this.policy.ackDeadlineMs);
    let bytesLeft = room.bytes;
    while (deliveries.length < room.messages) {
      const entry = this.#waiting.peek();
      if (!entry) break;
      bytesLeft -= entry.message.data.length;
      if (bytesLeft < 0 && deliveries.length > 0) break;
      this.#waiting.shift();
      this.#deliveries += 1;
      entry.deliveryNumber = this.#deliveries;
      entry.ackId = this.#ackIdPrefix + this.#deliveries;
      entry.attempt += 1;
      entry.dueAt = dueAt;
      entry.receiver = receiver;
      this.#outstanding.set(entry.deliveryNumber, entry);
      deliveries.push(entry);
    }
    this.#scanBy(dueAt);
    return deliveries;
  }

  #find(ackId: string): Entry | undefined {
    if (!ackId.startsWith(this.#ackIdPrefix)) return undefined;
    return this.#outstanding.get(Number(ackId.slice(this.#ackIdPrefix.length)));
  }

  #giveBack(entry: Entry): void {
    this.#outstanding.delete(entry.deliveryNumber);
    entry.receiver?.settled(entry);
    entry.receiver = undefined;
    const { minBackoffMs, maxBackoffMs } = this.policy;
    // The exponent has a limit because 0 times Infinity would be no number.
    const backoffMs = Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(entry.attempt - 1, 60));
    if (backoffMs <= 0) {
      this.#waiting.push(entry);
      return;
    }
    entry.dueAt = this.#clock.now() + backoffMs * (1 + MAX_JITTER * (2 * this.#random() - 1));
    this.#heldBack.add(entry);
    this.#scanBy(entry.dueAt);
  }

  #scanBy(dueAt: number): void {
    if (this.#scanAt <= dueAt) return;
    this.#cancelScan();
    this.#scanAt = dueAt;
    this.#cancelScan = this.#clock.schedule(Math.max(0, dueAt - this.#clock.now()), () => this.#scan());
  }

  // One timer and a look over all: a timer for each message would cost more than the delivery.
  #scan(): void {
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    this.#scanAt = Number.NEGATIVE_INFINITY; // What this scan gives back needs no other: it comes to it below.
    for (const entry of this.#outstanding.values()) {
      if (entry.dueAt <= now) this.#giveBack(entry);
      else next = Math.min(next, entry.dueAt);
    }
    for (const entry of this.#heldBack) {
      if (entry.dueAt <= now) {
        this.#heldBack.delete(entry);
        this.#waiting.push(entry);
      } else next = Math.min(next, entry.dueAt);
    }
    this.#scanAt = Number.POSITIVE_INFINITY;
    if (Number.isFinite(next)) this.#scanBy(Math.max(next, now + SCAN_INTERVAL_MS));
    this.dispatch();
  }
}

class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  shift(): void {
    this.#items[this.#head] = undefined;
    this.#head += 1;
    // Array.shift moves the whole array; this moves each item once at most.
    if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = this.#head; index < this.#items.length; index++) yield this.#items[index] as T;
  }
}
