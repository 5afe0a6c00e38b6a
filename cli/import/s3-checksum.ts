/** Computes the checksum that S3 keeps of an object (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html). */

import { createHash } from 'node:crypto';
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { crc32, crc32c } from '@node-rs/crc32';

/** A checksum of bytes that are added one after the other. */
export interface RunningChecksum {
  /** The algorithm's name, for people. */
  readonly name: string;
  add(bytes: Buffer): void;
  /** Whether the bytes added so far are those of the object. */
  matches(): boolean;
}

type Head = Pick<
  HeadObjectCommandOutput,
  | 'ChecksumCRC32'
  | 'ChecksumCRC32C'
  | 'ChecksumCRC64NVME'
  | 'ChecksumSHA1'
  | 'ChecksumSHA256'
  | 'ETag'
  | 'ServerSideEncryption'
  | 'SSECustomerAlgorithm'
>;

/** A checksum of checksums of parts, such as `…==-3`. */
const COMPOSITE = /-\d+$/;
/** The polynomial of CRC-64/NVME, bits reversed. */
const CRC64_POLYNOMIAL = 0x9a6c9329ac4bc9b5n;

/**
 * @param head what S3 answered to HeadObject with `ChecksumMode`
 * @returns undefined if S3 keeps no checksum of the whole object: one uploaded in parts may have one for each part
 */
export function checksumOf(head: Head): RunningChecksum | undefined {
  const { ChecksumCRC32C, ChecksumCRC32, ChecksumCRC64NVME, ChecksumSHA256, ChecksumSHA1 } = head;
  // The cheapest first.
  if (isWhole(ChecksumCRC32C)) return crcOf32('CRC32C', crc32c, ChecksumCRC32C);
  if (isWhole(ChecksumCRC32)) return crcOf32('CRC32', crc32, ChecksumCRC32);
  const md5 = md5Of(head);
  if (md5 !== undefined) return hashOf('MD5', md5, 'hex');
  if (isWhole(ChecksumSHA256)) return hashOf('SHA256', ChecksumSHA256, 'base64');
  if (isWhole(ChecksumSHA1)) return hashOf('SHA1', ChecksumSHA1, 'base64');
  if (isWhole(ChecksumCRC64NVME)) return crcOf64(ChecksumCRC64NVME);
  return undefined;
}

function isWhole(checksum: string | undefined): checksum is string {
  return checksum !== undefined && !COMPOSITE.test(checksum);
}

/** An ETag is the MD5 of objects that were uploaded in one part and are not encrypted with a key of one's own. */
function md5Of({ ETag, ServerSideEncryption = 'AES256', SSECustomerAlgorithm }: Head): string | undefined {
  if (ServerSideEncryption !== 'AES256' || SSECustomerAlgorithm !== undefined) return undefined;
  return /^"([0-9a-f]{32})"$/.exec(ETag ?? '')?.[1];
}

function crcOf32(name: string, update: (bytes: Buffer, checksum: number) => number, expected: string): RunningChecksum {
  let checksum = 0;
  return {
    name,
    add(bytes) {
      checksum = update(bytes, checksum);
    },
    matches: () => checksum === Buffer.from(expected, 'base64').readUInt32BE(),
  };
}

function hashOf(algorithm: string, expected: string, encoding: 'base64' | 'hex'): RunningChecksum {
  const hash = createHash(algorithm);
  return {
    name: algorithm,
    add: (bytes) => void hash.update(bytes),
    matches: () => hash.copy().digest(encoding) === expected,
  };
}

/** In two halves of 32 bits: integers of 64 bits would be a hundred times slower. */
function crcOf64(expected: string): RunningChecksum {
  const { high, low } = crc64Tables();
  let [upper, lower] = [0xffffffff, 0xffffffff];
  return {
    name: 'CRC64NVME',
    add(bytes) {
      let [a, b] = [upper, lower];
      for (let index = 0; index < bytes.length; index++) {
        const key = (b ^ bytes[index]!) & 0xff;
        b = ((b >>> 8) | (a << 24)) ^ low[key]!;
        a = (a >>> 8) ^ high[key]!;
      }
      [upper, lower] = [a, b];
    },
    matches() {
      const found = Buffer.alloc(8);
      found.writeUInt32BE(~upper >>> 0, 0);
      found.writeUInt32BE(~lower >>> 0, 4);
      return found.toString('base64') === expected;
    },
  };
}

function crc64Tables(): { high: Uint32Array; low: Uint32Array } {
  const [high, low] = [new Uint32Array(256), new Uint32Array(256)];
  for (let byte = 0; byte < 256; byte++) {
    let value = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ (value & 1n ? CRC64_POLYNOMIAL : 0n);
    high[byte] = Number(value >> 32n);
    low[byte] = Number(value & 0xffffffffn);
  }
  return { high, low };
}
