import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapped } from '../../../support/mapping.ts';
import { madeOf, testCases, testGolden } from '../../../support/preset.ts';

const FROM = { from: 'posthog' };
const UUID = '018a8b13-6b5c-0000-9d1b-3b1a0a5d1f01';
const RECORD = {
  uuid: UUID,
  event: 'Signed Up',
  distinct_id: 'd1',
  person_id: 'p1',
  properties: { $device_id: 'd1', plan: 'pro' },
  person_properties: { email: 'ada@example.com' },
  elements_chain: 'a:href',
  timestamp: '2023-11-14T22:13:20.500000+00:00',
  created_at: '2023-11-14T23:00:00.000000+00:00',
};

describe('the preset of PostHog', () => {
  testGolden('posthog/handmade-after-docs', FROM);

  testCases(FROM, RECORD, [
    ['the time is that of the event, not of its arrival', {}, { time: 1_700_000_000_500 }],
    ['a time of Parquet has microseconds', { timestamp: '2023-11-14T22:13:20.500123Z' }, { time: 1_700_000_000_500 }],
    ['uuid is the id', {}, { $insert_id: UUID }],
    [
      'an id that equals the device is a device, not a user',
      {},
      { distinct_id: '$device:d1', $device_id: 'd1', $user_id: undefined },
    ],
    [
      'an id that differs from the device is a user',
      { distinct_id: 'ada' },
      { distinct_id: 'ada', $user_id: 'ada', $device_id: 'd1' },
    ],
    [
      'an id that is said to be identified is a user',
      { properties: { $device_id: 'd1', $is_identified: true } },
      { distinct_id: 'd1', $user_id: 'd1', $is_identified: undefined },
    ],
    [
      'after a logout the new id is a device, though it differs from the old one, which is linked to a user',
      { distinct_id: 'd2', properties: { $device_id: 'd1', $is_identified: false } },
      { distinct_id: '$device:d2', $device_id: 'd2', $user_id: undefined },
    ],
    [
      'an event without a person profile is of a device',
      { properties: { $process_person_profile: false } },
      { distinct_id: '$device:d1', $user_id: undefined },
    ],
    [
      'an id from a server, which has no device, is a user',
      { distinct_id: 'ada', properties: {} },
      { distinct_id: 'ada', $user_id: 'ada', $device_id: undefined },
    ],
    ['an id that Mixpanel does not take is nobody', { distinct_id: 'null', properties: {} }, { distinct_id: '' }],
    ['the address is sent', { properties: { $ip: '203.0.113.7' } }, { ip: '203.0.113.7', $ip: undefined }],
    ['without an address users are not located', {}, { ip: 0 }],
    [
      'places: the region is a name, the country a code',
      {
        properties: {
          ...{
            $geoip_city_name: 'Paris',
            $geoip_subdivision_1_name: 'Île-de-France',
            $geoip_subdivision_1_code: 'IDF',
          },
          ...{ $geoip_country_code: 'fr', $geoip_country_name: 'France', $geoip_latitude: 48.8 },
        },
      },
      {
        ...{ $city: 'Paris', $region: 'Île-de-France', mp_country_code: 'FR', $geoip_country_name: undefined },
        ...{ $geoip_country_code: undefined, $geoip_subdivision_1_code: undefined, $geoip_latitude: undefined },
      },
    ],
    [
      'a country that is no code is left out',
      { properties: { $geoip_country_code: 'France' } },
      { mp_country_code: undefined },
    ],
    [
      'what both know by one name stays',
      {
        properties: {
          $current_url: 'https://a.b/',
          $os: 'iOS',
          $lib: 'web',
          $lib_version: '1.9',
          utm_source: 's',
          plan: 'pro',
        },
      },
      {
        $current_url: 'https://a.b/',
        $os: 'iOS',
        mp_lib: 'web',
        $lib: undefined,
        $lib_version: '1.9',
        utm_source: 's',
        plan: 'pro',
      },
    ],
    [
      "what is PostHog's own is left out, by exact names where somebody's may begin alike",
      {
        properties: {
          ...{
            $set: { email: 'x' },
            $set_once: {},
            token: 'phc',
            '$feature/new-page': true,
            $active_feature_flags: [],
          },
          ...{
            $session_id: 's',
            $session_entry_url: 'u',
            $sent_at: 't',
            $time: 1,
            $insert_id: 'i',
            $set_up: 'own',
            tokens: 3,
          },
        },
      },
      {
        ...{
          $set: undefined,
          $set_once: undefined,
          token: undefined,
          source_token: undefined,
          '$feature/new-page': undefined,
        },
        ...{
          $active_feature_flags: undefined,
          $session_id: undefined,
          $session_entry_url: undefined,
          $sent_at: undefined,
        },
        ...{ $time: undefined, source_$insert_id: undefined, $set_up: 'own', tokens: 3 },
      },
    ],
    [
      'ids among the properties are not sent again',
      { distinct_id: 'ada', properties: { distinct_id: 'ada', $user_id: 'ada', $device_id: 'd1' } },
      { source_distinct_id: undefined, source_$user_id: undefined, source_$device_id: undefined },
    ],
    [
      'neither persons nor elements are sent',
      {},
      {
        email: undefined,
        person_properties: undefined,
        person_id: undefined,
        elements_chain: undefined,
        created_at: undefined,
        uuid: undefined,
      },
    ],
    [
      'properties that are text, as in Parquet',
      { properties: JSON.stringify({ $device_id: 'd1', plan: 'pro', $ip: '203.0.113.7' }) },
      { distinct_id: '$device:d1', plan: 'pro', ip: '203.0.113.7' },
    ],
    ['no properties at all', { properties: null }, { distinct_id: 'd1' }],
    ['properties that are empty text', { properties: '' }, { distinct_id: 'd1' }],
  ]);

  test('a login is one event with both ids, under a name that Mixpanel does not refuse', () => {
    const login = {
      ...RECORD,
      event: '$identify',
      distinct_id: 'ada',
      properties: { $device_id: 'd1', $anon_distinct_id: 'd2', $is_identified: false },
    };
    const { event, properties } = madeOf(FROM, login);
    assert.deepEqual(
      [event, properties.distinct_id, properties.$user_id, properties.$device_id, properties.$anon_distinct_id],
      ['Identify', 'ada', 'ada', 'd2', undefined],
    );
  });

  test('a login that does not name the id of before has the device', () => {
    const login = { ...RECORD, event: '$identify', distinct_id: 'ada' };
    assert.equal(madeOf(FROM, login).properties.$device_id, 'd1');
  });

  test("page views are Mixpanel's, unless the rule keeps the name", () => {
    const view = { ...RECORD, event: '$pageview' };
    assert.equal(madeOf(FROM, view).event, '$mp_web_page_view');
    assert.equal(madeOf({ ...FROM, event: 'event' }, view).event, '$pageview');
  });

  const skipped = [
    ...['$autocapture', '$feature_flag_called', '$groupidentify', '$pageleave', '$set', '$web_vitals', '$snapshot'],
    ...['$create_alias', '$merge_dangerously', '$merge'],
  ];
  for (const event of skipped) {
    test(`${event} is left out, and what begins alike is not`, () => {
      assert.equal(mapped(FROM, { ...RECORD, event }), null);
      assert.equal(madeOf(FROM, { ...RECORD, event: `${event}_x` }).event, `${event}_x`);
    });
  }

  test('the list of files that lies beside them is left out', () => {
    assert.equal(mapped(FROM, { files: ['a.jsonl'] }), null);
    assert.equal(madeOf(FROM, { ...RECORD, files: ['a.jsonl'] }).event, 'Signed Up');
  });

  const misfits: [record: object, field: string, message: string][] = [
    [{ properties: '{"plan":' }, 'properties', 'not JSON'],
    [{ timestamp: 'soon' }, 'mapping.time', 'not a time at timestamp'],
    [{ timestamp: null }, 'mapping.time', 'nothing at timestamp'],
    [{ event: '' }, 'mapping.event', 'nothing at what the preset looks for'],
  ];
  for (const [record, field, message] of misfits) {
    test(`${JSON.stringify(record)} is a rejection: ${field}: ${message}`, () =>
      assert.deepEqual(mapped(FROM, { ...RECORD, ...record }), new Misfit(field, message)));
  }
});
