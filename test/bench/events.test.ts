import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EventKind, eventLines, LINE_BYTES } from '../../bench/events.ts';

const KINDS: readonly EventKind[] = ['small', 'typical', 'wide'];
const COUNT = 3_000;

for (const kind of KINDS) {
  for (const hasIds of [true, false]) {
    const lines = [...eventLines(kind, hasIds, COUNT)].join('').split(/(?<=\n)/);

    test(`${kind} events ${hasIds ? 'with' : 'without'} ids are all as long, and as many as were asked for`, () => {
      assert.equal(lines.length, COUNT);
      assert.deepEqual([...new Set(lines.map((line) => Buffer.byteLength(line)))], [LINE_BYTES[kind]]);
    });

    test(`${kind} events ${hasIds ? 'have an id of their own each' : 'without ids have none'}`, () => {
      const ids = lines.map((line) => JSON.parse(line).properties.$insert_id).filter((id) => id !== undefined);
      assert.equal(new Set(ids).size, hasIds ? COUNT : 0);
    });

    test(`${kind} events ${hasIds ? 'with' : 'without'} ids are as long when they are serialised anew`, () => {
      for (const line of lines.slice(0, 100)) assert.equal(`${JSON.stringify(JSON.parse(line))}\n`, line);
    });
  }
}

test('events are the same each time', () => {
  const [first, second] = [0, 1].map(() => [...eventLines('typical', true, 100)].join(''));
  assert.equal(first, second);
});

test('wide events have 200 properties, be their id among them or not', () => {
  for (const hasIds of [true, false]) {
    const [line] = eventLines('wide', hasIds, 1);
    assert.equal(Object.keys(JSON.parse(line!).properties).length, 200);
  }
});
