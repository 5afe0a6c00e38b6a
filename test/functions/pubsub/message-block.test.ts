import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { insertIdByContent } from '../../../functions/core/insert-id.ts';
import { toBlock } from '../../../functions/pubsub/message-block.ts';

const SUBSCRIPTION = 'projects/p/subscriptions/s';
const EVENT = '{"event":"e","properties":{"time":1,"distinct_id":"u"}}';
const GZIP = { 'Content-Encoding': 'gzip' };

function blockOf(data: Buffer | string | null | undefined, attributes: Record<string, string> = {}) {
  const publishTime = { seconds: 1_767_225_600, nanos: 123_456_789 };
  const message = { data: data as Buffer, attributes, messageId: '12', publishTime };
  return toBlock({ ackId: 'a', message }, SUBSCRIPTION, insertIdByContent);
}

describe('toBlock', () => {
  const cases: Record<
    string,
    [data: Buffer | string | null | undefined, attributes: Record<string, string>, records: number]
  > = {
    'one event': [Buffer.from(EVENT), {}, 1],
    'an array': [Buffer.from(`[${EVENT},${EVENT}]`), {}, 2],
    lines: [Buffer.from(`${EVENT}\n${EVENT}\n`), {}, 2],
    'compressed data with the attribute': [gzipSync(`${EVENT}\n${EVENT}`), GZIP, 2],
    'compressed data with the attribute in capitals': [gzipSync(EVENT), { 'Content-Encoding': 'GZIP' }, 1],
    'base64, as the client may give it': [Buffer.from(EVENT).toString('base64'), {}, 1],
    'a part of a larger buffer': [Buffer.from(`xx${EVENT}xx`).subarray(2, 2 + EVENT.length), {}, 1],
    'no data': [null, {}, 0],
    'nothing at all': [undefined, GZIP, 0],
    'empty data with the attribute': [Buffer.alloc(0), GZIP, 0],
    'an empty array': [Buffer.from('[]'), {}, 0],
  };
  for (const [name, [data, attributes, records]] of Object.entries(cases)) {
    test(`finds the records of ${name}`, () => {
      const { starts, rejections, counts } = blockOf(data, attributes);
      assert.deepEqual([starts.length, rejections.length, counts.read], [records, 0, records]);
    });
  }

  test('names the message and the index of what it rejects', () => {
    const { rejections } = blockOf(Buffer.from(`[${EVENT},5]`));
    assert.deepEqual(
      rejections.map(({ source }) => source),
      [{ subscription: SUBSCRIPTION, messageId: '12', publishTime: '2026-01-01T00:00:00.123Z', index: 1 }],
    );
  });

  const undecodable: Record<string, [data: Buffer, message: RegExp]> = {
    'no gzip': [Buffer.from(EVENT), /^the gzip data are corrupt: incorrect header check/],
    'cut short': [gzipSync(EVENT).subarray(0, 20), /^the gzip data are corrupt: unexpected end of file/],
    'more than 100 MB once decompressed': [
      gzipSync(Buffer.alloc(100_000_001), { level: 1 }),
      /^it decompresses to more than 100000000 bytes/,
    ],
  };
  for (const [name, [data, message]] of Object.entries(undecodable)) {
    test(`rejects a message as a whole whose compressed data are ${name}`, () => {
      const { starts, rejections } = blockOf(data, GZIP);
      assert.equal(starts.length, 0);
      assert.equal(rejections.length, 1);
      assert.match(rejections[0]!.reason.message, message);
      assert.equal(rejections[0]!.bytes, data.length);
    });
  }
});
