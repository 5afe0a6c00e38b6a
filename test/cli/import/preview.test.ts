import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { createPreview } from '../../../cli/import/preview.ts';
import type { MappedRecord } from '../../../functions/core/events.ts';
import type { Mapping } from '../../../functions/core/mappings/mapping.ts';

const location = { file: 'a.ndjson', line: 3, offset: 9 };
const hiding: Mapping = { kind: 'mapped', through: ['mapping'], hides: true, map: () => null };

/** What is shown on a terminal so wide, or in a file. */
function shown(record: unknown, mapped: string | MappedRecord, { columns = 0, isRaw = false, mapping = hiding } = {}) {
  const stream = Object.assign(new PassThrough(), columns === 0 ? {} : { isTTY: true, columns });
  const preview = createPreview(stream as unknown as NodeJS.WriteStream, 1, isRaw);
  assert.ok(preview.wants);
  preview.show(location, () => record, mapped, mapping);
  assert.ok(!preview.wants);
  return stripVTControlCharacters(stream.read().toString()) as string;
}

describe('the preview of a dry run', () => {
  const event = JSON.stringify({ event: 'Order', properties: { time: 1_700_000_000_000, plan: 'pro', n: 3 } });

  test('on a wide terminal the record and the event stand side by side, and every line fits', () => {
    const long = 'x'.repeat(200);
    const text = shown({ plan: 'pro', note: long }, event, { columns: 120, isRaw: true });
    const lines = text.trimEnd().split('\n');
    assert.equal(lines[0], 'a.ndjson:3');
    assert.match(lines[1]!, /^\{ +│ \{$/);
    assert.match(lines[2]!, /^ {2}"plan": "pro", +│ {3}"event": "Order",$/);
    assert.ok(lines.every((line) => line.length < 120));
    assert.equal(lines.join('').match(/x/g)!.length, 200);
  });

  test('elsewhere the event stands below the record', () => {
    assert.match(
      shown({ plan: 'pro' }, event),
      /^a\.ndjson:3\n\{\n {2}"plan": "pro"\n\}\n→\n\{\n {2}"event": "Order",/,
    );
  });

  test('what is not sent in clear is masked: texts and numbers, however deep; times and equal values are shown', () => {
    const record = {
      plan: 'pro',
      mail: 'ada',
      at: '2023-11-14T22:13:20Z',
      t: ' pro ',
      n: '3',
      deep: [{ id: 7, is: true }],
    };
    const text = shown(record, event);
    const masked = { ...record, mail: '•••', deep: [{ id: '•••', is: true }] };
    assert.ok(text.includes(JSON.stringify(masked, null, 2)), text);
    assert.ok(shown(record, event, { isRaw: true }).includes('"mail": "ada"'));
    const open: Mapping = { ...hiding, hides: false };
    assert.ok(shown(record, event, { mapping: open }).includes('"mail": "ada"'));
  });

  test('a record that is left out or rejected says so', () => {
    const none = { texts: [], indexes: undefined, rejections: [], expanded: -1 };
    assert.match(shown({ a: 'b' }, none), /"a": "•••"\n\}\n→\nleft out/);
    const reason = { field: 'mapping.time', message: 'not a time\u001b[31m' };
    const rejected = { ...none, expanded: 0, rejections: [{ reason } as MappedRecord['rejections'][0]] };
    assert.match(shown({ a: 'b' }, rejected), /"a": "•••"\n\}\n→\nrejected: mapping\.time: not a time\\u001b\[31m/);
  });
});
