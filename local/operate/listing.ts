/** Lists objects in Cloud Storage, page by page, however many there are. */

import type { Bucket, GetFilesResponse } from '@google-cloud/storage';

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
}

const FIELDS = 'items(name,generation,size,crc32c,timeCreated,metadata),nextPageToken';

/** Yields the objects in the order of their names' UTF-8 bytes, a page at a time. */
export async function* listObjects(bucket: Bucket, query: ListQuery): AsyncGenerator<ListedObject[]> {
  let next: object | null = { ...query, fields: FIELDS, autoPaginate: false };
  while (next !== null) {
    const [files, following]: GetFilesResponse = await bucket.getFiles(next);
    yield files.map(({ name, metadata }) => ({
      name,
      generation: String(metadata.generation),
      size: Number(metadata.size),
      crc32c: metadata.crc32c,
      createdAt: Date.parse(metadata.timeCreated ?? ''),
      state: metadata.metadata?.state?.toString(),
    }));
    next = following ?? null;
  }
}
