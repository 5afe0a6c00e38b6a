import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapped } from '../../../support/mapping.ts';
import { madeOf, testCases, testGolden } from '../../../support/preset.ts';

const FROM = { from: 'ga4' };
const NULLS = { string_value: null, int_value: null, float_value: null, double_value: null };

/** A row as JSON has it: integers are text, and nulls are left out. */
const ROW = {
  event_date: '20231114',
  event_name: 'purchase',
  event_timestamp: '1700000000123456',
  event_bundle_sequence_id: '-77',
  user_pseudo_id: '11.22',
  event_params: [
    { key: 'value', value: { double_value: 9.5 } },
    { key: 'coupon', value: { string_value: 'A<B' } },
    { key: 'ga_session_id', value: { int_value: '1700000000' } },
    { key: 'big', value: { int_value: '9007199254740993' } },
  ],
};
/** The same row as Parquet and Avro have it: integers are numbers, and nulls are there. */
const COLUMNS = {
  ...ROW,
  event_timestamp: 1_700_000_000_123_456,
  event_bundle_sequence_id: -77,
  user_id: null,
  batch_event_index: null,
  event_params: [
    { key: 'value', value: { ...NULLS, double_value: 9.5 } },
    { key: 'coupon', value: { ...NULLS, string_value: 'A<B' } },
    { key: 'ga_session_id', value: { ...NULLS, int_value: 1_700_000_000 } },
    {
      key: 'big',
      value: { ...NULLS, int_value: (JSON as never as { rawJSON(n: string): object }).rawJSON('9007199254740993') },
    },
  ],
};

const idOf = (record: object) => madeOf(FROM, record).properties.$insert_id;

describe('the preset of Google Analytics 4', () => {
  testGolden('ga4/bigquery-json-export-shape', FROM);
  // A row of a dbt package, which has other names for the columns.
  testGolden('ga4/velir-flattened-first_visit', { ...FROM, device: 'client_id' });

  test('JSON, where integers are text and nulls are left out, and Parquet or Avro make the same event', () => {
    assert.deepEqual(madeOf(FROM, COLUMNS), madeOf(FROM, ROW));
    assert.equal(madeOf(FROM, ROW).properties.$insert_id, 'b5accc5266504a5b0d2fa9743c00a9b6');
  });

  testCases(FROM, ROW, [
    ['the time is in milliseconds, and those of a second keep their order', {}, { time: 1_700_000_000_123 }],
    [
      'a parameter is its one value that is not null',
      COLUMNS,
      { value: 9.5, coupon: 'A<B', ga_session_id: 1_700_000_000 },
    ],
    [
      'a user is known beside the browser',
      { user_id: 'ada' },
      { distinct_id: 'ada', $user_id: 'ada', $device_id: '11.22' },
    ],
    [
      'a user that bad tagging calls undefined is none',
      { user_id: 'undefined' },
      { distinct_id: '$device:11.22', $user_id: undefined },
    ],
    [
      'a hit without consent is of nobody',
      { user_pseudo_id: null, user_id: '' },
      { distinct_id: '', $device_id: undefined, $user_id: undefined },
    ],
    [
      'countries have names, and never become codes',
      { geo: { country: 'United States', region: 'Texas', city: 'Austin', metro: '(not set)', continent: 'Americas' } },
      {
        country: 'United States',
        $region: 'Texas',
        $city: 'Austin',
        mp_country_code: undefined,
        metro: undefined,
        continent: 'Americas',
        ip: 0,
        geo: undefined,
      },
    ],
    [
      'what is not set, or other, is not known',
      {
        geo: { city: '(not set)', region: '' },
        device: { operating_system: '<Other>', web_info: { browser: '(not set)' }, browser: 'Chrome' },
      },
      { $city: undefined, $region: undefined, $os: undefined, $browser: 'Chrome', device: undefined },
    ],
    [
      'devices',
      {
        device: {
          ...{ category: 'mobile', mobile_brand_name: 'Google', mobile_model_name: 'Pixel 7', language: 'de-de' },
          ...{ operating_system: 'Android', operating_system_version: '14', advertising_id: 'x' },
          web_info: { browser: 'Chrome', browser_version: '119', hostname: 'a.b' },
        },
        app_info: { id: 'com.acme', version: '1.2' },
      },
      {
        ...{ $device_type: 'mobile', $manufacturer: 'Google', $model: 'Pixel 7', $locale: 'de-de', $os: 'Android' },
        ...{
          $os_version: '14',
          $browser: 'Chrome',
          $browser_version: '119',
          hostname: 'a.b',
          advertising_id: undefined,
        },
        ...{ $app_version_string: '1.2', app_info: { id: 'com.acme' } },
      },
    ],
    [
      'the campaign is that of the event',
      {
        collected_traffic_source: {
          ...{ manual_source: 's', manual_medium: 'm', manual_campaign_name: 'c', manual_term: 't' },
          ...{ manual_content: 'o', gclid: 'g', dclid: null, manual_campaign_id: '7' },
        },
      },
      {
        ...{ utm_source: 's', utm_medium: 'm', utm_campaign: 'c', utm_term: 't', utm_content: 'o', gclid: 'g' },
        collected_traffic_source: { manual_campaign_id: '7' },
      },
    ],
    [
      'the first touch of a user is no campaign of the event',
      { traffic_source: { source: 'first', medium: 'cpc', name: 'x' } },
      {
        utm_source: undefined,
        utm_medium: undefined,
        utm_campaign: undefined,
        traffic_source: { source: 'first', medium: 'cpc', name: 'x' },
      },
    ],
    [
      'pages',
      {
        event_params: [
          { key: 'page_location', value: { string_value: 'https://a.b/?utm_source=x' } },
          { key: 'page_referrer', value: { string_value: 'https://r.s/' } },
          { key: 'page_title', value: { string_value: 'T' } },
        ],
      },
      {
        $current_url: 'https://a.b/?utm_source=x',
        $referrer: 'https://r.s/',
        page_title: 'T',
        page_location: undefined,
        page_referrer: undefined,
      },
    ],
    [
      'a parameter wins over a column, over a property of the user, and over a place of its name',
      {
        event_params: ['platform', 'plan', 'country'].map((key) => ({ key, value: { string_value: 'own' } })),
        platform: 'WEB',
        geo: { country: 'France' },
        user_properties: [
          { key: 'plan', value: { string_value: 'user', set_timestamp_micros: '1' } },
          { key: 'tier', value: { int_value: '3', set_timestamp_micros: '1' } },
        ],
      },
      { platform: 'own', plan: 'own', country: 'own', tier: 3 },
    ],
    [
      'items stay together, their parameters beside their names, their numbers as numbers',
      {
        items: [
          {
            ...{ item_id: 'a', quantity: '2', price: 1.5, coupon: '(not set)', item_brand: null },
            item_params: [
              { key: 'size', value: { string_value: 'L' } },
              { key: 'item_id', value: { string_value: 'other' } },
            ],
          },
        ],
        ecommerce: { transaction_id: '(not set)', total_item_quantity: '2', unique_items: '1' },
      },
      {
        items: [{ item_id: 'a', quantity: 2, price: 1.5, size: 'L' }],
        ecommerce: { total_item_quantity: 2, unique_items: 1 },
      },
    ],
    ['empty lists are left out', { items: [], ecommerce: {} }, { items: undefined, ecommerce: undefined }],
    [
      'what is about the export is left out',
      {
        batch_page_id: '1',
        batch_event_index: '2',
        privacy_info: { ads_storage: 'Yes' },
        event_previous_timestamp: '1',
        user_first_touch_timestamp: '1',
      },
      {
        batch_page_id: undefined,
        batch_event_index: undefined,
        event_date: undefined,
        privacy_info: undefined,
        event_bundle_sequence_id: undefined,
        event_previous_timestamp: undefined,
        user_first_touch_timestamp: undefined,
      },
    ],
    [
      'a parameter with a reserved name is renamed',
      { event_params: [{ key: 'time', value: { int_value: '3' } }] },
      { source_time: 3, time: 1_700_000_000_123 },
    ],
  ]);

  const hit = { ...ROW, batch_page_id: '1', batch_ordering_id: '2', batch_event_index: '3' };
  const params = [{ key: 'value', value: { double_value: 1 } }];
  const apart: [what: string, a: object, b: object][] = [
    ['two hits of a batch', hit, { ...hit, batch_event_index: '4' }],
    ['hits of two batches', hit, { ...hit, batch_ordering_id: '3' }],
    ['hits of two pages', hit, { ...hit, batch_page_id: '3' }],
    ['hits of two bundles', ROW, { ...ROW, event_bundle_sequence_id: '-78' }],
    ['two hits of one millisecond', ROW, { ...ROW, event_timestamp: '1700000000123457' }],
    ['hits of two visitors', ROW, { ...ROW, user_pseudo_id: '11.23' }],
    ['two events', ROW, { ...ROW, event_name: 'refund' }],
    ['clicks that differ in their parameters alone', ROW, { ...ROW, event_params: params }],
  ];
  for (const [what, a, b] of apart) {
    test(`${what} have two ids`, () => assert.notEqual(idOf(a), idOf(b)));
  }

  test('the id depends neither on the table nor on what is found out later', () => {
    const later = { event_date: '20231115', event_params: params, geo: { city: 'Austin' }, is_active_user: true };
    assert.equal(idOf({ ...hit, ...later }), idOf(hit));
  });

  test('what the export has of sessions and engagement is sent, unless the rule leaves it out', () => {
    const start = { ...ROW, event_name: 'session_start' };
    assert.equal(madeOf(FROM, start).event, 'session_start');
    assert.equal(mapped({ ...FROM, skip: ['session_start'] }, start), null);
  });

  const misfits: [record: object, field: string, message: string][] = [
    [{ event_timestamp: 'soon' }, 'mapping.time', 'not a time at event_timestamp'],
    [{ event_timestamp: null }, 'mapping.time', 'nothing at event_timestamp'],
    [{ event_name: null }, 'mapping.event', 'nothing at event_name'],
  ];
  for (const [record, field, message] of misfits) {
    test(`${JSON.stringify(record)} is a rejection: ${field}: ${message}`, () =>
      assert.deepEqual(mapped(FROM, { ...ROW, ...record }), new Misfit(field, message)));
  }
});
