import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { after, before, beforeEach, test } from 'node:test';
import { formatCheckpoint, noProgress } from '../../functions/storage/checkpoint.ts';
import { checkpointName } from '../../functions/storage/names.ts';
import { NAMES } from '../../local-cloud/cloud.ts';
import { eventText, ndjson } from '../support/event.ts';
import { runCommand } from '../support/operating.ts';
import { startTestCloud, type TestCloud } from '../support/serving.ts';

const EVENTS = 2_000;
const PARTS = 3;
/** What the tools name the parts of a parallel composite upload. */
const PART_NAMES = {
  'gcloud storage': 'gcloud/tmp/parallel_composite_uploads/see_gcloud_storage_cp_help_for_details/b1c2_whole.ndjson_',
  gsutil: '1732904155/gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/9f86d081884c7d65_',
};

let cloud: TestCloud;
before(async () => {
  cloud = await startTestCloud({ env: { INSERT_ID: 'position', OBJECT_EXCLUDE: '' } });
});
after(() => cloud.close());
beforeEach(async () => {
  const [files] = await cloud.storageClient.bucket(NAMES.importBucket).getFiles();
  await Promise.all(files.map((file) => file.delete()));
  await cloud.reset();
});

const run = (command: string, ...args: string[]) =>
  runCommand(command, args, {
    cwd: tmpdir(),
    env: {
      STORAGE_API_ENDPOINT: cloud.storage.url,
      PUBSUB_EMULATOR_HOST: cloud.pubsub.host,
      STATE_BUCKET: NAMES.stateBucket,
      OBJECT_TOPIC: NAMES.objectTopic,
    },
  });

for (const [tool, name] of Object.entries(PART_NAMES)) {
  test(`a parallel composite upload by ${tool} sends each event once, and nothing of its parts`, {
    timeout: 60_000,
  }, async () => {
    const events = Array.from({ length: EVENTS }, (_, n) => eventText(undefined, { n }));
    const content = Buffer.from(ndjson(events));
    const size = Math.ceil(content.length / PARTS);
    const bucket = cloud.storageClient.bucket(NAMES.importBucket);
    const parts = Array.from({ length: PARTS }, (_, part) => `${name}${part}`);
    for (const [part, name] of parts.entries()) {
      assert.equal(await cloud.upload(name, content.subarray(part * size, (part + 1) * size)), 204);
    }
    assert.equal(await cloud.upload('whole.ndjson', content), 204);
    const logged = await cloud.loggedUntil('object imported');
    assert.deepEqual(
      logged.map(({ severity, message, object, reason, read }) => [severity, message, object, reason, read]),
      [
        ...parts.map((name) => ['INFO', 'object skipped', name, 'excluded', 0]),
        ['INFO', 'object imported', 'whole.ndjson', undefined, EVENTS],
      ],
    );
    assert.deepEqual([cloud.mixpanel.received, cloud.mixpanel.events().length], [EVENTS, EVENTS]);

    // The tool deletes the parts at last; what is left of them after a crash is for no command either.
    const status = await run('status', `gs://${NAMES.importBucket}/${parts[0]}`);
    assert.match(status.stdout, /\nexcluded: it is not imported, because its name .* matches OBJECT_EXCLUDE/);
    assert.equal(status.code, 1);
    const backfill = await run('backfill', `gs://${NAMES.importBucket}`);
    assert.match(backfill.stdout, /: 0 objects to import, 0 B; 1 done already, 3 excluded \(OBJECT_INCLUDE/);
    assert.equal(backfill.code, 0);
    await Promise.all(parts.map((name) => bucket.file(name).delete()));
    assert.equal(cloud.mixpanel.received, EVENTS);
  });
}

test('an object that was begun is finished, whatever its name', { timeout: 60_000 }, async () => {
  const object = 'out/_temporary/part.ndjson';
  assert.equal(await cloud.upload(object, ndjson([eventText('begun')])), 204);
  assert.equal((await cloud.loggedUntil('object skipped'))[0]!.reason, 'excluded');
  const [{ generation }] = await cloud.storageClient.bucket(NAMES.importBucket).file(object).getMetadata();
  const source = { bucket: NAMES.importBucket, object, generation: String(generation) };
  const text = formatCheckpoint({
    ...noProgress(),
    state: 'running',
    holder: 'an earlier invocation',
    leaseExpiresAt: null,
    takeovers: 0,
    fruitless: 0,
    lastError: null,
  });
  const file = cloud.storageClient.bucket(NAMES.stateBucket).file(checkpointName(source));
  await file.save(text, { resumable: false, metadata: { metadata: { state: 'running' } } });

  assert.match((await run('status', `gs://${NAMES.importBucket}/${object}`)).stdout, /\nrunning: nothing of it is/);
  const { stdout, code } = await run('backfill', `gs://${NAMES.importBucket}/out/`);
  assert.match(stdout, /: 1 object to import, .*\n1 object done/);
  assert.equal(code, 0);
  assert.equal(cloud.mixpanel.count('begun'), 1);
});
