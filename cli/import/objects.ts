/** Finds objects in Cloud Storage by a `gs://` address. It loads Google's client: import it only where there is one. */

import { posix } from 'node:path';
import type { Bucket, File } from '@google-cloud/storage';
import { createReadingStorage, createStorage } from '../../functions/storage/client.ts';
import { customMetadata, objectSource } from '../../functions/storage/object-source.ts';
import { createObjectReader, createRangeReader, type ObjectReader } from '../../functions/storage/read-object.ts';
import { statusOf } from '../../functions/storage/requests.ts';
import { UsageError } from './arguments.ts';
import type { FoundInput } from './inputs.ts';

const WILDCARD = /[*?[{]/;

/**
 * @param url      `gs://BUCKET/OBJECT`; if no object has exactly this name, OBJECT is a glob, in which `*`
 *   stops at a slash and `**` does not
 * @param endpoint base URL of another Cloud Storage; default: Google's
 * @throws {@link UsageError} when there is no such object, or Cloud Storage lets nobody see it
 */
export async function findObjects(url: string, endpoint: string | undefined): Promise<FoundInput[]> {
  const [, bucketName, pattern] = /^gs:\/\/([^/]+)\/(.+)$/s.exec(url) ?? [];
  if (bucketName === undefined || pattern === undefined) {
    throw new UsageError(`${url}: must be gs://BUCKET/OBJECT or gs://BUCKET/PREFIX*`);
  }
  const bucket = createStorage(endpoint).bucket(bucketName);
  let found: File[];
  try {
    const exact = await unlessMissing(bucket.file(pattern).get());
    found = exact === undefined ? await findMatches(bucket, pattern) : [exact[0]];
  } catch (error) {
    throw new UsageError(`${url}: ${explain(error, bucketName)}`);
  }
  if (found.length === 0) {
    const isGlob = WILDCARD.test(pattern);
    throw new UsageError(`${url}: ${isGlob ? 'no object matches' : 'no such object. Check the name'}`);
  }
  const reading = createReadingStorage(endpoint).bucket(bucketName);
  return found.map((file) => toInput(file, reading));
}

/** Undefined if Cloud Storage answers 404. */
async function unlessMissing<Answer>(request: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await request;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** Those that the pattern matches as a glob; also tells a bucket that is missing from an object. */
async function findMatches(bucket: Bucket, pattern: string): Promise<File[]> {
  const wildcard = pattern.search(WILDCARD);
  const isGlob = wildcard !== -1;
  const query = isGlob ? { prefix: pattern.slice(0, wildcard) } : { maxResults: 1, autoPaginate: false };
  const [files] = await bucket.getFiles(query);
  // A name that ends with a slash stands for a folder.
  return isGlob ? files.filter(({ name }) => posix.matchesGlob(name, pattern) && !name.endsWith('/')) : [];
}

/** @param found an object as it was found; that generation of it is read, through `bucket` */
function toInput({ name: object, metadata }: File, bucket: Bucket): FoundInput {
  const generation = String(metadata.generation);
  const file = bucket.file(object, { generation });
  const content = { size: Number(metadata.size), crc32c: metadata.crc32c };
  const name = `gs://${bucket.name}/${object}`;
  const custom = customMetadata(metadata.metadata);
  let reader: ObjectReader | undefined;
  return {
    name,
    key: name,
    size: content.size,
    deadLetterStem: posix.basename(object),
    // As in the functions, so that ids by position and contexts are the same here and there.
    source: objectSource({ bucket: bucket.name, object, generation }, custom),
    read(run) {
      reader = createObjectReader(file, content, run);
      return reader.read();
    },
    ranges: (run) => createRangeReader(file, content, run),
    // The very bytes that could not be decompressed are verified: a second read might bring others.
    async verifyStored(run) {
      for await (const _ of reader!.read()) run.stopping.throwIfAborted();
    },
  };
}

/** What Cloud Storage said, without the request that its errors carry. */
function explain(error: unknown, bucketName: string): string {
  const status = statusOf(error);
  if (status === 404) return `there is no bucket ${bucketName}. Check the name`;
  if (status === 401 || status === 403) {
    return `Cloud Storage answered ${status}. The account needs the role Storage Object Viewer on the bucket`;
  }
  const message = error instanceof Error ? error.message.split('\n')[0] : String(error);
  return `${message}. Check the network, and the credentials: gcloud auth application-default login`;
}
