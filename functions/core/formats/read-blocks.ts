/** Reads the stored bytes of an object or a file as blocks of records. */

import type { Block } from '../block.ts';
import { ImportError } from '../errors.ts';
import { CorruptGzipError, decode } from './decode.ts';
import type { BlockContext } from './json/block-builder.ts';
import type { RecordParser } from './json/parser.ts';

/** How content is read. */
export interface ContentOptions {
  parser: RecordParser;
  /**
   * Where an earlier run came to: whether the stored bytes are compressed, how many decoded ones it has settled, and
   * takes a checksum of them. Of compressed content `stored` must begin at the beginning nevertheless, of other content
   * behind those bytes.
   */
  resume?: { isGzip: boolean; offset: number; checksum: number } | undefined;
  checksumOf?: BlockContext['checksumOf'];
  /** Told, before the first block, whether the stored bytes are compressed. */
  onFormat?: (isGzip: boolean) => void;
  /** Makes sure that the stored bytes are what was uploaded, before what they hold is blamed; throws where they are not. */
  verifyStored?: () => Promise<void>;
}

/**
 * Decompresses where the first bytes are gzip's. Where the data are corrupt, what could be decoded is kept and the rest
 * becomes one rejection.
 *
 * @param stored the bytes as they are stored; each chunk may be overwritten by the next
 * @throws {@link ImportError} `checksum_mismatch` when the bytes that an earlier run settled were others; whatever
 *   `stored` and `verifyStored` throw
 */
export async function* recordBlocks(stored: AsyncIterable<Buffer>, options: ContentOptions): AsyncGenerator<Block[]> {
  const { parser, resume, onFormat, verifyStored, checksumOf } = options;
  const { isGzip, chunks } = resume?.isGzip === false ? { isGzip: false, chunks: stored } : await decode(stored);
  onFormat?.(isGzip);
  let toSkip = resume?.isGzip ? resume.offset : 0;
  let checksum = 0;
  try {
    for await (const chunk of chunks) {
      const skipped = chunk.subarray(0, toSkip);
      const rest = chunk.subarray(skipped.length);
      if (skipped.length > 0) {
        toSkip -= skipped.length;
        checksum = checksumOf?.(skipped, checksum) ?? 0;
        if (toSkip === 0 && checksum !== resume!.checksum) throw otherBytes();
      }
      const blocks = parser.push(rest);
      if (blocks.length > 0) yield blocks;
    }
  } catch (error) {
    if (!(error instanceof CorruptGzipError)) {
      yield parser.flush();
      throw error;
    }
    await verifyStored?.();
    if (toSkip > 0) throw otherBytes();
    yield parser.breakOff(`the gzip data are corrupt: ${error.message}`);
    return;
  }
  if (toSkip > 0) throw otherBytes();
  yield parser.end();
}

function otherBytes(): ImportError {
  return new ImportError(
    'checksum_mismatch',
    'What was read of the object is not what an earlier invocation read and settled: it will be read again from the beginning',
  );
}
