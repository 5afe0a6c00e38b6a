import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { readLine } from '../../../../functions/core/formats/snowplow/row.ts';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapperOf } from '../../../support/mapping.ts';

const folder = new URL('../../../data/snowplow/', import.meta.url);
const linesOf = (name: string) =>
  readFileSync(new URL(name, folder), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
const map = mapperOf({ from: 'snowplow' });

const sha = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32);

/** A record that has a name, a time and an id. */
const RECORD = {
  event: 'page_view',
  event_name: 'page_view',
  event_id: '94b86f90-7739-4f0d-bcc2-b054143abad5',
  derived_tstamp: '2023-11-14T22:13:20.5Z',
};
const CONTEXTS = {
  yauaa: 'contexts_nl_basjes_yauaa_context_1',
  parser: 'contexts_com_snowplowanalytics_snowplow_ua_parser_context_1',
  mobile: 'contexts_com_snowplowanalytics_snowplow_mobile_context_1',
  application: 'contexts_com_snowplowanalytics_mobile_application_1',
  session: 'contexts_com_snowplowanalytics_snowplow_client_session_1',
};

interface Made {
  event: string;
  properties: Record<string, unknown>;
}

function made(record: object, mapping = map): Made {
  const event = mapping({ ...RECORD, ...record });
  assert.ok(event !== null && event !== undefined && 'event' in event, JSON.stringify(event));
  return event as Made;
}

describe('the preset of Snowplow', () => {
  for (const name of [
    'rdb-1',
    'rdb-3-with-bad-lines',
    'js-sdk-fixture',
    'legacy-108-fields',
    'legacy-120-fields',
    'legacy-128-fields',
    'legacy-131-fields',
  ]) {
    test(`the events of ${name}.tsv are what they always were`, () => {
      const events = linesOf(`${name}.tsv`).map((line) => {
        const record = readLine(line);
        return record instanceof Misfit ? record : map(record);
      });
      const golden = linesOf(`${name}.events.ndjson`).map((line) => JSON.parse(line) as unknown);
      assert.deepEqual(JSON.parse(JSON.stringify(events)), golden);
    });
  }

  test('JSON of the SDK makes the same event as the line that it was made of', () => {
    const lines = linesOf('rdb-1.tsv');
    for (const json of linesOf('rdb-1.expected-json.ndjson')) {
      const record = JSON.parse(json) as { event_id: string };
      const line = lines.find((text) => text.split('\t')[6] === record.event_id)!;
      const [fromJson, fromLine] = [map(readLine(json)), map(readLine(line))].map((event) => event as Made);
      assert.equal(fromJson!.event, fromLine!.event);
      assert.deepEqual(fromJson!.properties, fromLine!.properties);
    }
  });

  const fields: [what: string, record: object, properties: object][] = [
    ['the time is in milliseconds', {}, { time: 1_700_000_000_500 }],
    [
      'the time of the collector stands in for the derived one',
      { derived_tstamp: '', collector_tstamp: '2023-11-14T22:13:20Z', dvce_created_tstamp: '2001-01-01T00:00:00Z' },
      { time: 1_700_000_000_000 },
    ],
    [
      'a user is known by user_id',
      { user_id: 'ada', domain_userid: 'd1' },
      { distinct_id: 'ada', $user_id: 'ada', $device_id: 'd1' },
    ],
    [
      'a visitor without a user is a device',
      { domain_userid: 'd1' },
      { distinct_id: '$device:d1', $device_id: 'd1', $user_id: undefined },
    ],
    [
      'an app has its device in the session',
      { [CONTEXTS.session]: [{ userId: 's1' }] },
      {
        distinct_id: '$device:s1',
        'client_session.userId': undefined,
      },
    ],
    [
      'the network is the last resort',
      { network_userid: 'n1' },
      { distinct_id: '$device:n1', network_userid: undefined },
    ],
    ['an event of nobody has an empty distinct_id', { user_id: 'null' }, { distinct_id: '', $user_id: undefined }],
    ['event_id is the id', {}, { $insert_id: RECORD.event_id }],
    [
      'an event_id of a bot that is none is hashed',
      { event_id: 'not-a-uuid-but-longer-than-mixpanel-takes' },
      { $insert_id: sha('not-a-uuid-but-longer-than-mixpanel-takes') },
    ],
    ['the address is sent', { user_ipaddress: '203.0.113.7' }, { ip: '203.0.113.7' }],
    ['an address that was made anonymous is not', { user_ipaddress: '92.231.x.x' }, { ip: 0 }],
    [
      'places have names',
      { geo_city: 'Austin', geo_region: 'TX', geo_region_name: 'Texas', geo_country: 'us' },
      {
        $city: 'Austin',
        $region: 'Texas',
        mp_country_code: 'US',
        geo_country: undefined,
        geo_region: undefined,
      },
    ],
    ['a code is better than no region', { geo_region: 'TX' }, { $region: 'TX' }],
    ['a country that is no code is left out', { geo_country: 'United States' }, { mp_country_code: undefined }],
    [
      'browsers are those of YAUAA',
      {
        br_name: 'Chrome 33',
        [CONTEXTS.yauaa]: [
          {
            agentName: 'Chrome',
            agentVersion: '119',
            deviceBrand: 'Apple',
            deviceName: 'iPhone',
            operatingSystemName: 'iOS',
            operatingSystemVersion: '17',
            carrier: 'T',
          },
        ],
      },
      {
        $browser: 'Chrome',
        $browser_version: '119',
        $manufacturer: 'Apple',
        $model: 'iPhone',
        $device: 'iPhone',
        $os: 'iOS',
        $os_version: '17',
        $carrier: 'T',
        'yauaa_context.agentName': undefined,
        br_name: undefined,
      },
    ],
    [
      'browsers are those of the user agent parser where YAUAA is off, or knows nothing',
      {
        [CONTEXTS.yauaa]: [{ agentName: '??', operatingSystemName: 'Unknown' }],
        [CONTEXTS.parser]: [{ useragentFamily: 'Firefox', useragentMajor: '0', osFamily: 'Windows' }],
      },
      { $browser: 'Firefox', $browser_version: '0', $os: 'Windows' },
    ],
    [
      'columns that are no longer filled still count',
      { os_name: 'Windows 7', br_name: 'Chrome 33', br_family: 'Chrome', br_version: '33.0' },
      {
        $os: 'Windows 7',
        $browser: 'Chrome',
        $browser_version: '33.0',
        os_name: undefined,
      },
    ],
    [
      'apps tell about their devices',
      {
        [CONTEXTS.mobile]: [
          {
            osType: 'ios',
            osVersion: '17',
            deviceManufacturer: 'Apple',
            deviceModel: 'iPhone15',
            carrier: 'T',
            networkTechnology: 'LTE',
            networkType: 'wifi',
            lowPowerMode: false,
          },
        ],
        [CONTEXTS.application]: [{ version: '1.2', build: '7' }],
      },
      {
        $os: 'ios',
        $os_version: '17',
        $manufacturer: 'Apple',
        $model: 'iPhone15',
        $carrier: 'T',
        $radio: 'LTE',
        $wifi: true,
        $app_version_string: '1.2',
        $app_build_number: '7',
        'mobile_context.lowPowerMode': false,
        'application.version': undefined,
      },
    ],
    [
      'a mobile network is no WiFi, and nothing is known without one',
      { [CONTEXTS.mobile]: [{ networkType: 'mobile' }] },
      { $wifi: false },
    ],
    ['nothing is known of WiFi without an entity', {}, { $wifi: undefined }],
    [
      'pages',
      {
        page_url: 'https://a.b/c?d=e',
        page_urlhost: 'a.b',
        page_referrer: 'https://r.s/t',
        refr_urlhost: 'r.s',
        page_title: 'C',
      },
      {
        $current_url: 'https://a.b/c?d=e',
        page_urlhost: undefined,
        page_url: undefined,
        $referrer: 'https://r.s/t',
        $referring_domain: 'r.s',
        page_title: 'C',
      },
    ],
    [
      'campaigns',
      { mkt_source: 'a', mkt_medium: 'b', mkt_campaign: 'c', mkt_content: 'd', mkt_term: 'e', mkt_network: 'f' },
      {
        utm_source: 'a',
        utm_medium: 'b',
        utm_campaign: 'c',
        utm_content: 'd',
        utm_term: 'e',
        mkt_network: 'f',
      },
    ],
    [
      'the tracker',
      { v_tracker: 'js-3.1', dvce_screenwidth: 1440, dvce_screenheight: 900 },
      {
        mp_lib: 'Snowplow: js-3.1',
        $lib_version: 'js-3.1',
        $screen_width: 1440,
        $screen_height: 900,
      },
    ],
    [
      'what is about the pipeline is left out',
      { etl_tstamp: 'x', v_etl: 'x', v_collector: 'x', name_tracker: 'x', br_features_pdf: true, txn_id: 1 },
      {
        etl_tstamp: undefined,
        v_etl: undefined,
        v_collector: undefined,
        name_tracker: undefined,
        br_features_pdf: undefined,
        txn_id: undefined,
      },
    ],
    [
      'the data of a self-describing event are at the top, and win over columns',
      { unstruct_event_com_acme_buy_2: { sku: 1, platform: 'own', time: 5 }, platform: 'web' },
      {
        sku: 1,
        platform: 'own',
        source_time: 5,
        unstruct_event_com_acme_buy_2: undefined,
      },
    ],
    [
      'of each entity the first is sent, whatever its version',
      {
        contexts_com_acme_cart_7: [{ items: 2, _schema_version: '7-0-0' }, { items: 3 }],
        contexts_com_snowplowanalytics_snowplow_web_page_1_0_0: [{ id: 'w' }],
      },
      {
        'com_acme_cart.items': 2,
        'com_acme_cart._schema_version': undefined,
        'web_page.id': 'w',
        contexts_com_acme_cart_7: undefined,
      },
    ],
    [
      'of several versions the highest counts',
      { contexts_com_acme_cart_10: [{ a: 10 }], contexts_com_acme_cart_9: [{ a: 9 }] },
      { 'com_acme_cart.a': 10 },
    ],
    [
      'dashes of a vendor, as the SDK for Go keeps them',
      { 'contexts_com_acme-shop_cart_1': [{ a: 1 }] },
      { 'com_acme_shop_cart.a': 1 },
    ],
    [
      'JSON that an SDK left as it is',
      {
        contexts: { schema: 's', data: [{ schema: 'iglu:com.acme/cart/jsonschema/1-0-0', data: { a: 1 } }] },
        unstruct_event: '{"schema":"s","data":{"schema":"iglu:com.acme/buy/jsonschema/1-0-0","data":{"sku":2}}}',
      },
      { 'com_acme_cart.a': 1, sku: 2, contexts: undefined, unstruct_event: undefined },
    ],
    [
      'keys without values, as the SDK for Scala has them',
      { user_id: null, page_title: null, contexts: null, [CONTEXTS.yauaa]: null },
      {
        distinct_id: '',
        page_title: undefined,
      },
    ],
  ];
  for (const [what, record, properties] of fields) {
    test(`${what}: ${JSON.stringify(record)}`, () => {
      const found = made(record).properties;
      for (const [name, value] of Object.entries(properties)) {
        assert.deepEqual(found[name], value, name);
      }
    });
  }

  const names: [what: string, record: object, name: string][] = [
    ['a self-describing event', { event: 'unstruct', event_name: 'link_click' }, 'link_click'],
    ['a page view', {}, 'page_view'],
    [
      'a structured event goes by its action',
      { event: 'struct', event_name: 'event', se_action: 'add-to-basket' },
      'add-to-basket',
    ],
    ['a structured event without an action', { event: 'struct', event_name: 'event' }, 'event'],
    ['a line that is too short for event_name', { event: 'page_view', event_name: undefined }, 'page_view'],
    [
      'JSON without event_name',
      { event: 'unstruct', event_name: null, unstruct_event_com_acme_buy_1: {} },
      'com_acme_buy',
    ],
    [
      'a self-describing event of somebody that is called event',
      { event: 'unstruct', event_name: 'event', se_action: 'x' },
      'event',
    ],
  ];
  for (const [what, record, name] of names) {
    test(`the name of ${what} is ${name}`, () => assert.equal(made(record).event, name));
  }

  test('heartbeats are left out, unless the rule says otherwise', () => {
    const ping = { ...RECORD, event: 'page_ping', event_name: 'page_ping' };
    assert.equal(map(ping), null);
    assert.equal((mapperOf({ from: 'snowplow', skip: [] })(ping) as Made).event, 'page_ping');
  });

  test('what belongs to the user replaces or adds to the preset', () => {
    const own = mapperOf({
      from: 'snowplow',
      user: 'contexts_com_acme_login_1[0].id',
      drop: ['web_page.*', 'page_title'],
      rename: { 'com_acme_cart.items': 'items', page_urlpath: 'path' },
    });
    const { properties } = made(
      {
        user_id: 'ada',
        page_title: 'x',
        page_urlpath: '/a',
        contexts_com_acme_login_1: [{ id: 'own' }],
        contexts_com_acme_cart_1: [{ items: 2 }],
        contexts_com_snowplowanalytics_snowplow_web_page_1: [{ id: 'w' }],
      },
      own,
    );
    assert.deepEqual(
      ['distinct_id', 'user_id', 'page_title', 'web_page.id', 'items', 'path'].map((name) => properties[name]),
      ['own', 'ada', undefined, undefined, 2, '/a'],
    );
  });

  const misfits: [record: object, field: string, message: string][] = [
    [
      { derived_tstamp: 'soon' },
      'mapping.time',
      'not a time at derived_tstamp, true_tstamp, collector_tstamp, dvce_created_tstamp',
    ],
    [
      { derived_tstamp: null },
      'mapping.time',
      'nothing at derived_tstamp, true_tstamp, collector_tstamp, dvce_created_tstamp',
    ],
    [{ event: null, event_name: '' }, 'mapping.event', 'nothing at event_name'],
    [{ contexts: '{' }, 'contexts', 'not JSON'],
  ];
  for (const [record, field, message] of misfits) {
    test(`${JSON.stringify(record)} is a rejection: ${field}: ${message}`, () =>
      assert.deepEqual(map({ ...RECORD, ...record }), new Misfit(field, message)));
  }
});
