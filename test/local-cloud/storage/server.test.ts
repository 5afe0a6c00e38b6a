import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type ApiError, type Bucket, Storage } from '@google-cloud/storage';
import fc from 'fast-check';
import { readMultipart } from '../../../local-cloud/storage/multipart.ts';
import {
  type ObjectResource,
  type StorageFault,
  type StorageRequest,
  type StorageServer,
  startStorage,
} from '../../../local-cloud/storage/server.ts';

process.env.METADATA_SERVER_DETECTION = 'none';
// Whoever looked for credentials would fail.
process.env.GOOGLE_APPLICATION_CREDENTIALS = '/nonexistent/credentials.json';

let folder: string;
let server: StorageServer;
let bucket: Bucket;

function client(): Storage {
  return new Storage({ apiEndpoint: server.url, projectId: 'local', retryOptions: { autoRetry: false } });
}

async function start(onFinalize?: (object: ObjectResource) => void): Promise<void> {
  server = await startStorage({ folder, onFinalize });
  server.createBucket('events');
  bucket = client().bucket('events');
}

async function collect(stream: Readable): Promise<{ bytes: Buffer; error?: NodeJS.ErrnoException }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
    return { bytes: Buffer.concat(chunks) };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error: error as NodeJS.ErrnoException };
  }
}

/** A check of an error of the client by its status. */
function status(code: number): (error: unknown) => boolean {
  return (error) => {
    assert.equal((error as ApiError).code, code, String(error));
    return true;
  };
}

function onlyFor(
  kind: StorageRequest['kind'],
  fault: StorageFault,
): (request: StorageRequest) => StorageFault | undefined {
  return (request) => (request.kind === kind ? fault : undefined);
}

const objectUrl = (name: string, query = '') =>
  `${server.url}/storage/v1/b/events/o/${encodeURIComponent(name)}${query}`;
const uploadUrl = (query: string) => `${server.url}/upload/storage/v1/b/events/o?${query}`;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storage-test-'));
  await start();
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

describe('buckets', () => {
  it('a bucket can be created once, and is found again', async () => {
    await client().createBucket('made-by-the-client');
    assert.deepEqual(await client().bucket('made-by-the-client').exists(), [true]);
    await assert.rejects(client().createBucket('made-by-the-client'), status(409));
  });

  it('a request for a bucket that does not exist is answered 404 in the form of Google', async () => {
    const response = await fetch(`${server.url}/storage/v1/b/nowhere/o`);
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    assert.equal(response.status, 404);
    assert.deepEqual(error, {
      code: 404,
      message: 'The specified bucket does not exist.',
      errors: [{ message: 'The specified bucket does not exist.', domain: 'global', reason: 'notFound' }],
    });
    await assert.rejects(client().bucket('nowhere').file('a').save('x', { resumable: false }), status(404));
    await assert.rejects(client().bucket('nowhere').file('a').save('x', { resumable: true }));
  });

  it('a bucket cannot have a name that leads out of the folder', async () => {
    await assert.rejects(client().createBucket('../elsewhere'), status(400));
    await assert.rejects(client().createBucket('..'), status(400));
  });
});

describe('uploads', () => {
  it('an upload returns an object resource with checksums, and the metadata are the same later', async () => {
    const file = bucket.file('dir/a.txt');
    await file.save('123456789', {
      resumable: false,
      contentType: 'text/plain',
      metadata: { metadata: { state: 'done' } },
    });
    const [described] = await bucket.file('dir/a.txt').getMetadata();
    assert.deepEqual(described, file.metadata);
    const { generation, ...rest } = described as unknown as ObjectResource;
    assert.match(generation, /^\d{16}$/);
    assert.equal(rest.kind, 'storage#object');
    assert.equal(rest.id, `events/dir/a.txt/${generation}`);
    assert.equal(rest.metageneration, '1');
    assert.equal(rest.contentType, 'text/plain');
    assert.equal(rest.size, '9');
    // The check value of CRC-32C, e3069283.
    assert.equal(rest.crc32c, Buffer.from('e3069283', 'hex').toString('base64'));
    assert.equal(rest.md5Hash, createHash('md5').update('123456789').digest('base64'));
    assert.deepEqual(rest.metadata, { state: 'done' });
    assert.equal(await (await fetch(rest.mediaLink)).text(), '123456789');
    assert.equal(((await (await fetch(rest.selfLink)).json()) as ObjectResource).generation, generation);
  });

  for (const [kind, options] of [
    ['an upload in one request', { resumable: false }],
    ['a resumable upload', { resumable: true }],
    ['a resumable upload in chunks', { resumable: true, chunkSize: 1024 * 1024 }],
  ] as const) {
    it(`${kind} of several MiB arrives whole`, async () => {
      const content = randomBytes(3 * 1024 * 1024 + 17);
      await bucket.file('large').save(content, { ...options, validation: 'crc32c' });
      const [downloaded] = await bucket.file('large').download();
      assert.ok(content.equals(downloaded));
      assert.equal((await bucket.file('large').getMetadata())[0].size, String(content.length));
    });

    it(`${kind} of nothing makes an empty object`, async () => {
      await bucket.file('empty').save('', options);
      const [downloaded] = await bucket.file('empty').download();
      assert.equal(downloaded.length, 0);
    });

    it(`${kind} is refused unless ifGenerationMatch holds`, async () => {
      const file = bucket.file('state.json');
      const save = (content: string, ifGenerationMatch: number | string) =>
        file.save(content, { ...options, preconditionOpts: { ifGenerationMatch: ifGenerationMatch as number } });
      await save('first', 0);
      const first = String(file.metadata.generation);
      await assert.rejects(save('second', 0));
      await save('third', first);
      assert.ok(BigInt(String(file.metadata.generation)) > BigInt(first));
      await assert.rejects(save('fourth', first));
      assert.equal((await bucket.file('state.json').download())[0].toString(), 'third');
      assert.equal(readdirSync(join(folder, 'staging')).length, 0);
    });
  }

  it('an upload whose precondition fails is answered 412 in the form of Google', async () => {
    await bucket.file('a').save('x', { resumable: false });
    const error = await bucket
      .file('a')
      .save('y', { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } })
      .then(
        () => assert.fail('saved'),
        (error: ApiError) => error,
      );
    assert.equal(error.code, 412);
    assert.equal(error.errors?.[0]?.reason, 'conditionNotMet');
  });

  it('exactly one of many concurrent compare-and-swap uploads succeeds', async () => {
    const saved = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        bucket.file('contended').save(String(index), { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } }),
      ),
    );
    assert.equal(saved.filter((result) => result.status === 'fulfilled').length, 1);
  });

  it('an upload can be one request of media, as curl sends it', async () => {
    const response = await fetch(uploadUrl('uploadType=media&name=a%2Fb.ndjson&contentEncoding=gzip'), {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: gzipSync('{}\n'),
    });
    const object = (await response.json()) as ObjectResource;
    assert.equal(object.name, 'a/b.ndjson');
    assert.equal(object.contentType, 'application/x-ndjson');
    assert.equal(object.contentEncoding, 'gzip');
    assert.equal((await bucket.file('a/b.ndjson').download())[0].toString(), '{}\n');
  });

  it('a resumable upload continues after a break, and a lost answer is repeated', async () => {
    const started = await fetch(uploadUrl('uploadType=resumable&name=resumed'), { method: 'POST' });
    const session = started.headers.get('location')!;
    const put = (range: string, body?: string) =>
      fetch(session, { method: 'PUT', headers: { 'content-range': range }, body });
    assert.equal((await put('bytes */*')).headers.get('range'), null);
    const first = await put('bytes 0-4/*', '01234');
    assert.equal(first.status, 308);
    assert.equal(first.headers.get('range'), 'bytes=0-4');
    assert.equal((await put('bytes 7-9/10', '789')).status, 308, 'a gap');
    assert.equal((await put('bytes */10')).headers.get('range'), 'bytes=0-4');
    const last = await put('bytes 3-9/10', '3456789');
    assert.equal(last.status, 200);
    assert.deepEqual(await (await put('bytes */10')).json(), await last.json());
    assert.equal((await bucket.file('resumed').download())[0].toString(), '0123456789');
    assert.equal((await fetch(`${session}x`, { method: 'PUT' })).status, 404);
  });

  it('an upload is refused if its content does not have the announced checksum', async () => {
    const response = await fetch(uploadUrl('uploadType=media&name=a'), {
      method: 'POST',
      headers: { 'x-goog-hash': 'crc32c=AAAAAA==' },
      body: 'x',
    });
    assert.equal(response.status, 400);
    assert.deepEqual(await bucket.file('a').exists(), [false]);
  });

  it('a multipart body is read however it is cut into chunks', async () => {
    const media = '\r\n--lines that\r\n--lim begin like a delimiter\r\n--';
    const body = Buffer.from(
      `--limit\r\nContent-Type: application/json\r\n\r\n{"name":"a"}\r\n--limit\r\ncontent-type: text/plain\r\n\r\n${media}\r\n--limit--\r\n`,
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(body.length), { maxLength: 8 }), async (positions) => {
        const cuts = [0, ...positions.sort((a, b) => a - b), body.length];
        const chunks = cuts.slice(1).map((end, index) => body.subarray(cuts[index], end));
        const upload = await readMultipart('multipart/related; boundary="limit"', asyncOf(chunks));
        assert.equal(upload.metadata.toString(), '{"name":"a"}');
        assert.equal(upload.contentType, 'text/plain');
        const parts: Buffer[] = [];
        for await (const chunk of upload.media) parts.push(chunk);
        assert.equal(Buffer.concat(parts).toString(), media);
      }),
      { numRuns: 200 },
    );
  });

  it('an upload is refused if its multipart body is not whole', async () => {
    const response = await fetch(uploadUrl('uploadType=multipart&name=a'), {
      method: 'POST',
      headers: { 'content-type': 'multipart/related; boundary=limit' },
      body: '--limit\r\n\r\n{}\r\n--limit\r\n\r\nhalf of it',
    });
    assert.equal(response.status, 400);
    assert.equal(readdirSync(join(folder, 'staging')).length, 0);
  });

  it('the server tells of each object that is written once, and of nothing else', async () => {
    const told: string[] = [];
    await server.close();
    await start((object) => void told.push(`${object.name} ${object.generation}`));
    const emitted: string[] = [];
    server.on('finalize', (object) => emitted.push(`${object.name} ${object.generation}`));
    const file = bucket.file('a');
    const expected: string[] = [];
    for (const resumable of [false, true]) {
      await file.save('x', { resumable });
      expected.push(`a ${file.metadata.generation}`);
    }
    await file.setMetadata({ metadata: { a: 'b' } });
    await file.delete();
    assert.deepEqual(told, expected);
    assert.deepEqual(emitted, expected);
  });
});

describe('names', () => {
  const names = [
    'a/b/c.ndjson',
    'a/../../../b',
    '../../etc/passwd',
    '/',
    '//',
    '100% %2F %2e%2e.json',
    'space and + and ? and # and &',
    '\u{1F600}/\u00fc',
    '__proto__',
    'sidecar.json',
    'x'.repeat(1024),
    '\u20ac'.repeat(341),
  ];
  for (const name of names) {
    it(`an object called ${JSON.stringify(name.slice(0, 40))} is stored inside the folder, and deleted again`, async () => {
      const others = readdirSync(join(folder, '..')).filter((entry) => !entry.startsWith('storage-test-'));
      await bucket.file(name).save(name, { resumable: false });
      assert.equal((await bucket.file(name).download())[0].toString(), name);
      const [files] = await bucket.getFiles();
      assert.deepEqual(
        files.map((file) => file.name),
        [name],
      );
      for (const entry of readdirSync(join(folder, 'buckets', 'events'))) {
        assert.match(entry, /^(bucket\.json|[0-9a-f]{64}\.(json|\d+))$/);
      }
      for (const entry of others) assert.doesNotMatch(entry, /^(b|passwd)$/);
      await bucket.file(name).save(name, { resumable: true });
      await bucket.file(name).delete();
      assert.deepEqual(readdirSync(join(folder, 'buckets', 'events')), ['bucket.json']);
    });
  }

  it('an upload is refused if Cloud Storage does not allow the name', async () => {
    for (const name of ['', '..', '.', 'x'.repeat(1025), 'a\nb']) {
      const query = `uploadType=media&name=${encodeURIComponent(name)}`;
      assert.equal((await fetch(uploadUrl(query), { method: 'POST', body: 'x' })).status, 400, name.slice(0, 9));
    }
  });
});

describe('reads', () => {
  it('a read returns the range that it asks for', async () => {
    await bucket.file('digits').save('0123456789', { resumable: false });
    const get = (range: string) => fetch(objectUrl('digits', '?alt=media'), { headers: { range } });
    for (const [range, body, contentRange] of [
      ['bytes=0-0', '0', 'bytes 0-0/10'],
      ['bytes=3-', '3456789', 'bytes 3-9/10'],
      ['bytes=8-99', '89', 'bytes 8-9/10'],
      ['bytes=-3', '789', 'bytes 7-9/10'],
      ['bytes=-99', '0123456789', 'bytes 0-9/10'],
    ] as const) {
      const response = await get(range);
      assert.equal(response.status, 206);
      assert.equal(response.headers.get('content-range'), contentRange);
      assert.equal(await response.text(), body);
    }
    const beyond = await get('bytes=10-');
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers.get('content-range'), 'bytes */10');
    assert.equal((await get('lines=1-2')).status, 200);
    const { bytes } = await collect(bucket.file('digits').createReadStream({ start: 2, end: 5 }));
    assert.equal(bytes.toString(), '2345');
  });

  it('a read of a generation succeeds while it is live, and is answered 404 after it is overwritten', async () => {
    await bucket.file('a').save('old', { resumable: false });
    const generation = String((await bucket.file('a').getMetadata())[0].generation);
    const pinned = bucket.file('a', { generation });
    assert.equal((await collect(pinned.createReadStream({ start: 1 }))).bytes.toString(), 'ld');
    await bucket.file('a').save('new', { resumable: false });
    const { error } = await collect(pinned.createReadStream());
    assert.equal(Number(error?.code), 404);
    assert.equal(error?.message, 'No such object: events/a');
    await assert.rejects(pinned.getMetadata(), status(404));
    assert.equal((await bucket.file('a').download())[0].toString(), 'new');
  });

  it('a read in progress gets the content that it began with although the object is overwritten or deleted', async () => {
    const content = randomBytes(4 * 1024 * 1024);
    await bucket.file('a').save(content, { resumable: false });
    const stream = bucket.file('a').createReadStream({ validation: false });
    stream.read(0);
    await once(stream, 'response');
    await bucket.file('a').save('short', { resumable: false });
    await bucket.file('a').delete();
    assert.ok((await collect(stream)).bytes.equals(content));
  });

  it('a read that accepts gzip gets gzip content as it is stored, also in ranges', async () => {
    const text = 'event\n'.repeat(1000);
    await bucket.file('a.gz').save(text, { resumable: false, gzip: true, validation: 'crc32c' });
    const stored = (await collect(bucket.file('a.gz').createReadStream({ decompress: false }))).bytes;
    assert.equal(gunzipSync(stored).toString(), text);
    assert.equal((await bucket.file('a.gz').getMetadata())[0].size, String(stored.length));
    assert.equal((await bucket.file('a.gz').download())[0].toString(), text);
    const part = await collect(bucket.file('a.gz').createReadStream({ decompress: false, start: 5, end: 9 }));
    assert.deepEqual(part.bytes, stored.subarray(5, 10));
  });

  it('a read that does not accept gzip gets gzip content decompressed and whole', async () => {
    const text = 'event\n'.repeat(1000);
    await bucket.file('a.gz').save(text, { resumable: true, gzip: true });
    const headers = { 'accept-encoding': 'gzip;q=0, identity', range: 'bytes=1-2' };
    const response = await fetch(objectUrl('a.gz', '?alt=media'), { headers });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-encoding'), null);
    assert.equal(response.headers.get('content-length'), null);
    assert.equal(response.headers.get('x-goog-stored-content-encoding'), 'gzip');
    assert.equal(await response.text(), text);
  });

  it('a read has the headers that a client needs to check it', async () => {
    await bucket.file('a').save('123456789', { resumable: false });
    const [{ md5Hash, generation }] = await bucket.file('a').getMetadata();
    const response = await fetch(`${server.url}/download/storage/v1/b/events/o/a?alt=media`);
    assert.equal(await response.text(), '123456789');
    assert.equal(response.headers.get('x-goog-hash'), `crc32c=4waSgw==,md5=${md5Hash}`);
    assert.equal(response.headers.get('x-goog-generation'), generation);
    assert.equal(response.headers.get('x-goog-stored-content-length'), '9');
    assert.equal(response.headers.get('x-goog-stored-content-encoding'), 'identity');
  });
});

describe('metadata', () => {
  it('a patch merges metadata, keeps the generation and raises the metageneration', async () => {
    const file = bucket.file('a');
    await file.save('x', { resumable: false, metadata: { contentType: 'text/plain', metadata: { a: '1', b: '2' } } });
    const { generation } = file.metadata;
    await file.setMetadata({ cacheControl: 'no-store', metadata: { b: null, c: '3' } }, { ifMetagenerationMatch: 1 });
    const [patched] = await file.getMetadata();
    assert.equal(patched.generation, generation);
    assert.equal(patched.metageneration, '2');
    assert.equal(patched.contentType, 'text/plain');
    assert.equal(patched.cacheControl, 'no-store');
    assert.deepEqual(patched.metadata, { a: '1', c: '3' });
    await assert.rejects(file.setMetadata({ metadata: { a: '9' } }, { ifMetagenerationMatch: 1 }), status(412));
    await assert.rejects(bucket.file('none').setMetadata({ metadata: {} }), status(404));
  });

  it('a delete removes an object with its metadata if its preconditions hold', async () => {
    const file = bucket.file('a');
    await file.save('x', { resumable: false });
    await assert.rejects(file.delete({ ifGenerationMatch: 1 }), status(412));
    await file.delete({ ifGenerationMatch: file.metadata.generation as number });
    await assert.rejects(bucket.file('a').delete(), status(404));
    await assert.rejects(bucket.file('a').download(), status(404));
  });
});

describe('lists', () => {
  const names = ['a', 'a/1', 'a/2', 'a/sub/3', 'b', 'z', '\uff5e', '\u{1F600}'];
  beforeEach(async () => {
    for (const name of [...names].reverse()) await bucket.file(name).save(name, { resumable: false });
  });
  const listed = async (query: object) => (await bucket.getFiles(query))[0].map((file) => file.name);

  it('a list is in the order of UTF-8 bytes, whatever the size of a page', async () => {
    assert.deepEqual(await listed({}), names);
    for (let maxResults = 1; maxResults <= names.length + 1; maxResults++) {
      const [first, next] = await bucket.getFiles({ maxResults, autoPaginate: false });
      assert.equal(first.length, Math.min(maxResults, names.length));
      const found = first.map((file) => file.name);
      for (let query = next; query; ) {
        const [page, following] = await bucket.getFiles(query);
        found.push(...page.map((file) => file.name));
        query = following;
      }
      assert.deepEqual(found, names);
    }
  });

  it('a list can have a prefix, a start and an end', async () => {
    assert.deepEqual(await listed({ prefix: 'a/' }), ['a/1', 'a/2', 'a/sub/3']);
    assert.deepEqual(await listed({ startOffset: 'a/2', endOffset: 'z' }), ['a/2', 'a/sub/3', 'b']);
    assert.deepEqual(await listed({ prefix: 'none' }), []);
  });

  it('a list collects the names after a delimiter as prefixes, across pages', async () => {
    const found: string[] = [];
    let pageToken: string | undefined = '';
    while (pageToken !== undefined) {
      const query = new URLSearchParams({ delimiter: '/', maxResults: '1', pageToken });
      const page = (await (await fetch(`${server.url}/storage/v1/b/events/o?${query}`)).json()) as {
        items?: ObjectResource[];
        prefixes?: string[];
        nextPageToken?: string;
      };
      found.push(...(page.items ?? []).map((item) => item.name), ...(page.prefixes ?? []));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(found, ['a', 'a/', 'b', 'z', '\uff5e', '\u{1F600}']);
    assert.deepEqual(await listed({ prefix: 'a/', delimiter: '/' }), ['a/1', 'a/2']);
  });
});

describe('a restart', () => {
  it('a server that restarts over the same folder finds everything again, and continues with later generations', async () => {
    const file = bucket.file('dir/a');
    await file.save('kept', { resumable: false, metadata: { metadata: { a: 'b' } } });
    await bucket.file('gone').save('x', { resumable: false });
    await bucket.file('gone').delete();
    const [former] = await file.getMetadata();
    await server.close();
    await start();
    const [found] = await bucket.file('dir/a').getMetadata();
    for (const key of ['generation', 'metageneration', 'crc32c', 'md5Hash', 'timeCreated', 'metadata'] as const) {
      assert.deepEqual(found[key], former[key]);
    }
    assert.equal((await bucket.file('dir/a').download())[0].toString(), 'kept');
    assert.deepEqual(await bucket.file('gone').exists(), [false]);
    await bucket
      .file('dir/a')
      .save('newer', { resumable: false, preconditionOpts: { ifGenerationMatch: found.generation as number } });
    const [newer] = await bucket.file('dir/a').getMetadata();
    assert.ok(BigInt(String(newer.generation)) > BigInt(String(found.generation)));
  });
});

describe('faults', () => {
  const content = randomBytes(300_000);
  beforeEach(() => bucket.file('a').save(content, { resumable: false }));

  it('the server asks for a fault once per request, and describes the request', async () => {
    const asked: StorageRequest[] = [];
    const emitted: StorageRequest[] = [];
    server.fault = (request) => void asked.push(request);
    server.on('request', (request) => emitted.push(request));
    await bucket.file('a').download();
    await collect(bucket.file('a').createReadStream({ start: 7, end: 9 }));
    await bucket.file('a').getMetadata();
    await bucket.getFiles();
    await bucket.file('a').setMetadata({ metadata: {} });
    await bucket.file('b').save('x', { resumable: true });
    await bucket.file('b').delete();
    await bucket.exists();
    const common = { bucket: 'events', object: 'a' };
    assert.deepEqual(asked, [
      { kind: 'read', ...common, sequence: 1 },
      { kind: 'read', ...common, sequence: 2, range: { start: 7, end: 9 } },
      { kind: 'metadata', ...common, sequence: 1 },
      { kind: 'list', bucket: 'events', object: '', sequence: 1 },
      { kind: 'patch', ...common, sequence: 1 },
      { kind: 'upload', bucket: 'events', object: 'b', sequence: 1 },
      { kind: 'upload', bucket: 'events', object: 'b', sequence: 2 },
      { kind: 'delete', bucket: 'events', object: 'b', sequence: 1 },
      { kind: 'bucket', bucket: 'events', object: '', sequence: 1 },
    ]);
    assert.deepEqual(emitted, asked);
  });

  it('a fault answers a status with headers instead of executing the request', async () => {
    server.fault = onlyFor('upload', { status: 503, headers: { 'retry-after': '7' } });
    await assert.rejects(bucket.file('b').save(randomBytes(2_000_000), { resumable: false }), status(503));
    const refused = await fetch(uploadUrl('uploadType=media&name=b'), { method: 'POST', body: 'x' });
    assert.equal(refused.headers.get('retry-after'), '7');
    assert.deepEqual(await bucket.file('b').exists(), [false]);
  });

  it('a fault executes the request and answers a status', async () => {
    server.fault = onlyFor('upload', { status: 503, apply: true });
    await assert.rejects(bucket.file('b').save('lost success', { resumable: false }), status(503));
    assert.equal((await bucket.file('b').download())[0].toString(), 'lost success');
  });

  it('a fault cuts the connection before or after the request is executed', async () => {
    for (const [destroy, isDone] of [
      ['before', false],
      ['after', true],
    ] as const) {
      server.fault = onlyFor('upload', { destroy });
      await assert.rejects(bucket.file(destroy).save('x', { resumable: false }), /socket hang up|ECONNRESET|EPIPE/);
      assert.deepEqual(await bucket.file(destroy).exists(), [isDone]);
    }
  });

  it('a fault cuts a read after a number of bytes', async () => {
    for (const cutAfterBytes of [0, 1, 200_000]) {
      server.fault = onlyFor('read', { cutAfterBytes });
      const { bytes, error } = await collect(bucket.file('a').createReadStream({ validation: false }));
      assert.match(String(error?.code), /ECONNRESET|ERR_STREAM_PREMATURE_CLOSE/);
      assert.ok(bytes.equals(content.subarray(0, bytes.length)));
      assert.equal(bytes.length, cutAfterBytes);
    }
  });

  it('a fault ends a read early as if it were whole', async () => {
    server.fault = onlyFor('read', { endAfterBytes: 100_000 });
    const { bytes, error } = await collect(bucket.file('a').createReadStream({ validation: false }));
    assert.equal(error, undefined);
    assert.ok(bytes.equals(content.subarray(0, 100_000)));
    await assert.rejects(
      bucket.file('a').download({ validation: 'crc32c' }),
      /CONTENT_DOWNLOAD_MISMATCH|did not match/,
    );
  });

  it('a fault stalls a read until the client disconnects', async () => {
    server.fault = onlyFor('read', { stallAfterBytes: 100_000 });
    const response = await fetch(objectUrl('a', '?alt=media'));
    let received = 0;
    for await (const chunk of response.body!) {
      received += chunk.length;
      if (received === 100_000) break;
    }
    assert.equal(received, 100_000);
    // The connection of a second one is ended by the server, as it closes after this test.
    await fetch(objectUrl('a', '?alt=media'));
  });

  it('a fault changes a byte of the object, and the checksum shows it', async () => {
    server.fault = onlyFor('read', { corruptByte: 200_001 });
    await assert.rejects(
      bucket.file('a').download({ validation: 'crc32c' }),
      /CONTENT_DOWNLOAD_MISMATCH|did not match/,
    );
    const { bytes } = await collect(bucket.file('a').createReadStream({ start: 200_000, end: 200_002 }));
    assert.deepEqual([...bytes], [content[200_000], content[200_001]! ^ 0xff, content[200_002]]);
    server.fault = undefined;
    assert.ok((await bucket.file('a').download({ validation: 'crc32c' }))[0].equals(content));
  });

  it('a fault delays a request', async () => {
    server.fault = onlyFor('metadata', { delayMs: 50 });
    const startedAt = performance.now();
    await bucket.file('a').getMetadata();
    assert.ok(performance.now() - startedAt >= 49);
  });
});

async function* asyncOf(chunks: Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}
