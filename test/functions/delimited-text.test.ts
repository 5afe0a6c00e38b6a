import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startRun } from '../../functions/core/run.ts';
import { createStorage } from '../../functions/storage/client.ts';
import { startGenerations } from '../support/generations.ts';

const MAPPING = [
  {
    when: { object: 'orders/**' },
    format: { header: true, null: ['', '\\N'] },
    event: { value: 'Order Completed' },
    time: { path: 'ordered_at', zone: 'Europe/Berlin' },
    user: 'customer',
    insertId: 'order_id',
    number: ['total'],
  },
];
const ROWS = 60;
const HEADER = 'order_id;ordered_at;customer;total;note';
const rowOf = (row: number, total = `${row}.50`) =>
  `o-${row};2026-01-02 03:04:05;ada-${row};${total};${row % 2 === 0 ? '\\N' : `"a;\n""b"""`}`;
const content = Buffer.from(
  `\ufeff${[HEADER, ...Array.from({ length: ROWS }, (_, row) => rowOf(row)), 'one;field too;many;1;x;y', rowOf(60, '1,5')].join('\r\n')}\r\n`,
);

describe('delimited text that a mapping tells of', { timeout: 120_000 }, () => {
  let generations: Awaited<ReturnType<typeof startGenerations>>;

  before(async () => {
    generations = await startGenerations({
      IMPORT_MAPPING: JSON.stringify(MAPPING),
      IMPORT_MAX_BATCH_EVENTS: '7',
      IMPORT_MAX_CONCURRENCY: '1',
    });
  });
  after(() => generations.close());

  for (const [name, stored] of [
    ['plain', content],
    ['in gzip', gzipSync(content)],
    ['in UTF-16', Buffer.from(content.toString(), 'utf16le')],
  ] as const) {
    test(`importObject sends an event of every row once, although it is stopped after each request: ${name}`, async () => {
      const { mixpanel, upload, checkpoint } = generations;
      mixpanel.reset();
      const object = await upload(`orders/${name}.csv`, stored);
      let invocations = 0;
      for (let isDone = false; !isDone; invocations++) {
        const run = startRun();
        const stop = () => run.stop(invocations % 2 === 0 ? 'deadline' : 'shutdown');
        mixpanel.once('request', stop);
        isDone = await generations.invoke(object, run);
        mixpanel.off('request', stop);
        assert.ok(invocations < 40);
      }
      assert.equal(mixpanel.received, ROWS, 'every event is sent once');
      const { counts } = await checkpoint(object);
      assert.deepEqual(counts, { read: ROWS + 2, expanded: 0, imported: ROWS, rejected: 2, dropped: 0 });
      assert.ok(invocations >= 9, `${invocations} invocations`);
      const events = mixpanel.events().toSorted((a, b) => Number(a.properties.total) - Number(b.properties.total));
      assert.deepEqual(
        events.slice(0, 2).map(({ event, properties }) => ({ event, ...properties })),
        [
          { ...common(0), total: 0.5 },
          { ...common(1), total: 1.5, note: 'a;\n"b"' },
        ],
      );
    });
  }

  test('Dead letters of rows hold their texts as they were, with line and offset', async () => {
    const { upload, storage } = generations;
    const object = await upload('orders/letters.csv', content);
    assert.ok(await generations.invoke(object));
    const [files] = await createStorage(storage.url)
      .bucket('state')
      .getFiles({ prefix: 'dead-letters/objects/import/orders/letters.csv/' });
    const contents = await Promise.all(files.map((file) => file.download()));
    const letters = Buffer.concat(contents.flat())
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const [fields, total] = letters.toSorted((a, b) => a.source.line - b.source.line);
    assert.deepEqual(
      [fields.reason, fields.record],
      [{ field: 'record', message: '6 fields, and the header has 5' }, 'one;field too;many;1;x;y'],
    );
    assert.equal(total.reason.field, 'mapping.number');
    assert.deepEqual(JSON.parse(total.record), {
      order_id: 'o-60',
      ordered_at: '2026-01-02 03:04:05',
      customer: 'ada-60',
      total: '1,5',
      note: '\\N',
    });
    const { line, offset } = total.source;
    assert.equal(content.toString('utf8', offset, offset + 4), 'o-60');
    assert.equal(content.subarray(0, offset).toString().split('\n').length, line);
    assert.deepEqual(total.through, ['mapping']);
  });
});

function common(row: number) {
  return {
    event: 'Order Completed',
    time: Date.parse('2026-01-02T02:04:05Z'),
    distinct_id: `ada-${row}`,
    $user_id: `ada-${row}`,
    $insert_id: `o-${row}`,
    ip: 0,
  };
}
