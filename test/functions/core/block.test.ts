import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  addCounts,
  type Block,
  type Counts,
  cutBlock,
  isBalanced,
  type Location,
  lengthOf,
  noCounts,
  offsetOf,
  type Position,
  type RowRecords,
  type Source,
  settledPartOf,
  throughOf,
  withoutSettled,
} from '../../../functions/core/block.ts';
import { locationOf, originalAt } from '../../../functions/core/events.ts';
import { columnsOf, comparable, contentsOf, mappedSource, objectSource, parse } from '../../support/parsing.ts';

/** Records and rejections, on lines of their own, over several lines and together on one. */
const CONTENT = Buffer.from(
  [
    '{"event":"a","properties":{"$insert_id":"1"}}',
    'bad 1',
    '  {"event":"b","properties":{}} ',
    '',
    '{"event":"c",\n"properties":{"$insert_id":"3"}}',
    '{"event":"d","properties":{}} bad 2',
    'bad 3',
    '{"event":"é","properties":{}}{"event":"f","properties":{}}',
    'bad 4',
    '',
  ].join('\n'),
);
const RECORDS = 6;
const REJECTIONS = 4;

/** A new block of all of the content. */
function wholeBlock(isMapped = false): Block {
  const { blocks } = parse(CONTENT, { blockBytes: Number.MAX_SAFE_INTEGER, isMapped });
  assert.equal(blocks.length, 1);
  assert.equal(lengthOf(blocks[0]!.records), RECORDS);
  assert.equal(blocks[0]!.rejections.length, REJECTIONS);
  return blocks[0]!;
}

/** The positions after each of the records; `positions[0]` is not one. */
function positionsOf(block: Block): Position[] {
  return Array.from({ length: lengthOf(block.records) + 1 }, (_, record) => {
    return record === 0 ? { offset: -1, line: 0, checksum: 0 } : positionIn(block, record);
  });
}

/** What a block holds, without what every cut changes. */
function heldBy(block: Block) {
  return comparable(contentsOf([block]));
}

describe('a block that is cut', () => {
  const whole = wholeBlock();
  const positions = positionsOf(whole);
  const all = heldBy(whole);

  for (let record = 1; record < RECORDS; record++) {
    const after = `after record ${record} of ${RECORDS}`;
    const { offset } = positions[record]!;

    test(`a block that is cut ${after} keeps the records and rejections before the cut`, () => {
      const head = wholeBlock();
      cutBlock(head, record);
      assert.deepEqual(heldBy(head), {
        records: all.records.slice(0, record),
        rejections: all.rejections.filter(({ location }) => offsetOf(location) < offset),
      });
      assert.equal(lengthOf(head.records), record);
    });

    test(`the rest of a block that is cut ${after} has the records and rejections after the cut`, () => {
      const head = wholeBlock();
      const rest = cutBlock(head, record);
      assert.deepEqual(heldBy(rest), {
        records: all.records.slice(record),
        rejections: all.rejections.filter(({ location }) => offsetOf(location) >= offset),
      });
      assert.equal(lengthOf(rest.records), RECORDS - record);
      assert.equal(rest.source, head.source);
      assert.equal(columnsOf(rest).bytes, columnsOf(head).bytes);
    });

    test(`a parser that resumes where a block was cut ${after} finds what the rest of the block has`, () => {
      const head = wholeBlock();
      const rest = cutBlock(head, record);
      const resumed = parse(CONTENT, { from: head.end });
      assert.deepEqual(comparable(resumed), heldBy(rest));
    });

    test(`a block that is cut ${after} and its rest share the end, the bytes and the counts of the whole`, () => {
      const head = wholeBlock();
      const rest = cutBlock(head, record);
      assert.deepEqual(head.end, positions[record]);
      assert.deepEqual(rest.end, whole.end);
      assert.equal(head.weight, offset);
      assert.equal(rest.weight, CONTENT.length - offset);
      for (const block of [head, rest]) {
        const rejected = block.rejections.length;
        assert.deepEqual(block.counts, { ...noCounts(), read: lengthOf(block.records) + rejected, rejected });
      }
      assert.equal(rest.pending, 1);
    });

    test(`the rest of a block that is cut ${after} knows the positions of its records`, () => {
      const rest = cutBlock(wholeBlock(), record);
      assert.deepEqual(positionsOf(rest).slice(1), positions.slice(record + 1));
    });
  }

  test('a block keeps what was counted of its first records when it is cut, and what is pending', () => {
    const head = wholeBlock();
    // Two records were mapped: one event was imported and one rejected, and a record was left out.
    head.counts.imported++;
    head.counts.expanded++;
    head.counts.rejected++;
    head.counts.dropped++;
    head.pending = 3;
    const reason = { field: 'transform', message: 'unknown plan' };
    const original = originalAt(head.records, 0);
    const location = locationOf(head, 0, 1);
    const made = { reason, location, insertId: 'i', record: original, bytes: original.length, through: ['transform'] };
    head.rejections.push(made);
    const rest = cutBlock(head, 2);
    assert.deepEqual(
      head.rejections.map(({ record }) => record.toString()),
      ['bad 1', original.toString()],
    );
    assert.deepEqual(head.counts, { read: 3, expanded: 1, imported: 1, rejected: 2, dropped: 1 });
    assert.ok(isBalanced(head.counts));
    assert.equal(head.pending, 3);
    assert.deepEqual(rest.counts, { ...noCounts(), read: RECORDS - 2 + REJECTIONS - 1, rejected: REJECTIONS - 1 });
    assert.equal(rest.pending, 1);
  });

  test('a block that owns its bytes shares them with its rest', () => {
    const head = wholeBlock(true);
    const rest = cutBlock(head, 3);
    assert.equal(columnsOf(rest).bytes, columnsOf(head).bytes);
    assert.ok(columnsOf(head).ownsBytes && columnsOf(rest).ownsBytes);
    assert.equal(throughOf(rest.source), throughOf(head.source));
  });

  test('a block that is cut again and again holds the same in pieces as in the whole', () => {
    fc.assert(
      fc.property(fc.subarray(Array.from({ length: RECORDS - 1 }, (_, index) => index + 1)), (cuts) => {
        const pieces = [wholeBlock()];
        let before = 0;
        for (const cut of cuts) {
          pieces.push(cutBlock(pieces.at(-1)!, cut - before));
          before = cut;
        }
        const counts = noCounts();
        let at = 0;
        for (const [index, piece] of pieces.entries()) {
          assert.equal(piece.end.offset - piece.weight, at, 'a piece begins where the last one ended');
          assert.deepEqual(piece.end, index === cuts.length ? whole.end : positions[cuts[index]!]);
          at = piece.end.offset;
          addCounts(counts, piece.counts);
        }
        assert.deepEqual(comparable(contentsOf(pieces)), all);
        assert.deepEqual(counts, whole.counts);
      }),
    );
  });
});

/** The position after the first records that a block still has. */
function positionIn(block: Block, record: number): Position {
  return block.positionAt!(block.cutAway + record);
}

/** A block of rows, each of which covers ten bytes. */
function rowBlock(count: number): Block {
  const rows = Array.from({ length: count }, (_, index) => ({ row: index }));
  return {
    source: objectSource,
    records: {
      form: 'rows',
      first: 0,
      rows,
      offsets: Float64Array.from(rows, (_, index) => 10 * index),
      ordinals: Float64Array.from(rows, (_, index) => index + 1),
      original: (index) => Buffer.from(`row ${index}`),
    },
    end: { offset: 10 * count, line: count + 1, checksum: 0 },
    weight: 10 * count,
    rejections: [],
    foundRejections: 0,
    counts: { ...noCounts(), read: count },
    settledRecords: 0,
    pending: 1,
    cutAway: 0,
    positionAt: (record) => ({ offset: 10 * record, line: record + 1, checksum: 0, state: { record } }),
  };
}

function rowsOf({ records }: Block): RowRecords {
  assert.ok(records.form === 'rows');
  return records;
}

/** Everything that is known about each row of a block. */
function rowsIn(block: Block) {
  const { rows, first, offsets, ordinals } = rowsOf(block);
  return Array.from(ordinals, (_, index) => ({
    row: rows[first + index],
    offset: offsets[index],
    ordinal: ordinals[index],
    location: locationOf(block, index),
    original: originalAt(block.records, index).toString(),
  }));
}

describe('a block of rows that is cut', () => {
  test('a block of rows and its rest have each row with its offset, its ordinal and its original', () => {
    const all = rowsIn(rowBlock(5));
    for (let record = 1; record < 5; record++) {
      const head = rowBlock(5);
      const rest = cutBlock(head, record);
      assert.deepEqual(rowsIn(head), all.slice(0, record));
      assert.deepEqual(rowsIn(rest), all.slice(record));
      assert.equal(lengthOf(head.records), record);
      assert.equal(lengthOf(rest.records), 5 - record);
    }
  });

  test('a block of rows that is cut twice has three pieces with their rows, positions, weights and counts', () => {
    const all = rowsIn(rowBlock(5));
    const first = rowBlock(5);
    const second = cutBlock(first, 1);
    const third = cutBlock(second, 2);
    assert.deepEqual([first, second, third].flatMap(rowsIn), all);
    assert.deepEqual(
      [first, second, third].map(({ end, weight, counts }) => [end.offset, end.state, weight, counts.read]),
      [
        [10, { record: 1 }, 10, 1],
        [30, { record: 3 }, 20, 2],
        [50, undefined, 20, 2],
      ],
    );
    assert.deepEqual(positionIn(third, 1), positionIn(rowBlock(5), 4));
  });
});

test('counts are added to a total, each to its own', () => {
  const counts: Counts = { read: 1, expanded: 20, imported: 300, rejected: 4_000, dropped: 50_000 };
  const total = noCounts();
  addCounts(total, counts);
  assert.deepEqual(total, counts);
  addCounts(total, counts);
  assert.deepEqual(total, { read: 2, expanded: 40, imported: 600, rejected: 8_000, dropped: 100_000 });
});

const balances: [counts: Partial<Counts>, isEven: boolean][] = [
  [{}, true],
  [{ read: 6, imported: 1, rejected: 2, dropped: 3 }, true],
  [{ read: 1, expanded: 2, imported: 3 }, true],
  [{ read: 1 }, false],
  [{ read: 1, expanded: 1, imported: 1 }, false],
  [{ read: 1, imported: 1, rejected: 1 }, false],
  [{ dropped: 1 }, false],
];
for (const [counts, isEven] of balances) {
  test(`the counts ${JSON.stringify(counts)} ${isEven ? 'add up' : 'do not add up'}`, () => {
    assert.equal(isBalanced({ ...noCounts(), ...counts }), isEven);
  });
}

const locations: [name: string, location: Location, offset: number][] = [
  ['an object is its byte offset', { bucket: 'b', object: 'o', generation: '1', line: 3, offset: 40 }, 40],
  ['a file is its byte offset', { file: 'f', line: 3, offset: 40 }, 40],
  ['a message is its index', { subscription: 's', messageId: 'm', publishTime: 't', index: 2 }, 2],
];
for (const [name, location, offset] of locations) {
  test(`the offset of a record in ${name}`, () => assert.equal(offsetOf(location), offset));
}

const sources: [name: string, source: Source, through: string[] | undefined][] = [
  ['a verbatim source do not pass anything', objectSource, undefined],
  ['a mapped source pass its mapping', mappedSource, ['transform']],
];
for (const [name, source, through] of sources) {
  test(`records of ${name}`, () => assert.deepEqual(throughOf(source), through));
}

const settledRows: [name: string, settled: number, rejectedAt: number | undefined, expected: number | undefined][] = [
  ['nothing', 0, undefined, undefined],
  ['two records', 2, undefined, 2],
  ['records up to a rejection', 3, 1, 1],
  ['records after a rejection', 3, 0, undefined],
];
for (const [name, settled, rejectedAt, expected] of settledRows) {
  test(`the settled part of a block is told if it is ${name}, and is left out when the block is read again`, () => {
    const texts = Array.from({ length: 4 }, (_, index) => `{"event":"e${index}","properties":{}}`);
    const lines = rejectedAt === undefined ? texts : texts.toSpliced(rejectedAt, 0, 'rubbish');
    const content = Buffer.from(lines.join('\n'));
    const read = () => parse(content, { blockBytes: Number.MAX_SAFE_INTEGER }).blocks[0]!;
    const block = read();
    block.settledRecords = settled;
    const part = settledPartOf(block);
    assert.equal(part?.records, expected);
    if (part === undefined) return;
    const rest = withoutSettled(read(), part.offset);
    const all = contentsOf([read()]);
    assert.deepEqual(contentsOf([rest]).records, all.records.slice(part.records));
    assert.deepEqual(contentsOf([rest]).rejections, all.rejections);
    assert.equal(rest.counts.read, all.records.length + all.rejections.length - part.records);
    assert.deepEqual(rest.end, read().end);
  });
}
