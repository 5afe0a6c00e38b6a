/** Keeps the counts of one source, and how far it is settled, whatever the order in which blocks settle. */

import {
  addCounts,
  type Block,
  type Counts,
  noCounts,
  type Position,
  type SettledPart,
  START,
  settledPartOf,
} from './block.ts';

/** The watermark of a source, and the counts of exactly the range before it. */
export class Ledger {
  /** Everything before it is settled. */
  position: Position;
  /** Counts of the range from where the ledger began to `position`. */
  readonly counts: Counts = noCounts();
  #readUpTo: number;
  /** Blocks that are open or wait for those before them, in the order of the source. */
  readonly #blocks: Block[] = [];
  readonly #settled = new Set<Block>();

  constructor(position: Position = START) {
    this.position = position;
    this.#readUpTo = position.offset;
  }

  /** Bytes of the decoded content that were read and are not settled. */
  get unsettledBytes(): number {
    return this.#readUpTo - this.position.offset;
  }

  /** What is settled after the watermark: a part of the first block that is not. */
  get settledPart(): SettledPart | undefined {
    const [first] = this.#blocks;
    return first === undefined ? undefined : settledPartOf(first);
  }

  /** Notes a block, in the order of the source. */
  open(block: Block): void {
    this.#blocks.push(block);
    this.#readUpTo = Math.max(this.#readUpTo, block.end.offset);
  }

  /** Moves the watermark over the block, and over settled ones after it, once all before it are settled. */
  settle(block: Block): void {
    this.#settled.add(block);
    let passed = 0;
    for (; passed < this.#blocks.length && this.#settled.delete(this.#blocks[passed]!); passed++) {
      addCounts(this.counts, this.#blocks[passed]!.counts);
      this.position = this.#blocks[passed]!.end;
    }
    this.#blocks.splice(0, passed);
  }
}
