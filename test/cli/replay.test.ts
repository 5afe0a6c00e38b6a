import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { findLetterFiles } from '../../cli/operate/letter-files.ts';
import { replayLetters } from '../../cli/operate/replay-letters.ts';
import { readCoreConfig } from '../../functions/config.ts';
import type { Transform } from '../../functions/core/event.ts';
import { insertIdByContent, insertIdByPosition } from '../../functions/core/insert-id.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender } from '../../functions/core/mixpanel/sender.ts';
import { startRun } from '../../functions/core/run.ts';
import {
  type CommandOptions,
  contentsOf,
  letterLine,
  MARKER,
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
  const [files] = await site.state.getFiles();
  await Promise.all(files.map((file) => file.delete()));
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
  test('sends them with the ids that they had, deletes what was taken and keeps the rest with its new reason', async () => {
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

  test('goes on after it was killed before it could rewrite the object: nothing is lost, and nothing doubled', async () => {
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

  test('recognises its own rewriting whose answer was lost', async () => {
    await upload(OBJECT, letterLine({}), letterLine({ source: sourceAt(2), record: 'no JSON' }));
    let lost = 0;
    site.storage.fault = ({ kind }) => (kind === 'upload' && lost++ === 0 ? { status: 503, apply: true } : undefined);
    const { code, stderr } = await replay(['gs://state']);
    assert.doesNotMatch(stderr, /changed/);
    assert.deepEqual([code, lost], [1, 2]);
    assert.equal(lettersIn((await contentsOf(site.state, ''))[OBJECT]!).length, 1);
  });

  test('leaves an object alone that somebody has changed meanwhile', async () => {
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

  test('leaves everything where it is when the credentials are wrong, and says which', async () => {
    await upload(OBJECT, letterLine({}));
    const env = { ...site.env, MIXPANEL_SERVICE_ACCOUNT_SECRET: 'wrong' };
    const { code, stderr } = await replay(['gs://state'], { env });
    assert.match(stderr, /Mixpanel refused the credentials with 401, .*MIXPANEL_SERVICE_ACCOUNT_SECRET/);
    assert.equal(code, 1);
    assert.deepEqual(Object.keys(await contentsOf(site.state, '')), [OBJECT]);
  });

  test('says so when there are none', async () => {
    const { code, stdout } = await replay(['gs://state/dead-letters/messages/']);
    assert.equal(stdout, 'No dead letters there.\n');
    assert.equal(code, 0);
  });
});

describe('npm run replay, with files', () => {
  test('takes those of a folder that are named as dead letters, and leaves the others alone', async () => {
    write('a.ndjson', recordJson(9), '\n');
    write('a.ndjson.dead-letters.ndjson', letterLine({ source: { file: 'a.ndjson', line: 1, offset: 0 } }));
    write(`${UUID}.ndjson`, letterLine({ source: sourceAt(2), insertId: 'id-2', record: recordJson(2) }));
    const { code, stdout } = await replay(['.']);
    assert.match(stdout, /2 dead letters replayed in .*: 2 events imported, none rejected again\./);
    assert.equal(code, 0);
    assert.deepEqual([site.mixpanel.count('id-1'), site.mixpanel.count('id-2')], [1, 1]);
    assert.deepEqual(readdirSync(join(site.folder, 'files')), ['a.ndjson']);
  });

  test('replays the lines of an edited file that make sense, and names and keeps the others as they are', async () => {
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
    for (const [index, problem] of ['no JSON', 'no JSON object', '`reason`', '`source`', 'cut'].entries()) {
      assert.match(stderr, new RegExp(`^edited:${index + 3}: .*${problem}`, 'm'));
    }
    assert.equal(code, 1);
    assert.equal(site.mixpanel.count('id-1'), 1);
    assert.equal(readFileSync(path, 'utf8'), foreign.join(''));
    assert.deepEqual(readdirSync(join(site.folder, 'files')), ['edited']);
  });

  test('keeps the id of a record that was put right by hand, unless it is what was wrong', async () => {
    const original = insertIdByContent(Buffer.from('{"broken'), { sourceOf: () => assert.fail() }, 0, 1);
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
    const derived = insertIdByContent(Buffer.from(recordJson(2)), { sourceOf: () => assert.fail() }, 0, 1);
    assert.deepEqual(ids, [original, derived, 'own', 'empty']);
  });

  test('sends what stands in two files once, and removes it from both', async () => {
    const twice = letterLine({ source: sourceAt(1), insertId: 'id-1' });
    write(`${UUID}.ndjson`, twice);
    write(`x-${UUID}.ndjson`, twice, letterLine({ source: sourceAt(2), insertId: 'id-2', record: recordJson(2) }));
    const { code, stdout } = await replay(['.', `./${UUID}.ndjson`]);
    assert.match(stdout, /2 dead letters replayed .*1 repetition removed/);
    assert.equal(code, 0);
    assert.equal(site.mixpanel.received, 2);
    assert.deepEqual(readdirSync(join(site.folder, 'files')), []);
  });

  test('leaves a file as it is after Ctrl-C, whatever of it was taken already', async () => {
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

  test('refuses what is not there, all of it at once', async () => {
    const { code, stderr } = await replay(['nowhere', 'gs:///x', 'neither']);
    assert.match(stderr, /nowhere: no such file.*\ngs:\/\/\/x: must be gs.*\nneither: no such file/);
    assert.equal(code, 2);
    assert.equal((await replay([])).code, 2);
    assert.match((await replay(['--help'])).stdout, /^Sends dead letters again/);
  });
});

describe('replayLetters, with a transform', () => {
  const record = Buffer.from(recordJson(1, { items: ['a', 'b', 'c'] }));
  const perItem: Transform = ({ event, properties: { items, ...properties } }) =>
    (items as string[]).map((item) => ({ event, properties: { ...properties, item } }));
  const noOrigin = { sourceOf: () => assert.fail() };

  /** Replays one file and returns what Mixpanel holds, by item, and what is left. */
  async function replayWith(transform: Transform, ...lines: string[]) {
    const path = write('letters', ...lines);
    const config = readCoreConfig(site.env);
    const sender = createSender(createMixpanelClient(config.mixpanel), config);
    const meter = { read() {}, opened() {}, settled() {}, end() {} };
    const context = { config, sender, transform, run: startRun(), meter, onProblem: assert.fail };
    const replayed = await replayLetters(await findLetterFiles([path], undefined), context);
    const ids = site.mixpanel.events().map(({ properties }) => [properties.item, properties.$insert_id]);
    return {
      replayed,
      ids: Object.fromEntries(ids),
      left: existsSync(path) ? lettersIn(readFileSync(path, 'utf8')) : [],
    };
  }

  test('gives each of several events of a record the id that it would have got at the first time', async () => {
    const insertId = insertIdByContent(record, noOrigin, 0, 1);
    const { replayed, ids } = await replayWith(perItem, letterLine({ insertId, record: record.toString() }));
    const expected = [0, 1, 2].map((event) => insertIdByContent(record, noOrigin, 0, 1, event));
    assert.deepEqual(ids, { a: expected[0], b: expected[1], c: expected[2] });
    assert.deepEqual(replayed.counts, { read: 1, expanded: 2, imported: 3, rejected: 0, dropped: 0 });
  });

  test('finds out from the id that ids were made of positions', async () => {
    const origin = { sourceOf: () => sourceAt(4) as never };
    const insertId = insertIdByPosition(record, origin, 0, 0);
    const letter = letterLine({ source: sourceAt(4), insertId, record: record.toString() });
    const { ids } = await replayWith(perItem, letter);
    assert.equal(ids.b, insertIdByPosition(record, origin, 0, 0, 1));
  });

  test('sends of several events of a record only the one that the dead letter is about', async () => {
    const insertId = insertIdByContent(record, noOrigin, 0, 1, 1);
    const letter = { source: sourceAt(1, { event: 1 }), insertId, record: record.toString() };
    const { replayed, ids } = await replayWith(async (it) => perItem(it), letterLine(letter));
    assert.deepEqual(ids, { b: insertId });
    assert.deepEqual(replayed.counts, { read: 1, expanded: 0, imported: 1, rejected: 0, dropped: 0 });
  });

  test('keeps of several events the one that is rejected, and its own id', async () => {
    const spoilt: Transform = (it) =>
      (perItem(it) as ReturnType<typeof Array<typeof it>>).map((event, index) =>
        index === 2 ? { ...event, properties: { ...event.properties, ...REFUSED } } : event,
      );
    const insertId = insertIdByContent(record, noOrigin, 0, 1);
    const { replayed, ids, left } = await replayWith(spoilt, letterLine({ insertId, record: record.toString() }));
    assert.deepEqual(Object.keys(ids), ['a', 'b']);
    assert.deepEqual(replayed.counts, { read: 1, expanded: 2, imported: 2, rejected: 1, dropped: 0 });
    assert.deepEqual(
      left.map(({ source, insertId, record }) => ({ source, insertId, record })),
      [
        {
          source: sourceAt(1, { event: 2 }),
          insertId: insertIdByContent(record, noOrigin, 0, 1, 2),
          record: record.toString(),
        },
      ],
    );
  });

  test('removes a record that the transform leaves out, and keeps one in which it throws', async () => {
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

  test('keeps a record whole that has grown too long under somebody’s hands', async () => {
    const long = recordJson(1, { text: 'x'.repeat(1_100_000) });
    const { left } = await replayWith(perItem, letterLine({ record: long }));
    assert.equal(left[0].record, long);
    assert.equal(left[0].truncated, undefined);
    assert.match(left[0].reason.message, /larger than/);
  });
});
