/** Lists objects in Cloud Storage, page by page, however many there are. */

import type { Bucket, FileMetadata, GetFilesResponse } from '@google-cloud/storage';
import { statusOf } from '../../functions/storage/requests.ts';
import { UsageError } from '../import/arguments.ts';

/** An object as it is listed. */
export interface ListedObject {
  name: string;
  generation: string;
  /** Bytes as stored. */
  size: number;
  crc32c: string | undefined;
  /** When this generation was written, in milliseconds since the epoch. */
  createdAt: number;
  /** `state` of its own metadata, which checkpoints have. */
  state: string | undefined;
}

/** Which objects are listed. */
export interface ListQuery {
  prefix?: string;
  /** With `/`: not those in folders below the prefix. */
  delimiter?: string;
  /** From this name on, and before that one. */
  startOffset?: string;
  endOffset?: string;
  /** Objects on a page, at most. */
  maxResults?: number;
}

const FIELDS = 'items(name,generation,size,crc32c,timeCreated,metadata),nextPageToken';

/**
 * Yields the objects in the order of their names' UTF-8 bytes, a page at a time.
 *
 * @throws {@link UsageError} if there is no such bucket
 */
export async function* listObjects(bucket: Bucket, query: ListQuery): AsyncGenerator<ListedObject[]> {
  let next: object | null = { ...query, fields: FIELDS, autoPaginate: false };
  while (next !== null) {
    const [files, following]: GetFilesResponse = await bucket.getFiles(next).catch((error) => {
      // No prefix is missing: one that nothing begins with is an empty list.
      throw statusOf(error) === 404
        ? new UsageError(`gs://${bucket.name}: there is no such bucket. Check the name`)
        : error;
    });
    // With `fields` the client gives out what came, and no files, whatever its types say.
    yield (files as unknown as FileMetadata[]).map(({ name, generation, size, crc32c, timeCreated, metadata }) => ({
      name: name!,
      generation: String(generation),
      size: Number(size),
      crc32c,
      createdAt: Date.parse(timeCreated ?? ''),
      state: metadata?.state?.toString(),
    }));
    next = following ?? null;
  }
}

/**
 * Whether there is an object that begins so.
 *
 * @throws {@link UsageError} if there is no such bucket
 */
export async function isAnyStored(bucket: Bucket, prefix = ''): Promise<boolean> {
  for await (const page of listObjects(bucket, { prefix, maxResults: 1 })) if (page.length > 0) return true;
  return false;
}
