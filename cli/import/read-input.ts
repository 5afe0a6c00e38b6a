/** Reads an input as blocks of records, and measures that. */

import type { Block } from '../../functions/core/block.ts';
import { readBlocks } from '../../functions/core/formats/read-blocks.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import type { MappingOf } from '../../functions/core/mappings/mappings.ts';
import type { RejectionLimit } from '../../functions/core/rejections.ts';
import type { Run } from '../../functions/core/run.ts';
import type { Input } from './inputs.ts';
import type { FileMeter } from './meter.ts';

/** How an input is read. */
export interface InputReader {
  insertIdOf: InsertIdOf;
  mappingOf: MappingOf;
  meter: FileMeter;
  run: Run;
  /** Sums up rejections; default: each is held. */
  limit?: RejectionLimit;
}

/** @throws whatever reading the input throws */
export function readInput(
  input: Input,
  { insertIdOf, mappingOf, meter, run, limit }: InputReader,
): AsyncGenerator<Block[]> {
  const source = { ...input.source, mapping: mappingOf(input.source.context), limit };
  return readBlocks(measured(input.read(run), meter), {
    context: { source, insertIdOf, ordinal: 'line' },
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
