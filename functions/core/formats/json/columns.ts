/** The columns of a block under construction. */

import type { JsonRecords } from '../../block.ts';

type Arrays = Pick<JsonRecords, 'starts' | 'ends' | 'ordinals' | 'flags' | 'splices'>;

/** Records that the columns have room for at first: more than 1 MiB has of small events. */
const ROWS = 8_192;
/** Columns that have grown beyond this are handed over instead of copied, and made anew. */
const MAX_RETAINED_ROWS = 100_000;

/** Rows of typed arrays, reused for one block after the other: arrays that grow leave twice their size to the collector. */
export class Columns {
  /** Rows that are filled. */
  length = 0;
  #arrays = newArrays(ROWS);

  push(start: number, end: number, ordinal: number, flags: number, splice: number): void {
    const row = this.length++;
    if (row === this.#arrays.starts.length) this.#arrays = extended(this.#arrays);
    const { starts, ends, ordinals, flags: allFlags, splices } = this.#arrays;
    starts[row] = start;
    ends[row] = end;
    ordinals[row] = ordinal;
    allFlags[row] = flags;
    splices[row] = splice;
  }

  /** Index after the last record. */
  get lastEnd(): number {
    return this.#arrays.ends[this.length - 1]!;
  }

  /** Flags of the last record. */
  get lastFlags(): number {
    return this.#arrays.flags[this.length - 1]!;
  }

  /** Returns the rows and begins anew. */
  take(): Arrays {
    const { length } = this;
    const arrays = this.#arrays;
    this.length = 0;
    if (arrays.starts.length > 2 * MAX_RETAINED_ROWS) this.#arrays = newArrays(ROWS);
    const isRetained = this.#arrays === arrays;
    return {
      starts: isRetained ? arrays.starts.slice(0, length) : arrays.starts.subarray(0, length),
      ends: isRetained ? arrays.ends.slice(0, length) : arrays.ends.subarray(0, length),
      ordinals: isRetained ? arrays.ordinals.slice(0, length) : arrays.ordinals.subarray(0, length),
      flags: isRetained ? arrays.flags.slice(0, length) : arrays.flags.subarray(0, length),
      splices: isRetained ? arrays.splices.slice(0, length) : arrays.splices.subarray(0, length),
    };
  }
}

function newArrays(rows: number): Arrays {
  return {
    starts: new Uint32Array(rows),
    ends: new Uint32Array(rows),
    ordinals: new Float64Array(rows),
    flags: new Uint8Array(rows),
    splices: new Uint32Array(rows),
  };
}

/** The same rows with room for twice as many. */
function extended(arrays: Arrays): Arrays {
  const larger = newArrays(2 * arrays.starts.length);
  for (const name of Object.keys(arrays) as (keyof Arrays)[]) larger[name].set(arrays[name]);
  return larger;
}
