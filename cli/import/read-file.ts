/** Reads a file on disk. */

import { open } from 'node:fs/promises';
import type { RangeReader } from '../../functions/core/formats/format.ts';
import type { Run } from '../../functions/core/run.ts';

const READ_BYTES = 1_048_576;

/**
 * Yields the bytes of a regular file, a mebibyte at a time, each overwritten by the next: a buffer for each would be left
 * to the garbage collector, which takes more CPU than reading does.
 *
 * @throws whatever the file system throws; the reason of `run.stopping` when the run winds down
 */
export async function* readFile(path: string, run: Run): AsyncGenerator<Buffer> {
  await using file = await open(path);
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  for (;;) {
    run.stopping.throwIfAborted();
    const { bytesRead } = await file.read(buffer);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** The bytes of a regular file, by their ranges. */
export function fileRanges(path: string, byteLength: number, run: Run): RangeReader {
  return {
    byteLength,
    async slice(start, end) {
      run.stopping.throwIfAborted();
      await using file = await open(path);
      const bytes = new Uint8Array(end - start);
      for (let length = 0; length < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, start + length);
        if (bytesRead === 0) throw new Error(`${path} has become shorter while it was read`);
        length += bytesRead;
      }
      return bytes.buffer;
    },
  };
}
