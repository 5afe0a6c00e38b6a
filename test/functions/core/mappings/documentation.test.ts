import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { readLine } from '../../../../functions/core/formats/snowplow/row.ts';
import { mapperOf, problemsOf } from '../../../support/mapping.ts';

const KEY = 'sixteen letters!';
const read = (name: string) => readFileSync(new URL(`../../../../${name}`, import.meta.url), 'utf8');
const page = read('docs/mappings.md');

/** What is in the fences of a page: mappings, and for some of them records and what comes of them. */
function blocksOf(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, block]) => block!);
}

describe('docs/mappings.md and docs/snowplow.md', () => {
  for (const name of ['docs/mappings.md', 'docs/snowplow.md']) {
    test(`every mapping in ${name} is accepted`, () => {
      const mappings = [...blocksOf(read(name), 'json'), ...blocksOf(read(name), 'text')].filter(
        (block) => !/"(type|properties)":/.test(block),
      );
      assert.ok(mappings.length >= 2);
      for (const mapping of mappings) assert.deepEqual(problemsOf(mapping, KEY), [], mapping);
    });
  }

  test('the example is what the mapping makes', () => {
    const [, mapping, record, sent] = /```json\n(.*?)```.*?```json\n(.*?)```.*?```json\n(.*?)```/s.exec(page)!;
    assert.deepEqual(problemsOf(mapping!), []);
    assert.equal(JSON.stringify(mapperOf(JSON.parse(mapping!))(JSON.parse(record!))), sent!.trim());
  });

  test('every key is explained', () => {
    const [known] = problemsOf({ zzzzzzzz: 1 });
    const keys = /Known are (.*)$/.exec(known!)![1]!.split(', ');
    assert.equal(keys.length, 21);
    for (const key of keys) assert.match(page, new RegExp(`\`${key}\``), key);
  });
});

describe('samples/snowplow.tsv', () => {
  test('the sample shows a page view, a structured event by its action, a self-describing event and a screen of an app', () => {
    const map = mapperOf(JSON.parse(read('samples/snowplow.json')));
    const events = read('samples/snowplow.tsv')
      .trimEnd()
      .split('\n')
      .map((line) => map(readLine(line)));
    const shown = events.map((event) => {
      if (event === null) return null;
      const { event: name, properties } = event as { event: string; properties: Record<string, unknown> };
      return [name, properties.distinct_id, properties.ip, properties.$os];
    });
    const visitor = '5d0a8d52-6a0f-4c5e-9f0a-2f4f3c1f7a11';
    assert.deepEqual(shown, [
      ['page_view', `$device:${visitor}`, '203.0.113.7', 'Mac OS'],
      null,
      ['add_to_basket', `$device:${visitor}`, '203.0.113.7', 'Mac OS'],
      ['order_completed', 'ada', '203.0.113.7', 'Mac OS'],
      ['screen_view', '$device:0b9a64c8-0000-4000-8000-000000000001', 0, 'ios'],
    ]);
  });
});
