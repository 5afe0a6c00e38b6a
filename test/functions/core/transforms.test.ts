import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { MixpanelEvent, RecordContext, Transform } from '../../../functions/core/event.ts';
import { mappingOf } from '../../../functions/core/mappings/mapping.ts';
import { blocksOf, startPipeline } from '../../support/pipeline.ts';

function inputOf(name: string): Promise<Buffer> {
  return readFile(new URL(`../../inputs/${name}`, import.meta.url));
}

describe('a transform', () => {
  const shapes: { name: string; transform: Transform<never>; events: number }[] = [
    {
      name: 'wrapped.json',
      transform: ({ events }: { events: MixpanelEvent[] }) => events,
      events: 5,
    },
    {
      name: 'bigquery.ndjson',
      transform: ({ event, ...properties }: { event: string; time: string }) => ({
        event,
        properties: { ...properties, time: Number(properties.time) },
      }),
      events: 3,
    },
    { name: 'logentry.ndjson', transform: ({ jsonPayload }: { jsonPayload: MixpanelEvent }) => jsonPayload, events: 3 },
    {
      name: 'properties-string.ndjson',
      transform: ({ event, properties }: { event: string; properties: string }) => ({
        event,
        properties: JSON.parse(properties),
      }),
      events: 3,
    },
    {
      name: 'micros.ndjson',
      transform: ({ event, properties }: MixpanelEvent) => ({
        event,
        properties: { ...properties, time: Math.floor((properties.time as number) / 1_000) },
      }),
      events: 2,
    },
  ];
  for (const { name, transform, events } of shapes) {
    test(`makes events of ${name}`, async (t) => {
      const pipeline = await startPipeline(t);
      const content = await inputOf(name);
      assert.equal(await pipeline.import(blocksOf(content, { transform: transform as Transform })), true);
      const found = [pipeline.counts.rejected, pipeline.server.received];
      assert.deepEqual(found, [0, events]);
    });
  }

  test('can multiply prices with as many digits as JavaScript prints', async (t) => {
    const pipeline = await startPipeline(t);
    const transform: Transform = ({ event, properties }) => ({
      event,
      properties: { ...properties, cents: Math.round((properties.price as number) * 100) },
    });
    await pipeline.import(blocksOf(await inputOf('float-prices.ndjson'), { transform }));
    const cents = pipeline.server.events().map(({ properties }) => properties.cents);
    assert.deepEqual(cents, [30, 30, 4_764, 1_250]);
  });

  test('is told where a record came from', async () => {
    const seen: RecordContext[] = [];
    const mapping = mappingOf((record: MixpanelEvent, context) => {
      seen.push(context);
      return record;
    });
    assert.ok(mapping.kind === 'mapped');
    const context: RecordContext = { kind: 'message', subscription: 's', attributes: { a: 'b' } };
    mapping.map({ event: 'e', properties: {} }, context);
    assert.deepEqual(seen, [context]);
  });
});
