import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { after, before, beforeEach, test } from 'node:test';
import { parseSince } from '../../cli/operate/since.ts';
import { NAMES } from '../../local-cloud/cloud.ts';
import { eventText } from '../support/event.ts';
import { type CommandOptions, runCommand } from '../support/operating.ts';
import { startTestCloud, type TestCloud } from '../support/serving.ts';

const OBJECTS = 6;
/** 1,024 bytes, so that the checkpoint has another name. */
const LONG = `in/${'x'.repeat(1_021)}`;

let cloud: TestCloud;
/** Objects that were notified, in that order. */
let published: string[] = [];
let onPublish = () => {};

before(async () => {
  cloud = await startTestCloud({ env: { OBJECT_PREFIX: 'in/' } });
  cloud.pubsub.fault = ({ method, request }) => {
    if (method !== 'Publish') return undefined;
    const { messages } = request as { messages: { attributes: Record<string, string> }[] };
    published.push(...messages.map(({ attributes }) => attributes.objectId!));
    onPublish();
    return undefined;
  };
});
after(() => cloud.close());
beforeEach(async () => {
  const [files] = await cloud.storageClient.bucket(NAMES.importBucket).getFiles();
  await Promise.all(files.map((file) => file.delete()));
  for (let index = 0; index < OBJECTS; index++) {
    assert.equal(await cloud.upload(index === 0 ? LONG : `in/${index}`, `${eventText(`id-${index}`)}\n`), 204);
  }
  // As if they had been there before the deployment.
  await cloud.reset();
  published = [];
  onPublish = () => {};
});

const backfill = (args: string[], options: Partial<CommandOptions> = {}) =>
  runCommand('backfill', args, {
    cwd: tmpdir(),
    env: {
      STORAGE_API_ENDPOINT: cloud.storage.url,
      PUBSUB_EMULATOR_HOST: cloud.pubsub.host,
      STATE_BUCKET: NAMES.stateBucket,
      OBJECT_TOPIC: NAMES.objectTopic,
    },
    ...options,
  });

test('backfill has the function import the objects that are not done, the newest first and so many at once; a second run imports nothing', async () => {
  // It is looked for what is done before the first ones are.
  cloud.mixpanel.fault = ({ sequence }) => (sequence < 2 ? { delayMs: 1_500 } : undefined);
  let most = 0;
  onPublish = () => {
    most = Math.max(most, published.length - cloud.mixpanel.received);
  };
  const { code, stdout, stderr } = await backfill(['--pending', '2', `gs://${NAMES.importBucket}/in/`]);
  assert.match(
    stdout,
    /: 6 objects to import, 642 B; 0 done already\n6 objects done: 642 B in .*dead-letters -- 'gs:\/\/local-mixpanel-state\/dead-letters\/objects\/local-mixpanel-import\/in\/'\n$/,
  );
  assert.match(stderr, /6 of 6 objects done, .* 0 published, 0 to come\n$/);
  assert.equal(code, 0);
  assert.deepEqual(
    published.map((name) => (name === LONG ? 'in/0' : name)),
    ['in/5', 'in/4', 'in/3', 'in/2', 'in/1', 'in/0'],
  );
  assert.equal(most, 2);
  assert.deepEqual([cloud.mixpanel.events().length, cloud.mixpanel.received], [OBJECTS, OBJECTS]);

  const again = await backfill([`gs://${NAMES.importBucket}`]);
  assert.match(again.stdout, /: 0 objects to import, 0 B; 6 done already\n$/);
  assert.equal(again.code, 0);
  assert.equal(published.length, OBJECTS);
});

test('backfill publishes nothing in a dry run, and says how much it would be and which objects', async () => {
  await cloud.upload('elsewhere', 'outside of OBJECT_PREFIX');
  const { code, stdout } = await backfill(['--dry-run', '--since', '1h', `gs://${NAMES.importBucket}/`], {
    env: { STORAGE_API_ENDPOINT: cloud.storage.url, STATE_BUCKET: NAMES.stateBucket, OBJECT_PREFIX: 'in/' },
  });
  assert.match(stdout, /: 6 objects to import, 642 B; 0 done already, 1 outside OBJECT_PREFIX left out\n/);
  assert.match(stdout, /\n {2}20\S+Z +107 B {2}gs:\/\/local-mixpanel-import\/in\/5\n(.*\n)*Nothing was published\.\n$/);
  assert.equal(code, 0);
  assert.deepEqual(published, []);
});

test('backfill ends at Ctrl-C, and continues when it is run again', async () => {
  cloud.mixpanel.fault = () => ({ status: 503 });
  const interrupted = await backfill(['--pending', '3', `gs://${NAMES.importBucket}/in/`], {
    onStart(child) {
      cloud.mixpanel.once('request', () => child.kill('SIGINT'));
    },
  });
  assert.match(interrupted.stdout, /Interrupted: 0 done, 3 published and still being imported, 3 not published\./);
  assert.equal(interrupted.code, 130);
  assert.equal(published.length, 3);
  cloud.mixpanel.fault = undefined;
  const { code, stdout } = await backfill(['--dead-letters', 'letters', `gs://${NAMES.importBucket}/in/`]);
  assert.match(stdout, /\d objects done.*dead-letters -- 'gs:\/\/letters\/dead-letters\/objects\//);
  assert.equal(code, 0);
  assert.equal(cloud.mixpanel.events().length, OBJECTS);
});

test('backfill refuses the state bucket, and what it does not understand', async () => {
  const cases: [string[], RegExp][] = [
    [[`gs://${NAMES.stateBucket}/checkpoints/`], /the state bucket, whose objects are not events/],
    [['--dead-letters', 'letters', 'gs://letters/'], /the bucket of dead letters, whose objects are not events/],
    [['--dead-letters', 'gs://letters/x', 'gs://b'], /--dead-letters gs:\/\/letters\/x: must be a bucket alone/],
    [['--pending', '0', 'gs://b'], /--pending 0: must be a whole number/],
    [['--since', 'yesterday', 'gs://b'], /--since yesterday: must be such as/],
    [['--topic', 'objects', 'gs://b'], /OBJECT_TOPIC must be projects\/P\/topics\/T/],
    [[], /Name one prefix/],
    [['gs://missing/in/'], /^gs:\/\/missing: there is no such bucket/],
    [['--state', 'missing', `gs://${NAMES.importBucket}`], /^gs:\/\/missing: there is no such bucket/],
  ];
  const ended = await Promise.all(cases.map(([args]) => backfill(args)));
  for (const [index, { code, stderr }] of ended.entries()) {
    assert.match(stderr, cases[index]![1]);
    assert.equal(code, 2);
  }
  assert.match((await backfill(['--help'])).stdout, /OBJECT_PREFIX/);
});

test('backfill understands --since: durations until now, and dates in UTC', () => {
  const now = Date.UTC(2026, 10, 23, 12);
  const cases: Record<string, number | RegExp> = {
    '30m': now - 1_800_000,
    '24h': now - 86_400_000,
    '7d': now - 7 * 86_400_000,
    '2w': now - 14 * 86_400_000,
    '2026-11-01': Date.UTC(2026, 10, 1),
    '2026-11-01T10:00': Date.UTC(2026, 10, 1, 10),
    '2026-11-01T10:00:00+02:00': Date.UTC(2026, 10, 1, 8),
    '2026-12-01': /has not come yet/,
    '2026-13-01': /must be such as/,
    '7': /must be such as/,
  };
  for (const [text, expected] of Object.entries(cases)) {
    if (typeof expected === 'number') assert.equal(parseSince(text, now), expected, text);
    else assert.throws(() => parseSince(text, now), expected);
  }
});
