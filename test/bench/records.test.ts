import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RecordKind, recordLines } from '../../bench/records.ts';
import { readLine } from '../../functions/core/formats/snowplow/row.ts';
import { mapperOf } from '../support/mapping.ts';

const KINDS: readonly RecordKind[] = ['snowplow', 'segment'];
const BYTES = 1_500_000;

for (const kind of KINDS) {
  const chunks = [...recordLines(kind, BYTES)];
  const lines = chunks.flatMap(({ text }) => text.trimEnd().split('\n'));

  test(`${kind}: as many records as are told, and as many bytes as requested`, () => {
    assert.equal(
      lines.length,
      chunks.reduce((sum, { records }) => sum + records, 0),
    );
    assert.ok(Buffer.byteLength(lines.join('\n')) >= BYTES);
  });

  test(`${kind}: every record becomes an event with an id of its own`, () => {
    const map = mapperOf({ from: kind });
    const ids = lines.map((line) => {
      const event = map(readLine(line)) as unknown as { properties: { $insert_id: string } };
      return event.properties.$insert_id;
    });
    assert.equal(new Set(ids).size, lines.length);
    assert.ok(ids.every((id) => typeof id === 'string'));
  });

  test(`${kind}: the records are the same each time`, () => assert.deepEqual([...recordLines(kind, BYTES)], chunks));
}
