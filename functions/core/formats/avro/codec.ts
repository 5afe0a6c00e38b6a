/** Decompresses the blocks of an Avro container file. */

import { crc32, inflateRawSync } from 'node:zlib';
import { unsnappy } from '../snappy.ts';
import { unzstdSync } from '../zstd.ts';
import { AvroError } from './cursor.ts';

/** The most that a block may decompress to. */
export const MAX_DECODED_BYTES = 67_108_864;
const CRC_BYTES = 4;
const TOO_LARGE = `it decompresses to more than ${MAX_DECODED_BYTES} bytes`;

/** @throws anything if the data are not valid */
export type Decompress = (stored: Buffer) => Buffer;

const CODECS: Readonly<Record<string, Decompress>> = {
  null: (stored) => stored,
  deflate: (stored) => limited(() => inflateRawSync(stored, { maxOutputLength: MAX_DECODED_BYTES })),
  zstandard: (stored) => limited(() => unzstdSync(stored, MAX_DECODED_BYTES)),
  snappy(stored) {
    const data = stored.subarray(0, -CRC_BYTES);
    const decoded = unsnappy(data, MAX_DECODED_BYTES);
    const bytes = Buffer.from(decoded.buffer, decoded.byteOffset, decoded.length);
    if (crc32(bytes) !== stored.readUInt32BE(data.length)) throw new AvroError('its checksum is wrong');
    return bytes;
  },
};

/** The codec with that name; undefined if it is not supported. */
export function findCodec(name: string): Decompress | undefined {
  return Object.hasOwn(CODECS, name) ? CODECS[name] : undefined;
}

/** The names of all codecs. */
export const CODEC_NAMES = Object.keys(CODECS);

function limited(decompress: () => Buffer): Buffer {
  try {
    return decompress();
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? new AvroError(TOO_LARGE) : error;
  }
}
