import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { Storage } from '@google-cloud/storage';
import { describe as describeReason } from '../../cli/import/findings.ts';
import { type InjectedFault, type MixpanelServer, startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { startStorage } from '../../local-cloud/storage/server.ts';

process.env.METADATA_SERVER_DETECTION = 'none';

const command = new URL('../../cli/import.ts', import.meta.url).pathname;
const sample = new URL('../../samples/10-events.ndjson', import.meta.url).pathname;
/** Is in every event of these tests, and must not be in any output. */
const MARKER = 'private-content';
const SECRET = 'service-account-secret';
const serviceAccount = { username: 'importer', secret: SECRET, projectId: '42' };

let folder: string;
let mixpanel: MixpanelServer;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mixpanel-import-'));
  mixpanel = await startMixpanel({ serviceAccount });
});

afterEach(async () => {
  await mixpanel.close();
  rmSync(folder, { recursive: true });
});

interface RunOptions {
  env?: Record<string, string>;
  /** Standard input; null for one that brings nothing and does not end. */
  stdin?: string | Buffer | null;
  /** The text of a module that is loaded before the command. */
  preload?: string;
  onStart?: (child: ChildProcess) => void;
}

/** Credentials for the local Mixpanel. */
function credentials(): Record<string, string> {
  return {
    MIXPANEL_API_URL: mixpanel.url,
    MIXPANEL_PROJECT_ID: serviceAccount.projectId,
    MIXPANEL_SERVICE_ACCOUNT_USERNAME: serviceAccount.username,
    MIXPANEL_SERVICE_ACCOUNT_SECRET: SECRET,
    IMPORT_RETRY_MIN_DELAY_MS: '100',
  };
}

/** Runs the command in the folder of the test; whatever it does, no event's content and no secret is printed. */
async function run(args: string[], { env = credentials(), stdin = '', preload, onStart }: RunOptions = {}) {
  const nodeArgs = preload === undefined ? [] : ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
  const child = spawn(process.execPath, [...nodeArgs, command, ...args], {
    cwd: folder,
    timeout: 60_000,
    killSignal: 'SIGKILL',
    // Whoever looks for Google's credentials fails.
    env: { PATH: process.env.PATH, GOOGLE_APPLICATION_CREDENTIALS: '/nonexistent/credentials.json', ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  child.stdin.on('error', () => {});
  if (stdin !== null) child.stdin.end(stdin);
  onStart?.(child);
  const [code] = await once(child, 'close');
  for (const secret of [MARKER, SECRET]) assert.ok(!`${stdout}${stderr}`.includes(secret), `printed: ${secret}`);
  return { code: code as number, stdout, stderr };
}

function newEvent(number: number, properties: Record<string, unknown> = {}) {
  return {
    event: 'Signup',
    properties: { time: 1_700_000_000 + number, distinct_id: `user-${number}`, note: MARKER, ...properties },
  };
}

function newEvents(count: number, first = 0) {
  return Array.from({ length: count }, (_, index) => newEvent(first + index));
}

function ndjson(records: readonly unknown[]): string {
  return records.map((record) => `${typeof record === 'string' ? record : JSON.stringify(record)}\n`).join('');
}

function write(name: string, content: string | Buffer): string {
  writeFileSync(join(folder, name), content);
  return name;
}

/** The columns of the line of the report that begins with `name`. */
function rowOf(stdout: string, name: string): string[] | undefined {
  return stdout
    .split('\n')
    .find((line) => line.startsWith(`${name} `))
    ?.split(/ {2,}/);
}

function readDeadLetters(name: string) {
  const lines = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line));
}

/** A module that puts another one, of this text, in the place of `functions/transform.ts`. */
function preloadOf(transform: string): string {
  const url = `data:text/javascript,${encodeURIComponent(transform)}`;
  return `import { registerHooks } from 'node:module';
    registerHooks({ resolve: (specifier, context, next) => specifier.endsWith('/functions/transform.ts')
      ? { url: ${JSON.stringify(url)}, shortCircuit: true } : next(specifier, context) })`;
}

describe('what is imported', () => {
  it('import sends a file as it is and says so', async () => {
    const { code, stdout } = await run([sample]);
    assert.equal(code, 0, stdout);
    assert.deepEqual(
      mixpanel.events().map(({ raw }) => raw),
      readFileSync(sample, 'utf8').trimEnd().split('\n'),
    );
    assert.deepEqual(rowOf(stdout, sample)?.slice(1, 5), ['10', '10', '0', '0']);
    assert.match(stdout, /^10 events imported, none rejected\.$/m);
  });

  const contents = [
    { name: 'newline-delimited JSON', content: Buffer.from(ndjson(newEvents(5))) },
    { name: 'gzip, whatever the name', content: gzipSync(ndjson(newEvents(5))) },
    { name: 'an array', content: Buffer.from(JSON.stringify(newEvents(5), null, 2)) },
    {
      name: 'several frames of zstd',
      content: Buffer.concat([zstdCompressSync(ndjson(newEvents(3))), zstdCompressSync(ndjson(newEvents(2, 3)))]),
    },
    { name: 'a compressed array', content: gzipSync(JSON.stringify(newEvents(5))) },
  ];
  for (const { name, content } of contents) {
    it(`import sends ${name} from a file and from standard input with the same ids`, async () => {
      const { code, stdout } = await run([write('events', content), '-'], { stdin: content });
      assert.equal(code, 0, stdout);
      assert.deepEqual(rowOf(stdout, 'events')?.slice(1, 3), ['5', '5']);
      assert.deepEqual(rowOf(stdout, 'stdin')?.slice(1, 3), ['5', '5']);
      assert.deepEqual([mixpanel.received, mixpanel.duplicates], [10, 5]);
    });
  }

  for (const name of ['events-deflate.avro', 'events-zstd.parquet']) {
    it(`import sends the rows of ${name} from a file and from standard input with the same ids, and checks them`, async () => {
      const content = readFileSync(new URL(`../formats/${name}`, import.meta.url));
      const { code, stdout } = await run([write('rows', content), '-'], { stdin: content });
      assert.equal(code, 0, stdout);
      assert.deepEqual([mixpanel.received, mixpanel.duplicates], [120, 60]);
      const dry = await run([write('rows', content), '--dry-run']);
      assert.equal(dry.code, 0, dry.stdout);
      assert.deepEqual(rowOf(dry.stdout, 'rows')?.slice(1, 3), ['60', '60']);
    });
  }

  it('import reads the samples of every format', async () => {
    const samples = ['shop.avro', 'shop.parquet', 'orders.csv'].map((name) => join(sample, '..', name));
    const mapping = ['--mapping', join(sample, '..', 'orders.json')];
    const rows = await run(['--dry-run', ...samples.slice(0, 2)]);
    assert.equal(rows.code, 0, rows.stdout);
    assert.deepEqual(
      samples.slice(0, 2).map((name) => rowOf(rows.stdout, name)?.slice(1, 4)),
      [
        ['4', '4', '0'],
        ['4', '4', '0'],
      ],
    );
    const text = await run(['--dry-run', ...mapping, samples[2]!]);
    assert.equal(text.code, 1);
    assert.deepEqual(rowOf(text.stdout, samples[2]!)?.slice(1, 4), ['5', '3', '2']);
    assert.match(text.stdout, /orders\.csv:6 mapping\.number: not a number in total/);
    assert.match(text.stdout, /orders\.csv:7 record: 5 fields, and the header has 6/);
  });

  it('import names rows that are no events by their number', async () => {
    const content = readFileSync(new URL('../formats/types.parquet', import.meta.url));
    const { code, stdout } = await run([write('types', content)]);
    assert.equal(code, 1);
    assert.match(stdout, /^ {2}types:row 2 event: missing: not a Mixpanel event/m);
    const letters = readDeadLetters('types.dead-letters.ndjson');
    assert.deepEqual(
      letters.map(({ source }) => source),
      [0, 1, 2].map((row) => ({ file: 'types', offset: 4, row })),
    );
  });

  it('import sends several files and those that a glob matches, each once, and no dead letters of earlier runs', async () => {
    mkdirSync(join(folder, 'days'));
    write('days/1.ndjson', ndjson(newEvents(3)));
    write('days/2.ndjson', ndjson(newEvents(4, 3)));
    write('days/0.ndjson.dead-letters.ndjson', ndjson(['{"record":"x"}']));
    write('other [1].ndjson', ndjson(newEvents(5, 7)));
    const { code, stdout, stderr } = await run(['other [1].ndjson', 'days/*.ndjson', './days/1.ndjson']);
    assert.equal(code, 0, stderr);
    assert.equal(mixpanel.received, 12);
    assert.deepEqual(
      ['other [1].ndjson', 'days/1.ndjson', 'days/2.ndjson', 'total'].map((name) => rowOf(stdout, name)?.[2]),
      ['5', '3', '4', '12'],
    );
    assert.match(stderr, /days\/0\.ndjson\.dead-letters\.ndjson: skipped/);
  });

  it('import resolves paths from where npm was started', async () => {
    write('events.ndjson', ndjson(newEvents(2)));
    const env = { ...credentials(), npm_lifecycle_event: 'import', INIT_CWD: folder };
    const child = spawn(process.execPath, [command, 'events.ndjson'], { cwd: tmpdir(), env, stdio: 'ignore' });
    const [code] = await once(child, 'close');
    assert.deepEqual([code, mixpanel.received], [0, 2]);
  });

  it('import counts what the transform drops and expands, in a dry run too', async () => {
    write('events.ndjson', ndjson(newEvents(3)));
    const transform = `export default ({ event, properties }) => properties.distinct_id === 'user-0' ? null
      : [1, 2].map((part) => ({ event: event + part, properties }))`;
    const preload = preloadOf(transform);
    const dry = await run(['--dry-run', 'events.ndjson'], { preload });
    assert.deepEqual(rowOf(dry.stdout, 'events.ndjson')?.slice(1, 6), ['3', '2', '4', '0', '1']);
    assert.equal(mixpanel.received, 0);
    const { code, stdout } = await run(['events.ndjson'], { preload });
    assert.equal(code, 0);
    assert.match(stdout, /^file +read +expanded +imported +rejected +dropped/m);
    assert.deepEqual(rowOf(stdout, 'events.ndjson')?.slice(1, 6), ['3', '2', '4', '0', '1']);
    assert.deepEqual(
      mixpanel.events().map(({ event }) => event),
      ['Signup1', 'Signup2', 'Signup1', 'Signup2'],
    );
  });
});

describe('what is rejected', () => {
  const badRecord = `{"event":"${MARKER}"`;
  const late = newEvent(1, { time: 1, $insert_id: 'late' });
  const badLines = ndjson([newEvent(0), badRecord, late, newEvent(2)]);

  it('import writes rejected records beside the file, with place and reason, in place of those of an earlier run, and reports them', async () => {
    write('bad.ndjson', badLines);
    write('bad.ndjson.dead-letters.ndjson', 'of an earlier run\n');
    const { code, stdout } = await run(['bad.ndjson']);
    assert.equal(code, 1);
    assert.equal(mixpanel.received, 2);
    const offset = JSON.stringify(newEvent(0)).length + 1;
    const [first, second, ...others] = readDeadLetters('bad.ndjson.dead-letters.ndjson').sort(
      (a, b) => a.source.line - b.source.line,
    );
    assert.deepEqual(others, []);
    const { rejectedAt, insertId, ...rest } = first;
    assert.ok(Math.abs(Date.now() - Date.parse(rejectedAt)) < 60_000);
    assert.match(insertId, /^[0-9a-f]{24}$/);
    assert.deepEqual(rest, {
      reason: { field: 'record', message: `not JSON: it ends in the middle, after ${badRecord.length} bytes` },
      source: { file: 'bad.ndjson', line: 2, offset },
      record: badRecord,
    });
    assert.deepEqual(second.source, { file: 'bad.ndjson', line: 3, offset: offset + badRecord.length + 1 });
    assert.deepEqual([second.reason.field, second.insertId], ['properties.time', 'late']);
    assert.equal(second.record, JSON.stringify(late));
    assert.match(stdout, /^bad\.ndjson: 2 rejected; written to bad\.ndjson\.dead-letters\.ndjson$/m);
    assert.match(stdout, /^ {2}bad\.ndjson:2 record: not JSON: it ends in the middle, after \d+ bytes$/m);
    assert.match(stdout, /^ {2}bad\.ndjson:3 properties\.time: must not be before 1971-01-01$/m);
    assert.ok(!existsSync(join(folder, 'bad.ndjson.dead-letters.ndjson.partial')));
  });

  it('import hands the path of the file to the transform, and names the transform in dead letters', async () => {
    write('events.ndjson', ndjson([newEvent(0)]));
    const transform = 'export default (_, context) => { throw new Error(JSON.stringify(context)); }';
    const { code } = await run(['events.ndjson'], { preload: preloadOf(transform) });
    assert.equal(code, 1);
    const [{ reason, source, through, record }] = readDeadLetters('events.ndjson.dead-letters.ndjson');
    assert.equal(reason.field, 'transform');
    assert.deepEqual(JSON.parse(reason.message), { kind: 'file', path: 'events.ndjson' });
    assert.deepEqual(
      { source, through, record },
      {
        source: { file: 'events.ndjson', line: 1, offset: 0 },
        through: ['transform'],
        record: JSON.stringify(newEvent(0)),
      },
    );
  });

  it('import removes the dead letters of an earlier run if nothing is rejected', async () => {
    write('good.ndjson', ndjson(newEvents(1)));
    write('good.ndjson.dead-letters.ndjson', 'of an earlier run\n');
    write('good.ndjson.dead-letters.ndjson.partial', 'of one that was interrupted\n');
    assert.equal((await run(['good.ndjson'])).code, 0);
    assert.ok(!existsSync(join(folder, 'good.ndjson.dead-letters.ndjson')));
    assert.ok(!existsSync(join(folder, 'good.ndjson.dead-letters.ndjson.partial')));
  });

  it('import writes rejected records of standard input to stdin.dead-letters.ndjson', async () => {
    assert.equal((await run(['-'], { stdin: badLines })).code, 1);
    const sources = readDeadLetters('stdin.dead-letters.ndjson').map(({ source }) => `${source.file}:${source.line}`);
    assert.deepEqual(sources.sort(), ['stdin:2', 'stdin:3']);
  });

  it('import sums up rejections beyond 10,000 in letters with a range, sends the good events among them, and counts each', async () => {
    const bad = 60_000;
    const line = JSON.stringify({ event: MARKER, properties: { time: 1_767_225_600, distinct_id: 'u' } });
    write('many.ndjson', Buffer.from(`${'{}\n'.repeat(bad / 2)}${line}\n${'{}\n'.repeat(bad / 2)}`));
    const { code, stdout } = await run(['many.ndjson']);
    assert.equal(code, 1);
    assert.match(stdout, /many\.ndjson: 60,000 rejected/);
    assert.match(stdout, /1 event imported, 60,000 rejected\./);
    const letters = readDeadLetters('many.ndjson.dead-letters.ndjson');
    const summed = letters.filter(({ range }) => range !== undefined);
    assert.ok(letters.length < 11_500, `${letters.length} letters`);
    assert.equal(
      letters.reduce((sum, { rejected = 1 }) => sum + Number(rejected), 0),
      bad,
    );
    for (const { range, source, truncated } of summed) {
      assert.deepEqual([range.from, truncated], [source.offset, true]);
    }
  });

  it('import shows the first five of many rejections, and all of them by their reasons', async () => {
    write('many.ndjson', ndjson([...Array<string>(7).fill('{"event":1}'), newEvent(1), '{', '']));
    const { stdout } = await run(['many.ndjson']);
    assert.equal(
      stdout.match(
        /^ {2}many\.ndjson:[1-5] properties: missing: not a Mixpanel event\. Use a mapping or a transform .*$/gm,
      )?.length,
      5,
    );
    assert.match(stdout, /^ {2}and 3 more$/m);
    assert.match(
      stdout,
      /^Reasons\n {2}7 {2}properties: missing: not a Mixpanel event\. Use .*\n {2}1 {2}record: not JSON: it ends in the middle\n/m,
    );
  });

  it('import fails a file whose dead letters cannot be written, and continues with the next file', async () => {
    write('bad.ndjson', badLines);
    mkdirSync(join(folder, 'bad.ndjson.dead-letters.ndjson.partial'));
    write('good.ndjson', ndjson(newEvents(3, 10)));
    const { code, stdout, stderr } = await run(['bad.ndjson', 'good.ndjson']);
    assert.equal(code, 1);
    assert.match(stderr, /^bad\.ndjson: EISDIR/m);
    assert.match(stdout, /^bad\.ndjson: failed; nothing of it is settled$/m);
    assert.equal(rowOf(stdout, 'good.ndjson')?.[2], '3');
  });
});

describe('a dry run', () => {
  const watched = `import { registerHooks } from 'node:module';
    import { Socket } from 'node:net';
    Socket.prototype.connect = () => { process.stderr.write('connects'); process.exit(99); };
    registerHooks({ resolve(specifier, context, next) {
      if (specifier.includes('@google-cloud/')) process.stderr.write('loads ' + specifier);
      return next(specifier, context);
    } });`;

  it('a dry run reports what Mixpanel would reject, without variables, without the network and without a file', async () => {
    write(
      'bad.ndjson',
      ndjson([newEvent(0), newEvent(1, { distinct_id: 'anonymous' }), 'x', newEvent(2, { time: 'x' })]),
    );
    const { code, stdout, stderr } = await run(['--dry-run', 'bad.ndjson'], { env: {}, preload: watched });
    assert.equal(code, 1, stderr);
    assert.deepEqual(rowOf(stdout, 'bad.ndjson')?.slice(1, 5), ['4', '1', '3', '0']);
    assert.match(stdout, /^ {2}bad\.ndjson:2 properties\.distinct_id: must not be a placeholder/m);
    assert.match(stdout, /^ {2}bad\.ndjson:3 record: not JSON: unexpected character at byte 1$/m);
    assert.match(stdout, /^ {2}bad\.ndjson:4 properties\.time: must be specified as seconds/m);
    assert.match(stdout, /^ {2}1 {2}record: not JSON: unexpected character$/m);
    assert.doesNotMatch(stderr, /connects|loads/);
    assert.ok(!existsSync(join(folder, 'bad.ndjson.dead-letters.ndjson')));
  });

  it('a dry run and an import give the same reasons for what other tools export', async () => {
    const call = { type: 'track', event: 'Buy', userId: 'u', messageId: 'm', properties: { price: 1 } };
    write('segment.ndjson', ndjson([call]));
    write('ga4.ndjson', ndjson([{ event_name: 'page_view', event_timestamp: '1767225600123456' }]));
    write('table.csv', 'event,time\nBuy,1767225600\n');
    write('events.zip', 'PK\x03\x04');
    const files = ['segment.ndjson', 'ga4.ndjson', 'table.csv', 'events.zip'];
    const expected = [
      /^properties\.time: .+; looks like a Segment call: use the mapping \{"from":"segment"\}$/,
      /^event: missing: looks like a row of the GA4 export: use the mapping \{"from":"ga4"\}$/,
      /^record: looks like CSV: use a mapping with "format":"csv"$/,
      /^record: a zip archive, which is not read: upload what is in it, with gzip or without$/,
    ];
    const dry = await run(['--dry-run', ...files]);
    const sent = await run(files);
    for (const [index, file] of files.entries()) {
      const { reason } = readDeadLetters(`${file}.dead-letters.ndjson`)[0]!;
      for (const { stdout } of [dry, sent]) {
        const shown = stdout.match(new RegExp(`^ {2}${file}:1 (.*)$`, 'm'))?.[1];
        assert.match(shown!, expected[index]!);
        assert.equal(shown, describeReason(reason));
      }
    }
  });

  it('a dry run ends with 0 if Mixpanel would accept everything, with credentials or without', async () => {
    const { code, stdout } = await run(['--dry-run', sample], { preload: watched });
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^Nothing was sent: 10 events would be imported, none rejected\.$/m);
    assert.equal(mixpanel.requests.length, 0);
  });

  it('the watch over dry runs works: an import connects, and a gs:// address loads the client of Cloud Storage', async () => {
    assert.equal((await run([sample], { preload: watched })).code, 99);
    const { stderr } = await run(['--dry-run', 'gs://bucket/object'], { env: {}, preload: watched });
    assert.match(stderr, /loads @google-cloud\/storage/);
  });
});

describe('Cloud Storage', () => {
  it('import of files on disk neither loads the client of Cloud Storage nor asks for credentials', async () => {
    const preload = `import { registerHooks } from 'node:module';
      registerHooks({ resolve(specifier, context, next) {
        if (specifier.includes('@google-cloud/')) process.stderr.write('loads ' + specifier);
        return next(specifier, context);
      } });`;
    const { code, stderr } = await run([sample], { preload });
    assert.equal(code, 0);
    assert.doesNotMatch(stderr, /loads/);
  });

  it('import reads objects by address and by pattern, and writes their dead letters to the current directory', async () => {
    const storage = await startStorage({ folder: mkdtempSync(join(folder, 'storage-')) });
    try {
      storage.createBucket('exports');
      const bucket = new Storage({ apiEndpoint: storage.url, projectId: 'local' }).bucket('exports');
      await bucket.file('a/1.gz').save(gzipSync(ndjson(newEvents(2))), { resumable: false });
      await bucket.file('a/2.ndjson').save(ndjson([newEvent(2), 'not JSON']), { resumable: false });
      await bucket.file('a/deep/3.ndjson').save(ndjson([newEvent(3)]), { resumable: false });
      await bucket.file('b/2.ndjson').save(ndjson([newEvent(4), 'not JSON']), { resumable: false });
      const env = { ...credentials(), STORAGE_API_ENDPOINT: storage.url, METADATA_SERVER_DETECTION: 'none' };
      const { code, stdout, stderr } = await run(['gs://exports/a/*', 'gs://exports/b/2.ndjson'], { env });
      assert.equal(code, 1, stderr);
      assert.equal(mixpanel.received, 4);
      assert.equal(rowOf(stdout, 'gs://exports/a/1.gz')?.[2], '2');
      assert.match(stdout, /^ {2}gs:\/\/exports\/a\/2\.ndjson:2 record: not JSON/m);
      const [{ source }] = readDeadLetters('2.ndjson.dead-letters.ndjson');
      assert.deepEqual([source.bucket, source.object, source.line], ['exports', 'a/2.ndjson', 2]);
      assert.equal(readDeadLetters('2.ndjson.2.dead-letters.ndjson')[0].source.object, 'b/2.ndjson');

      const missing = await run(['gs://exports/none', 'gs://exports/none*', 'gs://exports', 'gs://none/x'], { env });
      assert.equal(missing.code, 2);
      assert.match(missing.stderr, /^gs:\/\/exports\/none: no such object/m);
      assert.match(missing.stderr, /^gs:\/\/exports\/none\*: no object matches/m);
      assert.match(missing.stderr, /^gs:\/\/exports: must be gs:\/\/BUCKET\/OBJECT/m);
      assert.match(missing.stderr, /^gs:\/\/none\/x: there is no bucket none\./m);
      const anywhere = await run(['gs://none/x*'], { env });
      assert.match(anywhere.stderr, /^gs:\/\/none\/x\*: there is no bucket none\./);
      assert.equal(anywhere.code, 2);
    } finally {
      await storage.close();
    }
  });

  it('import takes a gs:// address for the object of exactly that name, if there is one, and for a glob otherwise', async () => {
    const storage = await startStorage({ folder: join(folder, 'storage-of-odd-names') });
    try {
      storage.createBucket('exports');
      const bucket = new Storage({ apiEndpoint: storage.url, projectId: 'local' }).bucket('exports');
      const names = ['a*b[1].ndjson', 'a-b1.ndjson', 'a-b[1].ndjson', 'what?.ndjson', 'whats.ndjson'];
      for (const [index, name] of names.entries()) {
        await bucket.file(name).save(ndjson(newEvents(index + 1)), { resumable: false });
      }
      const env = { ...credentials(), STORAGE_API_ENDPOINT: storage.url, METADATA_SERVER_DETECTION: 'none' };
      const imported = async (pattern: string) => {
        const { code, stdout, stderr } = await run(['--dry-run', `gs://exports/${pattern}`], { env });
        assert.equal(code, 0, stderr);
        return names.filter((name) => stdout.includes(`gs://exports/${name}`));
      };
      assert.deepEqual(await imported('a*b[1].ndjson'), ['a*b[1].ndjson']);
      assert.deepEqual(await imported('what?.ndjson'), ['what?.ndjson']);
      await bucket.file('a*b[1].ndjson').delete();
      assert.deepEqual(await imported('a*b[1].ndjson'), ['a-b1.ndjson']);
    } finally {
      await storage.close();
    }
  });

  it('import says how to get credentials if there are none', async () => {
    const { code, stderr } = await run(['gs://bucket/object'], { env: credentials() });
    assert.equal(code, 2);
    assert.match(stderr, /^gs:\/\/bucket\/object: .*credentials.*gcloud auth application-default login$/m);
  });
});

describe('what goes wrong', () => {
  const usages = [
    { name: 'no file', args: [], expected: /No file is given/ },
    {
      name: 'an unknown option',
      args: ['--dryrun', sample],
      expected: /'--dryrun'. Did you mean --dry-run\? Options are --dry-run, --print, /,
    },
    {
      name: 'names that do not exist',
      args: [sample, 'missing.ndjson', 'none/*.ndjson', tmpdir()],
      expected:
        /^missing\.ndjson: no such file.*\nnone\/\*\.ndjson: no file matches.*\n.*: a directory\. Name the files in it: '.*\/\*'\n$/,
    },
  ];
  for (const { name, args, expected } of usages) {
    it(`import ends with 2 and says what to do, before anything is sent, if it is given ${name}`, async () => {
      const { code, stdout, stderr } = await run(args);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, expected);
      assert.doesNotMatch(stderr, /^ +at /m);
      assert.equal(mixpanel.requests.length, 0);
    });
  }

  it('import prints all problems of the configuration, one per line, and ends with 2', async () => {
    const { code, stderr } = await run([sample], { env: { MIXPANEL_REGION: 'mars', IMPORT_GZIP_LEVEL: '11' } });
    assert.equal(code, 2);
    assert.match(stderr, /^MIXPANEL_REGION must be one of us, eu, in$/m);
    assert.match(stderr, /^MIXPANEL_PROJECT_ID, .* must be set, or MIXPANEL_PROJECT_TOKEN$/m);
    assert.match(stderr, /^IMPORT_GZIP_LEVEL must be/m);
    assert.equal(stderr.trimEnd().split('\n').length, 3);
  });

  it('import says once which variables to check if the credentials are wrong, and tries no other file', async () => {
    write('a.ndjson', ndjson(newEvents(1)));
    write('b.ndjson', ndjson(newEvents(1)));
    const env = { ...credentials(), MIXPANEL_SERVICE_ACCOUNT_SECRET: 'wrong' };
    const { code, stdout, stderr } = await run(['a.ndjson', 'b.ndjson'], { env });
    assert.equal(code, 1);
    assert.equal(stderr.match(/MIXPANEL_SERVICE_ACCOUNT_SECRET/g)?.length, 1);
    assert.deepEqual(
      mixpanel.requests.map(({ status }) => status),
      [401],
    );
    assert.match(stdout, /^Not begun: b\.ndjson$/m);
    assert.ok(!existsSync(join(folder, 'a.ndjson.dead-letters.ndjson')));
  });

  it('import waits while Mixpanel answers 429, says so, and sends everything once', async () => {
    write('events.ndjson', ndjson(newEvents(10)));
    mixpanel.fault = ({ sequence }) => (sequence < 3 ? { status: 429 } : undefined);
    const { code, stderr } = await run(['events.ndjson']);
    assert.equal(code, 0);
    assert.deepEqual([mixpanel.received, mixpanel.duplicates, mixpanel.requests.length], [10, 0, 4]);
    assert.match(stderr, /^events\.ndjson: .*Mixpanel answered 429: waiting 1 s$/m);
    assert.match(stderr, /^events\.ndjson: 100% of 1\.\d kB, 10 events/m);
  });

  it('import explains itself with --help, without configuration', async () => {
    const { code, stdout, stderr } = await run(['--help'], { env: {} });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /--dry-run/);
    assert.match(stdout, /Running it again is safe/);
    assert.ok(stdout.split('\n').every((line) => line.length <= 120));
  });
});

describe('Ctrl-C', () => {
  /**
   * 16,000 events in several blocks, sent 2,000 at a time one after the other. The fifth request is held until the
   * command says that it was interrupted, or for ever.
   */
  async function interrupt({ isHeldForEver }: { isHeldForEver: boolean }) {
    write('bad.ndjson.dead-letters.ndjson', 'of an earlier run\n');
    write('bad.ndjson', ndjson(['not JSON', ...newEvents(16_000).map(withPadding)]));
    write('next.ndjson', ndjson(newEvents(1)));
    let isInterrupted = false;
    const held: InjectedFault = {
      delayMs: 10,
      get next(): InjectedFault | undefined {
        return isInterrupted && !isHeldForEver ? undefined : held;
      },
    };
    return await run(['bad.ndjson', 'next.ndjson'], {
      env: { ...credentials(), IMPORT_MAX_CONCURRENCY: '1' },
      onStart(child) {
        mixpanel.fault = ({ sequence }) => {
          if (sequence < 4) return undefined;
          child.kill('SIGINT');
          return held;
        };
        child.stderr?.on('data', async (text) => {
          if (!String(text).includes('Interrupted')) return;
          isInterrupted = true;
          if (!isHeldForEver) return;
          // Sooner it would count as the same.
          await sleep(400);
          child.kill('SIGINT');
        });
      },
    });
  }

  function withPadding({ event, properties }: ReturnType<typeof newEvent>) {
    return { event, properties: { ...properties, padding: MARKER.repeat(6) } };
  }

  function assertInterrupted({ code, stdout, stderr }: Awaited<ReturnType<typeof run>>): void {
    assert.equal(code, 130, stderr);
    assert.match(stderr, /^Interrupted: /m);
    const [, lines] = /^bad\.ndjson: interrupted; settled up to line ([\d,]+), byte [\d,]+$/m.exec(stdout) ?? [];
    const settledLines = Number(lines?.replace(',', ''));
    assert.ok(settledLines > 1 && settledLines <= mixpanel.received + 1, `settled up to line ${lines}`);
    assert.equal(rowOf(stdout, 'bad.ndjson')?.[1]?.replace(',', ''), String(settledLines));
    assert.match(stdout, /^Not begun: next\.ndjson$/m);
    assert.match(stdout, /Running the same command again is safe/);
    assert.equal(readFileSync(join(folder, 'bad.ndjson.dead-letters.ndjson'), 'utf8'), 'of an earlier run\n');
    assert.equal(readDeadLetters('bad.ndjson.dead-letters.ndjson.partial')[0].source.line, 1);
  }

  it('Ctrl-C lets the requests in progress finish; import then says up to where everything is settled, and ends with 130', async () => {
    assertInterrupted(await interrupt({ isHeldForEver: false }));
    assert.equal(mixpanel.received, 10_000);
    mixpanel.fault = undefined;
    assert.equal((await run(['bad.ndjson', 'next.ndjson'])).code, 1);
    assert.equal(mixpanel.events().length, 16_001);
  });

  const soonInterrupted = `process.on('newListener', (event) => {
    if (event === 'SIGINT') setTimeout(() => process.kill(process.pid, 'SIGINT'), 50);
  });`;

  for (const args of [['-'], ['--dry-run', '-']]) {
    it(`Ctrl-C ends an import that waits for standard input: ${args.join(' ')}`, async () => {
      const { code, stdout } = await run(args, { stdin: null, preload: soonInterrupted });
      assert.equal(code, 130);
      assert.match(stdout, /^stdin: interrupted; nothing of it is (settled|checked)$/m);
    });
  }

  for (const args of [['zeros'], ['--dry-run', 'zeros']]) {
    it(`Ctrl-C ends an import that reads a record without an end: ${args.join(' ')}`, async () => {
      truncateSync(join(folder, write('zeros', '')), 1_000_000_000_000);
      const { code, stdout } = await run(args, { preload: soonInterrupted });
      assert.equal(code, 130);
      assert.match(stdout, /^zeros: interrupted; nothing of it is (settled|checked)$/m);
    });
  }

  it('Ctrl-C ends an import at once if it is pressed again', async () => {
    assertInterrupted(await interrupt({ isHeldForEver: true }));
    assert.equal(mixpanel.received, 8_000);
  });
});
