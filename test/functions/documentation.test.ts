import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { MixpanelEvent, Transform } from '../../functions/core/event.ts';
import { readBlocks } from '../../functions/core/formats/read-blocks.ts';
import { mappingOf } from '../../functions/core/mappings/mapping.ts';
import { objectSource } from '../../functions/storage/object-source.ts';
import { contextOf } from '../support/parsing.ts';
import { chunksOf, type Pipeline, startPipeline } from '../support/pipeline.ts';

/** An example of docs/transform.md: a file, lines, and what comes of them. */
interface Example {
  title: string;
  file: string;
  lines: string;
  sent: string;
}

const page = new URL('../../docs/transform.md', import.meta.url);
const text = await readFile(page, 'utf8');
const examples: Example[] = text
  .split(/^## /m)
  .flatMap((section) =>
    [...section.matchAll(/```ts\n(.*?)```.*?```json\n(.*?)```.*?```json\n(.*?)```/gs)].map(
      ([, file = '', lines = '', sent = '']) => ({ title: section.split('\n')[0]!, file, lines, sent }),
    ),
  );

describe('docs/transform.md', () => {
  test('has an example for every section with a file', () => {
    assert.equal(examples.length, text.match(/```ts\n/g)?.length);
    assert.ok(examples.length >= 10);
  });

  for (const [index, { title, file, lines, sent }] of examples.entries()) {
    test(`shows what is sent by "${title}" (example ${index + 1})`, async (t) => {
      const { pipeline } = await run(t, file, lines);
      const found = pipeline.server.events().map(({ raw }) => `${raw}\n`);
      if (process.env.UPDATE_EXAMPLES) return updateExample(sent, found.join(''), file);
      assert.equal(found.join(''), sent);
    });
  }
});

describe('an example of docs/transform.md', () => {
  /** Runs the nth example of a section on an input: the properties that are sent, and why records are rejected. */
  async function runOn(t: TestContext, title: string, input: string | Buffer, nth = 0) {
    const example = examples.filter((some) => some.title === title)[nth];
    assert.ok(example !== undefined, title);
    const { pipeline } = await run(t, example.file, input);
    const events = pipeline.server.events();
    return {
      events: events.map(({ raw }) => JSON.parse(raw) as MixpanelEvent),
      received: pipeline.server.received,
      sent: events.map(({ raw }) => raw).join('\n'),
      reasons: pipeline.rejections.map(({ reason }) => `${reason.field}: ${reason.message}`),
    };
  }

  const inputOf = (name: string) => readFile(new URL(`../inputs/${name}`, import.meta.url));

  const shapes: [title: string, nth: number, input: string, events: number][] = [
    ['Take events out of a wrapper', 0, 'wrapped.json', 5],
    ['Read Cloud Logging entries', 0, 'logentry.ndjson', 3],
    ['Read rows of BigQuery', 0, 'bigquery.ndjson', 3],
    ['Read rows of BigQuery', 1, 'properties-string.ndjson', 3],
    ['Read the GA4 export', 0, 'ga4.ndjson', 3],
    ['Replace ids that Mixpanel refuses', 0, 'segment-ids.ndjson', 5],
    ['Hash an id', 0, 'numeric-id.ndjson', 2],
  ];
  for (const [title, nth, input, count] of shapes) {
    test(`makes events that Mixpanel takes: "${title}" (${nth + 1}) of ${input}`, async (t) => {
      const { events, reasons } = await runOn(t, title, await inputOf(input), nth);
      assert.deepEqual(reasons, []);
      assert.equal(events.length, count);
      const ids = events.map(({ properties }) => [properties.$insert_id, properties.time, properties.distinct_id]);
      assert.equal(new Set(ids.map(String)).size, count, 'Mixpanel takes none for another');
    });
  }

  test('leaves out log entries without an event, and gives one that is exported twice the same id', async (t) => {
    const entry = {
      insertId: 'i',
      timestamp: '2026-01-01T00:00:00Z',
      jsonPayload: { event: 'a', properties: { distinct_id: '' } },
    };
    const again = { ...entry, receiveTimestamp: '2026-01-01T00:00:09Z' };
    const others = [{ insertId: 'j', textPayload: 'x' }, { jsonPayload: { message: 'x' } }];
    const { events, received, reasons } = await runOn(
      t,
      'Read Cloud Logging entries',
      ndjson([entry, ...others, again]),
    );
    assert.deepEqual(reasons, []);
    assert.equal(received, 2);
    assert.equal(events.length, 1, 'Mixpanel counts one of them');
  });

  test('makes a dead letter of an object without the events that it should hold', async (t) => {
    const { reasons } = await runOn(t, 'Take events out of a wrapper', '{"event":"a","properties":{}}\n');
    assert.deepEqual(reasons, ['transform: events is not an array']);
  });

  test('keeps text of a BigQuery column that is not INT64, and INT64 that a number cannot hold', async (t) => {
    const row = { event: 'Buy', time: '1767225600', distinct_id: '7', amount: '9223372036854775807', zip: '01234' };
    const { events } = await runOn(t, 'Read rows of BigQuery', ndjson([row]));
    const { time, distinct_id, amount, zip } = events[0]!.properties;
    assert.deepEqual([time, distinct_id, amount, zip], [1_767_225_600, '7', '9223372036854775807', '01234']);
  });

  test('reads every kind of parameter and both ids of a GA4 row', async (t) => {
    const row = {
      event_name: 'purchase',
      event_timestamp: '1767225600123456',
      event_params: [
        { key: 'none', value: { string_value: null, int_value: null, float_value: null, double_value: null } },
        { key: 'zero', value: { int_value: '0' } },
        { key: 'float', value: { int_value: null, float_value: 0.5 } },
        { key: 'text', value: { string_value: '' } },
        { key: 'time', value: { int_value: '5' } },
      ],
      user_id: 'ada',
      user_pseudo_id: '1.2',
    };
    const { events } = await runOn(t, 'Read the GA4 export', ndjson([row]));
    const { $insert_id: _, ...properties } = events[0]!.properties;
    assert.deepEqual(properties, {
      none: null,
      zero: 0,
      float: 0.5,
      text: '',
      time: 1_767_225_600_123,
      distinct_id: 'ada',
      $user_id: 'ada',
      $device_id: '1.2',
      ip: 0,
    });
  });

  test('never sends an id in clear that it hashes, whatever its type', async (t) => {
    const long = '98765432109876543210';
    const lines = [
      await inputOf('numeric-id.ndjson'),
      `{"event":"a","properties":{"time":1767225600,"distinct_id":${long}}}\n`,
      ndjson([
        newEvent({ distinct_id: '15550100' }),
        newEvent({ distinct_id: ' Ada@Example.com ', $insert_id: 'ada@example.com-1' }),
        newEvent({ distinct_id: '$device:ada@example.com', $device_id: 'ada@example.com', $user_id: 15550100 }),
        newEvent({ distinct_id: { mail: 'ada@example.com' } }),
        newEvent({ distinct_id: ['ada@example.com'] }),
        newEvent({ distinct_id: '' }),
        { ...newEvent({ distinct_id: 'ada@example.com' }), distinct_id: 'ada@example.com' },
        { event: 'a', properties: '{"distinct_id":"ada@example.com"}' },
        { event: 'a', properties: ['ada@example.com'] },
        { event: 'a', distinct_id: 'ada@example.com' },
      ]),
    ];
    const { events, sent, reasons } = await runOn(t, 'Hash an id', lines.join(''));
    assert.doesNotMatch(sent, /ada@example\.com|15550100|98765432109876543210/i);
    assert.doesNotMatch(sent, /"\{"|"0":/);
    assert.deepEqual(reasons, Array(3).fill('transform: properties is not an object'));
    const ids = events.map(({ properties }) => properties.distinct_id as string);
    assert.equal(ids.length, 10);
    const [number, mail, ofLong, text, spaced, device, ...others] = ids;
    assert.deepEqual([text, spaced, others[3]], [number, mail, mail]);
    assert.deepEqual([device, events[5]!.properties.$device_id], [`$device:${mail}`, mail]);
    assert.equal(events[5]!.properties.$user_id, number);
    assert.equal(others[2], '');
    for (const id of [number, mail, ofLong, others[0], others[1]]) assert.match(id!, /^[0-9a-f]{32}$/);
  });

  test('converts every time of exporters that it knows, and rejects the others', async (t) => {
    const strings = await runOn(t, 'Convert a time, or reject the record', await inputOf('time-strings.ndjson'));
    assert.deepEqual(
      strings.events.map(({ properties }) => properties.time),
      [1_599_815_906_123, 1_767_225_600_000, 1_767_225_600_123, 1_767_225_600_000],
    );
    assert.deepEqual(strings.reasons, Array(3).fill('transform: time is not a date'));
    const times = await runOn(t, 'Convert a time, or reject the record', await inputOf('times.ndjson'));
    const [start, half, milli] = [1_767_225_600_000, 1_767_225_600_500, 1_767_225_600_123];
    const found = times.events.map(({ properties }) => properties.time);
    assert.deepEqual(found, [start, start, milli, milli, milli, milli, half, start, 1_420_070_400_000]);
    assert.equal(times.reasons.filter((reason) => reason === 'transform: time is not a date').length, 4);
    assert.equal(times.reasons.length, 5, 'one is too far ahead for Mixpanel');
  });

  test('converts dates in any time zone of the machine', async (t) => {
    const zone = process.env.TZ;
    process.env.TZ = 'America/New_York';
    t.after(() => {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    });
    const dates = [
      '2026-01-01 00:00:00',
      '2026-01-01T00:00:00Z',
      '2026-01-01t02:00:00.5+02:00',
      '2026-01-01 00:00:00Z',
    ];
    const wrong = ['2026-01-01', '2026-13-01 00:00:00', '2026-01-01 25:00:00', '2026-01-01 00:00:001', '176722560'];
    const lines = ndjson([...dates, ...wrong].map((time) => newEvent({ time, distinct_id: 'ada' })));
    const { events, reasons } = await runOn(t, 'Convert a time, or reject the record', lines);
    const start = 1_767_225_600_000;
    assert.deepEqual(
      events.map(({ properties }) => properties.time),
      [start, start, start + 500, start],
    );
    assert.equal(reasons.length, wrong.length);
  });

  test('makes a valid id of any text, the same each time, and leaves valid ones as they are', async (t) => {
    const text = fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ minLength: 30, maxLength: 60 }));
    const texts = fc.sample(fc.uniqueArray(text, { minLength: 300, maxLength: 300 }), 1)[0]!;
    const zeros = '00000000-0000-0000-0000-000000000000';
    const placeholders = ['undefined', 'null', '0', '-1', zeros, false];
    const ids = [...texts, 'a-Z-09-0123', 'x'.repeat(36), 1_234_567_890, 12.5, ['a'], { a: 1 }, ...placeholders];
    const lines = ndjson(ids.map(($insert_id) => newEvent({ distinct_id: 'ada', $insert_id })));
    const first = await runOn(t, 'Replace ids that Mixpanel refuses', lines);
    const second = await runOn(t, 'Replace ids that Mixpanel refuses', lines);
    assert.deepEqual(first.reasons, []);
    assert.equal(first.sent, second.sent);
    const made = first.events.map(({ properties }) => properties.$insert_id as string);
    for (const id of made) assert.match(id, /^[A-Za-z0-9-]{1,36}$/);
    assert.equal(new Set(made).size, ids.length, 'different ids stay different');
    assert.deepEqual(made.slice(300, 303), ['a-Z-09-0123', 'x'.repeat(36), '1234567890']);
  });
});

function newEvent(properties: Record<string, unknown>): MixpanelEvent {
  return { event: 'a', properties: { time: 1_767_225_600, ...properties } };
}

function ndjson(records: readonly object[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

/** Imports `input` with the transform in `file`. */
async function run(t: TestContext, file: string, input: string | Buffer): Promise<{ pipeline: Pipeline }> {
  const folder = await mkdtemp(join(tmpdir(), 'example-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'transform.mts');
  await writeFile(path, file);
  process.env.DISTINCT_ID_KEY = 'key';
  const { default: transform } = (await import(path)) as { default: Transform };
  const pipeline = await startPipeline(t);
  const object = { bucket: 'b', object: 'web/2026-01-01.ndjson', generation: '1' };
  const source = { ...objectSource(object, {}), mapping: mappingOf(transform) };
  await pipeline.import(readBlocks(chunksOf([Buffer.from(input as string)]), { context: contextOf({ source }) }));
  return { pipeline };
}

/** Writes what was sent into the page. */
async function updateExample(before: string, after: string, file: string): Promise<void> {
  const content = await readFile(page, 'utf8');
  const at = content.indexOf(file);
  const fence = content.indexOf(`comes\n\n\`\`\`json\n${before}\`\`\``, at);
  await writeFile(
    page,
    content.slice(0, fence) + content.slice(fence).replace(`\`\`\`json\n${before}`, () => `\`\`\`json\n${after}`),
  );
}
