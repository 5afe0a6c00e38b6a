/** Files of dead letters in Cloud Storage. It loads Google's client: import it only where there is a `gs://` address. */

import { hash } from 'node:crypto';
import type { Bucket, File } from '@google-cloud/storage';
import { createReadingStorage, createStorage } from '../../functions/storage/client.ts';
import { readObject } from '../../functions/storage/read-object.ts';
import { statusOf } from '../../functions/storage/requests.ts';
import { UsageError } from '../import/arguments.ts';
import { formatAddress, parseAddress } from './address.ts';
import { isLetterFile, type LetterFile } from './letter-files.ts';
import { isAnyStored, type ListedObject, listObjects } from './listing.ts';

/** What the names in the state bucket and the dead letter bucket begin with. */
const OWN_PREFIXES = ['dead-letters/', 'checkpoints/', 'suspects/'];

/**
 * @param url      a bucket, of which all dead letters are meant, a prefix, or an object whatever its name
 * @param endpoint base URL of another Cloud Storage; default: Google's
 * @throws {@link UsageError} if there is no such bucket, or it holds nothing but objects of others
 */
export async function findLetterObjects(url: string, endpoint: string | undefined): Promise<LetterFile[]> {
  const { bucket: bucketName, name } = parseAddress(url);
  const writing = createStorage(endpoint).bucket(bucketName);
  const reading = createReadingStorage(endpoint).bucket(bucketName);
  const files: LetterFile[] = [];
  for await (const page of listObjects(writing, { prefix: name || 'dead-letters/' })) {
    for (const object of page) {
      if (object.name !== name && !isLetterFile(object.name)) continue;
      const { generation } = object;
      files.push(toLetterFile(object, reading.file(object.name, { generation }), writing.file(object.name)));
    }
  }
  if (files.length === 0) await assertOwn(writing);
  return files;
}

/** An empty bucket may be of a new deployment. */
async function assertOwn(bucket: Bucket): Promise<void> {
  for (const prefix of OWN_PREFIXES) if (await isAnyStored(bucket, prefix)) return;
  if (!(await isAnyStored(bucket))) return;
  throw new UsageError(
    `gs://${bucket.name}: neither a state bucket nor a dead letter bucket: it has objects, and none under ${OWN_PREFIXES[0]} or ${OWN_PREFIXES[1]}. Name the bucket of STATE_BUCKET or DEAD_LETTER_BUCKET`,
  );
}

function toLetterFile(object: ListedObject, reading: File, writing: File): LetterFile {
  const { generation, size, crc32c } = object;
  let kept: Buffer[] = [];
  const name = formatAddress({ bucket: reading.bucket.name, name: object.name });
  return {
    name,
    key: name,
    size,
    read: (run) => readObject(reading, { size, crc32c }, run),
    async keep(lines) {
      kept.push(Buffer.from(lines));
    },
    // One request, and with it a whole object takes the place of the other, or nothing happens.
    replace: () =>
      kept.length === 0 ? remove(writing, generation) : rewrite(writing, generation, Buffer.concat(kept)),
    async leave() {
      kept = [];
    },
  };
}

async function remove(file: File, generation: string): Promise<void> {
  try {
    await file.delete({ ifGenerationMatch: generation });
  } catch (error) {
    // It is gone already, be it by an attempt of this very request.
    if (statusOf(error) !== 404) throw isChanged(error);
  }
}

async function rewrite(file: File, generation: string, content: Buffer): Promise<void> {
  try {
    await file.save(content, {
      resumable: false,
      contentType: 'application/x-ndjson',
      preconditionOpts: { ifGenerationMatch: generation },
    });
  } catch (error) {
    // An attempt of this very request may have succeeded without our hearing of it.
    const isOurs = statusOf(error) === 412 && (await file.getMetadata())[0].md5Hash === hash('md5', content, 'base64');
    if (!isOurs) throw isChanged(error);
  }
}

function isChanged(error: unknown): unknown {
  if (statusOf(error) !== 412) return error;
  return new Error('it was changed meanwhile: it stays as it is now. Run this again');
}
