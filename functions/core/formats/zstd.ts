/**
 * Decompresses zstd, frame after frame (https://www.rfc-editor.org/rfc/rfc8878). The end of a frame is found here: Node's
 * decoder ignores whatever follows the first one (https://github.com/nodejs/node/issues/64741).
 */

import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import { CorruptContentError } from './corrupt.ts';

/** The data are not valid zstd from some byte on, or need more than is allowed, although they began as such. */
export class CorruptZstdError extends CorruptContentError {
  override readonly name = 'CorruptZstdError';
  override readonly layer = 'zstd';
}

/** Bytes to be read: as many as are asked for unless they are over, and at least one unless they are over. */
export interface ByteInput {
  peek(atLeast?: number): Promise<Buffer>;
  skip(bytes: number): void;
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
/** What precedes the data of a skippable frame: its magic and their length. */
const SKIPPABLE_HEADER_BYTES = 8;
const MAX_FRAME_HEADER_BYTES = 18;
const BLOCK_HEADER_BYTES = 3;
const MAX_BLOCK_BYTES = 131_072;
const CHECKSUM_BYTES = 4;
/** What `zstd` takes without `--long`: it bounds the memory of a frame. */
const MAX_WINDOW_LOG = 27;
const [RLE, RESERVED] = [1, 3] as const;
/** Blocks fed to the decoder at a time. The output of one step is held in memory at once: at most 1 MiB. */
const STEP_BLOCKS = 8;
const CUT_SHORT = 'unexpected end of file';
const OPTIONS = { params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } };

/** Whether content that begins with `head` is zstd. */
export function isZstd(head: Buffer): boolean {
  return head.length >= 4 && (head.readUInt32LE(0) === MAGIC || isSkippable(head));
}

/**
 * Decompresses frames up to the end of the input, and leaves skippable ones out.
 *
 * @throws {@link CorruptZstdError} after the last byte that could be decoded
 */
export async function* unzstd(input: ByteInput): AsyncGenerator<Buffer> {
  for (let head = await input.peek(4); head.length > 0; head = await input.peek(4)) {
    if (head.length < 4) throw new CorruptZstdError(CUT_SHORT);
    if (isSkippable(head)) await skipFrame(input);
    else yield* decodeFrame(input);
  }
}

/**
 * Decompresses a buffer.
 *
 * @throws {@link CorruptZstdError}; Node's `ERR_BUFFER_TOO_LARGE` if the content is larger than `maxOutputLength`
 */
export function unzstdSync(stored: Buffer, maxOutputLength: number): Buffer {
  const frames: Buffer[] = [];
  let room = maxOutputLength;
  let rest = stored;
  while (rest.length > 0) {
    if (rest.length < 4) throw new CorruptZstdError(CUT_SHORT);
    const end = isSkippable(rest) ? skippableEnd(rest) : frameEnd(rest);
    if (end > rest.length) throw new CorruptZstdError(CUT_SHORT);
    if (!isSkippable(rest)) {
      // Node takes no limit of 0; one byte too many is then found in the next frame.
      const frame = decodeSync(rest.subarray(0, end), Math.max(1, room));
      room -= frame.length;
      frames.push(frame);
    }
    rest = rest.subarray(end);
  }
  return frames.length === 1 ? frames[0]! : Buffer.concat(frames);
}

function decodeSync(frame: Buffer, maxOutputLength: number): Buffer {
  try {
    return zstdDecompressSync(frame, { ...OPTIONS, maxOutputLength });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === 'ERR_BUFFER_TOO_LARGE' ? error : new CorruptZstdError(message);
  }
}

function isSkippable(head: Buffer): boolean {
  return (head.readUInt32LE(0) & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC;
}

function skippableEnd(frame: Buffer): number {
  if (frame.length < SKIPPABLE_HEADER_BYTES) throw new CorruptZstdError(CUT_SHORT);
  return SKIPPABLE_HEADER_BYTES + frame.readUInt32LE(4);
}

async function skipFrame(input: ByteInput): Promise<void> {
  for (let left = skippableEnd(await input.peek(SKIPPABLE_HEADER_BYTES)); left > 0; ) {
    const { length } = await input.peek();
    if (length === 0) throw new CorruptZstdError(CUT_SHORT);
    input.skip(Math.min(left, length));
    left -= Math.min(left, length);
  }
}

/** Decompresses one frame. Steps must not depend on how the data arrive, because one that fails has no output. */
async function* decodeFrame(input: ByteInput): AsyncGenerator<Buffer> {
  const decoder = createZstdDecompress({ ...OPTIONS, chunkSize: 65_536 });
  let output: Buffer[] = [];
  let fail: (error: Error) => void = () => {};
  decoder.on('data', (chunk: Buffer) => output.push(chunk));
  decoder.on('error', (error) => fail(error));
  try {
    const header = frameHeader(await input.peek(MAX_FRAME_HEADER_BYTES));
    let from = header.bytes;
    for (let isLast = false; !isLast; from = 0) {
      const step = await nextStep(input, from, header.checksumBytes);
      isLast = step.isLast;
      const bytes = (await input.peek(step.end)).subarray(0, step.end);
      const error = await new Promise<Error | undefined>((resolve) => {
        fail = resolve;
        decoder.write(bytes, () => resolve(undefined));
      });
      yield* output;
      output = [];
      if (error !== undefined) throw new CorruptZstdError(error.message);
      if (step.problem !== undefined) throw new CorruptZstdError(step.problem);
      input.skip(step.end);
    }
  } finally {
    decoder.destroy();
  }
}

/** Whole blocks that can be decoded together. */
interface Step {
  end: number;
  isLast: boolean;
  /** What is wrong after them. */
  problem?: string;
}

async function nextStep(input: ByteInput, from: number, checksumBytes: number): Promise<Step> {
  let end = from;
  for (let blocks = 0; blocks < STEP_BLOCKS; blocks++) {
    const bytes = await input.peek(end + BLOCK_HEADER_BYTES);
    const block = blockAt(bytes, end, checksumBytes);
    if (typeof block === 'string') return { end, isLast: false, problem: block };
    if ((await input.peek(block.end)).length < block.end) return { end, isLast: false, problem: CUT_SHORT };
    end = block.end;
    if (block.isLast) return { end, isLast: true };
  }
  return { end, isLast: false };
}

/** Where a frame that begins with the buffer ends, which may be after the end of the buffer. */
function frameEnd(bytes: Buffer): number {
  const header = frameHeader(bytes);
  for (let at = header.bytes; ; ) {
    const block = blockAt(bytes, at, header.checksumBytes);
    if (typeof block === 'string') throw new CorruptZstdError(block);
    at = block.end;
    if (block.isLast) return at;
  }
}

/** The header of a frame, as far as it tells where blocks are and whether they can be decoded. */
function frameHeader(bytes: Buffer): { bytes: number; checksumBytes: number } {
  if (bytes.readUInt32LE(0) !== MAGIC) throw new CorruptZstdError('what follows a frame is not zstd');
  const descriptor = bytes[4];
  if (descriptor === undefined) throw new CorruptZstdError(CUT_SHORT);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const windowBytes = isSingleSegment ? 0 : 1;
  const length = 5 + windowBytes + dictionaryBytes + sizeBytes;
  if (bytes.length < length) throw new CorruptZstdError(CUT_SHORT);
  if (!isSingleSegment) {
    const windowLog = 10 + (bytes[5]! >> 3);
    const windowSize = 2 ** windowLog * (1 + (bytes[5]! & 7) / 8);
    if (windowSize > 2 ** MAX_WINDOW_LOG) throw new CorruptZstdError(tooLarge(windowSize));
  }
  if (bytes.subarray(5 + windowBytes, 5 + windowBytes + dictionaryBytes).some((byte) => byte !== 0)) {
    throw new CorruptZstdError('it needs a dictionary: compress it without one');
  }
  return { bytes: length, checksumBytes: (descriptor & 4) === 0 ? 0 : CHECKSUM_BYTES };
}

function tooLarge(windowSize: number): string {
  const most = 2 ** MAX_WINDOW_LOG;
  return `it needs a window of ${windowSize} bytes, and ${most} are allowed: compress it without --long, or with --long=${MAX_WINDOW_LOG}`;
}

/** Where the block at `at` ends, with the checksum after the last one; or what is wrong with it. */
function blockAt(bytes: Buffer, at: number, checksumBytes: number): { end: number; isLast: boolean } | string {
  if (bytes.length < at + BLOCK_HEADER_BYTES) return CUT_SHORT;
  const header = bytes.readUIntLE(at, BLOCK_HEADER_BYTES);
  const isLast = (header & 1) !== 0;
  const type = (header >> 1) & 3;
  const size = header >> 3;
  if (type === RESERVED || size > MAX_BLOCK_BYTES) return 'invalid block';
  const end = at + BLOCK_HEADER_BYTES + (type === RLE ? 1 : size) + (isLast ? checksumBytes : 0);
  return { end, isLast };
}
