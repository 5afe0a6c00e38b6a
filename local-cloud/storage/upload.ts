/** Uploads to the local Cloud Storage: media, multipart and resumable, each streamed to disk. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Answer, chunksOf, conditionsOf, parseJson, type Route, readJson } from './answer.ts';
import type { StagedContent } from './content.ts';
import { StorageError } from './errors.ts';
import { readMultipart } from './multipart.ts';
import type { ObjectStore } from './objects.ts';
import type { Conditions, ObjectMetadata, ObjectResource } from './resource.ts';

/** Makes staged content an object and tells of it. */
export type Commit = (
  bucket: string,
  name: string,
  content: StagedContent,
  metadata: ObjectMetadata,
  conditions: Conditions,
) => ObjectResource;

/** What the metadata of an upload may say beside the object's own metadata. */
interface UploadMetadata extends ObjectMetadata {
  name?: string;
  crc32c?: string;
  md5Hash?: string;
}

interface Session {
  bucket: string;
  name: string;
  content: StagedContent;
  metadata: UploadMetadata;
  conditions: Conditions;
  /** Set when the upload is complete: a client that lost the answer asks once more. */
  object?: ObjectResource;
}

/**
 * Makes the handler of uploads. Sessions of resumable uploads do not outlive it.
 *
 * @param store - Where content is staged.
 * @param commit - Makes it an object.
 * @returns A function that takes a request's body in and gives its answer.
 */
export function createUploads(store: ObjectStore, commit: Commit) {
  const sessions = new Map<string, Session>();

  return async function upload(route: Route, request: IncomingMessage): Promise<Answer> {
    store.bucket(route.bucket);
    if (route.method === 'PUT') return continueSession(sessions, route, request, commit);
    const uploadType = route.query.get('uploadType');
    if (uploadType === 'resumable') return startSession(sessions, store, route, request);
    if (uploadType !== 'media' && uploadType !== 'multipart') {
      throw new StorageError(400, 'invalid', `Invalid upload type: ${uploadType}`);
    }
    const content = store.stage();
    try {
      const metadata = await (uploadType === 'media' ? readMedia : readRelated)(content, route, request);
      const name = route.object || metadata.name || '';
      const complete = { bucket: route.bucket, name, content, metadata, conditions: conditionsOf(route.query) };
      return { status: 200, json: checkedCommit(complete, request, commit) };
    } catch (error) {
      content.discard();
      throw error;
    }
  };
}

async function readMedia(content: StagedContent, route: Route, request: IncomingMessage): Promise<UploadMetadata> {
  await content.append(chunksOf(request));
  return {
    contentType: request.headers['content-type'],
    contentEncoding: route.query.get('contentEncoding') ?? undefined,
  };
}

async function readRelated(content: StagedContent, _route: Route, request: IncomingMessage): Promise<UploadMetadata> {
  const { metadata, contentType, media } = await readMultipart(request.headers['content-type'], chunksOf(request));
  await content.append(media);
  return { contentType, ...parseJson(metadata) };
}

async function startSession(
  sessions: Map<string, Session>,
  store: ObjectStore,
  route: Route,
  request: IncomingMessage,
): Promise<Answer> {
  const given: UploadMetadata = await readJson(request);
  const contentType = given.contentType ?? request.headers['x-upload-content-type']?.toString();
  const id = randomUUID();
  const name = route.object || given.name || '';
  sessions.set(id, {
    bucket: route.bucket,
    name,
    content: store.stage(),
    metadata: { ...given, contentType },
    conditions: conditionsOf(route.query),
  });
  const query = new URLSearchParams({ uploadType: 'resumable', name, upload_id: id });
  const path = `/upload/storage/v1/b/${encodeURIComponent(route.bucket)}/o?${query}`;
  return { status: 200, headers: { location: `http://${request.headers.host}${path}`, 'x-guploader-uploadid': id } };
}

/** One PUT of a resumable upload, see https://cloud.google.com/storage/docs/performing-resumable-uploads. */
async function continueSession(
  sessions: Map<string, Session>,
  route: Route,
  request: IncomingMessage,
  commit: Commit,
): Promise<Answer> {
  const session = sessions.get(route.query.get('upload_id') ?? '');
  if (!session) throw new StorageError(404, 'notFound', 'No such upload session.');
  if (session.object) return { status: 200, json: session.object };
  const { content } = session;
  const range = parseContentRange(request.headers['content-range']);
  // What the server has already is skipped; a gap cannot be filled, and the client is told where to go on.
  const fits = range.start !== undefined && range.start <= content.size;
  if (fits) await content.append(skip(chunksOf(request), content.size - (range.start ?? 0)));
  const isLast = range.total === undefined ? fits && range.isOpenEnded : range.total === content.size;
  if (isLast) {
    try {
      session.object = checkedCommit(session, request, commit);
      return { status: 200, json: session.object };
    } catch (error) {
      sessions.delete(route.query.get('upload_id') ?? '');
      throw error;
    }
  }
  const received: Record<string, string> = content.size > 0 ? { range: `bytes=0-${content.size - 1}` } : {};
  return { status: 308, headers: received };
}

interface ContentRange {
  /** Absent when only the status is asked for. */
  start?: number;
  /** The length of the whole; absent while the client does not know it. */
  total?: number;
  /** The body's end is the end of the upload, unless the total says otherwise. */
  isOpenEnded: boolean;
}

function parseContentRange(header: string | undefined): ContentRange {
  if (header === undefined) return { start: 0, isOpenEnded: true };
  // The official client says `0--1/0` for nothing.
  const [whole, start, end, total] = /^bytes (?:\*|(\d+)-(-1|\d+|\*))\/(\d+|\*)$/.exec(header) ?? [];
  if (whole === undefined) throw new StorageError(400, 'invalid', 'Failed to parse Content-Range header.');
  return {
    start: start === undefined ? undefined : Number(start),
    total: total === '*' ? undefined : Number(total),
    isOpenEnded: end === '*',
  };
}

async function* skip(chunks: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let left = bytes;
  for await (const chunk of chunks) {
    if (chunk.length > left) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

/** Commits, if the content has the checksums that the client announced in metadata or the header x-goog-hash. */
function checkedCommit(upload: Session, request: IncomingMessage, commit: Commit): ObjectResource {
  const { bucket, name, content, metadata, conditions } = upload;
  const announced = String(request.headers['x-goog-hash'] ?? '');
  for (const [label, given, actual] of [
    ['CRC32C', metadata.crc32c ?? /crc32c=([^,]+)/.exec(announced)?.[1], content.crc32c()],
    ['MD5', metadata.md5Hash ?? /md5=([^,]+)/.exec(announced)?.[1], content.md5Hash()],
  ]) {
    if (given !== undefined && given !== actual) {
      content.discard();
      throw new StorageError(
        400,
        'invalid',
        `Provided ${label} "${given}" doesn't match calculated ${label} "${actual}".`,
      );
    }
  }
  return commit(bucket, name, content, metadata, conditions);
}
