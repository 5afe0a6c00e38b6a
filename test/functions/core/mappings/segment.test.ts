import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapperOf } from '../../../support/mapping.ts';
import { sampleOf, sent } from '../../../support/samples.ts';

const map = mapperOf({ from: 'segment' });
const sha = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32);

/** A call that has what every call has. */
const CALL = {
  type: 'track',
  event: 'Order Completed',
  messageId: 'ajs-f8ca1e4de5024d9430b3928bd8ac6b96',
  timestamp: '2023-11-14T22:13:20.500Z',
};
/** What becomes of it. */
const EVENT = {
  time: 1_700_000_000_500,
  distinct_id: '',
  $insert_id: 'ajs-f8ca1e4de5024d9430b3928bd8ac6b96',
  ip: 0,
};

describe('the preset of Segment', () => {
  test('the events of the sample are what they always were', () => {
    const events = sampleOf('segment/segment-docs-spec.ndjson').map((call) => map(call));
    assert.deepEqual(sent(events), sampleOf('segment/segment-docs-spec.events.ndjson'));
  });

  test('the events of the sample, were all of it meant for Mixpanel, are what they always were', () => {
    const events = sampleOf('segment/segment-docs-spec.ndjson').map((call) => map({ ...call, integrations: {} }));
    assert.deepEqual(sent(events), sampleOf('segment/segment-docs-spec.all.events.ndjson'));
  });

  const properties: [what: string, call: object, properties: object][] = [
    ['a user is known by userId', { userId: 'ada' }, { distinct_id: 'ada', $user_id: 'ada' }],
    [
      'a visitor is a device, and never a user',
      { anonymousId: 'a1', userId: null },
      { distinct_id: '$device:a1', $device_id: 'a1' },
    ],
    [
      'an event with both links them',
      { anonymousId: 'a1', userId: 7 },
      { distinct_id: '7', $device_id: 'a1', $user_id: '7' },
    ],
    ['an id that Mixpanel does not take is none', { userId: 'undefined' }, {}],
    [
      'a message id of 36 characters is used as it is',
      { messageId: '022bb90c-bbac-11e4-8dfc-aa07a5b093db' },
      { $insert_id: '022bb90c-bbac-11e4-8dfc-aa07a5b093db' },
    ],
    [
      'a message id that is longer is hashed',
      { messageId: 'ajs-next-f8ca1e4de5024d9430b3928bd8ac6b96' },
      { $insert_id: sha('ajs-next-f8ca1e4de5024d9430b3928bd8ac6b96') },
    ],
    ['a message id with other characters is hashed', { messageId: 'order_7' }, { $insert_id: sha('order_7') }],
    ['the address is sent', { context: { ip: '203.0.113.7' } }, { ip: '203.0.113.7' }],
    ['the address of a server call is unknown, and not that of the data center', { channel: 'server' }, { ip: 0 }],
    [
      'only timestamp is corrected by the clock of the device',
      {
        sentAt: '2001-01-01T00:00:00Z',
        originalTimestamp: '2001-01-01T00:00:00Z',
        receivedAt: '2001-01-01T00:00:00Z',
      },
      {},
    ],
    [
      'what is about the pipeline is left out',
      { _metadata: { bundled: ['x'] }, projectId: 'p', version: 2, writeKey: 'w', channel: 'browser', sentAt: 'x' },
      {},
    ],
    ['a business property called id is kept', { properties: { id: 'A-1', total: 9 } }, { id: 'A-1', total: 9 }],
    [
      'properties with reserved names are renamed, and never change the event',
      { properties: { time: 5, distinct_id: 'x', $user_id: 'y', ip: '1.1.1.1' } },
      { source_time: 5, source_distinct_id: 'x', source_$user_id: 'y', source_ip: '1.1.1.1' },
    ],
    [
      'properties of identity events are left out',
      { properties: { $anon_id: 'a', $identified_id: 'b', $distinct_ids: ['a', 'b'] } },
      {},
    ],
    [
      'a property of the call wins over the page',
      {
        properties: { title: 'Intro', url: 'https://shop.example/item' },
        context: { page: { title: 'Academy', url: 'https://a.example/b' } },
      },
      { title: 'Intro', url: 'https://shop.example/item', $current_url: 'https://a.example/b' },
    ],
    [
      'the page',
      {
        context: {
          page: { url: 'https://a.b/c?d', referrer: 'https://u:p@r.s:80/t', title: 'C', path: '/c', search: '?d' },
        },
      },
      {
        $current_url: 'https://a.b/c?d',
        $referrer: 'https://u:p@r.s:80/t',
        $referring_domain: 'r.s',
        title: 'C',
        path: '/c',
        search: '?d',
      },
    ],
    [
      'the app and its device',
      {
        context: {
          app: { name: 'Shop', version: '1.2', build: '7', namespace: 'com.acme' },
          os: { name: 'iOS', version: '17' },
          device: { id: 'x', manufacturer: 'Apple', model: 'iPhone15', name: 'phone', type: 'ios', advertisingId: 'x' },
          network: { carrier: 'T', wifi: false, bluetooth: true, cellular: true },
          screen: { width: 320, height: 568, density: 2 },
        },
      },
      {
        $app_version_string: '1.2',
        $app_build_number: '7',
        $os: 'iOS',
        $os_version: '17',
        $manufacturer: 'Apple',
        $model: 'iPhone15',
        $device: 'phone',
        $device_type: 'ios',
        $carrier: 'T',
        $wifi: false,
        $bluetooth: true,
        $cellular: true,
        $screen_width: 320,
        $screen_height: 568,
        $screen_density: 2,
      },
    ],
    [
      'a place with a code',
      { context: { location: { country: 'us', city: 'Austin', region: 'Texas', latitude: 1.5, longitude: -2.5 } } },
      { mp_country_code: 'US', $city: 'Austin', $region: 'Texas', $latitude: 1.5, $longitude: -2.5 },
    ],
    [
      'a country that is no code is kept as what it is',
      { context: { location: { country: 'United States' } } },
      { country: 'United States' },
    ],
    [
      'the campaign',
      { context: { campaign: { name: 'a', source: 'b', medium: 'c', term: 'd', content: 'e' } } },
      { utm_campaign: 'a', utm_source: 'b', utm_medium: 'c', utm_term: 'd', utm_content: 'e' },
    ],
    [
      'the rest of the context',
      {
        context: {
          library: { name: 'analytics.js', version: '2.1' },
          locale: 'en',
          timezone: 'Europe/Berlin',
          userAgent: 'Mozilla/5.0',
          groupId: 'g1',
          traits: { email: 'ada@example.com' },
        },
      },
      {
        mp_lib: 'analytics.js',
        $lib_version: '2.1',
        $locale: 'en',
        timezone: 'Europe/Berlin',
        user_agent: 'Mozilla/5.0',
        $group_id: 'g1',
      },
    ],
    ['a context that is null', { context: null, properties: null, integrations: null }, {}],
  ];
  for (const [what, call, expected] of properties) {
    test(`${what}: ${JSON.stringify(call)}`, () =>
      assert.deepEqual(map({ ...CALL, ...call }), { event: 'Order Completed', properties: { ...EVENT, ...expected } }));
  }

  const pages: [what: string, call: object, event: string, properties: object][] = [
    ['a page', { type: 'page', name: 'Home', category: 'Docs' }, 'Viewed Home', { name: 'Home', category: 'Docs' }],
    [
      'a page that is named in its properties',
      { type: 'page', properties: { name: 'Home' } },
      'Viewed Home',
      { name: 'Home' },
    ],
    ['a page without a name', { type: 'page' }, 'Viewed Page', {}],
    ['a screen', { type: 'screen', name: 'Basket' }, 'Viewed Basket', { name: 'Basket' }],
    ['a screen without a name', { type: 'screen', name: ' ' }, 'Viewed Screen', { name: ' ' }],
    [
      'a page whose own properties tell of it',
      {
        type: 'page',
        properties: { url: 'https://own.example/', referrer: 'https://r.example/' },
        context: { page: { url: 'https://other.example/', referrer: 'https://other.example/' } },
      },
      'Viewed Page',
      {
        $current_url: 'https://own.example/',
        $referrer: 'https://r.example/',
        $referring_domain: 'r.example',
        url: 'https://own.example/',
        referrer: 'https://r.example/',
      },
    ],
  ];
  for (const [what, call, event, expected] of pages) {
    test(`${what} is "${event}": ${JSON.stringify(call)}`, () =>
      assert.deepEqual(map({ ...CALL, event: undefined, ...call }), { event, properties: { ...EVENT, ...expected } }));
  }

  test('identify becomes one event that links user and device, without the traits', () => {
    const call = { ...CALL, type: 'identify', userId: 'ada', anonymousId: 'a1', traits: { email: 'ada@example.com' } };
    assert.deepEqual(map(call), {
      event: 'Identify',
      properties: { ...EVENT, distinct_id: 'ada', $device_id: 'a1', $user_id: 'ada' },
    });
  });

  const consent = (categoryPreferences: object) => ({ context: { consent: { categoryPreferences } } });
  const leftOut: [what: string, call: object][] = [
    ['a group', { type: 'group', groupId: 'g1' }],
    ['an alias', { type: 'alias', previousId: 'a1', userId: 'ada' }],
    ['an identify that links nothing for it has no device', { type: 'identify', userId: 'ada' }],
    ['an identify without a real user', { type: 'identify', userId: 'null', anonymousId: 'a1' }],
    ['an identity event of Mixpanel’s', { event: '$create_alias' }],
    ['a call that is not for Mixpanel', { integrations: { Mixpanel: false } }],
    ['a call that is not for the destination by its other name', { integrations: { 'Mixpanel (Actions)': false } }],
    ['a call that is for none of all', { integrations: { All: false } }],
    ['a call that is for another only', { integrations: { All: false, Salesforce: true } }],
    ['a call without consent to analytics', consent({ Analytics: false, Advertising: true })],
    ['a call without consent to one of two kinds of analytics', consent({ Analytics: false, Performance: true })],
    ['a call whose user has not answered yet', consent({ Analytics: null })],
    ['a call without consent to what OneTrust calls C0002', consent({ C0001: true, C0002: false })],
    ['a call without consent to something that has a name of its own', consent({ cat1: true, cat2: false })],
  ];
  for (const [what, call] of leftOut) {
    test(`${what} is left out: ${JSON.stringify(call)}`, () => assert.equal(map({ ...CALL, ...call }), null));
  }

  const kept: [what: string, call: object][] = [
    ['a call for Mixpanel alone', { integrations: { All: false, Mixpanel: true } }],
    ['a call with options for Mixpanel', { integrations: { All: false, Mixpanel: { session: 1 } } }],
    ['a call that is not for another', { integrations: { All: true, Salesforce: false } }],
    ['a call with consent to analytics but not to advertising', consent({ Analytics: true, Advertising: false })],
    ['a call with consent to everything', consent({ cat1: true, cat2: true })],
  ];
  for (const [what, call] of kept) {
    test(`${what} is an event: ${JSON.stringify(call)}`, () =>
      assert.deepEqual(map({ ...CALL, ...call }), { event: 'Order Completed', properties: EVENT }));
  }

  const misfits: [call: object, field: string, message: string][] = [
    [{ timestamp: 'soon' }, 'mapping.time', 'not a time at timestamp'],
    [{ timestamp: null, originalTimestamp: CALL.timestamp }, 'mapping.time', 'nothing at timestamp'],
    [{ event: '' }, 'mapping.event', 'nothing at event'],
    [{ event: {} }, 'mapping.event', 'not a text at event'],
    [{ type: undefined }, 'mapping.event', 'nothing at type'],
    [{ type: 'delete' }, 'mapping.event', 'type is not track, page, screen, identify, group or alias'],
  ];
  for (const [call, field, message] of misfits) {
    test(`${JSON.stringify(call)} is a rejection: ${field}: ${message}`, () =>
      assert.deepEqual(map({ ...CALL, ...call }), new Misfit(field, message)));
  }

  test('what belongs to the user replaces or adds to the preset', () => {
    const own = mapperOf({
      from: 'segment',
      event: { template: 'Segment: {type}' },
      rename: { 'traits.plan': 'plan' },
      drop: ['user_agent'],
    });
    const call = { ...CALL, traits: { plan: 'pro' }, properties: { $anon_id: 'a' }, context: { userAgent: 'x' } };
    assert.deepEqual(own(call), { event: 'Segment: track', properties: { ...EVENT, plan: 'pro' } });
  });
});
