/** Reads an input as blocks of records, and measures that. */

import type { Block } from '../../functions/core/block.ts';
import { readBlocks } from '../../functions/core/formats/read-blocks.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import { mappingOf } from '../../functions/core/mappings/mapping.ts';
import type { Run } from '../../functions/core/run.ts';
import transform from '../../functions/transform.ts';
import type { Input } from './inputs.ts';
import type { FileMeter } from './meter.ts';

/** How an input is read. */
export interface InputReader {
  insertIdOf: InsertIdOf;
  meter: FileMeter;
  run: Run;
}

const mapping = mappingOf(transform);

/** @throws whatever reading the input throws */
export function readInput(input: Input, { insertIdOf, meter, run }: InputReader): AsyncGenerator<Block[]> {
  return readBlocks(measured(input.read(run), meter), {
    context: { source: { ...input.source, mapping }, insertIdOf, ordinal: 'line' },
    ranges: input.ranges?.(run),
    verifyStored: async () => input.verifyStored?.(run),
  });
}

async function* measured(stored: AsyncIterable<Buffer>, meter: FileMeter): AsyncGenerator<Buffer> {
  for await (const chunk of stored) {
    meter.read(chunk.length);
    yield chunk;
  }
}
