/** Finds objects in Amazon S3 by an `s3://` address. */

import { posix } from 'node:path';
import { objectSource } from '../../functions/storage/object-source.ts';
import { UsageError } from './arguments.ts';
import type { FoundInput } from './inputs.ts';
import { checksumOf } from './s3-checksum.ts';
import { type BucketClients, connectToBucket, explainS3 } from './s3-client.ts';
import { createS3RangeReader, createS3Reader } from './s3-reader.ts';

/** Objects that are looked up at a time. */
const CONCURRENCY = 32;

/**
 * @param url `s3://BUCKET/KEY`; with a glob in place of KEY, in which `*` stops at a slash and `**` does not; or
 *   `s3://BUCKET/PREFIX/`, for all objects below it
 * @throws {@link UsageError} if there is no such object, or S3 refuses
 */
export async function findS3Objects(url: string): Promise<FoundInput[]> {
  const [, bucket, pattern] = /^s3:\/\/([^/]+)\/(.*)$/s.exec(url) ?? [];
  if (bucket === undefined || pattern === undefined) {
    throw new UsageError(`${url}: must be s3://BUCKET/KEY, s3://BUCKET/PREFIX/ or s3://BUCKET/PREFIX*`);
  }
  const refuse = (what: string) => (error: unknown) => {
    throw error instanceof UsageError ? error : new UsageError(`${url}: ${explainS3(error, what)}`);
  };
  const clients = await connectToBucket(bucket).catch(refuse('bucket'));
  const keys = await findKeys(clients, bucket, pattern).catch(refuse('bucket'));
  if (keys.length === 0) throw new UsageError(`${url}: no object matches`);
  const found: FoundInput[] = [];
  for (let first = 0; first < keys.length; first += CONCURRENCY) {
    const some = keys.slice(first, first + CONCURRENCY).map((key) => lookUp(clients, bucket, key));
    found.push(...(await Promise.all(some).catch(refuse('object'))));
  }
  return found;
}

/** The keys that the pattern stands for. A key that ends with a slash stands for a folder. */
async function findKeys({ sdk, client }: BucketClients, bucket: string, pattern: string): Promise<string[]> {
  const isPrefix = pattern === '' || pattern.endsWith('/');
  const wildcard = pattern.search(/[*?[{]/);
  if (!isPrefix && wildcard === -1) return [pattern];
  const Prefix = wildcard === -1 ? pattern : pattern.slice(0, wildcard);
  const isMatch = (key: string) => isPrefix || key === pattern || posix.matchesGlob(key, pattern);
  const keys: string[] = [];
  for await (const { Contents = [] } of sdk.paginateListObjectsV2({ client }, { Bucket: bucket, Prefix })) {
    for (const { Key = '' } of Contents) if (!Key.endsWith('/') && isMatch(Key)) keys.push(Key);
  }
  // A key may hold what would be a glob.
  return keys.includes(pattern) ? [pattern] : keys;
}

/** Looks an object up. Which version is read, and what a transform is told, is decided now. */
async function lookUp(clients: BucketClients, bucket: string, key: string): Promise<FoundInput> {
  const { sdk, client } = clients;
  const request = new sdk.HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' });
  const head = await client.send(request);
  const { ContentLength: size = 0, ETag: etag = '', VersionId: version, Metadata: metadata = {} } = head;
  const name = `s3://${bucket}/${key}`;
  if (isArchived(head)) {
    throw new UsageError(`${name}: archived (${head.StorageClass}). Restore it first: \`aws s3api restore-object\``);
  }
  // Of a bucket that keeps no versions the ETag tells contents apart.
  const generation = version === undefined || version === 'null' ? etag.replaceAll('"', '') : version;
  let read: ReturnType<typeof createS3Reader> | undefined;
  return {
    name,
    key: name,
    size,
    deadLetterStem: posix.basename(key),
    // With its scheme, as a bucket in Cloud Storage may have the same name.
    source: objectSource({ bucket: `s3://${bucket}`, object: key, generation }, metadata),
    read(run) {
      read = createS3Reader(clients, { bucket, key, etag, size }, checksumOf(head), run);
      return read();
    },
    ranges: (run) => createS3RangeReader(clients, { bucket, key, etag, size }, run),
    // The very bytes that could not be decompressed are verified: a second read might bring others.
    async verifyStored(run) {
      for await (const _ of read!()) run.stopping.throwIfAborted();
    },
  };
}

function isArchived({
  StorageClass,
  ArchiveStatus,
  Restore,
}: {
  StorageClass?: string;
  ArchiveStatus?: string;
  Restore?: string;
}): boolean {
  if (StorageClass !== 'GLACIER' && StorageClass !== 'DEEP_ARCHIVE' && ArchiveStatus === undefined) return false;
  return !Restore?.includes('ongoing-request="false"');
}
