/**
 * Decompresses a block of snappy (https://github.com/google/snappy/blob/main/format_description.txt). Every length is checked
 * before anything is written, and no memory outlives a call, as that of a WebAssembly module would.
 */

/** The data are not valid. */
class SnappyError extends Error {
  override readonly name = 'SnappyError';
}

const CUT_SHORT = 'the snappy data end too early';
const INVALID = 'the snappy data are not valid';

/**
 * @param maxLength the most that it may decompress to
 * @throws {@link SnappyError}
 */
export function unsnappy(input: Uint8Array, maxLength: number): Uint8Array {
  const { length, at: begin } = readLength(input);
  if (length > maxLength) throw new SnappyError(`it decompresses to more than ${maxLength} bytes`);
  const output = Buffer.allocUnsafeSlow(length);
  let at = begin;
  let to = 0;
  while (at < input.length) {
    const tag = input[at++]!;
    if ((tag & 3) === 0) {
      let size = tag >> 2;
      if (size >= 60) {
        const bytes = size - 59;
        size = littleEndian(input, at, bytes);
        at += bytes;
      }
      size++;
      if (size > input.length - at) throw new SnappyError(CUT_SHORT);
      if (size > length - to) throw new SnappyError(INVALID);
      output.set(input.subarray(at, at + size), to);
      at += size;
      to += size;
      continue;
    }
    const bytes = (tag & 3) === 3 ? 4 : tag & 3;
    const size = bytes === 1 ? 4 + ((tag >> 2) & 7) : 1 + (tag >> 2);
    const offset = littleEndian(input, at, bytes) + (bytes === 1 ? (tag >> 5) << 8 : 0);
    at += bytes;
    if (offset === 0 || offset > to || size > length - to) throw new SnappyError(INVALID);
    if (offset >= size) output.copyWithin(to, to - offset, to - offset + size);
    else for (let index = to; index < to + size; index++) output[index] = output[index - offset]!;
    to += size;
  }
  if (to !== length) throw new SnappyError(CUT_SHORT);
  return output;
}

function readLength(input: Uint8Array): { length: number; at: number } {
  let length = 0;
  for (let at = 0; at < 5 && at < input.length; at++) {
    length += (input[at]! & 0x7f) * 128 ** at;
    if (input[at]! < 0x80) return { length, at: at + 1 };
  }
  throw new SnappyError(INVALID);
}

function littleEndian(input: Uint8Array, at: number, bytes: number): number {
  if (bytes > input.length - at) throw new SnappyError(CUT_SHORT);
  let value = 0;
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + input[at + index]!;
  return value;
}
