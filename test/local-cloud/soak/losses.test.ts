import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { findLosses } from '../../../local-cloud/soak/losses.ts';
import { badRecord, type Sent } from '../../../local-cloud/soak/producer.ts';
import { startTestCloud, type TestCloud } from '../../support/serving.ts';

const EXCUSES = { corrupted: new Set<string>(), killedDrains: 0 };
const CUT = '{"event":"Soak","properties":{"hostile":"hostile-1"';

let cloud: TestCloud;
before(async () => {
  cloud = await startTestCloud();
});
after(() => cloud.close());

/** What was sent as one file, which has that many bad records. */
function sentWith(rejections: number): Sent {
  return { events: 1, rejections, files: 1, messages: 0, hostile: 1, marks: new Set(['hostile-1']) };
}

test('the soak finds a bad record in the letter of the hostile record before it, and misses one that is in no letter', async () => {
  const good = '{"event":"Soak","properties":{"time":1767225600,"distinct_id":"u","$insert_id":"soak-0"}}';
  assert.equal(await cloud.upload('soak/0', [CUT, badRecord(0), good, badRecord(1), ''].join('\n')), 204);
  assert.equal((await cloud.deadLetters()).length, 2, 'the first bad record has no letter of its own');
  assert.deepEqual(await findLosses(cloud, sentWith(2), EXCUSES), []);
  assert.deepEqual(await findLosses(cloud, sentWith(3), EXCUSES), [
    '1 bad inputs are no dead letters: this is no event: 2',
  ]);
});

test('the soak does not take a bad record for one whose number begins alike', async () => {
  const lines = Array.from({ length: 10 }, (_, number) => badRecord(number + 10));
  await cloud.reset();
  const good = '{"event":"Soak","properties":{"time":1767225600,"distinct_id":"u","$insert_id":"soak-0"}}';
  await cloud.upload('soak/0', [CUT, badRecord(10), good, ...lines].join('\n'));
  const [loss] = await findLosses(cloud, sentWith(20), EXCUSES);
  assert.equal(loss, '10 bad inputs are no dead letters: this is no event: 0');
});
