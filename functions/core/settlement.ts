/** Settlement: what the pipeline tells a source about its blocks. */

import type { Block } from './block.ts';

/** Knows which blocks of a source are settled, and makes that durable. */
export interface Settlement {
  /** Bytes that were read and are not settled yet. */
  readonly unsettledBytes: number;
  /** Notes a block whose records are about to be sent, in the order of the source. */
  open(block: Block): void;
  /**
   * Takes a block whose records all have their outcome, in any order. Its rejections are to be made durable.
   *
   * @returns a promise if that takes time; it is awaited before the import ends
   */
  settle(block: Block): Promise<void> | void;
  /** No more blocks will settle: write out anything still buffered. */
  flush(): void;
}
