import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { importRecords } from '../../cli/import-records.ts';
import { eventText } from '../support/event.ts';
import { type Site, startSite } from '../support/operating.ts';

const events = (count: number) => Array.from({ length: count }, (_, n) => JSON.parse(eventText(`id-${n}`)));

describe('importRecords', () => {
  let site: Site;
  beforeEach(async () => {
    site = await startSite();
  });
  afterEach(() => site.close());

  it('imports objects of an async iterable, and resolves once every one has its outcome', async () => {
    async function* records() {
      yield* events(3);
      yield { event: 7 };
      yield* events(5).slice(3);
    }
    const { counts, rejections } = await importRecords(records(), { env: site.env });
    assert.deepEqual(counts, { read: 6, expanded: 0, imported: 5, rejected: 1, dropped: 0 });
    assert.equal(site.mixpanel.received, 5);
    const [{ index, field, record }, ...others] = rejections as [(typeof rejections)[0]];
    assert.deepEqual([index, field, record.toString(), others], [3, 'properties', '{"event":7}', []]);
  });

  it('imports bytes in pieces, compressed or not', async () => {
    const bytes = Buffer.from(
      events(10)
        .map((event) => JSON.stringify(event))
        .join('\n'),
    );
    for (const content of [bytes, gzipSync(bytes)]) {
      const { counts } = await importRecords([content.subarray(0, 100), content.subarray(100)], { env: site.env });
      assert.deepEqual([counts.read, counts.imported], [10, 10]);
    }
  });

  it('passes records through a transform, which is told their name', async () => {
    const transform = (record: { event: string }, context: { path?: string }) => ({
      event: `${record.event} of ${context.path}`,
      properties: { time: 1_767_225_600, distinct_id: 'u' },
    });
    const options = { env: site.env, name: 'orders', transform: transform as never };
    await importRecords([{ event: 'Buy' }], options);
    assert.deepEqual(
      site.mixpanel.events().map(({ event }) => event),
      ['Buy of orders'],
    );
  });

  it('throws when the credentials or the variables are wrong, and when it is stopped before the end', async () => {
    await assert.rejects(importRecords(events(1), { env: {} }), { name: 'ConfigError' });
    const env = { ...site.env, MIXPANEL_SERVICE_ACCOUNT_SECRET: 'wrong' };
    await assert.rejects(importRecords(events(1), { env }), { name: 'ImportError', code: 'credentials_refused' });
    const options = { env: site.env, signal: AbortSignal.abort() };
    await assert.rejects(importRecords(events(1), options), { name: 'ImportError', code: 'stopped' });
    assert.equal(site.mixpanel.received, 0);
  });
});
