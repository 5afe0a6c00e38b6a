/** Reads of content from the local Cloud Storage: ranges, checksums, and gzip content for those who cannot unpack it. */
import { createReadStream } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Answer } from './answer.ts';
import { StorageError } from './errors.ts';
import type { StoredObject } from './resource.ts';

/** Bytes that a request asks for, both inclusive; a negative start counts from the end. */
export interface RequestedRange {
  start: number;
  end?: number;
}

/**
 * @param header - A Range header.
 * @returns The range; undefined when there is none, or none that is understood: the whole is served then.
 */
export function parseRange(header: string | undefined): RequestedRange | undefined {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (from === '' && to === '') return undefined;
  if (from === '') return { start: -Number(to) };
  if (to === '') return { start: Number(from) };
  return Number(to) < Number(from) ? undefined : { start: Number(from), end: Number(to) };
}

/**
 * Answers a read, see https://cloud.google.com/storage/docs/transcoding for what becomes of gzip content.
 *
 * @param object - What is read.
 * @param openContent - Opens its content; called once, when nothing can go wrong any more.
 * @param headers - The request's headers.
 * @throws StorageError 416 when the range lies behind the end.
 */
export function readAnswer(object: StoredObject, openContent: () => number, headers: IncomingHttpHeaders): Answer {
  const common = {
    'content-type': object.contentType ?? 'application/octet-stream',
    'x-goog-hash': `crc32c=${object.crc32c},md5=${object.md5Hash}`,
    'x-goog-generation': object.generation,
    'x-goog-metageneration': object.metageneration,
    'x-goog-stored-content-length': object.size,
    'x-goog-stored-content-encoding': object.contentEncoding ?? 'identity',
    'x-goog-storage-class': object.storageClass,
    'accept-ranges': 'bytes',
    etag: object.etag,
    ...(object.cacheControl && { 'cache-control': object.cacheControl }),
    ...(object.contentDisposition && { 'content-disposition': object.contentDisposition }),
    ...(object.contentLanguage && { 'content-language': object.contentLanguage }),
    ...(object.contentEncoding === 'gzip' && { vary: 'accept-encoding' }),
  };
  const size = Number(object.size);
  if (isUnpacked(object, headers['accept-encoding'])) {
    const unpacked = pipeline(openStream(openContent(), 0, size - 1), createGunzip(), () => {});
    return { status: 200, headers: { ...common, warning: '214 - "gunzipped"' }, body: unpacked, offset: 0 };
  }
  const encoded = { ...common, ...(object.contentEncoding && { 'content-encoding': object.contentEncoding }) };
  const requested = parseRange(headers.range);
  if (!requested) {
    const body = openStream(openContent(), 0, size - 1);
    return { status: 200, headers: { ...encoded, 'content-length': object.size }, body, offset: 0 };
  }
  const start = requested.start < 0 ? Math.max(0, size + requested.start) : requested.start;
  const end = Math.min(requested.end ?? size - 1, size - 1);
  if (start > end) {
    const unsatisfied = { 'content-range': `bytes */${size}` };
    throw new StorageError(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable', unsatisfied);
  }
  const ranged = {
    ...encoded,
    'content-range': `bytes ${start}-${end}/${size}`,
    'content-length': `${end - start + 1}`,
  };
  return { status: 206, headers: ranged, body: openStream(openContent(), start, end), offset: start };
}

/** Whether gzip content is sent unpacked, since the client did not say that it takes gzip. */
function isUnpacked(object: StoredObject, acceptEncoding: string | string[] | undefined): boolean {
  if (object.contentEncoding !== 'gzip' || object.cacheControl?.includes('no-transform')) return false;
  return !/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/.test(String(acceptEncoding ?? ''));
}

function openStream(fd: number, start: number, end: number): Readable {
  return createReadStream('', { fd, start, end: Math.max(start, end), highWaterMark: 256 * 1024 });
}
