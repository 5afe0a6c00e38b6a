/** Reads the stored bytes of an object or a file as blocks of records. */

import type { Block } from './block.ts';
import { CorruptGzipError, decode } from './decode.ts';
import type { RecordParser } from './records.ts';

/** How content is read. */
export interface ContentOptions {
  parser: RecordParser;
  /**
   * Where an earlier run came to: whether the stored bytes are compressed, and how many decoded ones it has settled.
   * Of compressed content `stored` must begin at the beginning nevertheless, of other content behind those bytes.
   */
  resume?: { isGzip: boolean; offset: number } | undefined;
  /** Told, before the first block, whether the stored bytes are compressed. */
  onFormat?: (isGzip: boolean) => void;
  /** Makes sure that the stored bytes are what was uploaded, before what they hold is blamed; throws where they are not. */
  verifyStored?: () => Promise<void>;
}

/**
 * Decompresses where the first bytes are gzip's. Where the data are corrupt, what could be decoded is kept and the rest
 * becomes one rejection.
 *
 * @param stored the bytes as they are stored
 * @throws whatever `stored` and `verifyStored` throw
 */
export async function* recordBlocks(stored: AsyncIterable<Buffer>, options: ContentOptions): AsyncGenerator<Block[]> {
  const { parser, resume, onFormat, verifyStored } = options;
  const { isGzip, chunks } = resume?.isGzip === false ? { isGzip: false, chunks: stored } : await decode(stored);
  onFormat?.(isGzip);
  let toSkip = resume?.isGzip ? resume.offset : 0;
  try {
    for await (const chunk of chunks) {
      const rest = chunk.subarray(Math.min(toSkip, chunk.length));
      toSkip -= chunk.length - rest.length;
      const blocks = parser.push(rest);
      if (blocks.length > 0) yield blocks;
    }
  } catch (error) {
    if (!(error instanceof CorruptGzipError)) {
      yield parser.flush();
      throw error;
    }
    await verifyStored?.();
    yield parser.breakOff(`the gzip data are corrupt: ${error.message}`);
    return;
  }
  yield parser.end();
}
