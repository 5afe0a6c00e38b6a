/** `npm run import -- s3://…`, against moto, with a proxy between that breaks reads and refuses. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import * as sdk from '@aws-sdk/client-s3';
import { createS3Reader } from '../../cli/import/s3-reader.ts';
import { startRun } from '../../functions/core/run.ts';
import { type MixpanelServer, startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { eventLines, eventText, MARKER, ndjson } from '../support/event.ts';
import { SERVICE_ACCOUNT } from '../support/serving.ts';
import { type Aws, createBucket, REGION, startAws } from './aws.ts';
import { type S3Fault, type S3Proxy, startProxy } from './proxy.ts';

const BUCKET = 'shop-events';
const command = new URL('../../cli/import.ts', import.meta.url).pathname;
/** More than sockets and streams hold, so that a read can break in its middle. */
const LARGE = ndjson(eventLines(3_000, 'large', { text: 'x'.repeat(1_000) }));

/** @param tools the folder of `findTools` */
export function testTerminal(tools: string): void {
  describe('import s3://', () => {
    let aws: Aws;
    let proxy: S3Proxy;
    let mixpanel: MixpanelServer;
    let folder: string;

    before(async () => {
      aws = await startAws(tools);
      proxy = await startProxy(aws.url);
      await createBucket(aws, BUCKET);
      await put('days/1/a b+ü.ndjson', ndjson(eventLines(2, 'odd')));
      await put('days/1/b.json.gz', gzipSync(ndjson(eventLines(2, 'gzip'))), { ContentEncoding: 'gzip' });
      await put('days/2/c.ndjson', ndjson(eventLines(2, 'c')));
      await put('days/2/d.csv', 'not events');
      await put('days/1/', Buffer.alloc(0));
      await put('brackets/[ab].ndjson', ndjson(eventLines(1, 'bracket')));
      await put('brackets/a.ndjson', ndjson(eventLines(1, 'a')));
      await put('large.ndjson', LARGE);
    });
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'mixpanel-s3-'));
      mixpanel = await startMixpanel({ serviceAccount: SERVICE_ACCOUNT });
      proxy.fault = undefined;
      proxy.requests.length = 0;
    });
    afterEach(async () => {
      await mixpanel.close();
      rmSync(folder, { recursive: true });
    });
    after(async () => {
      await proxy?.[Symbol.asyncDispose]();
      await aws?.[Symbol.asyncDispose]();
    });

    for (const [what, url, ids] of [
      ['an object whose key has a space, a plus and an umlaut', 'days/1/a b+ü.ndjson', ['odd-0', 'odd-1']],
      ['a compressed object that says so in its Content-Encoding', 'days/1/b.json.gz', ['gzip-0', 'gzip-1']],
      [
        'what is below a prefix, without keys that stand for folders',
        'days/1/',
        ['gzip-0', 'gzip-1', 'odd-0', 'odd-1'],
      ],
      ['what a glob matches', 'days/*/*.ndjson', ['c-0', 'c-1', 'odd-0', 'odd-1']],
      ['an object whose key would be a glob', 'brackets/[ab].ndjson', ['bracket-0']],
      ['what a glob across folders matches', '**/*.gz', ['gzip-0', 'gzip-1']],
    ] as const) {
      test(`imports ${what}`, async () => {
        const { code, stdout, stderr } = await run([`s3://${BUCKET}/${url}`]);
        assert.equal(code, 0, stdout + stderr);
        assert.deepEqual(idsOf(mixpanel), ids);
        assert.doesNotMatch(stdout, /\/ {2,}/, 'no key of a folder is read');
      });
    }

    test('finds the region of the bucket by itself', async () => {
      const { code } = await run([`s3://${BUCKET}/days/2/c.ndjson`]);
      assert.equal(code, 0);
      const regions = proxy.requests.map(({ headers }) => /\/\d{8}\/([^/]+)\/s3\//.exec(headers.authorization!)?.[1]);
      assert.deepEqual(regions, ['us-east-1', REGION, REGION], 'the bucket, the object, and its content');
    });

    test('takes the region from an answer that refuses the request', async () => {
      // As S3 answers whoever asks for a bucket in the wrong region, or may not list it.
      proxy.fault = ({ method, path }) =>
        method === 'HEAD' && !path.includes('.ndjson') ? { status: 403, region: REGION } : undefined;
      const { code, stderr } = await run([`s3://${BUCKET}/days/2/c.ndjson`]);
      assert.equal(code, 0, stderr);
      assert.match(proxy.requests.at(-1)!.headers.authorization!, new RegExp(REGION));
    });

    test('a dry run needs no credentials for Mixpanel', async () => {
      const { code, stdout } = await run(['--dry-run', `s3://${BUCKET}/days/2/c.ndjson`], {});
      assert.equal(code, 0, stdout);
      assert.match(stdout, /2 events would be imported, none rejected/);
    });

    test('a dead letter names the object, its version and its metadata', async () => {
      const content = `${eventText('good')}\n{"event":\n`;
      await put('rejected.ndjson', content, { Metadata: { team: 'shop' } });
      const { code } = await run([`s3://${BUCKET}/rejected.ndjson`]);
      assert.equal(code, 1);
      const letter = JSON.parse(readFileSync(join(folder, 'rejected.ndjson.dead-letters.ndjson'), 'utf8'));
      const { generation, ...source } = letter.source;
      assert.deepEqual(source, {
        bucket: `s3://${BUCKET}`,
        object: 'rejected.ndjson',
        line: 2,
        offset: Buffer.byteLength(`${eventText('good')}\n`),
        metadata: { team: 'shop' },
      });
      assert.match(generation, /^[0-9a-f]{32}$/, 'the ETag without quotes');
    });

    for (const [what, fault] of [
      ['breaks', { cutAfter: 1_000_000 }],
      ['breaks before its first byte', { cutAfter: 0 }],
      ['is refused 503', { status: 503, code: 'SlowDown' }],
    ] as const) {
      test(`a read that ${what} continues where it stopped, at the same version`, async () => {
        onFirstReads(1, fault);
        const { code, stderr } = await run([`s3://${BUCKET}/large.ndjson`]);
        assert.equal(code, 0, stderr);
        assert.deepEqual([mixpanel.events().length, mixpanel.duplicates], [3_000, 0]);
        const reads = proxy.requests.filter(({ method }) => method === 'GET').map(({ headers }) => headers);
        assert.equal(reads.length, 2);
        assert.equal(reads[1]!['if-match'], reads[0]!['if-match']);
        assert.equal(reads[0]!.range, undefined);
        if ('cutAfter' in fault && fault.cutAfter > 0) assert.match(reads[1]!.range!, /^bytes=[1-9]\d*-$/);
      });
    }

    test('a read that stalls is broken off and continues', { timeout: 20_000 }, async () => {
      onFirstReads(1, { stallAfter: 500_000 });
      const read = await createReader();
      assert.equal(Buffer.concat(await Array.fromAsync(read())).toString(), LARGE);
      assert.equal(proxy.requests.filter(({ method }) => method === 'GET').length, 2);
    });

    test('a read that stalls ends at once when the run is stopped', { timeout: 20_000 }, async () => {
      proxy.fault = ({ method }) => (method === 'GET' ? { stallAfter: 500_000 } : undefined);
      const stalled = startRun();
      const read = await createReader(stalled, 3_600_000);
      await assert.rejects(
        async () => {
          for await (const chunk of read()) if (chunk.length > 0) setImmediate(() => stalled.stop('shutdown'));
        },
        { code: 'stopped' },
      );
    });

    test('an answer with all of the object is not taken for the rest of it', { timeout: 30_000 }, async () => {
      let reads = 0;
      proxy.fault = ({ method }) => {
        if (method !== 'GET') return undefined;
        reads++;
        return reads === 1 ? { cutAfter: 500_000 } : reads === 2 ? { ignoreRange: true } : undefined;
      };
      const read = await createReader();
      assert.equal(Buffer.concat(await Array.fromAsync(read())).toString(), LARGE);
    });

    test('an object that is overwritten while it is read is noticed, and nothing of the new one is imported', async () => {
      await put('changing.ndjson', LARGE);
      let isOverwritten = false;
      proxy.fault = ({ method, headers }) => {
        if (method !== 'GET') return undefined;
        return headers.range === undefined ? { cutAfter: 1_000_000 } : undefined;
      };
      proxy.before = async ({ headers }) => {
        if (headers.range === undefined || isOverwritten) return;
        isOverwritten = true;
        await put('changing.ndjson', LARGE.replaceAll('large-', 'other-'));
      };
      const { code, stderr } = await run([`s3://${BUCKET}/changing.ndjson`]);
      proxy.before = undefined;
      assert.equal(code, 1);
      assert.match(
        stderr,
        /s3:\/\/shop-events\/changing\.ndjson: the object was overwritten since it was found\. Run the command again/,
      );
      assert.ok(isOverwritten);
      assert.deepEqual(
        idsOf(mixpanel).filter((id) => !id.startsWith('large-')),
        [],
      );
    });

    for (const [what, options] of [
      ['a CRC32', { ChecksumAlgorithm: 'CRC32' }],
      ['a SHA256', { ChecksumAlgorithm: 'SHA256', ServerSideEncryption: 'aws:kms' }],
    ] as const) {
      test(`a byte that changes on the way is noticed by ${what}`, async () => {
        await put('corrupt.ndjson', LARGE, options);
        onFirstReads(1, { corruptByte: LARGE.indexOf('xxxx', 1_000_000) });
        const { code, stderr } = await run([`s3://${BUCKET}/corrupt.ndjson`]);
        assert.equal(code, 1);
        assert.match(stderr, /is not what was uploaded/);
      });
    }

    for (const [what, url, fault, expected] of [
      [
        'a bucket that does not exist',
        's3://no-such-bucket/a',
        undefined,
        /^s3:\/\/no-such-bucket\/a: no such bucket\. Check the name, and AWS_REGION if/,
      ],
      ['a key that does not exist', `s3://${BUCKET}/nothing`, undefined, /: no such object\. Check the name$/],
      ['a glob that matches nothing', `s3://${BUCKET}/no/*`, undefined, /: no object matches$/],
      ['an address without a key', `s3://${BUCKET}`, undefined, /: must be s3:\/\/BUCKET\/KEY, /],
      [
        'an object without permission',
        `s3://${BUCKET}/large.ndjson`,
        { status: 403 },
        /: S3 answered 403\. The identity needs s3:GetObject on the objects/,
      ],
      [
        'a bucket without permission',
        `s3://${BUCKET}/*`,
        { status: 403 },
        /: S3 answered 403\. The identity needs .* s3:ListBucket on the bucket/,
      ],
      [
        'expired credentials',
        `s3://${BUCKET}/*`,
        { status: 400, code: 'ExpiredToken' },
        /: AWS refuses the credentials \(ExpiredToken\)\. Renew them: `aws sso login`/,
      ],
    ] as const) {
      test(`says in one line what to do about ${what}`, async () => {
        proxy.fault = ({ path }) => (path === `/${BUCKET}` || path === `/${BUCKET}/` ? undefined : fault);
        const { code, stdout, stderr } = await run([url]);
        assert.deepEqual([code, stdout], [2, '']);
        assert.match(stderr, new RegExp(expected.source, 'm'));
        assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
      });
    }

    test('says in one line what to do without credentials for AWS', async () => {
      const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
      const { code, stderr } = await run([`s3://${BUCKET}/large.ndjson`], { ...mixpanelEnv(), ...none });
      assert.equal(code, 2);
      assert.match(
        stderr,
        /^s3:\/\/.*: no credentials for AWS: .*Run `aws sso login` or `aws configure`, or set AWS_PROFILE\n$/,
      );
    });

    test('asks a program for credentials once', async () => {
      const [config, asked] = [join(folder, 'config'), join(folder, 'asked')];
      const answer = '{"Version":1,"AccessKeyId":"test","SecretAccessKey":"test"}';
      writeFileSync(join(folder, 'program'), `#!/bin/sh\necho once >> ${asked}\necho '${answer}'\n`, { mode: 0o755 });
      writeFileSync(config, `[default]\ncredential_process = ${join(folder, 'program')}\n`);
      const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
      const env = { ...mixpanelEnv(), ...none, AWS_CONFIG_FILE: config };
      assert.equal((await run([`s3://${BUCKET}/days/**`], env)).code, 1, 'one of the objects holds no events');
      assert.equal(readFileSync(asked, 'utf8'), 'once\n');
    });

    test('an archived object is refused before anything is sent', async () => {
      await put('archived.ndjson', ndjson(eventLines(1)), { StorageClass: 'GLACIER' });
      const { code, stderr } = await run([`s3://${BUCKET}/archived.ndjson`, `s3://${BUCKET}/days/2/c.ndjson`]);
      assert.equal(code, 2);
      assert.match(stderr, /archived\.ndjson: archived \(GLACIER\)\. Restore it first: `aws s3api restore-object`\n$/);
      assert.equal(mixpanel.received, 0);
    });

    test('files need no package of Amazon, and s3:// without it says how to get it', async () => {
      const hook = `import { registerHooks } from 'node:module';
        registerHooks({ resolve(specifier, context, next) {
          if (!specifier.startsWith('@aws-sdk/')) return next(specifier, context);
          throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' });
        } })`;
      const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`];
      writeFileSync(join(folder, 'file.ndjson'), ndjson(eventLines(1)));
      assert.equal((await run(['file.ndjson'], undefined, nodeArgs)).code, 0);
      const { code, stderr } = await run([`s3://${BUCKET}/large.ndjson`], undefined, nodeArgs);
      assert.deepEqual(
        [code, stderr],
        [2, 's3:// needs a package that is not installed. Run: npm install @aws-sdk/client-s3\n'],
      );
    });

    async function put(Key: string, Body: string | Buffer, options: object = {}): Promise<void> {
      await aws.s3.send(new sdk.PutObjectCommand({ Bucket: BUCKET, Key, Body, ...options }));
    }

    function onFirstReads(count: number, fault: S3Fault): void {
      let reads = 0;
      proxy.fault = ({ method }) => (method === 'GET' && ++reads <= count ? fault : undefined);
    }

    /** A reader of the large object, which waits hardly at all. */
    async function createReader(run = startRun(), idleTimeoutMs = 200) {
      const { ETag = '', ContentLength: size = 0 } = await aws.s3.send(
        new sdk.HeadObjectCommand({ Bucket: BUCKET, Key: 'large.ndjson' }),
      );
      const reading = new sdk.S3Client({
        endpoint: proxy.url,
        region: REGION,
        maxAttempts: 1,
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
        responseChecksumValidation: 'WHEN_REQUIRED',
      });
      const object = { bucket: BUCKET, key: 'large.ndjson', etag: ETag, size };
      return createS3Reader({ sdk, client: reading, reading }, object, undefined, run, idleTimeoutMs);
    }

    function mixpanelEnv(): Record<string, string> {
      return {
        MIXPANEL_API_URL: mixpanel.url,
        MIXPANEL_PROJECT_ID: SERVICE_ACCOUNT.projectId,
        MIXPANEL_SERVICE_ACCOUNT_USERNAME: SERVICE_ACCOUNT.username,
        MIXPANEL_SERVICE_ACCOUNT_SECRET: SERVICE_ACCOUNT.secret,
      };
    }

    /** Runs the command; it prints no event and no credential. */
    async function run(args: string[], env?: NodeJS.ProcessEnv, nodeArgs: string[] = []) {
      const child = spawn(process.execPath, [...nodeArgs, command, ...args], {
        cwd: folder,
        timeout: 60_000,
        killSignal: 'SIGKILL',
        env: { PATH: process.env.PATH, ...aws.env, ...(env ?? mixpanelEnv()), AWS_ENDPOINT_URL: proxy.url },
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (text) => {
        stdout += text;
      });
      child.stderr.on('data', (text) => {
        stderr += text;
      });
      const [code] = await once(child, 'close');
      assert.ok(!`${stdout}${stderr}`.includes(MARKER), 'nothing private is printed');
      return { code: code as number, stdout, stderr };
    }
  });
}

function idsOf(mixpanel: MixpanelServer): string[] {
  return mixpanel
    .events()
    .map(({ properties }) => String(properties.$insert_id))
    .sort();
}
