import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { MARKER } from '../support/event.ts';
import { type CommandOptions, letterLine, runCommand, type Site, sourceAt, startSite } from '../support/operating.ts';
import { lineOf } from '../support/snowplow.ts';

const KEY = 'sixteen letters!';
const hmac = (text: string) => createHmac('sha256', KEY).update(text).digest('hex').slice(0, 32);
/** Hashes the user, drops the address, and names an id. */
const MAPPING = { event: 'type', time: 'at', user: 'user', insertId: 'id', drop: ['mail', 'note'], hash: ['$user'] };
const USER = `${MARKER}-1`;
const RECORD = {
  type: 'Order',
  at: '2026-11-01T10:00:00Z',
  user: USER,
  mail: `${MARKER}@example.com`,
  id: 'o-1',
  n: 3,
};

let site: Site;
let folder: string;
before(async () => {
  site = await startSite();
  folder = join(site.folder, 'files');
});
after(() => site.close());
beforeEach(() => {
  site.mixpanel.reset();
  mkdirSync(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a command, which prints nothing of what the mapping hashes or drops. */
function run(name: string, args: string[], { env = {}, ...options }: Partial<CommandOptions> = {}) {
  return runCommand(name, args, { env: { ...site.env, IMPORT_HASH_KEY: KEY, ...env }, cwd: folder, ...options });
}

function write(name: string, ...contents: unknown[]): string {
  const lines = contents.map((content) => (typeof content === 'string' ? content : `${JSON.stringify(content)}\n`));
  writeFileSync(join(folder, name), lines.join(''));
  return name;
}

function lettersIn(name: string): Record<string, unknown>[] {
  const lines = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('import --mapping', () => {
  test('import makes events by a mapping, and letters of rejected records say that they passed it', async () => {
    write('orders.ndjson', RECORD, { ...RECORD, at: MARKER, id: 'o-2' });
    write('mapping.json', MAPPING);
    const { code, stdout } = await run('import', ['--mapping', 'mapping.json', 'orders.ndjson']);
    assert.equal(code, 1);
    assert.match(stdout, /orders\.ndjson:2 mapping\.time: not a time at at/);
    const [event, ...others] = site.mixpanel.events();
    assert.deepEqual(others, []);
    assert.equal(event!.event, 'Order');
    const { $insert_id, distinct_id, n, mail } = event!.properties;
    assert.deepEqual([$insert_id, distinct_id, n, mail], ['o-1', hmac(USER), 3, undefined]);
    const [letter] = lettersIn('orders.ndjson.dead-letters.ndjson');
    assert.deepEqual(letter!.through, ['mapping']);
    assert.deepEqual(letter!.reason, { field: 'mapping.time', message: 'not a time at at' });
  });

  test("Mixpanel's reasons are followed by what the mapping can do, in letters and in a dry run", async () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`p${index}`, index]));
    const deep = { a: { b: { c: { d: 1 } } } };
    write('orders.ndjson', { ...RECORD, ...many }, { ...RECORD, deep }, { ...RECORD, at: '2101-01-01' });
    write('mapping.json', { ...MAPPING, time: { path: 'at' } });
    const reasons = [
      /^must have fewer than 255 properties; the mapping can send less: see `pick` and `drop`$/,
      /^must nest objects at most 3 levels deep; the mapping can leave it out: see `drop`$/,
      /^must not be more than 1 hour in the future$/,
    ];
    const { stdout } = await run('import', ['--dry-run', '--mapping', 'mapping.json', 'orders.ndjson']);
    await run('import', ['--mapping', 'mapping.json', 'orders.ndjson']);
    const letters = lettersIn('orders.ndjson.dead-letters.ndjson');
    assert.equal(letters.length, 3);
    for (const [index, letter] of letters.entries()) {
      const { message } = letter.reason as { message: string };
      assert.match(message.split('is invalid: ')[1]!, reasons[index]!);
      assert.ok(stdout.includes(message.split('is invalid: ')[1]!));
    }
  });

  test('import takes the mapping of IMPORT_MAPPING, and that of --mapping rather', async () => {
    write('orders.ndjson', RECORD);
    write('mapping.json', { ...MAPPING, event: { value: 'File' } });
    const env = { IMPORT_MAPPING: JSON.stringify({ ...MAPPING, event: { value: 'Variable' } }) };
    await run('import', ['orders.ndjson'], { env });
    await run('import', ['--mapping=mapping.json', 'orders.ndjson'], { env });
    assert.deepEqual(
      site.mixpanel.events().map(({ event }) => event),
      ['Variable', 'File'],
    );
  });

  test('a source for which no rule holds is told', async () => {
    write('orders.ndjson', RECORD);
    write('mapping.json', [{ when: { object: '*.csv' }, ...MAPPING }]);
    const { code, stderr } = await run('import', ['--dry-run', '--mapping', 'mapping.json', 'orders.ndjson']);
    assert.equal(code, 1);
    assert.match(stderr, /orders\.ndjson: no rule of the mapping holds: its records are read as Mixpanel events/);
  });

  const usages: [what: string, args: string[], expected: RegExp][] = [
    [
      'a mapping with problems',
      ['--mapping', 'bad.json', 'orders.ndjson'],
      /^bad\.json: evnt: unknown key\. Is event meant\?\nbad\.json: drop: must be a list of names\n$/,
    ],
    [
      'a mapping that is not there',
      ['--mapping', 'none.json', 'orders.ndjson'],
      /^none\.json: the mapping cannot be read \(ENOENT\)\. Check the path\n$/,
    ],
    ['--print without --dry-run', ['--print', '3', 'orders.ndjson'], /^--print needs --dry-run/],
    ['--print without a number', ['--dry-run', '--print', 'x', 'orders.ndjson'], /^--print takes a number of records/],
  ];
  for (const [what, args, expected] of usages) {
    test(`import ends with 2 and sends nothing if it is given ${what}`, async () => {
      write('orders.ndjson', RECORD);
      write('bad.json', { evnt: 1, drop: 'a' });
      const { code, stderr } = await run('import', args);
      assert.match(stderr, expected);
      assert.equal(code, 2);
      assert.equal(site.mixpanel.received, 0);
    });
  }
});

describe('import --dry-run --print', () => {
  test('a record and its event are shown, and what the mapping hashes or drops is masked', async () => {
    write('orders.ndjson', RECORD, { ...RECORD, at: MARKER }, RECORD);
    write('mapping.json', MAPPING);
    const { stdout } = await run('import', ['--dry-run', '--print', '2', '--mapping', 'mapping.json', 'orders.ndjson']);
    const shown = stdout.split('\n\n')[0]!;
    assert.match(
      shown,
      /^orders\.ndjson:1\n\{\n {2}"type": "Order",\n {2}"at": "2026-11-01T10:00:00Z",\n {2}"user": "•••",\n {2}"mail": "•••",/,
    );
    assert.match(shown, /→\n\{\n {2}"event": "Order",/);
    assert.ok(shown.includes(`"distinct_id": "${hmac(USER)}"`));
    assert.match(stdout, /orders\.ndjson:2\n[\s\S]*rejected: mapping\.time: not a time at at/);
    assert.doesNotMatch(stdout, /^orders\.ndjson:3$/m);
    assert.equal(site.mixpanel.received, 0);
  });

  test('with --raw nothing is masked', async () => {
    write('orders.ndjson', RECORD);
    write('mapping.json', MAPPING);
    const args = ['--dry-run', '--print', '1', '--raw', '--mapping', 'mapping.json', 'orders.ndjson'];
    const { stdout } = await run('import', args, { showsRecords: true });
    assert.ok(stdout.includes(`"mail": "${MARKER}@example.com"`));
  });

  test('without a mapping, or with one that hides nothing, the record is shown as it is', async () => {
    write('orders.ndjson', { ...RECORD, user: 'ada', mail: 'ada@example.com', extra: { deep: 'x' } });
    write('mapping.json', { event: 'type', time: 'at', properties: [] });
    const args = ['--dry-run', '--print', '1', '--mapping', 'mapping.json', 'orders.ndjson'];
    assert.match((await run('import', args)).stdout, /"deep": "x"/);
  });
});

describe('replay of records that passed a mapping', () => {
  const letter = (more: Record<string, unknown> = {}) =>
    letterLine({ through: ['mapping'], record: JSON.stringify(RECORD), source: sourceAt(1), insertId: 'o-1', ...more });

  test('replay ends with 2 and sends nothing without the mapping', async () => {
    write('a.dead-letters.ndjson', letter());
    const { code, stderr } = await run('replay', ['a.dead-letters.ndjson']);
    assert.match(
      stderr,
      /a\.dead-letters\.ndjson:1: its record passed a mapping, and there is none now\. Nothing was sent/,
    );
    assert.equal(code, 2);
    assert.equal(site.mixpanel.received, 0);
    assert.equal(lettersIn('a.dead-letters.ndjson').length, 1);
  });

  test('replay ends with 2 if the mapping has no rule for the source of the letter', async () => {
    write('a.dead-letters.ndjson', letter());
    write('mapping.json', [{ when: { object: 'other.ndjson' }, ...MAPPING }]);
    const { code } = await run('replay', ['--mapping', 'mapping.json', 'a.dead-letters.ndjson']);
    assert.equal(code, 2);
    assert.equal(site.mixpanel.received, 0);
  });

  test('replay sends what the present mapping makes of the record, by the rule for its source', async () => {
    write('a.dead-letters.ndjson', letter());
    write('mapping.json', [
      { when: { object: 'other.ndjson' }, ...MAPPING, event: { value: 'Other' } },
      { when: { object: 'a.ndjson' }, ...MAPPING },
    ]);
    const { code } = await run('replay', ['--mapping', 'mapping.json', 'a.dead-letters.ndjson']);
    assert.equal(code, 0);
    const [event] = site.mixpanel.events();
    assert.deepEqual([event!.event, event!.properties.distinct_id], ['Order', hmac(USER)]);
    assert.ok(!JSON.stringify(site.mixpanel.events()).includes(MARKER));
    assert.ok(!existsSync(join(folder, 'a.dead-letters.ndjson')));
  });

  test('the id of the letter stands unless the mapping names one', async () => {
    const { insertId: _, ...withoutId } = MAPPING;
    for (const [mapping, id] of [
      [withoutId, 'letter-7'],
      [MAPPING, 'o-1'],
    ] as const) {
      site.mixpanel.reset();
      write('a.dead-letters.ndjson', letter({ insertId: 'letter-7' }));
      write('mapping.json', mapping);
      await run('replay', ['--mapping', 'mapping.json', 'a.dead-letters.ndjson']);
      assert.deepEqual(
        site.mixpanel.events().map(({ properties }) => properties.$insert_id),
        [id],
      );
    }
  });

  test('a line of Snowplow is read as one', async () => {
    const record = lineOf({
      event: 'struct',
      event_name: 'event',
      se_action: 'buy',
      event_id: '00000000-0000-4000-8000-000000000001',
      user_id: USER,
      derived_tstamp: '2026-11-01 10:00:00',
    });
    write('a.dead-letters.ndjson', letter({ record }));
    write('mapping.json', { from: 'snowplow', hash: ['$user'] });
    const { code } = await run('replay', ['--mapping', 'mapping.json', 'a.dead-letters.ndjson']);
    assert.equal(code, 0);
    const [event] = site.mixpanel.events();
    assert.deepEqual([event!.event, event!.properties.distinct_id], ['buy', hmac(USER)]);
  });

  test('with --raw replay sends the record as it is', async () => {
    const event = { event: 'Own', properties: { time: 1_793_527_200, distinct_id: USER } };
    write('a.dead-letters.ndjson', letter({ record: JSON.stringify(event) }));
    const { code } = await run('replay', ['--raw', 'a.dead-letters.ndjson']);
    assert.equal(code, 0);
    assert.equal(site.mixpanel.events()[0]!.properties.distinct_id, USER);
  });
});
