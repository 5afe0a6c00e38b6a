import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EventKind, eventLines, LINE_BYTES } from '../../bench/events.ts';

const KINDS: readonly EventKind[] = ['small', 'typical', 'wide'];
const COUNT = 3_000;

for (const kind of KINDS) {
  for (const hasIds of [true, false]) {
    const lines = [...eventLines(kind, hasIds, COUNT)].join('').split(/(?<=\n)/);

    test(`${kind} events ${hasIds ? 'with' : 'without'} ids all have the same length, and are as many as requested`, () => {
      assert.equal(lines.length, COUNT);
      assert.deepEqual([...new Set(lines.map((line) => Buffer.byteLength(line)))], [LINE_BYTES[kind]]);
    });

    test(`${kind} events ${hasIds ? 'with ids each have their own' : 'without ids do not have any'}`, () => {
      const ids = lines.map((line) => JSON.parse(line).properties.$insert_id).filter((id) => id !== undefined);
      assert.equal(new Set(ids).size, hasIds ? COUNT : 0);
    });

    test(`${kind} events ${hasIds ? 'with' : 'without'} ids are the same text when they are serialized again`, () => {
      for (const line of lines.slice(0, 100)) assert.equal(`${JSON.stringify(JSON.parse(line))}\n`, line);
    });
  }
}

test('the events of the benchmark are the same each time', () => {
  const [first, second] = [0, 1].map(() => [...eventLines('typical', true, 100)].join(''));
  assert.equal(first, second);
});

test('wide events have 200 properties, with an id or without', () => {
  for (const hasIds of [true, false]) {
    const [line] = eventLines('wide', hasIds, 1);
    assert.equal(Object.keys(JSON.parse(line!).properties).length, 200);
  }
});
