import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Clock,
  type Delivery,
  type DeliveryPolicy,
  type Message,
  type Receiver,
  SubscriptionQueue,
} from '../../../local-cloud/pubsub/subscription.ts';

function createClock(): Clock & { advance(ms: number): void; timers: Set<{ at: number; callback: () => void }> } {
  const timers = new Set<{ at: number; callback: () => void }>();
  let now = 1000;
  return {
    timers,
    now: () => now,
    schedule(delayMs, callback) {
      const timer = { at: now + delayMs, callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (!next) break;
        timers.delete(next);
        now = Math.max(now, next.at);
        next.callback();
      }
      now = end;
    },
  };
}

function createReceiver(messages = Number.POSITIVE_INFINITY) {
  const got: { text: string; attempt: number; ackId: string; bytes: number }[] = [];
  const receiver: Receiver & { got: typeof got; settledCount: number } = {
    got,
    settledCount: 0,
    room: () => ({ messages: messages - got.length + receiver.settledCount, bytes: Number.POSITIVE_INFINITY }),
    receive(deliveries) {
      for (const { message, attempt, ackId } of deliveries) {
        got.push({ text: String(message.data), attempt, ackId, bytes: message.data.length });
      }
    },
    settled() {
      receiver.settledCount += 1;
    },
    close() {},
  };
  return receiver;
}

function createQueue(policy: Partial<DeliveryPolicy> = {}) {
  const clock = createClock();
  const delivered: Delivery[] = [];
  const acked: Message[] = [];
  const queue = new SubscriptionQueue({
    policy: { ackDeadlineMs: 10_000, minBackoffMs: 0, maxBackoffMs: 0, ...policy },
    clock,
    ackIdPrefix: 'id-',
    onDeliver: (deliveries) => delivered.push(...deliveries),
    onAck: (messages) => acked.push(...messages),
  });
  return { queue, clock, delivered, acked };
}

const messages = (...texts: string[]): Message[] =>
  texts.map((text) => ({
    messageId: text,
    data: Buffer.from(text),
    attributes: {},
    orderingKey: '',
    publishTime: 1000,
  }));

describe('SubscriptionQueue', () => {
  it('a queue delivers a message again after its ack deadline, unless it was acked', () => {
    const { queue, clock } = createQueue();
    const receiver = createReceiver();
    queue.attach(receiver);
    queue.add(messages('a', 'b'));
    queue.acknowledge([receiver.got[0]!.ackId]);
    clock.advance(9_999);
    assert.equal(receiver.got.length, 2);
    clock.advance(1);
    assert.deepEqual(
      receiver.got.slice(2).map(({ text, attempt }) => ({ text, attempt })),
      [{ text: 'b', attempt: 2 }],
    );
  });

  it('an ack deadline can be made longer and shorter', () => {
    const { queue, clock } = createQueue();
    const receiver = createReceiver();
    queue.attach(receiver);
    queue.add(messages('long', 'short'));
    const [long, short] = receiver.got.map(({ ackId }) => ackId) as [string, string];
    queue.modifyAckDeadline([long], 60_000);
    queue.modifyAckDeadline([short], 1_000);
    clock.advance(1_000);
    assert.deepEqual(
      receiver.got.slice(2).map(({ text }) => text),
      ['short'],
    );
    queue.acknowledge([receiver.got[2]!.ackId]);
    clock.advance(58_999);
    assert.equal(receiver.got.length, 3);
    clock.advance(1);
    assert.deepEqual(
      receiver.got.slice(3).map(({ text }) => text),
      ['long'],
    );
  });

  it('a queue ignores an ack and a modification of a delivery that has expired', () => {
    const { queue, clock, acked } = createQueue();
    const receiver = createReceiver();
    queue.attach(receiver);
    queue.add(messages('a'));
    clock.advance(10_000);
    queue.acknowledge([receiver.got[0]!.ackId, 'id-', 'other-1', '']);
    queue.modifyAckDeadline([receiver.got[0]!.ackId], 0);
    assert.deepEqual(acked, []);
    assert.equal(queue.backlog().outstanding, 1);
    assert.equal(receiver.got.length, 2);
  });

  it('a queue doubles the back-off from the minimum to the maximum, after nacks and after expired deadlines', () => {
    const { queue, clock } = createQueue({ minBackoffMs: 100, maxBackoffMs: 350 });
    const receiver = createReceiver();
    queue.attach(receiver);
    queue.add(messages('a'));
    for (const [index, backoffMs] of [100, 200, 350, 350].entries()) {
      const { ackId } = receiver.got.at(-1)!;
      if (index % 2 === 0) queue.modifyAckDeadline([ackId], 0);
      else clock.advance(10_000);
      clock.advance(backoffMs - 1);
      assert.equal(receiver.got.length, index + 1);
      assert.equal(queue.backlog().waiting, 1);
      clock.advance(1);
      assert.equal(receiver.got.length, index + 2);
    }
  });

  it('a queue without a back-off redelivers a message at once, however often it was tried', () => {
    const { queue } = createQueue();
    const receiver = createReceiver();
    queue.attach(receiver);
    queue.add(messages('a'));
    for (let i = 0; i < 2000; i++) queue.modifyAckDeadline([receiver.got.at(-1)!.ackId], 0);
    assert.equal(receiver.got.length, 2001);
  });

  it('a queue has one timer, however many messages are outstanding', () => {
    const { queue, clock } = createQueue();
    queue.attach(createReceiver());
    for (let i = 0; i < 100; i++) {
      queue.add(messages(`${i}`));
      clock.advance(1);
    }
    assert.equal(clock.timers.size, 1);
    queue.close(new Error('closed'));
    assert.equal(clock.timers.size, 0);
  });

  it('a queue delivers to its receivers in turn, and not to a receiver without room', () => {
    const { queue } = createQueue();
    const [one, two] = [createReceiver(1), createReceiver(2)];
    queue.attach(one);
    queue.attach(two);
    queue.add(messages('a', 'b', 'c', 'd'));
    assert.deepEqual([one.got.length, two.got.length, queue.backlog().waiting], [1, 2, 1]);
    queue.acknowledge([one.got[0]!.ackId]);
    assert.deepEqual(
      one.got.map(({ text }) => text),
      ['a', 'd'],
    );
  });

  it('a queue delivers a message alone if it is larger than the room for bytes, and otherwise fills the room', () => {
    const { queue } = createQueue();
    const batches: number[][] = [];
    queue.add(messages('aaaa', 'bb', 'b', 'cccc'));
    queue.attach({
      ...createReceiver(),
      room: () => ({ messages: 10, bytes: 3 }),
      receive: (deliveries) => batches.push(deliveries.map(({ message }) => message.data.length)),
    });
    assert.deepEqual(batches, [[4], [2, 1], [4]]);
  });

  it('a queue neither loses nor duplicates a message, whatever happens to it', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), count: fc.nat(5) }),
      fc.record({ kind: fc.constantFrom('ack' as const, 'nack' as const, 'extend' as const), index: fc.nat(20) }),
      fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(15_000) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, hasBackoff) => {
        const { queue, clock, acked } = createQueue(hasBackoff ? { minBackoffMs: 100, maxBackoffMs: 30_000 } : {});
        const receiver = createReceiver();
        queue.attach(receiver);
        let added = 0;
        for (const action of steps) {
          if (action.kind === 'add') {
            queue.add(messages(...Array.from({ length: action.count }, () => `${added++}`)));
          } else if (action.kind === 'wait') {
            clock.advance(action.ms);
          } else {
            const ackIds = receiver.got.slice(-action.index - 1).map(({ ackId }) => ackId);
            if (action.kind === 'ack') queue.acknowledge(ackIds.slice(0, 1));
            else queue.modifyAckDeadline(ackIds, action.kind === 'nack' ? 0 : 30_000);
          }
          const { waiting, outstanding, acked: ackedCount } = queue.backlog();
          assert.equal(waiting + outstanding + ackedCount, added);
        }
        clock.advance(120_000);
        for (let round = 0; queue.backlog().waiting + queue.backlog().outstanding > 0; round++) {
          assert.ok(round < 100, 'messages that never come back');
          queue.acknowledge(receiver.got.map(({ ackId }) => ackId));
          clock.advance(30_000);
        }
        assert.equal(new Set(acked.map(({ messageId }) => messageId)).size, added);
        assert.equal(acked.length, added);
      }),
      { numRuns: 200 },
    );
  });
});
