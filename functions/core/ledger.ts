/** Keeps the accounts of one source: up to where everything is settled, whatever the order in which blocks settle. */

import { addCounts, type Block, type Counts, noCounts, type Place, START } from './block.ts';

/** The watermark of a source, and the counts of exactly the ground before it. */
export class Ledger {
  /** Up to where everything is settled. */
  position: Place;
  /** The accounts of the ground between where it began and `position`. */
  readonly counts: Counts = noCounts();
  #readUpTo: number;
  /** Blocks that were read and are not behind the watermark, in the order of the source. */
  readonly #open: Block[] = [];
  readonly #settled = new Set<Block>();

  constructor(position: Place = START) {
    this.position = position;
    this.#readUpTo = position.offset;
  }

  /** Bytes that were read and are not behind the watermark. */
  get aheadBytes(): number {
    return this.#readUpTo - this.position.offset;
  }

  /** Notes blocks that were read, in the order of the source. */
  open(blocks: readonly Block[]): void {
    this.#open.push(...blocks);
    this.#readUpTo = blocks.at(-1)?.end.offset ?? this.#readUpTo;
  }

  /** Moves the watermark over the block, and over those behind it, once all before them are settled. */
  settle(block: Block): void {
    this.#settled.add(block);
    let passed = 0;
    for (; passed < this.#open.length && this.#settled.delete(this.#open[passed]!); passed++) {
      addCounts(this.counts, this.#open[passed]!.counts);
      this.position = this.#open[passed]!.end;
    }
    this.#open.splice(0, passed);
  }
}
