import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { findLetterFiles } from '../../cli/operate/letter-files.ts';
import { replayLetters } from '../../cli/operate/replay-letters.ts';
import { readCoreConfig } from '../../functions/config.ts';
import type { Source } from '../../functions/core/block.ts';
import { type MixpanelEvent, passThrough, type RecordContext, type Transform } from '../../functions/core/event.ts';
import { insertIdByContent, insertIdByPosition } from '../../functions/core/insert-id.ts';
import { mappingOf, VERBATIM } from '../../functions/core/mappings/mapping.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender } from '../../functions/core/mixpanel/sender.ts';
import { startRun } from '../../functions/core/run.ts';
import { MARKER } from '../support/event.ts';
import {
  type CommandOptions,
  contentsOf,
  letterLine,
  recordJson,
  runCommand,
  type Site,
  sourceAt,
  startSite,
} from '../support/operating.ts';

const UUID = '00000000-0000-4000-8000-000000000000';
const OBJECT = `dead-letters/objects/imports/a.ndjson/1/000000000000000-${UUID}.ndjson`;
const MESSAGES = `dead-letters/messages/events/2026-11-23/${UUID}.ndjson`;
/** Refused by Mixpanel, whatever the day. */
const REFUSED = { time: 1 };
/** Why an expectation is not met yet. */
/** A source of which nothing is asked: ids by content do not depend on it. */
const noSource: Source = {
  context: { kind: 'file', path: '' },
  mapping: VERBATIM,
  locate: () => assert.fail('an id by content does not depend on the place'),
};

let site: Site;
before(async () => {
  site = await startSite();
});
after(() => site.close());
beforeEach(() => {
  site.mixpanel.reset();
  mkdirSync(join(site.folder, 'files'));
});
afterEach(async () => {
  site.storage.fault = undefined;
  rmSync(join(site.folder, 'files'), { recursive: true });
  await Promise.all([site.state, site.letters].map((bucket) => bucket.deleteFiles()));
});

const replay = (args: string[], options: Partial<CommandOptions> = {}) =>
  runCommand('replay', args, { env: site.env, cwd: join(site.folder, 'files'), ...options });
const upload = (name: string, ...lines: string[]) => site.state.file(name).save(lines.join(''), { resumable: false });
const write = (name: string, ...lines: string[]) => {
  const path = join(site.folder, 'files', name);
  writeFileSync(path, lines.join(''));
  return path;
};
const lettersIn = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('npm run replay, with the dead letters of a bucket', () => {
  test('replay sends dead letters with the ids that they had, deletes those that were imported and keeps the others with their new reasons', async () => {
    const message = { subscription: 'projects/p/subscriptions/events', messageId: '5', publishTime: '', index: 0 };
    await upload(
      OBJECT,
      letterLine({ source: sourceAt(1), insertId: 'id-1' }),
      letterLine({ source: sourceAt(2), insertId: 'id-2', record: recordJson(2, REFUSED) }),
    );
    await upload(MESSAGES, letterLine({ source: message, insertId: 'id-3', record: recordJson(3) }));
    await upload('checkpoints/imports/a.ndjson/1.json', '{}');
    const { code, stdout } = await replay(['gs://state']);
    assert.match(stdout, /3 dead letters replayed in .*: 2 events imported, 1 rejected again\./);
    assert.match(stdout, /1 {2}properties\.time: .*\n +gs:\/\/imports\/a\.ndjson#1 line 2, byte 100/);
    assert.equal(code, 1);
    assert.deepEqual(
      ['id-1', 'id-2', 'id-3'].map((id) => site.mixpanel.count(id)),
      [1, 0, 1],
    );
    const left = await contentsOf(site.state, '');
    assert.deepEqual(Object.keys(left).sort(), ['checkpoints/imports/a.ndjson/1.json', OBJECT]);
    const [letter, ...others] = lettersIn(left[OBJECT]!);
    assert.deepEqual(others, []);
    assert.notEqual(letter.reason.message, 'must not lie ahead');
    assert.deepEqual(
      { source: letter.source, insertId: letter.insertId, record: letter.record },
      { source: sourceAt(2), insertId: 'id-2', record: recordJson(2, REFUSED) },
    );
  });

  test('replay hands a row of delimited text to the mapping as an import does: texts that stand for nothing are nothing', async () => {
    const mapping = { format: { null: ['', '\\N'] }, event: 'name', time: 'at', user: ['user', 'mail'] };
    const row = (user: string) => JSON.stringify({ name: 'Order', at: '2026-01-02', user, mail: 'ada@example.com' });
    await upload(
      OBJECT,
      letterLine({ source: sourceAt(1), insertId: 'id-1', record: row('\\N'), through: ['mapping'] }),
      letterLine({ source: sourceAt(2), insertId: 'id-2', record: row('grace'), through: ['mapping'] }),
      letterLine({ source: sourceAt(3), insertId: 'id-3', record: 'Order,2026-01-02' }),
      letterLine({
        source: sourceAt(4),
        insertId: 'id-4',
        record: JSON.stringify({ name: '\\N' }),
        through: ['mapping'],
      }),
    );
    const { code, stderr } = await replay(['gs://state'], {
      env: { ...site.env, IMPORT_MAPPING: JSON.stringify(mapping) },
    });
    assert.equal(code, 1, stderr);
    assert.deepEqual(
      site.mixpanel.events().map(({ properties }) => [properties.$insert_id, properties.distinct_id]),
      [
        ['id-1', 'ada@example.com'],
        ['id-2', 'grace'],
      ],
    );
    const left = lettersIn((await contentsOf(site.state, OBJECT))[OBJECT]!);
    assert.deepEqual(
      left.map(({ insertId, record, reason }) => [insertId, record, reason.field]),
      [
        ['id-3', 'Order,2026-01-02', 'record'],
        ['id-4', '{"name":"\\\\N"}', 'mapping.event'],
      ],
    );
  });

  test('replay sends the letters of the bucket of dead letters and of the state bucket, each once, and deletes both', async () => {
    const again = letterLine({ source: sourceAt(1), insertId: 'id-1' });
    await upload(OBJECT, again);
    await upload(MESSAGES, letterLine({ source: sourceAt(2), insertId: 'id-2', record: recordJson(2, REFUSED) }));
    const newer = letterLine({ source: sourceAt(3), insertId: 'id-3', record: recordJson(3) });
    await site.letters.file(OBJECT).save(`${again}${newer}`, { resumable: false });
    const env = { ...site.env, DEAD_LETTER_BUCKET: 'letters' };
    const { code, stdout } = await replay(['gs://letters'], { env });
    assert.match(stdout, /3 dead letters replayed in .*: 2 events imported, 1 rejected again, 1 repetition removed\./);
    assert.equal(code, 1);
    assert.deepEqual(Object.keys(await contentsOf(site.letters, '')), []);
    assert.deepEqual(Object.keys(await contentsOf(site.state, '')), [MESSAGES]);
    assert.deepEqual([site.mixpanel.count('id-1'), site.mixpanel.count('id-3')], [1, 1]);
  });

  test('replay continues after it was killed before it could rewrite an object: nothing is lost, and nothing is counted twice', async () => {
    await upload(
      OBJECT,
      letterLine({ source: sourceAt(1), insertId: 'id-1' }),
      letterLine({ source: sourceAt(2), insertId: 'id-2', record: recordJson(2, REFUSED) }),
    );
    await upload(MESSAGES, letterLine({ source: sourceAt(3), insertId: 'id-3', record: recordJson(3) }));
    const before = await contentsOf(site.state, '');
    let kill = () => {};
    site.storage.fault = ({ kind }) => {
      if (kind !== 'upload' && kind !== 'delete') return undefined;
      kill();
      return { destroy: 'before' };
    };
    const { code } = await replay(['gs://state'], { onStart: (child) => (kill = () => child.kill('SIGKILL')) });
    assert.equal(code, null);
    assert.equal(site.mixpanel.received, 2);
    assert.deepEqual(await contentsOf(site.state, ''), before);

    site.storage.fault = undefined;
    assert.equal((await replay(['gs://state'])).code, 1);
    assert.deepEqual([site.mixpanel.received, site.mixpanel.events().length], [4, 2]);
    const left = await contentsOf(site.state, '');
    assert.deepEqual(Object.keys(left), [OBJECT]);
    assert.deepEqual(
      lettersIn(left[OBJECT]!).map(({ insertId }) => insertId),
      ['id-2'],
    );
  });

  test('replay recognizes an object that it rewrote itself although the answer was lost', async () => {
    await upload(OBJECT, letterLine({}), letterLine({ source: sourceAt(2), record: 'not JSON' }));
    let lost = 0;
    site.storage.fault = ({ kind }) => (kind === 'upload' && lost++ === 0 ? { status: 503, apply: true } : undefined);
    const { code, stderr } = await replay(['gs://state']);
    assert.doesNotMatch(stderr, /changed/);
    assert.deepEqual([code, lost], [1, 2]);
    assert.equal(lettersIn((await contentsOf(site.state, ''))[OBJECT]!).length, 1);
  });

  test('replay does not touch an object that somebody else has changed meanwhile', async () => {
    await upload(OBJECT, letterLine({}));
    const newer = letterLine({ source: sourceAt(5), record: 'added meanwhile' });
    site.storage.fault = ({ kind }) => {
      if (kind !== 'delete') return undefined;
      void upload(OBJECT, newer);
      return { delayMs: 1_000 };
    };
    const { code, stdout, stderr } = await replay(['gs://state']);
    assert.match(stderr, /gs:\/\/state\/dead-letters\/objects\/.*: it was changed meanwhile/);
    assert.match(stdout, /1 file not done with/);
    assert.equal(code, 1);
    assert.deepEqual(await contentsOf(site.state, ''), { [OBJECT]: newer });
  });

  test('replay leaves everything where it is if the credentials are wrong, and says which ones', async () => {
    await upload(OBJECT, letterLine({}));
    const env = { ...site.env, MIXPANEL_SERVICE_ACCOUNT_SECRET: 'wrong' };
    const { code, stderr } = await replay(['gs://state'], { env });
    assert.match(stderr, /Mixpanel refused the credentials with 401, .*MIXPANEL_SERVICE_ACCOUNT_SECRET/);
    assert.equal(code, 1);
    assert.deepEqual(Object.keys(await contentsOf(site.state, '')), [OBJECT]);
  });

  test('replay says so if there are no dead letters', async () => {
    const { code, stdout } = await replay(['gs://state/dead-letters/messages/']);
    assert.equal(stdout, 'No dead letters there.\n');
    assert.equal(code, 0);
  });
});

describe('npm run replay, with files', () => {
  test('replay takes the files of a folder that are named as dead letters, and does not touch the others', async () => {
    write('a.ndjson', recordJson(9), '\n');
    write('a.ndjson.dead-letters.ndjson', letterLine({ source: { file: 'a.ndjson', line: 1, offset: 0 } }));
    write(`${UUID}.ndjson`, letterLine({ source: sourceAt(2), insertId: 'id-2', record: recordJson(2) }));
    const { code, stdout } = await replay(['.']);
    assert.match(stdout, /2 dead letters replayed in .*: 2 events imported, none rejected again\./);
    assert.equal(code, 0);
    assert.deepEqual([site.mixpanel.count('id-1'), site.mixpanel.count('id-2')], [1, 1]);
    assert.deepEqual(readdirSync(join(site.folder, 'files')), ['a.ndjson']);
  });

  test('replay sends the valid lines of an edited file, names the others and keeps them as they are', async () => {
    const cut = letterLine({ source: sourceAt(7), record: '{"event', truncated: true, bytes: 2_000_000 });
    const foreign = [
      `{"broken": "${MARKER}\n`,
      '[1]\n',
      `${recordJson(8)}\n`,
      letterLine({ source: { line: 1 } }),
      cut,
    ];
    const path = write('edited', '\ufeff', letterLine({ record: `  ${recordJson(1)}\n` }), '\r\n', ...foreign);
    const { code, stdout, stderr } = await replay(['edited', path]);
    assert.match(stdout, /1 dead letter replayed .*1 event imported/);
    assert.match(stdout, /Left as it was: 1 record cut short, 4 lines not understood\./);
    for (const [index, problem] of [
      'not a dead letter: it is not JSON',
      'not a JSON object',
      '`reason`',
      '`source`',
      'beginning',
    ].entries()) {
      assert.match(stderr, new RegExp(`^edited:${index + 3}: .*${problem}`, 'm'));
    }
    assert.equal(code, 1);
    assert.equal(site.mixpanel.count('id-1'), 1);
    assert.equal(readFileSync(path, 'utf8'), foreign.join(''));
    assert.deepEqual(readdirSync(join(site.folder, 'files')), ['edited']);
  });

  test('replay keeps the id of a record that was corrected by hand, unless the id itself is invalid', async () => {
    const original = insertIdByContent(Buffer.from('{"broken'), noSource, 0, 1);
    const path = write(
      'repaired',
      letterLine({ source: sourceAt(1), insertId: original, record: recordJson(1) }),
      letterLine({ source: sourceAt(2), insertId: 'not_valid!', record: recordJson(2) }),
      letterLine({ source: sourceAt(3), insertId: 'letter', record: recordJson(3, { $insert_id: 'own' }) }),
      letterLine({ source: sourceAt(4), insertId: 'empty', record: recordJson(4, { $insert_id: null }) }),
    );
    assert.equal((await replay([path])).code, 0);
    assert.equal(existsSync(path), false);
    const ids = site.mixpanel.events().map(({ properties }) => properties.$insert_id);
    const derived = insertIdByContent(Buffer.from(recordJson(2)), noSource, 0, 1);
    assert.deepEqual(ids, [original, derived, 'own', 'empty']);
  });

  test('replay sends a dead letter that is in two files once, and removes it from both', async () => {
    const twice = letterLine({ source: sourceAt(1), insertId: 'id-1' });
    write(`${UUID}.ndjson`, twice);
    write(`x-${UUID}.ndjson`, twice, letterLine({ source: sourceAt(2), insertId: 'id-2', record: recordJson(2) }));
    const { code, stdout } = await replay(['.', `./${UUID}.ndjson`]);
    assert.match(stdout, /2 dead letters replayed .*1 repetition removed/);
    assert.equal(code, 0);
    assert.equal(site.mixpanel.received, 2);
    assert.deepEqual(readdirSync(join(site.folder, 'files')), []);
  });

  test('replay leaves a file as it is after Ctrl-C, even if a part of it was imported already', async () => {
    const lines = Array.from({ length: 5 }, (_, index) =>
      letterLine({ source: sourceAt(index + 1), insertId: `id-${index}`, record: recordJson(index) }),
    );
    const path = write('letters', ...lines);
    const env = {
      ...site.env,
      IMPORT_MAX_BATCH_EVENTS: '1',
      IMPORT_MAX_CONCURRENCY: '1',
      IMPORT_RETRY_MIN_DELAY_MS: '60000',
    };
    let interrupt = () => {};
    site.mixpanel.fault = ({ sequence }) => {
      if (sequence < 2) return undefined;
      interrupt();
      return { status: 503 };
    };
    const { code, stdout } = await replay([path], {
      env,
      onStart: (child) => (interrupt = () => child.kill('SIGINT')),
    });
    site.mixpanel.fault = undefined;
    assert.equal(code, 130);
    assert.match(stdout, /1 file not done with.*\n {2}.*letters\n/);
    assert.equal(readFileSync(path, 'utf8'), lines.join(''));
    assert.deepEqual(readdirSync(join(site.folder, 'files')), ['letters']);
    assert.equal((await replay([path])).code, 0);
    assert.deepEqual([site.mixpanel.events().length, site.mixpanel.received], [5, 7]);
  });

  test('replay names all arguments that do not exist together, and sends nothing', async () => {
    const { code, stderr } = await replay(['nowhere', 'gs:///x', 'neither']);
    assert.match(stderr, /nowhere: no such file.*\ngs:\/\/\/x: must be gs.*\nneither: no such file/);
    assert.equal(code, 2);
    assert.equal((await replay([])).code, 2);
    assert.match((await replay(['--help'])).stdout, /^Sends dead letters again/);
  });
});

describe('replay, with letters of records that passed a transform', () => {
  const passed = { source: sourceAt(2), insertId: 'id-2', record: recordJson(2), through: ['transform'] };
  const plain = letterLine({ source: sourceAt(1), insertId: 'id-1' });

  for (const where of ['a file', 'a bucket']) {
    test(`replay sends nothing of ${where} if one record passed a transform and there is none now`, async () => {
      const lines = [plain, letterLine(passed)];
      const path = write('letters', ...lines);
      await upload(OBJECT, ...lines);
      const { code, stdout, stderr } = await replay([where === 'a file' ? path : 'gs://state']);
      const place = where === 'a file' ? 'letters:2' : `gs://state/${OBJECT}:2`;
      assert.ok(stderr.includes(`${place}: its record passed a transform, and there is none now. Nothing was sent.`));
      assert.match(stderr, /functions\/transform\.ts.*--raw/);
      assert.deepEqual([code, stdout], [2, '']);
      assert.equal(site.mixpanel.requests.length, 0);
      assert.equal(readFileSync(path, 'utf8'), lines.join(''));
      assert.deepEqual(await contentsOf(site.state, ''), { [OBJECT]: lines.join('') });
    });
  }

  test('replay sends nothing of all files if one record in the last file passed a transform and there is none now', async () => {
    write(`a-${UUID}.ndjson`, plain);
    write(`z-${UUID}.ndjson`, letterLine(passed));
    const { code } = await replay(['.']);
    assert.equal(code, 2);
    assert.equal(site.mixpanel.requests.length, 0);
    assert.equal(readdirSync(join(site.folder, 'files')).length, 2);
  });

  test('replay sends records as they are with --raw, even if they passed a transform', async () => {
    const path = write('letters', plain, letterLine(passed));
    const { code, stdout } = await replay(['--raw', path]);
    assert.match(stdout, /2 dead letters replayed in .*: 2 events imported, none rejected again\./);
    assert.equal(code, 0);
    assert.equal(existsSync(path), false);
    assert.deepEqual([site.mixpanel.count('id-1'), site.mixpanel.count('id-2')], [1, 1]);
  });

  test('replay keeps in a letter that is rejected with --raw that its record passed a transform', async () => {
    const path = write('letters', letterLine({ ...passed, record: recordJson(2, REFUSED) }));
    assert.equal((await replay(['--raw', path])).code, 1);
    const [letter] = lettersIn(readFileSync(path, 'utf8'));
    assert.deepEqual(letter.through, ['transform']);
    assert.equal((await replay([path])).code, 2);
  });

  const transform = `return { event: 'made', properties: { ...record.properties, from: JSON.stringify(context) } };`;

  test('replay sends records through the transform as it is now, whether they passed one before or not', async () => {
    const path = write('letters', plain, letterLine(passed));
    const { code } = await replay([path], { transform });
    assert.equal(code, 0);
    assert.deepEqual(
      site.mixpanel.events().map(({ event, properties }) => [event, properties.$insert_id]),
      [
        ['made', 'id-1'],
        ['made', 'id-2'],
      ],
    );
  });

  test('replay sends nothing if a record passed a mapping and a transform, and there is only a transform now', async () => {
    const path = write('letters', letterLine({ ...passed, through: ['mapping', 'transform'] }));
    const { code, stderr } = await replay([path], { transform });
    assert.match(stderr, /letters:1: its record passed a mapping and a transform, and/);
    assert.equal(code, 2);
    assert.equal(site.mixpanel.requests.length, 0);
  });

  test('replay keeps in a letter that is rejected again that its record passes the transform', async () => {
    const path = write('letters', letterLine({ ...passed, through: undefined }));
    const { code } = await replay([path], { transform: 'throw new Error("not today");' });
    assert.equal(code, 1);
    const [{ reason, through, insertId, record }] = lettersIn(readFileSync(path, 'utf8'));
    assert.deepEqual(reason, { field: 'transform', message: 'not today' });
    assert.deepEqual(
      { through, insertId, record },
      { through: ['transform'], insertId: 'id-2', record: passed.record },
    );
  });
});

describe('replayLetters', () => {
  const record = Buffer.from(recordJson(1, { items: ['a', 'b', 'c'] }));
  const perItem = ({ event, properties: { items, ...properties } }: MixpanelEvent) =>
    (items as string[]).map((item) => ({ event, properties: { ...properties, item } }));

  /** Replays one file and returns what Mixpanel holds, by item, and what is left. */
  async function replayWith(transform: Transform, ...lines: string[]) {
    const path = write('letters', ...lines);
    const config = readCoreConfig(site.env);
    const sender = createSender(createMixpanelClient(config.mixpanel), config);
    const meter = { read() {}, opened() {}, settled() {}, end() {} };
    const context = {
      config,
      sender,
      mappingOf: () => mappingOf(transform),
      isRaw: false,
      run: startRun(),
      meter,
      onProblem: assert.fail,
    };
    const replayed = await replayLetters(await findLetterFiles([path], undefined), context);
    const ids = site.mixpanel.events().map(({ properties }) => [properties.item, properties.$insert_id]);
    return {
      replayed,
      ids: Object.fromEntries(ids),
      left: existsSync(path) ? lettersIn(readFileSync(path, 'utf8')) : [],
    };
  }

  test('replayLetters gives each of several events of a record the id that it would have got the first time', async () => {
    const insertId = insertIdByContent(record, noSource, 0, 1);
    const { replayed, ids } = await replayWith(perItem, letterLine({ insertId, record: record.toString() }));
    const expected = [0, 1, 2].map((event) => insertIdByContent(record, noSource, 0, 1, event));
    assert.deepEqual(ids, { a: expected[0], b: expected[1], c: expected[2] });
    assert.deepEqual(replayed.counts, { read: 1, expanded: 2, imported: 3, rejected: 0, dropped: 0 });
  });

  test('replayLetters finds out from the id of a letter that ids are made of positions', async () => {
    const source = { ...noSource, locate: () => sourceAt(4) as never };
    const insertId = insertIdByPosition(record, source, 0, 0);
    const letter = letterLine({ source: sourceAt(4), insertId, record: record.toString() });
    const { ids } = await replayWith(perItem, letter);
    assert.equal(ids.b, insertIdByPosition(record, source, 0, 0, 1));
  });

  test('replayLetters sends only the one of several events of a record that the dead letter is about', async () => {
    const insertId = insertIdByContent(record, noSource, 0, 1, 1);
    const letter = { source: sourceAt(1, { event: 1 }), insertId, record: record.toString() };
    const { replayed, ids } = await replayWith(async (it) => perItem(it), letterLine(letter));
    assert.deepEqual(ids, { b: insertId });
    assert.deepEqual(replayed.counts, { read: 1, expanded: 0, imported: 1, rejected: 0, dropped: 0 });
  });

  test('replayLetters keeps a dead letter for the one of several events that is rejected, with its own id', async () => {
    const spoilt: Transform = (it) =>
      perItem(it).map((event, index) =>
        index === 2 ? { ...event, properties: { ...event.properties, ...REFUSED } } : event,
      );
    const insertId = insertIdByContent(record, noSource, 0, 1);
    const { replayed, ids, left } = await replayWith(spoilt, letterLine({ insertId, record: record.toString() }));
    assert.deepEqual(Object.keys(ids), ['a', 'b']);
    assert.deepEqual(replayed.counts, { read: 1, expanded: 2, imported: 2, rejected: 1, dropped: 0 });
    assert.deepEqual(
      left.map(({ source, insertId, record }) => ({ source, insertId, record })),
      [
        {
          source: sourceAt(1, { event: 2 }),
          insertId: insertIdByContent(record, noSource, 0, 1, 2),
          record: record.toString(),
        },
      ],
    );
  });

  test('replayLetters removes a record that the transform leaves out, and keeps one for which it throws', async () => {
    const transform: Transform = ({ properties: { items } }) => {
      if (items === undefined) throw new Error('no items');
      return null;
    };
    const { replayed, left } = await replayWith(
      transform,
      letterLine({ source: sourceAt(1), record: record.toString() }),
      letterLine({ source: sourceAt(2), insertId: 'id-2', record: recordJson(2) }),
    );
    assert.deepEqual(replayed.counts, { read: 2, expanded: 0, imported: 0, rejected: 1, dropped: 1 });
    assert.deepEqual(
      left.map(({ reason, insertId }) => [reason, insertId]),
      [[{ field: 'transform', message: 'no items' }, 'id-2']],
    );
  });

  test('replayLetters keeps a record whole that became too large when it was edited', async () => {
    const long = recordJson(1, { text: 'x'.repeat(1_100_000) });
    const { left } = await replayWith(perItem, letterLine({ record: long }));
    assert.equal(left[0].record, long);
    assert.equal(left[0].truncated, undefined);
    assert.match(left[0].reason.message, /larger than/);
  });

  const message = { subscription: 'projects/p/subscriptions/s', messageId: '5', publishTime: '', index: 0 };
  const contexts: [name: string, source: Record<string, unknown>, expected: RecordContext][] = [
    [
      'an object with its metadata',
      sourceAt(1, { metadata: { plan: 'pro' } }),
      { kind: 'object', bucket: 'imports', object: 'a.ndjson', metadata: { plan: 'pro' } },
    ],
    [
      'an object without metadata',
      sourceAt(1),
      { kind: 'object', bucket: 'imports', object: 'a.ndjson', metadata: {} },
    ],
    [
      'the subscription of a message with its attributes',
      { ...message, attributes: { plan: 'pro' } },
      { kind: 'message', subscription: message.subscription, attributes: { plan: 'pro' } },
    ],
    [
      'the subscription of a message without attributes',
      message,
      { kind: 'message', subscription: message.subscription, attributes: {} },
    ],
    ['the path of a file', { file: 'days/a.ndjson', line: 1, offset: 0 }, { kind: 'file', path: 'days/a.ndjson' }],
  ];
  for (const [name, source, expected] of contexts) {
    test(`replayLetters hands ${name} to the transform again, and keeps the source in a letter that is rejected again`, async () => {
      const seen: RecordContext[] = [];
      const { left } = await replayWith((_, context) => {
        seen.push(context);
        throw new Error('seen');
      }, letterLine({ source }));
      assert.deepEqual(seen, [expected]);
      assert.deepEqual(
        left.map(({ source }) => source),
        [source],
      );
    });
  }

  test('replayLetters hands any object to the transform, whatever its shape', async () => {
    const transform: Transform = (it) => ({
      event: 'made',
      properties: { time: 1_767_225_600, distinct_id: String(it.user), item: it.what },
    });
    const { replayed, ids } = await replayWith(
      transform,
      letterLine({ record: '{"user":"u","what":"thing"}', through: ['transform'] }),
    );
    assert.deepEqual(ids, { thing: 'id-1' });
    assert.equal(replayed.counts.imported, 1);
  });

  test('replayLetters keeps a record that is not an event if there is no transform, and says what to do', async () => {
    const { replayed, left } = await replayWith(passThrough, letterLine({ record: '{"user":"u"}' }));
    assert.deepEqual(left[0].reason, {
      field: 'event',
      message: 'missing: not a Mixpanel event. Use a mapping or a transform to make events of such records',
    });
    assert.equal(left[0].record, '{"user":"u"}');
    assert.equal(replayed.counts.rejected, 1);
  });

  describe('a letter with several values', () => {
    const gzip = (...records: string[]) => gzipSync(records.join('\n'));
    const item = (name: string, properties: Record<string, unknown> = {}) =>
      recordJson(1, { item: name, ...properties });
    const whole = (letter: Record<string, unknown>) =>
      letterLine({ source: message, insertId: 'whole', record: undefined as never, ...letter });

    test('replayLetters decompresses a whole message, and the first event gets the id of the letter', async () => {
      const { replayed, ids, left } = await replayWith(
        passThrough,
        whole({ recordBase64: gzip(item('a'), item('b')).toString('base64') }),
      );
      assert.deepEqual(ids, { a: 'whole', b: insertIdByContent(Buffer.from(item('b')), noSource, 0, 1) });
      assert.deepEqual(replayed.counts, { read: 2, expanded: 0, imported: 2, rejected: 0, dropped: 0 });
      assert.deepEqual(left, []);
    });

    const separators = { lines: ['', '\n', '\n'], nothing: ['', '', ''], 'an array': ['[', ',', ']'] };
    for (const [name, [open, between, close]] of Object.entries(separators)) {
      test(`replayLetters sends all values of an edited record, whose separator is ${name}, each with its own id`, async () => {
        const items = ['a', 'b', 'c'].map((it) => item(it));
        const { replayed, ids, left } = await replayWith(
          passThrough,
          whole({ record: open + items.join(between) + close }),
        );
        const idOf = (text: string) => insertIdByContent(Buffer.from(text), noSource, 0, 1);
        assert.deepEqual(ids, { a: 'whole', b: idOf(items[1]!), c: idOf(items[2]!) });
        assert.deepEqual(replayed.counts, { read: 3, expanded: 0, imported: 3, rejected: 0, dropped: 0 });
        assert.deepEqual(left, []);
      });
    }

    const bad: Record<string, [value: string, reason: RegExp]> = {
      'is not an object': ['5', /not JSON|not an object/],
      'is not JSON': ['{"event":', /^not JSON: it ends in the middle/],
      'is not an event': ['{"user":1}', /^missing: not a Mixpanel event/],
    };
    for (const [name, [value, reason]] of Object.entries(bad)) {
      test(`replayLetters sends nothing of an edited record in which one of several values ${name}`, async () => {
        const record = `${item('a')}\n${item('b')}\n${value}`;
        const { replayed, ids, left } = await replayWith(passThrough, whole({ record }));
        assert.deepEqual(ids, {});
        assert.equal(site.mixpanel.requests.length, 0);
        const [letter, ...others] = left;
        assert.deepEqual(others, []);
        assert.match(letter.reason.message, reason);
        assert.deepEqual(
          { source: letter.source, insertId: letter.insertId, record: letter.record },
          { source: message, insertId: 'whole', record },
        );
        assert.deepEqual(replayed.counts, { read: 1, expanded: 0, imported: 0, rejected: 1, dropped: 0 });
      });
    }

    for (const [name, record] of Object.entries({ 'is empty': '', 'is blank': ' \n', 'is an empty array': '[]' })) {
      test(`replayLetters keeps a letter whose edited record ${name}`, async () => {
        const { replayed, left } = await replayWith(passThrough, whole({ record }));
        assert.match(
          left[0].reason.message,
          record === '[]' ? /^not an object/ : /^not JSON: it ends in the middle, after 0 bytes/,
        );
        assert.deepEqual([left[0].insertId, left[0].record], ['whole', record]);
        assert.equal(replayed.counts.rejected, 1);
      });
    }

    const twoValues = [item('a'), item('b', REFUSED)].join('\n');

    test('replayLetters gives several values ids by position that differ', async () => {
      const insertId = insertIdByPosition(Buffer.from('any'), { ...noSource, locate: () => message as never }, 0, 0);
      const { ids } = await replayWith(passThrough, whole({ insertId, record: `${item('a')}\n${item('b')}` }));
      assert.deepEqual(Object.keys(ids).sort(), ['a', 'b'], 'Mixpanel holds both');
    });

    test('replayLetters sends values with the same ids again if one of them was rejected the first time', async () => {
      const first = await replayWith(passThrough, whole({ record: twoValues }));
      assert.deepEqual(first.ids, { a: 'whole' });
      assert.equal(first.left.length, 1);
      await replayWith(passThrough, ...first.left.map((letter) => `${JSON.stringify(letter)}\n`));
      assert.deepEqual(
        site.mixpanel.events().map(({ properties }) => properties.$insert_id),
        ['whole'],
      );
    });

    test('replayLetters hands each of several values to the transform', async () => {
      const record = [item('a', { items: ['a1', 'a2'] }), item('b', { items: ['b1'] })].join('\n');
      const { replayed, ids } = await replayWith(perItem, whole({ record }));
      assert.deepEqual(Object.keys(ids).sort(), ['a1', 'a2', 'b1']);
      assert.equal(new Set(Object.values(ids)).size, 3);
      assert.deepEqual(replayed.counts, { read: 2, expanded: 1, imported: 3, rejected: 0, dropped: 0 });
    });

    test('replayLetters keeps a whole message that is still corrupt, byte for byte', async () => {
      const recordBase64 = gzip(item('a')).subarray(0, 40).toString('base64');
      const { replayed, left } = await replayWith(passThrough, whole({ recordBase64 }));
      assert.match(left[0].reason.message, /^the gzip data are corrupt: /);
      const { source, insertId, recordBase64: kept, truncated } = left[0];
      assert.deepEqual(
        { source, insertId, kept, truncated },
        {
          source: message,
          insertId: 'whole',
          kept: recordBase64,
          truncated: undefined,
        },
      );
      assert.deepEqual(replayed.counts, { read: 1, expanded: 0, imported: 0, rejected: 1, dropped: 0 });
    });
  });
});
