import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { UsageError } from '../../cli/import/arguments.ts';
import { explain } from '../../cli/operate/command.ts';
import { renderEnd } from '../../cli/operate/render-backfill.ts';
import { ConfigError, ImportError } from '../../functions/core/errors.ts';
import { type Checkpoint, formatCheckpoint, noProgress } from '../../functions/storage/checkpoint.ts';
import { checkpointName, objectDeadLetterName } from '../../functions/storage/names.ts';
import { letterLine, recordJson, runCommand, type Site, startSite } from '../support/operating.ts';

/** Colours, moves, rings and reverses what follows it. */
const ODD = 'odd\u001b[31m\r\nforged\u0007\u0085\u009b2J\u202egpj';
const SHOWN = 'odd\\u001b[31m\\u000d\\u000aforged\\u0007\\u0085\\u009b2J\\u202egpj';
const SHOWN_OBJECT = SHOWN.replace('\\u000d\\u000a', '');
const UUID = '00000000-0000-4000-8000-000000000000';
const NAME = `${ODD}.ndjson`;
/** Cloud Storage has no names with line breaks. */
const OBJECT = NAME.replace('\r\n', '');

let site: Site;
let generation: string;
/** Its dead letter, with a reason and a record that are as odd, and a line that is not one. */
let letters: string;

before(async () => {
  site = await startSite();
  const file = site.imports.file(OBJECT);
  await file.save(`${recordJson(1)}\n`, { resumable: false });
  generation = String(file.metadata.generation);
  mkdirSync(join(site.folder, ODD));
  writeFileSync(join(site.folder, 'plain.ndjson'), `${recordJson(1)}\n`);
  writeFileSync(join(site.folder, NAME), `${recordJson(1)}\nnot JSON\n`);
});
after(() => site.close());

beforeEach(async () => {
  site.mixpanel.reset();
  letters = objectDeadLetterName({ bucket: 'imports', object: OBJECT, generation }, 0, UUID);
  const source = { bucket: 'imports', object: OBJECT, generation, line: 1, offset: 0 };
  const letter = letterLine({
    reason: { field: ODD, message: ODD },
    source,
    record: recordJson(1, { [ODD]: ODD, time: 1 }),
  });
  await site.state.file(letters).save(`${letter}not a letter\n`, { resumable: false });
});

/** Runs a command, which must print what is odd, and that only with escapes. */
async function run(name: string, args: string[], { isJson = false, env = {} } = {}) {
  const ended = await runCommand(name, args, {
    env: { ...site.env, ...env },
    cwd: site.folder,
    showsRecords: args.includes('--records'),
  });
  const printed = `${ended.stdout}${ended.stderr}`;
  assert.doesNotMatch(printed.replaceAll('\n', ''), /[\p{Cc}\p{Bidi_Control}]/u, `${name} ${args}`);
  assert.doesNotMatch(printed, /^forged/m, `${name} ${args}`);
  // JSON has escapes of its own for some of them.
  if (!isJson) assert.ok(printed.includes(SHOWN) || printed.includes(SHOWN_OBJECT), `${name} ${args}: ${printed}`);
  return ended;
}

test('import prints no control character of a file or an object, be it imported, refused or rejected in part', async () => {
  assert.equal((await run('import', [NAME])).code, 1);
  assert.equal((await run('import', ['--dry-run', NAME, `gs://imports/${OBJECT}`])).code, 1);
  const { code, stderr } = await run('import', [`${NAME}-2`, ODD, `gs://imports/${ODD}`, `gs://${ODD}`, `${ODD}*.x`]);
  assert.equal(code, 2);
  // One problem, one line.
  assert.equal(stderr.trimEnd().split('\n').length, 5, stderr);
  site.mixpanel.fault = () => ({ status: 401 });
  assert.equal((await run('import', [NAME, `gs://imports/${OBJECT}`])).code, 1);
});

test('import prints no control character of a file that it skips, or of an object that it cannot read', async () => {
  writeFileSync(join(site.folder, `${ODD}.dead-letters.ndjson`), '');
  const skipped = await run('import', ['--dry-run', 'plain.ndjson', `odd*.dead-letters.ndjson`]);
  assert.match(skipped.stderr, /skipped, dead letters of an earlier run/);
  site.storage.fault = ({ kind }) => (kind === 'read' ? { status: 403 } : undefined);
  const failed = await run('import', ['--dry-run', `gs://imports/${OBJECT}`]);
  site.storage.fault = undefined;
  assert.ok(failed.stderr.includes(`${SHOWN_OBJECT}.ndjson: `), failed.stderr);
});

test('an error is explained without control characters, be it of a service, of ours or a defect', () => {
  for (const error of [
    new UsageError(ODD, ODD),
    new ConfigError([ODD]),
    new ImportError('request_refused', ODD),
    Object.assign(new Error(ODD), { code: 403 }),
    Object.assign(new Error(ODD), { code: 'ENOTFOUND' }),
    new Error(ODD),
    ODD,
  ]) {
    const text = explain(error);
    assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Bidi_Control}]/u);
    assert.ok(text.includes('odd\\u001b[31m'), text);
  }
});

test("import prints no control character of Mixpanel's reasons", async () => {
  const body = {
    code: 400,
    error: 'some data points in the request failed validation',
    failed_records: [{ index: 0, $insert_id: '', field: 'properties.time', message: ODD }],
    num_records_imported: 0,
    status: 'Bad Request',
  };
  site.mixpanel.fault = () => ({ status: 400, body: JSON.stringify(body) });
  await run('import', ['plain.ndjson']);
});

test('status prints no control character of an object, its error or its dead letters', async () => {
  const { stdout, stderr } = await run('status', [`gs://imports/${OBJECT}`]);
  assert.match(stdout, /1 dead letter in /);
  assert.match(stderr, /not a dead letter/);
  await run('status', [`gs://imports/${OBJECT}-2`]);
  const source = { bucket: 'imports', object: 'plain', generation: '2' };
  const checkpoint: Checkpoint = {
    ...noProgress(),
    state: 'running',
    holder: ODD,
    leaseExpiresAt: new Date().toISOString(),
    takeovers: 0,
    fruitless: 0,
    lastError: { code: 'stopped', message: ODD, time: ODD, since: ODD },
  };
  const save = (generation: string) =>
    site.state.file(checkpointName({ ...source, generation })).save(formatCheckpoint(checkpoint), {
      resumable: false,
      metadata: { metadata: { state: ODD } },
    });
  await Promise.all([save('1'), save('2')]);
  const found = await run('status', ['gs://imports/plain#2']);
  for (const line of [
    `held by ${SHOWN}`,
    `failing: stopped, last tried ${SHOWN}, failing since ${SHOWN}; `,
    `What to check: ${SHOWN}`,
    `#1  ${SHOWN}`,
  ]) {
    assert.ok(found.stdout.includes(line), found.stdout);
  }
  await run('status', [`gs://${ODD}`]);
});

test('dead-letters prints no control character of reasons, places, records and names', async () => {
  const { stdout } = await run('dead-letters', ['--records', 'gs://state']);
  assert.ok(stdout.includes(`${SHOWN}: ${SHOWN}`));
  await run('dead-letters', [`gs://state/${letters.slice(0, -40)}`]);
  const json = await run('dead-letters', ['--records', '--json', 'gs://state'], { isJson: true });
  assert.equal(JSON.parse(json.stdout).reasons[0].examples[0].source.object, OBJECT);
  await run('dead-letters', [ODD, `${ODD}-2`]);
});

test('replay prints no control character of what is rejected again, left or not there', async () => {
  assert.equal((await run('replay', ['gs://state'])).code, 1);
  site.mixpanel.fault = () => ({ status: 401 });
  assert.match((await run('replay', ['gs://state'])).stdout, /not done with/);
  await run('replay', [`${ODD}-2`]);
});

test('backfill prints no control character of the prefix and of the objects under it', async () => {
  const env = { OBJECT_TOPIC: 'projects/p/topics/t' };
  assert.match(
    (await run('backfill', ['--dry-run', `gs://imports/${OBJECT.slice(0, 10)}`], { env })).stdout,
    /1 object to import/,
  );
  const progress = { total: 1, done: 1, gone: 0, stalled: 0, bytes: 1, pending: new Map(), waiting: 0, idleMs: 0 };
  assert.ok(renderEnd(progress, 1, { bucket: 'state', name: ODD }).includes(`'gs://state/${SHOWN}'`));
  await run('backfill', ['--since', ODD, 'gs://imports/'], { env });
  await run('backfill', [`gs://${ODD}`], { env });
});
