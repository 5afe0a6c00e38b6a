import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { checkpointOf, deliveredAll } from '../support/arrivals.ts';
import { eventText } from '../support/event.ts';
import { save, startTestCloud, type TestCloud } from '../support/serving.ts';

interface Letter {
  range?: { from: number; to: number };
  rejected?: number;
  record: string;
  recordBase64?: string;
  truncated?: boolean;
  source: { offset: number };
}

/** Records that dead letters stand for. */
function rejectedIn(letters: readonly Letter[]): number {
  return letters.reduce((sum, { rejected = 1 }) => sum + rejected, 0);
}

describe('rejections without end', () => {
  let cloud: TestCloud;
  before(async () => {
    // What a function with 512 MiB of memory gets, and less.
    cloud = await startTestCloud({ env: { NODE_OPTIONS: '--max-old-space-size=256' } });
  });
  beforeEach(() => cloud.reset());
  after(() => cloud?.close());

  test('importObject sums up the rejections of an object beyond 10,000, and sends the good events among them', async () => {
    const bad = 400_000;
    const good = 40;
    const begin = `${eventText('good-0')}\n`;
    const stretch = '{}\n'.repeat(bad / good);
    const content = Array.from(
      { length: good },
      (_, n) => `${n === 0 ? begin : `${eventText(`good-${n}`)}\n`}${stretch}`,
    );
    const delivered = deliveredAll(cloud);
    await save(cloud.storageClient, 'many', content.join(''));
    assert.deepEqual(await delivered, [204]);
    for (let n = 0; n < good; n++) assert.equal(cloud.mixpanel.count(`good-${n}`), 1);
    const { state, counts } = await checkpointOf(cloud, 'many');
    assert.deepEqual(
      { state, ...counts },
      {
        state: 'done',
        read: bad + good,
        expanded: 0,
        imported: good,
        rejected: bad,
        dropped: 0,
      },
    );
    const letters = (await cloud.deadLetters()) as unknown as Letter[];
    assert.equal(rejectedIn(letters), bad);
    const summed = letters.filter(({ rejected }) => rejected !== undefined);
    assert.ok(summed.length > 0 && letters.length < 11_500, `${letters.length} letters`);
    for (const { range, truncated, record, source } of summed) {
      assert.deepEqual([truncated, record, source.offset], [true, '{}', range!.from]);
      assert.ok(range!.to <= content.join('').length);
    }
  });

  test('drainSubscription gets over a message of 20 kB that holds 7,000,000 bad records, and keeps it whole', async () => {
    const records = 7_000_000;
    const hostile = gzipSync(Buffer.alloc(3 * records, '{}\n'));
    await cloud.publish(eventText('before'), { data: hostile, attributes: {} }, eventText('after'));
    const { status, body } = await cloud.drain();
    assert.equal(status, 200);
    const { messages, imported, rejected } = body as Record<string, number>;
    assert.deepEqual({ messages, imported, rejected }, { messages: 3, imported: 2, rejected: records });
    assert.equal(await cloud.backlog(), 0);
    const letters = (await cloud.deadLetters()) as unknown as Letter[];
    assert.equal(rejectedIn(letters), records);
    const whole = letters.filter(({ recordBase64 }) => recordBase64 === hostile.toString('base64'));
    assert.ok(whole.length > 0 && letters.length < 11_500, `${letters.length} letters`);
  });
});
