import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addCounts, type Block, noCounts, START } from '../../../functions/core/block.ts';
import { Ledger } from '../../../functions/core/ledger.ts';
import { parse } from '../../support/parsing.ts';
import { eventLines } from '../../support/pipeline.ts';

/** Blocks of one record each. */
function blocksOfLines(count: number): Block[] {
  const content = Buffer.from(eventLines(count, 'id'));
  const { blocks } = parse(content, { blockBytes: 1, cuts: ends(content) });
  assert.equal(blocks.length, count);
  for (const { counts } of blocks) counts.imported = counts.read;
  return blocks;
}

function ends(content: Buffer): number[] {
  return [...content.entries()].filter(([, byte]) => byte === 0x0a).map(([index]) => index + 1);
}

describe('the ledger', () => {
  test('begins where it is told to, with nothing counted', () => {
    const place = { offset: 70, line: 3, checksum: 5 };
    assert.deepEqual(new Ledger().position, START);
    assert.deepEqual(new Ledger(place).position, place);
    assert.deepEqual(new Ledger().counts, noCounts());
  });

  test('does not move while the first block is open', () => {
    const ledger = new Ledger();
    const blocks = blocksOfLines(3);
    ledger.open(blocks);
    ledger.settle(blocks[2]!);
    ledger.settle(blocks[1]!);
    assert.deepEqual(ledger.position, START);
    assert.deepEqual(ledger.counts, noCounts());
    ledger.settle(blocks[0]!);
    assert.deepEqual(ledger.position, blocks[2]!.end);
    assert.deepEqual(ledger.counts, { ...noCounts(), read: 3, imported: 3 });
  });

  test('tells how far reading is ahead of it, from where it began', () => {
    const blocks = blocksOfLines(3);
    const { end } = blocks[0]!;
    const ledger = new Ledger(end);
    assert.equal(ledger.aheadBytes, 0);
    ledger.open([]);
    assert.equal(ledger.aheadBytes, 0);
    ledger.open(blocks.slice(1));
    assert.equal(ledger.aheadBytes, blocks[2]!.end.offset - end.offset);
    ledger.settle(blocks[2]!);
    assert.equal(ledger.aheadBytes, blocks[2]!.end.offset - end.offset);
    ledger.settle(blocks[1]!);
    assert.equal(ledger.aheadBytes, 0);
  });

  test('moves over what is opened later', () => {
    const ledger = new Ledger();
    const [first, second] = blocksOfLines(2) as [Block, Block];
    ledger.open([first]);
    ledger.settle(first);
    assert.deepEqual(ledger.position, first.end);
    ledger.open([second]);
    assert.deepEqual(ledger.position, first.end);
    ledger.settle(second);
    assert.deepEqual(ledger.position, second.end);
  });

  test('stands, in whatever order blocks settle, before the first that is open, and counts exactly those before it', () => {
    const blocks = blocksOfLines(12);
    const order = fc.shuffledSubarray([...blocks.keys()], { minLength: 12 });
    fc.assert(
      fc.property(order, (indexes) => {
        const ledger = new Ledger();
        ledger.open(blocks);
        const settled = new Set<number>();
        for (const index of indexes) {
          ledger.settle(blocks[index]!);
          settled.add(index);
          const open = blocks.findIndex((_, at) => !settled.has(at));
          const before = blocks.slice(0, open === -1 ? blocks.length : open);
          const counts = noCounts();
          for (const block of before) addCounts(counts, block.counts);
          assert.deepEqual(ledger.counts, counts);
          assert.deepEqual(ledger.position, before.at(-1)?.end ?? START);
          assert.equal(ledger.aheadBytes, blocks.at(-1)!.end.offset - ledger.position.offset);
        }
      }),
    );
  });
});
