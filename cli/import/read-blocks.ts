/** Reads an input as blocks of records, and keeps its accounts and its measurements. */

import type { Block } from '../../functions/core/block.ts';
import { passThrough } from '../../functions/core/event.ts';
import { RecordParser } from '../../functions/core/formats/json/parser.ts';
import { recordBlocks } from '../../functions/core/formats/read-blocks.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import type { Ledger } from '../../functions/core/ledger.ts';
import type { Run } from '../../functions/core/run.ts';
import transform from '../../functions/transform.ts';
import type { Input } from './inputs.ts';
import type { FileMeter } from './meter.ts';

/** Where the blocks of an input are noted while they are read. */
export interface BlockReader {
  insertIdOf: InsertIdOf;
  ledger: Ledger;
  meter: FileMeter;
  run: Run;
}

/** @throws whatever reading the input throws */
export async function* readBlocks(input: Input, reader: BlockReader): AsyncGenerator<Block[]> {
  const { insertIdOf, ledger, meter, run } = reader;
  const isTransformed = transform !== passThrough;
  const parser = new RecordParser({ origin: input.origin, insertIdOf, ordinal: 'line', isTransformed });
  const blocks = recordBlocks(measured(input.read(run), meter), {
    parser,
    verifyStored: async () => input.verifyStored?.(run),
  });
  for await (const some of blocks) {
    ledger.open(some);
    for (const { size } of some) meter.opened(size);
    yield some;
  }
}

async function* measured(stored: AsyncIterable<Buffer>, meter: FileMeter): AsyncGenerator<Buffer> {
  for await (const chunk of stored) {
    meter.read(chunk.length);
    yield chunk;
  }
}
