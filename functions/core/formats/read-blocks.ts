/** Reads the stored bytes of an object or a file as blocks of records. */

import { type Block, type Position, START } from '../block.ts';
import { ImportError } from '../errors.ts';
import type { Mapping } from '../mappings/mapping.ts';
import { CorruptContentError } from './corrupt.ts';
import { type Decoded, decode } from './decode.ts';
import {
  type Format,
  findFormat,
  isToldByLine,
  type ParseContext,
  type RangeFormat,
  type RangeReader,
  recognizeFormat,
} from './format.ts';
import { lookAhead } from './look-ahead.ts';
import { unreadableBlock } from './rows.ts';

const EMPTY = Buffer.alloc(0);
/** Bytes by which a line is recognized: more than most have. */
const LINE_BYTES = 8_192;
/** The most that is held in memory of content whose parts cannot be read where it is stored. */
const MAX_HELD_BYTES = 64_000_000;

/** How an earlier run read the content, and where it stopped. */
export interface Resumption {
  /** Name of the format. */
  format: string;
  /** Layers of compression. Compressed content can only be read from its beginning, so `stored` must then begin there. */
  compression: readonly string[];
  /** In the decoded content. Content that is not compressed must begin here. */
  position: Position;
}

/** How content is read. */
export interface ReadOptions {
  context: ParseContext;
  resumption?: Resumption | undefined;
  /** The stored bytes, by their ranges; needed for formats that are not read as a stream, unless they are held in memory. */
  ranges?: RangeReader | undefined;
  /** Told before the first block how the content is read. */
  onFormat?: (format: string, compression: readonly string[]) => void;
  /** Verifies the stored bytes against the upload's checksum before the content is declared corrupt. Throws if they differ. */
  verifyStored?: (() => Promise<void>) | undefined;
}

/**
 * Decompresses content and hands it to the parser of its format. If the data are corrupt, what could be decoded is kept
 * and the rest becomes one rejection.
 *
 * @param stored the bytes as they are stored; each chunk may be overwritten by the next
 * @throws {@link ImportError} `checksum_mismatch` if the bytes that an earlier run settled were different ones; whatever
 *   `stored` and `verifyStored` throw
 */
export async function* readBlocks(stored: AsyncIterable<Buffer>, options: ReadOptions): AsyncGenerator<Block[]> {
  const { context, resumption, onFormat, verifyStored } = options;
  const { chunks, compression, format } = await begin(stored, resumption, context.source.mapping);
  onFormat?.(format.name, compression);
  if (format.access === 'range') {
    const file = compression.length === 0 ? options.ranges : undefined;
    yield* readRanges(format, file, chunks, options);
    return;
  }
  const parser = format.parser(context, resumption?.position);
  // Content that is compressed, or was thought to be, begins at its beginning.
  let toSkip = resumption === undefined || resumption.compression.length === 0 ? 0 : resumption.position.offset;
  let checksum = 0;
  try {
    for await (const chunk of chunks) {
      const skipped = chunk.subarray(0, toSkip);
      if (skipped.length > 0) {
        toSkip -= skipped.length;
        checksum = context.checksumOf?.(skipped, checksum) ?? 0;
        if (toSkip === 0 && checksum !== resumption!.position.checksum) throw otherBytes();
      }
      for (const block of parser.push(chunk.subarray(skipped.length))) yield [block];
    }
  } catch (error) {
    if (!(error instanceof CorruptContentError)) {
      for (const block of parser.flush()) yield [block];
      throw error;
    }
    await verifyStored?.();
    if (toSkip > 0) throw otherBytes();
    for (const block of parser.breakOff(`the ${error.layer} data are corrupt: ${error.message}`)) yield [block];
    return;
  }
  if (toSkip > 0) throw otherBytes();
  for (const block of parser.end()) yield [block];
}

/** Reads parts of the content: of what is stored, or of what is held in memory because it is compressed or arrives as a stream. */
async function* readRanges(
  format: RangeFormat,
  stored: RangeReader | undefined,
  chunks: AsyncIterable<Buffer>,
  { context, resumption, verifyStored }: ReadOptions,
): AsyncGenerator<Block[]> {
  let file = stored;
  if (file === undefined) {
    const held = await hold(chunks).catch(async (error: unknown) => {
      if (!(error instanceof CorruptContentError)) throw error;
      await verifyStored?.();
      return `the ${error.layer} data are corrupt: ${error.message}`;
    });
    if (typeof held === 'string') {
      const part = { offset: 0, ordinal: context.ordinal === 'line' ? 1 : 0, head: EMPTY, bytes: 0 };
      const end = { ...START, line: 2, offset: 1 };
      yield [unreadableBlock(context, { ...part, reason: { field: 'record', message: held } }, end)];
      return;
    }
    file = held;
    // The first bytes were read to recognize the format: close that read.
  } else if (resumption === undefined) for await (const _ of chunks) break;
  yield* format.blocks(file, context, resumption?.position);
}

/** Holds content in memory; or says why it is not held. */
export async function hold(chunks: AsyncIterable<Buffer>): Promise<RangeReader | string> {
  const held: Buffer[] = [];
  let byteLength = 0;
  for await (const chunk of chunks) {
    byteLength += chunk.length;
    if (byteLength > MAX_HELD_BYTES) {
      return `a Parquet file that is compressed, or read from a pipe, may have ${MAX_HELD_BYTES} bytes: store it as it is`;
    }
    held.push(Buffer.from(chunk));
  }
  return rangesOf(Buffer.concat(held));
}

/** The ranges of what is in memory. */
export function rangesOf(bytes: Buffer): RangeReader {
  return {
    byteLength: bytes.length,
    slice: async (start, end) => Uint8Array.from(bytes.subarray(start, end)).buffer,
  };
}

/** Decides how the content is read: as before, or by its first bytes. */
async function begin(
  stored: AsyncIterable<Buffer>,
  resumption: Resumption | undefined,
  mapping: Mapping,
): Promise<Pick<Decoded, 'chunks' | 'compression'> & { format: Format }> {
  if (resumption === undefined) {
    const { head, chunks, compression } = await decode(stored);
    if (!isToldByLine(mapping)) return { chunks, compression, format: await recognizeFormat(head, mapping) };
    const ahead = await lookAhead(chunks, LINE_BYTES);
    return { chunks: ahead.chunks, compression, format: await recognizeFormat(ahead.head, mapping) };
  }
  const format = await findFormat(resumption.format);
  if (format === undefined) throw unknownFormat(resumption.format);
  if (resumption.compression.length === 0) return { chunks: stored, compression: [], format };
  // The layers that are found count: a checkpoint of version 1 does not say how many there are. The checksum decides.
  const { chunks, compression } = await decode(stored);
  return { chunks, compression, format };
}

function otherBytes(): ImportError {
  return new ImportError(
    'checksum_mismatch',
    'The bytes read from the object differ from those that an earlier invocation read and settled. It will be read again from the beginning',
  );
}

function unknownFormat(name: string): ImportError {
  return new ImportError(
    'checkpoint_unreadable',
    `The checkpoint is of an object in a format that this version does not know (${name}). Deploy the version that wrote it`,
  );
}
