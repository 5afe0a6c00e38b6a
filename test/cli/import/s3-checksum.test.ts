import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { checksumOf } from '../../../cli/import/s3-checksum.ts';

/** The text whose checksums are published for every algorithm (https://reveng.sourceforge.io/crc-catalogue/). */
const CHECKED = Buffer.from('123456789');
const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
const hashed = (algorithm: string) => createHash(algorithm).update(CHECKED);
const MD5_ETAG = `"${hashed('md5').digest('hex')}"`;

describe('checksumOf', () => {
  for (const [name, head] of [
    ['CRC32', { ChecksumCRC32: base64('cbf43926') }],
    ['CRC32C', { ChecksumCRC32C: base64('e3069283') }],
    ['CRC64NVME', { ChecksumCRC64NVME: base64('ae8b14860a799888') }],
    ['SHA1', { ChecksumSHA1: hashed('sha1').digest('base64') }],
    ['SHA256', { ChecksumSHA256: hashed('sha256').digest('base64') }],
    ['MD5', { ETag: MD5_ETAG, ServerSideEncryption: 'AES256' }],
  ] as const) {
    test(`tells the object's bytes from others by its ${name}, however they are split`, () => {
      for (let at = 0; at <= CHECKED.length; at++) {
        const checksum = checksumOf(head)!;
        assert.equal(checksum.name, name);
        assert.equal(checksum.matches(), false, 'before the first byte');
        checksum.add(CHECKED.subarray(0, at));
        checksum.add(CHECKED.subarray(at));
        assert.equal(checksum.matches(), true, `split at ${at}`);
        checksum.add(Buffer.from('0'));
        assert.equal(checksum.matches(), false, 'with a byte more');
      }
    });
  }

  test('prefers the one that costs least', () => {
    const head = { ChecksumCRC64NVME: base64('ae8b14860a799888'), ChecksumCRC32C: base64('e3069283'), ETag: MD5_ETAG };
    assert.equal(checksumOf(head)?.name, 'CRC32C');
    assert.equal(checksumOf({ ChecksumCRC64NVME: head.ChecksumCRC64NVME, ETag: MD5_ETAG })?.name, 'MD5');
  });

  for (const [what, head] of [
    [
      'an object with checksums of its parts alone',
      { ChecksumCRC32: `${base64('cbf43926')}-3`, ETag: '"0123456789abcdef0123456789abcdef-3"' },
    ],
    ['an object encrypted with a key of KMS', { ETag: MD5_ETAG, ServerSideEncryption: 'aws:kms' }],
    ['an object encrypted with a key of the customer', { ETag: MD5_ETAG, SSECustomerAlgorithm: 'AES256' }],
  ] as const) {
    test(`knows none of ${what}`, () => {
      assert.equal(checksumOf(head), undefined);
    });
  }
});
