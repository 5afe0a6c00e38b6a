import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { insertIdByPosition } from '../../../functions/core/insert-id.ts';
import { mappingOf, VERBATIM } from '../../../functions/core/mappings/mapping.ts';
import { dataOf, sourceOf } from '../../../functions/pubsub/message-source.ts';
import type { ReceivedMessage } from '../../../functions/pubsub/pull.ts';
import { SUBSCRIPTION, startSubscribed } from '../../support/subscribed.ts';

const TEXT = '{"text":"é 🦊"}';
const publishTime = { seconds: 1_767_225_600, nanos: 123_456_789 };

function received(message: ReceivedMessage['message']): ReceivedMessage {
  return { ackId: 'a', message: { messageId: '12', publishTime, ...message } };
}

describe('dataOf', () => {
  const encoded = Buffer.from(TEXT);
  const cases: [name: string, message: ReceivedMessage['message'], expected: string][] = [
    ['a message', { data: encoded }, TEXT],
    ['a message as base64', { data: encoded.toString('base64') }, TEXT],
    ['a part of a larger buffer', { data: Buffer.concat([encoded, encoded]).subarray(encoded.length) }, TEXT],
    ['a plain array of bytes', { data: Uint8Array.from(encoded) }, TEXT],
    ['an empty message', { data: Buffer.alloc(0) }, ''],
    ['a message of attributes alone', { attributes: { a: 'b' } }, ''],
    ['a message with null for data', { data: null }, ''],
  ];
  for (const [name, message, expected] of cases) {
    test(`dataOf returns the bytes of ${name}`, () => {
      const data = dataOf(received(message));
      assert.ok(Buffer.isBuffer(data));
      assert.equal(data.toString(), expected);
    });
  }

  test('dataOf returns no bytes if there is no message', () => {
    for (const message of [undefined, null]) assert.equal(dataOf({ ackId: 'a', message }).length, 0);
  });

  test('dataOf returns the bytes that were published if they are not text', async (t) => {
    const { publish, subscriber } = await startSubscribed(t);
    const data = Buffer.from([0x1f, 0x8b, 0xff, 0x00]);
    publish(1, { data });
    const [{ receivedMessages }] = await subscriber.pull({ subscription: SUBSCRIPTION, maxMessages: 1 });
    assert.deepEqual(dataOf(receivedMessages![0]!), data);
  });
});

describe('sourceOf', () => {
  test('sourceOf gives a transform the subscription and the attributes of the message', () => {
    const mapping = mappingOf(() => null);
    const source = sourceOf(received({ attributes: { plan: 'pro' } }), SUBSCRIPTION, () => mapping);
    assert.deepEqual(source.context, { kind: 'message', subscription: SUBSCRIPTION, attributes: { plan: 'pro' } });
    assert.equal(source.mapping, mapping);
  });

  test('sourceOf locates a record by message, publish time and index, with the attributes of the message', () => {
    const { locate } = sourceOf(received({ attributes: { plan: 'pro' } }), SUBSCRIPTION, () => VERBATIM);
    assert.deepEqual(locate(812, 3), {
      subscription: SUBSCRIPTION,
      messageId: '12',
      publishTime: '2026-01-01T00:00:00.123Z',
      index: 3,
      attributes: { plan: 'pro' },
    });
  });

  for (const [name, attributes] of [
    ['no attributes', {}],
    ['null for attributes', null],
  ] as const) {
    test(`sourceOf leaves attributes out of a location if the message has ${name}`, () => {
      const { context, locate } = sourceOf(received({ attributes }), SUBSCRIPTION, () => VERBATIM);
      assert.deepEqual(context, { kind: 'message', subscription: SUBSCRIPTION, attributes: {} });
      assert.ok(!('attributes' in locate(0, 0)));
    });
  }

  test('sourceOf locates records so that their ids by position do not depend on the delivery', () => {
    const record = Buffer.from('{}');
    const idOf = (ackId: string, seconds: number) => {
      const message = { ...received({ publishTime: { seconds, nanos: 0 } }), ackId };
      return insertIdByPosition(
        record,
        sourceOf(message, SUBSCRIPTION, () => VERBATIM),
        0,
        3,
      );
    };
    assert.equal(idOf('a', 1), idOf('b', 2));
  });

  test('sourceOf locates a message of the client, whose publish time is in its own form', async (t) => {
    const { publish, subscriber } = await startSubscribed(t);
    const before = Date.now();
    publish(1, { data: '{}', attributes: { plan: 'pro' } });
    const [{ receivedMessages }] = await subscriber.pull({ subscription: SUBSCRIPTION, maxMessages: 1 });
    const source = sourceOf(receivedMessages![0]!, SUBSCRIPTION, () => VERBATIM);
    const location = source.locate(0, 0);
    assert.ok('messageId' in location);
    assert.equal(location.messageId, receivedMessages![0]!.message?.messageId);
    assert.deepEqual(location.attributes, { plan: 'pro' });
    assert.match(location.publishTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const publishedAt = Date.parse(location.publishTime);
    assert.ok(before <= publishedAt && publishedAt <= Date.now());
    assert.deepEqual(source.context, { kind: 'message', subscription: SUBSCRIPTION, attributes: { plan: 'pro' } });
  });
});
