/** Reads an input as blocks of records, and measures that. */

import { crc32c } from '@node-rs/crc32';
import { type Block, withoutSettled } from '../../functions/core/block.ts';
import { readBlocks } from '../../functions/core/formats/read-blocks.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import type { MappingOf } from '../../functions/core/mappings/mappings.ts';
import type { RejectionLimit } from '../../functions/core/rejections.ts';
import type { Run } from '../../functions/core/run.ts';
import type { FileProgress } from './checkpoint-file.ts';
import type { Input } from './inputs.ts';
import type { FileMeter } from './meter.ts';
import { readOn } from './resumption.ts';

/** How an input is read. */
export interface InputReader {
  insertIdOf: InsertIdOf;
  mappingOf: MappingOf;
  meter: FileMeter;
  run: Run;
  /** Sums up rejections; default: each is held. */
  limit?: RejectionLimit;
  /** Where it continues; default: at the beginning. */
  begin?: FileProgress | undefined;
  /** Told before the first block how the content is read; then positions have checksums, for a checkpoint. */
  onFormat?: ((format: string, compression: readonly string[]) => void) | undefined;
}

/** @throws whatever reading the input throws */
export async function* readInput(
  input: Input,
  { insertIdOf, mappingOf, meter, run, limit, begin, onFormat }: InputReader,
): AsyncGenerator<Block[]> {
  const source = { ...input.source, mapping: mappingOf(input.source.context), limit };
  const stored = measured(input.read(run), meter);
  const content = readBlocks(begin === undefined ? stored : readOn(stored, begin), {
    context: { source, insertIdOf, ordinal: 'line', ...(onFormat === undefined ? {} : { checksumOf: crc32c }) },
    resumption: begin,
    ...(onFormat === undefined ? {} : { onFormat }),
    ranges: input.ranges?.(run),
    verifyStored: async () => input.verifyStored?.(run),
  });
  const { settledTo } = begin?.position ?? {};
  for await (const blocks of content) {
    yield settledTo === undefined ? blocks : blocks.map((block) => withoutSettled(block, settledTo));
  }
}

async function* measured(stored: AsyncIterable<Buffer>, meter: FileMeter): AsyncGenerator<Buffer> {
  for await (const chunk of stored) {
    meter.read(chunk.length);
    yield chunk;
  }
}
