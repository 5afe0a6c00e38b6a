/** Recognizes by its first bytes content that is not read, to say what it is and what to do. */

/** The bytes by which content is recognized. */
export const SIGNATURE_BYTES = 8_192;

interface Signature {
  /** Bytes in Latin-1. */
  bytes: string;
  /** Where they stand; default: at the beginning. */
  at?: number;
  message: string;
}

const UNPACK = 'which is not read: upload what is in it, with gzip or without';
const COMPRESS = 'which are not read: compress with gzip instead';
const NO_EVENTS = 'which holds no events';

const SIGNATURES: readonly Signature[] = [
  { bytes: '\x1f\x8b', message: 'gzip data inside two layers of compression: compress once' },
  { bytes: '\x28\xb5\x2f\xfd', message: 'zstd data inside two layers of compression: compress once' },
  { bytes: 'BZh', message: `bzip2 data, ${COMPRESS}` },
  { bytes: '\xfd7zXZ\0', message: `xz data, ${COMPRESS}` },
  { bytes: '\x04\x22\x4d\x18', message: `lz4 data, ${COMPRESS}` },
  { bytes: '\xff\x06\0\0sNaPpY', message: `snappy data, ${COMPRESS}` },
  { bytes: '[Content_Types].xml', at: 30, message: 'an Office document, which is not read: save it as CSV' },
  { bytes: 'PK\x03\x04', message: `a zip archive, ${UNPACK}` },
  { bytes: 'PK\x05\x06', message: `an empty zip archive, ${NO_EVENTS}` },
  { bytes: 'PK\x07\x08', message: `a zip archive, ${UNPACK}` },
  { bytes: 'ustar', at: 257, message: `a tar archive, ${UNPACK}` },
  { bytes: '7z\xbc\xaf\x27\x1c', message: `a 7z archive, ${UNPACK}` },
  { bytes: 'Rar!\x1a\x07', message: `a RAR archive, ${UNPACK}` },
  { bytes: 'ORC', message: 'an ORC file, which is not read: export newline-delimited JSON instead' },
  { bytes: '%PDF-', message: `a PDF document, ${NO_EVENTS}` },
  { bytes: '\x89PNG\r\n\x1a\n', message: `a PNG image, ${NO_EVENTS}` },
  { bytes: '\xff\xd8\xff', message: `a JPEG image, ${NO_EVENTS}` },
  { bytes: 'GIF8', message: `a GIF image, ${NO_EVENTS}` },
  { bytes: 'WEBP', at: 8, message: `a WebP image, ${NO_EVENTS}` },
  { bytes: 'II*\0', message: `a TIFF image, ${NO_EVENTS}` },
  { bytes: 'MM\0*', message: `a TIFF image, ${NO_EVENTS}` },
  { bytes: '\xff\xfe\0\0', message: 'UTF-32, which is not read: write UTF-8 instead' },
  { bytes: '\0\0\xfe\xff', message: 'UTF-32, which is not read: write UTF-8 instead' },
  { bytes: '\xff\xfe', message: 'UTF-16, which is not read here: write UTF-8 instead' },
  { bytes: '\xfe\xff', message: 'UTF-16, which is not read here: write UTF-8 instead' },
  {
    bytes: 'version https://git-lfs.github.com/spec/',
    message: 'a Git LFS pointer, not the file itself: run `git lfs pull` before you upload it',
  },
];

/** Signatures that stand for more than one place or spelling, in text that may begin with white space. */
const PATTERNS: readonly { pattern: RegExp; message: string }[] = [
  {
    pattern: /^(?:[\t\n\r -~]\0){4}|^(?:\0[\t\n\r -~]){4}/,
    message: 'UTF-16 without a byte order mark: write UTF-8, or begin with the mark',
  },
  {
    pattern: /^(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)[\s>]/i,
    message: 'an HTML page, often an error that was saved in place of the data: check how it was downloaded',
  },
  {
    pattern: /^(?:\xef\xbb\xbf)?\s*<\?xml\s/i,
    message: 'an XML document, often an error that was saved in place of the data: check how it was downloaded',
  },
];

/**
 * What is wrong with content as a whole; undefined if it may hold records.
 *
 * @param head the first {@link SIGNATURE_BYTES} of the content, or all of it
 */
export function unreadable(head: Buffer): string | undefined {
  const text = head.toString('latin1', 0, 512);
  const signature = SIGNATURES.find(({ bytes, at = 0 }) => text.startsWith(bytes, at));
  return signature?.message ?? PATTERNS.find(({ pattern }) => pattern.test(text))?.message;
}
