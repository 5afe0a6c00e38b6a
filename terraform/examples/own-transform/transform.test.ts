import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordContext } from 'mixpanel-cloud-ingestion/transform';

process.env.DISTINCT_ID_KEY = 'key';
process.env.INTERNAL_DOMAIN = 'example.com';
const { default: transform } = await import('./transform.ts');

const context: RecordContext = { kind: 'object', bucket: 'b', object: 'events.ndjson', metadata: {} };
const viewed = (distinct_id: string) => ({ event: 'Page Viewed', properties: { time: 1767225600, distinct_id } });

test('an address never leaves in clear, and is the same user however it is written', () => {
  const events = ['Ada@example.org', ' ada@example.org'].map((id) => transform(viewed(id), context));
  assert.doesNotMatch(JSON.stringify(events), /ada@/i);
  assert.deepEqual(
    events.map((event) => (event as ReturnType<typeof viewed>).properties.distinct_id),
    ['e7e8f78d42b4160369dc797e67eb0413', 'e7e8f78d42b4160369dc797e67eb0413'],
  );
});

test('what the team itself does is left out', () => {
  assert.equal(transform(viewed('grace@example.com'), context), undefined);
});
