/** Reads on where an earlier run stopped, and makes sure that what was read before is what it was. */

import { crc32c } from '@node-rs/crc32';
import type { FileProgress } from './checkpoint-file.ts';

/**
 * What is stored from where the earlier run stopped. Content that is compressed, or is not read as a stream, is handed
 * over whole.
 *
 * @throws if the bytes before are not those that were read then
 */
export async function* readOn(
  stored: AsyncIterable<Buffer>,
  { format, compression, position }: FileProgress,
): AsyncGenerator<Buffer> {
  // Rows of Parquet are found by their number, and the offset is one.
  let toSkip = compression.length > 0 || format === 'parquet' ? 0 : position.offset;
  let checksum = 0;
  const isChecked = toSkip > 0;
  for await (const chunk of stored) {
    const skipped = chunk.subarray(0, toSkip);
    if (skipped.length > 0) {
      checksum = crc32c(skipped, checksum);
      toSkip -= skipped.length;
      if (toSkip === 0 && checksum !== position.checksum) throw otherBytes();
    }
    if (skipped.length < chunk.length) yield chunk.subarray(skipped.length);
  }
  if (isChecked && toSkip > 0) throw otherBytes();
}

function otherBytes(): Error {
  return new Error('the content before the checkpoint changed. Import it without --resume, from the beginning');
}
