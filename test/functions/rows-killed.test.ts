import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { NAMES } from '../../local-cloud/cloud.ts';
import { avroOf } from '../support/avro.ts';
import { fixture, linesOf } from '../support/formats.ts';
import { assertNothingLeaked, startTestCloud, type TestCloud } from '../support/serving.ts';

const MAPPING = [
  {
    when: { object: '**/*.csv' },
    format: 'csv',
    event: { value: 'Row' },
    time: 'at',
    user: 'name',
    number: ['number'],
  },
];
const ROWS = 200;
/** Before the first checkpoint with a position, and after it. */
const MOMENTS = [6, 20];
/** An object of 60 rows takes longer than the time between two checkpoints. */
const DELAY_MS = 400;

const csv = Buffer.from(
  `name,at,number\n${Array.from({ length: ROWS }, (_, row) => `ada,2026-01-02,${row}\n`).join('')}bad\n`,
);
const events = Array.from({ length: ROWS }, (_, number) =>
  JSON.stringify({ event: 'Row', properties: { time: 1767312000 + number, distinct_id: 'ada', number } }),
);
const FILES: readonly [name: string, content: Buffer, rows: number, rejected: number][] = [
  ['rows.csv', csv, ROWS, 1],
  ['rows.avro', avroOf(events, 33), ROWS, 0],
  ['rows.parquet', fixture('events-zstd.parquet'), linesOf('events.ndjson').length, 0],
];

describe('rows of an object, in a function that is killed', () => {
  let cloud: TestCloud;
  before(async () => {
    cloud = await startTestCloud({
      ackDeadlineSeconds: 2,
      env: {
        IMPORT_MAPPING: JSON.stringify(MAPPING),
        IMPORT_LEASE_SECONDS: '2',
        IMPORT_MAX_BATCH_EVENTS: '5',
        IMPORT_MAX_CONCURRENCY: '2',
      },
    });
  });
  after(() => cloud.close());

  for (const [name, content, rows, rejected] of FILES) {
    for (const moment of MOMENTS) {
      test(`every event of ${name} arrives exactly once if importObject is killed at operation ${moment}`, {
        timeout: 60_000,
      }, async () => {
        await cloud.reset();
        const killed = killAt(moment);
        const file = cloud.storageClient.bucket(NAMES.importBucket).file(`${moment}/${name}`);
        await file.save(content, { resumable: false });
        await killed;
        while (backlog() > 0) await once(cloud.pubsub, 'push');
        const arrived = cloud.mixpanel.events();
        assert.equal(arrived.length, rows);
        assert.equal(new Set(arrived.map(({ properties }) => properties.$insert_id)).size, rows);
        const places = (await cloud.deadLetters()).map(({ source }) => JSON.stringify(source));
        assert.equal(new Set(places).size, rejected);
        assertNothingLeaked(cloud.printed);
      });
    }
  }

  function backlog(): number {
    const { waiting, outstanding } = cloud.pubsub.backlog(NAMES.objectSubscription);
    return waiting + outstanding;
  }

  /** Kills the function and starts it again when it asks for the operation of that number, which is carried out all the same. */
  function killAt(moment: number): Promise<void> {
    const restarted = Promise.withResolvers<void>();
    let operations = 0;
    const count = () => {
      if (++operations === moment) cloud.importObject.restart().then(restarted.resolve, restarted.reject);
      return undefined;
    };
    cloud.mixpanel.fault = () => {
      count();
      return { delayMs: DELAY_MS };
    };
    cloud.storage.fault = ({ bucket, kind }) =>
      bucket === NAMES.importBucket && kind === 'upload' ? undefined : count();
    return restarted.promise.finally(() => {
      cloud.mixpanel.fault = undefined;
      cloud.storage.fault = undefined;
    });
  }
});
