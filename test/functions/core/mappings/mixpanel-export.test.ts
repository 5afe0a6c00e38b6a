import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapped } from '../../../support/mapping.ts';
import { madeOf, testCases, testGolden } from '../../../support/preset.ts';

const FROM = { from: 'mixpanel-export' };
const NEW_YORK = { ...FROM, time: { zone: 'America/New_York' } };
const TIME = Date.UTC(2023, 10, 14, 22, 13, 20) / 1_000;
const RECORD = { event: 'Signed Up', properties: { time: TIME, $insert_id: 'a-1', distinct_id: 'ada' } };
const withProperties = (properties: object) => ({ properties: { ...RECORD.properties, ...properties } });

describe("the preset of Mixpanel's export", () => {
  testGolden('mixpanel-export/fivetran-seed-reshaped', FROM);

  testCases(FROM, RECORD, [
    ['times are UTC where no zone is given', {}, { time: TIME * 1_000 }],
    ['times may be exported in milliseconds', withProperties({ time: TIME * 1_000 + 7 }), { time: TIME * 1_000 + 7 }],
    ['the id is kept', {}, { $insert_id: 'a-1' }],
    [
      'users and devices are those that the event had, not the one that stands for the cluster',
      withProperties({ $user_id: 'ada', $device_id: 'd1', distinct_id: 'cluster' }),
      { distinct_id: 'ada', $user_id: 'ada', $device_id: 'd1' },
    ],
    [
      'a device that was identified later stays a device',
      withProperties({ $device_id: 'd1', distinct_id: 'ada' }),
      { distinct_id: '$device:d1', $device_id: 'd1', $user_id: undefined },
    ],
    [
      'the id of before counts more than the one that stands for the cluster',
      withProperties({ $distinct_id_before_identity: 'bob', distinct_id: 'cluster' }),
      { distinct_id: 'bob', $user_id: 'bob', $distinct_id_before_identity: undefined },
    ],
    [
      'a distinct_id with the prefix is a device',
      withProperties({ distinct_id: '$device:d1' }),
      { distinct_id: '$device:d1', $device_id: 'd1', $user_id: undefined },
    ],
    [
      'an event of nobody stays so',
      withProperties({ distinct_id: '' }),
      { distinct_id: '', $user_id: undefined, $device_id: undefined },
    ],
    [
      'what ingestion filled in is left out',
      withProperties({
        ...{
          $import: true,
          $mp_api_endpoint: 'x',
          $mp_api_timestamp_ms: 1,
          $mp_event_size: 2,
          mp_processing_time_ms: 3,
        },
        ...{
          $geo_source: 'x',
          $is_reshuffled: true,
          $preshuffle_distinct_id: 'x',
          mp_original_distinct_id: 'x',
          $source: 'x',
        },
        ...{ $ignore: true, token: 'x' },
      }),
      {
        ...{
          $import: undefined,
          $mp_api_endpoint: undefined,
          $mp_api_timestamp_ms: undefined,
          $mp_event_size: undefined,
        },
        ...{ mp_processing_time_ms: undefined, $geo_source: undefined, $is_reshuffled: undefined },
        ...{ $preshuffle_distinct_id: undefined, mp_original_distinct_id: undefined, $source: undefined },
        ...{ $ignore: undefined, token: undefined, source_token: undefined },
      },
    ],
    [
      'the place is kept, and an address is not sent',
      withProperties({ $city: 'Austin', $region: 'Texas', mp_country_code: 'US', ip: '203.0.113.7' }),
      { $city: 'Austin', $region: 'Texas', mp_country_code: 'US', ip: 0, source_ip: undefined },
    ],
    [
      'all others stay what they are',
      withProperties({ user_id: 7, mp_lib: 'web', $os: 'iOS', items: [{ a: 1 }], flag: false }),
      { user_id: 7, mp_lib: 'web', $os: 'iOS', items: [{ a: 1 }], flag: false },
    ],
    [
      'what pipelines write',
      {
        ...{
          event: undefined,
          event_name: 'Signed Up',
          time: '2023-11-14 22:13:20',
          insert_id: 'b-2',
          distinct_id: 'x',
        },
        ...{ user_id: 'ada', device_id: 'd1', properties: '{"plan":"pro","mp_processing_time_ms":3}' },
      },
      {
        ...{
          time: TIME * 1_000,
          $insert_id: 'b-2',
          distinct_id: 'ada',
          $user_id: 'ada',
          $device_id: 'd1',
          plan: 'pro',
        },
        ...{ mp_processing_time_ms: undefined, user_id: undefined },
      },
    ],
    [
      'a distinct_id is all that a pipeline may have',
      { event_name: 'Signed Up', time: TIME, distinct_id: '$device:d1', properties: {} },
      { distinct_id: '$device:d1', $device_id: 'd1' },
    ],
  ]);

  const local: [what: string, exported: number, sent: number][] = [
    ['in winter New York is five hours behind', Date.UTC(2023, 0, 15, 12), Date.UTC(2023, 0, 15, 17)],
    ['in summer New York is four hours behind', Date.UTC(2023, 6, 15, 12), Date.UTC(2023, 6, 15, 16)],
    ['of an hour that occurs twice the first counts', Date.UTC(2023, 10, 5, 1, 30), Date.UTC(2023, 10, 5, 5, 30)],
  ];
  for (const [what, exported, sent] of local) {
    test(`${what}: in seconds, in milliseconds, and as text`, () => {
      const text = new Date(exported).toISOString().slice(0, 19).replace('T', ' ');
      for (const time of [exported / 1_000, exported, text]) {
        const { properties } = madeOf(NEW_YORK, { ...RECORD, ...withProperties({ time }) });
        assert.equal(properties.time, sent, String(time));
      }
    });
  }

  for (const event of ['$identify', '$create_alias', '$merge']) {
    test(`${event} is left out, for Mixpanel would refuse the whole request`, () =>
      assert.equal(mapped(FROM, { ...RECORD, event }), null));
  }

  const misfits: [record: object, field: string, message: string][] = [
    [{ properties: 'x' }, 'properties', 'not JSON'],
    [withProperties({ time: 'soon' }), 'mapping.time', 'not a time at properties.time, time'],
    [{ event: undefined }, 'mapping.event', 'nothing at event, event_name'],
  ];
  for (const [record, field, message] of misfits) {
    test(`${JSON.stringify(record)} is a rejection: ${field}: ${message}`, () =>
      assert.deepEqual(mapped(FROM, { ...RECORD, ...record }), new Misfit(field, message)));
  }
});
