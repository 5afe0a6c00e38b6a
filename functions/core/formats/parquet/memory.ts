/** Estimates, before a row group is read, whether the instance has the memory for it. */

import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { RowGroup } from 'hyparquet';
import { ImportError } from '../../errors.ts';

/** What the process takes without a row group. */
const BASE_BYTES = 160_000_000;
/** What a value takes in a column besides its own bytes. */
const VALUE_BYTES = 16;
/** Memory of a process besides its heap. */
const OUTSIDE_HEAP_BYTES = 128_000_000;

/** The memory that this process may take, in bytes. */
export function availableMemory(): number {
  // 0, or more than there is, where nothing constrains it.
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  return Math.min(constrained, totalmem(), getHeapStatistics().heap_size_limit + OUTSIDE_HEAP_BYTES);
}

/** @throws {@link ImportError} `memory_exceeded` if a row group does not fit */
export function checkMemory(groups: readonly RowGroup[], available: number): void {
  for (const [index, group] of groups.entries()) {
    const needed = memoryOf(group);
    if (needed <= available) continue;
    throw new ImportError(
      'memory_exceeded',
      `Row group ${index} of the Parquet file needs about ${inMebibytes(needed)} MiB of memory, and there are ${inMebibytes(available)}: give the function more memory and run backfill --again, or write the file with smaller row groups`,
    );
  }
}

function memoryOf({ columns }: RowGroup): number {
  let bytes = BASE_BYTES;
  for (const { meta_data: column } of columns) {
    if (column === undefined) continue;
    bytes += 2 * Number(column.total_uncompressed_size) + VALUE_BYTES * Number(column.num_values);
  }
  return bytes;
}

function inMebibytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
