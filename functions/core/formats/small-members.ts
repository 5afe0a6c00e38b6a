/** Decompresses small gzip members many at a time: one by one, each would cost more than a thousand times what it holds. */

import { constants, crc32, inflateRawSync } from 'node:zlib';

/** The most bytes of deflated data that a small member has. */
export const MAX_DEFLATED_BYTES = 2_048;
/** The most bytes that it decompresses to. */
const MAX_INFLATED_BYTES = 65_536;
/** Members, and decompressed bytes, after which the event loop gets its turn. */
const MAX_MEMBERS = 1_000;
const MAX_OUTPUT_BYTES = 65_536;

const [MAGIC_1, MAGIC_2, DEFLATE] = [0x1f, 0x8b, 8] as const;
const [FHCRC, FEXTRA, FNAME, FCOMMENT] = [2, 4, 8, 16] as const;
/** All flags except the reserved ones; the flag for text changes nothing. */
const KNOWN_FLAGS = 0x1f;
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;

/** Members that were decompressed. */
export interface SmallMembers {
  output: Buffer;
  /** Bytes that they take. */
  consumed: number;
}

/**
 * Decompresses the members at the beginning of `bytes`, up to the first that is large, incomplete or corrupt.
 */
export function inflateSmallMembers(bytes: Buffer): SmallMembers {
  const outputs: Buffer[] = [];
  let outputBytes = 0;
  let consumed = 0;
  for (let members = 0; members < MAX_MEMBERS && outputBytes < MAX_OUTPUT_BYTES; members++) {
    const member = inflateMember(bytes, consumed);
    if (member === undefined) break;
    if (member.output.length > 0) outputs.push(member.output);
    outputBytes += member.output.length;
    consumed = member.end;
  }
  return { output: Buffer.concat(outputs, outputBytes), consumed };
}

function inflateMember(bytes: Buffer, start: number): { output: Buffer; end: number } | undefined {
  const from = endOfHeader(bytes, start);
  if (from === -1) return undefined;
  const deflated = bytes.subarray(from, from + MAX_DEFLATED_BYTES);
  const inflated = inflate(deflated);
  if (inflated === undefined) return undefined;
  const { output, read } = inflated;
  const trailer = from + read;
  // Without a byte left over it is not known whether the data have ended.
  if (read === deflated.length || trailer + TRAILER_BYTES > bytes.length) return undefined;
  const isIntact = bytes.readUInt32LE(trailer) === crc32(output) && bytes.readUInt32LE(trailer + 4) === output.length;
  return isIntact ? { output, end: trailer + TRAILER_BYTES } : undefined;
}

/** Index after the header at `start`; -1 if it is incomplete or invalid. */
function endOfHeader(bytes: Buffer, start: number): number {
  const flags = bytes[start + 3]!;
  let at = start + HEADER_BYTES;
  const isKnown = bytes[start] === MAGIC_1 && bytes[start + 1] === MAGIC_2 && bytes[start + 2] === DEFLATE;
  if (at > bytes.length || !isKnown || (flags & ~KNOWN_FLAGS) !== 0) return -1;
  if ((flags & FEXTRA) !== 0) {
    if (at + 2 > bytes.length) return -1;
    at += 2 + bytes.readUInt16LE(at);
  }
  for (const flag of [FNAME, FCOMMENT]) {
    if ((flags & flag) === 0) continue;
    const end = bytes.indexOf(0, at);
    if (end === -1) return -1;
    at = end + 1;
  }
  if ((flags & FHCRC) !== 0) at += 2;
  return at <= bytes.length ? at : -1;
}

function inflate(deflated: Buffer): { output: Buffer; read: number } | undefined {
  try {
    // With `info`, which TypeScript's types do not know for it, the result tells how much was read.
    const { buffer, engine } = inflateRawSync(deflated, {
      info: true,
      chunkSize: 1_024,
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: MAX_INFLATED_BYTES,
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    return { output: buffer, read: engine.bytesWritten };
  } catch {
    return undefined;
  }
}
