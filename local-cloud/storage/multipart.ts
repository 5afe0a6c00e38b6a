/** Reads multipart/related uploads (https://www.rfc-editor.org/rfc/rfc2387): metadata, then media of any length. */
import { StorageError } from './errors.ts';

/** A multipart upload whose media is still to come. */
export interface MultipartUpload {
  /** The first part: JSON. */
  metadata: Buffer;
  /** The second part's content type. */
  contentType: string | undefined;
  /** The second part, a chunk at a time. */
  media: AsyncGenerator<Buffer>;
}

const maxMetadataBytes = 1024 * 1024;

/**
 * Reads up to where the media begins.
 *
 * @param contentType - The request's content type, with the boundary.
 * @param chunks - The request's body, cut anywhere.
 * @throws StorageError 400 when the body is not built as it should be; the media's end is checked as it is read.
 */
export async function readMultipart(
  contentType: string | undefined,
  chunks: AsyncIterable<Buffer>,
): Promise<MultipartUpload> {
  const [, quoted, plain] = /^multipart\/related\s*;.*?boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType ?? '') ?? [];
  const boundary = quoted ?? plain;
  if (!boundary) throw malformed();
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const body = chunks[Symbol.asyncIterator]();
  // The first boundary may stand at the very beginning, without the line break that is part of every other.
  let buffered = Buffer.from('\r\n');
  async function until(marker: Buffer | string): Promise<Buffer> {
    let at = buffered.indexOf(marker);
    while (at < 0) {
      const { value, done } = await body.next();
      if (done || buffered.length > maxMetadataBytes) throw malformed();
      buffered = Buffer.concat([buffered, value]);
      at = buffered.indexOf(marker);
    }
    const before = buffered.subarray(0, at);
    buffered = buffered.subarray(at + marker.length);
    return before;
  }
  await until(delimiter);
  await until('\r\n\r\n');
  const metadata = await until(delimiter);
  const mediaHeaders = (await until('\r\n\r\n')).toString();
  return {
    metadata,
    contentType: /^content-type:\s*(.*?)\s*$/im.exec(mediaHeaders)?.[1],
    media: readMedia(buffered, body, delimiter),
  };
}

async function* readMedia(first: Buffer, body: AsyncIterator<Buffer>, delimiter: Buffer): AsyncGenerator<Buffer> {
  let buffered = first;
  for (;;) {
    const at = buffered.indexOf(delimiter);
    if (at >= 0) {
      if (at > 0) yield buffered.subarray(0, at);
      for (let rest = await body.next(); !rest.done; rest = await body.next());
      return;
    }
    // The delimiter may be cut by the end of the chunk: as many bytes stay back as it could have begun in.
    const safe = Math.max(0, buffered.length - delimiter.length + 1);
    if (safe > 0) yield buffered.subarray(0, safe);
    const { value, done } = await body.next();
    if (done) throw malformed();
    buffered = Buffer.concat([buffered.subarray(safe), value]);
  }
}

function malformed(): StorageError {
  return new StorageError(400, 'badContent', 'Malformed multipart body.');
}
