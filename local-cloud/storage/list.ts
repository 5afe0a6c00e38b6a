/** Lists of objects in the local Cloud Storage, a page at a time. */
import { StorageError } from './errors.ts';
import { type ObjectStore, utf8Key } from './objects.ts';
import type { StoredObject } from './resource.ts';

/** One page of a list. */
export interface ListPage {
  objects: StoredObject[];
  /** What names with the delimiter after the prefix come down to. */
  prefixes: string[];
  /** Absent on the last page. */
  nextPageToken?: string;
}

/**
 * Lists a bucket in the order of the names' UTF-8 bytes, see https://cloud.google.com/storage/docs/json_api/v1/objects/list.
 *
 * @param store - Where the objects are.
 * @param bucket - The bucket's name.
 * @param query - `prefix`, `delimiter`, `startOffset`, `endOffset`, `maxResults` (1,000 at most) and `pageToken`.
 * @throws StorageError 404 without the bucket, 400 for a page size that is none.
 */
export function listObjects(store: ObjectStore, bucket: string, query: URLSearchParams): ListPage {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const startKey = utf8Key(query.get('startOffset') ?? '');
  const endKey = utf8Key(query.get('endOffset') ?? '');
  const afterKey = utf8Key(Buffer.from(query.get('pageToken') ?? '', 'base64').toString());
  const pageSize = parsePageSize(query.get('maxResults'));
  const page: ListPage = { objects: [], prefixes: [] };
  let last = '';
  for (const name of store.names(bucket)) {
    if (!name.startsWith(prefix)) continue;
    const key = utf8Key(name);
    if (key < startKey || (endKey !== '' && key >= endKey)) continue;
    const delimitedAt = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
    const item = delimitedAt < 0 ? name : name.slice(0, delimitedAt + delimiter.length);
    if (utf8Key(item) <= afterKey && afterKey !== '') continue;
    if (delimitedAt >= 0 && item === page.prefixes.at(-1)) continue;
    if (page.objects.length + page.prefixes.length === pageSize) {
      page.nextPageToken = Buffer.from(last).toString('base64');
      break;
    }
    if (delimitedAt >= 0) page.prefixes.push(item);
    else page.objects.push(store.object(bucket, name));
    last = item;
  }
  return page;
}

function parsePageSize(given: string | null): number {
  if (given === null) return 1000;
  const size = Number(given);
  if (!Number.isInteger(size) || size < 1) throw new StorageError(400, 'invalid', 'Invalid value for: maxResults');
  return Math.min(size, 1000);
}
