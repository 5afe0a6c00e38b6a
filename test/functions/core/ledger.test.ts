import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addCounts, type Block, noCounts, START } from '../../../functions/core/block.ts';
import { Ledger } from '../../../functions/core/ledger.ts';
import { eventLines, ndjson } from '../../support/event.ts';
import { parse } from '../../support/parsing.ts';

/** Blocks of one record each. */
function blocksOfLines(count: number): Block[] {
  const content = Buffer.from(ndjson(eventLines(count)).trimEnd());
  const { blocks } = parse(content, { blockBytes: 1, cuts: ends(content) });
  assert.equal(blocks.length, count);
  for (const { counts } of blocks) counts.imported = counts.read;
  return blocks;
}

function ends(content: Buffer): number[] {
  return [...content.entries()].filter(([, byte]) => byte === 0x0a).map(([index]) => index + 1);
}

/** A ledger in which these blocks are open. */
function ledgerOf(blocks: readonly Block[], position = START): Ledger {
  const ledger = new Ledger(position);
  for (const block of blocks) ledger.open(block);
  return ledger;
}

describe('the ledger', () => {
  test('a ledger begins where it is told to, with nothing counted', () => {
    const position = { offset: 70, line: 3, checksum: 5 };
    assert.deepEqual(new Ledger().position, START);
    assert.deepEqual(new Ledger(position).position, position);
    assert.deepEqual(new Ledger().counts, noCounts());
  });

  test('a ledger does not move while the first block is open', () => {
    const blocks = blocksOfLines(3);
    const ledger = ledgerOf(blocks);
    ledger.settle(blocks[2]!);
    ledger.settle(blocks[1]!);
    assert.deepEqual(ledger.position, START);
    assert.deepEqual(ledger.counts, noCounts());
    ledger.settle(blocks[0]!);
    assert.deepEqual(ledger.position, blocks[2]!.end);
    assert.deepEqual(ledger.counts, { ...noCounts(), read: 3, imported: 3 });
  });

  test('a ledger knows how many bytes were read after its position and are not settled', () => {
    const blocks = blocksOfLines(3);
    const { end } = blocks[0]!;
    const ledger = new Ledger(end);
    assert.equal(ledger.unsettledBytes, 0);
    ledger.open(blocks[1]!);
    assert.equal(ledger.unsettledBytes, blocks[1]!.end.offset - end.offset);
    ledger.open(blocks[2]!);
    assert.equal(ledger.unsettledBytes, blocks[2]!.end.offset - end.offset);
    ledger.settle(blocks[2]!);
    assert.equal(ledger.unsettledBytes, blocks[2]!.end.offset - end.offset);
    ledger.settle(blocks[1]!);
    assert.equal(ledger.unsettledBytes, 0);
  });

  test('a ledger moves over a block that is opened later', () => {
    const ledger = new Ledger();
    const [first, second] = blocksOfLines(2) as [Block, Block];
    ledger.open(first);
    ledger.settle(first);
    assert.deepEqual(ledger.position, first.end);
    ledger.open(second);
    assert.deepEqual(ledger.position, first.end);
    ledger.settle(second);
    assert.deepEqual(ledger.position, second.end);
  });

  test('a ledger is before the first open block, whatever the order of settling, and counts exactly the blocks before it', () => {
    const blocks = blocksOfLines(12);
    const order = fc.shuffledSubarray([...blocks.keys()], { minLength: 12 });
    fc.assert(
      fc.property(order, (indexes) => {
        const ledger = ledgerOf(blocks);
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
          assert.equal(ledger.unsettledBytes, blocks.at(-1)!.end.offset - ledger.position.offset);
        }
      }),
    );
  });
});
