import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapperOf } from '../../../support/mapping.ts';
import { sampleOf, sent } from '../../../support/samples.ts';

const map = mapperOf({ from: 'amplitude' });
const sha = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32);

const UUID = 'f4d527be-fe98-11e8-a527-0205484b2e0a';
/** A line that has what every line has. */
const LINE = {
  event_type: 'Order Completed',
  event_time: '2023-11-14 22:13:20.500000',
  client_event_time: '2001-01-01 00:00:00.000000',
  server_received_time: '2002-01-01 00:00:00.000000',
  uuid: UUID,
};
/** What becomes of it. */
const EVENT = { time: 1_700_000_000_500, distinct_id: '', $insert_id: UUID, ip: 0 };

describe('the preset of Amplitude', () => {
  test('the events of the sample are what they always were', () => {
    const events = sampleOf('amplitude/fivetran-seed-reshaped.ndjson').map((line) => map(line));
    assert.deepEqual(sent(events), sampleOf('amplitude/fivetran-seed-reshaped.events.ndjson'));
  });

  const properties: [what: string, line: object, properties: object][] = [
    [
      'most lines are of a device, which is never a user',
      { user_id: null, device_id: 'd1R' },
      { distinct_id: '$device:d1R', $device_id: 'd1R' },
    ],
    [
      'a user and a device are linked',
      { user_id: 'ada', device_id: 'd1' },
      { distinct_id: 'ada', $device_id: 'd1', $user_id: 'ada' },
    ],
    ['uuid is the id, whatever $insert_id says', { $insert_id: 'own' }, {}],
    ['$insert_id stands in for uuid', { uuid: null, $insert_id: 'own-1' }, { $insert_id: 'own-1' }],
    [
      'an $insert_id that Mixpanel does not take is hashed',
      { uuid: null, $insert_id: 'a_b:c' },
      { $insert_id: sha('a_b:c') },
    ],
    ['a line without an id gets one by content', { uuid: null, $insert_id: null }, { $insert_id: undefined }],
    ['the address', { ip_address: '203.0.113.7' }, { ip: '203.0.113.7' }],
    ['the address of a server’s library is unknown', { ip_address: null }, {}],
    [
      'the time of the client stands in for a time that is missing',
      { event_time: null, client_event_time: '2023-11-14 22:13:20.500000' },
      {},
    ],
    [
      'the time of arrival is the last resort',
      { event_time: null, client_event_time: '', server_received_time: '2023-11-14 22:13:20.500' },
      {},
    ],
    [
      'a country is a name and no code',
      { city: 'Austin', region: 'Texas', country: 'United States' },
      { $city: 'Austin', $region: 'Texas', country: 'United States' },
    ],
    [
      'an app',
      {
        platform: 'iOS',
        os_name: 'ios',
        os_version: '17',
        device_family: 'Apple iPhone',
        device_type: 'iPhone 15',
        device_brand: 'Apple',
        device_manufacturer: 'Apple Inc.',
        device_model: 'iPhone15,2',
        device_carrier: 'T',
        language: 'English',
        version_name: '1.2',
        library: 'amplitude-ios/8',
      },
      {
        platform: 'iOS',
        $os: 'ios',
        $os_version: '17',
        $device: 'Apple iPhone',
        $device_type: 'iPhone 15',
        $brand: 'Apple',
        $manufacturer: 'Apple Inc.',
        $model: 'iPhone15,2',
        $carrier: 'T',
        $locale: 'English',
        $app_version_string: '1.2',
        mp_lib: 'amplitude-ios/8',
      },
    ],
    [
      'on the web the system is the browser',
      { platform: 'Web', os_name: 'Chrome', os_version: '119' },
      { platform: 'Web', $browser: 'Chrome', $browser_version: '119' },
    ],
    ['a position', { location_lat: 1.5, location_lng: -2.5 }, { $latitude: 1.5, $longitude: -2.5 }],
    ['a session', { session_id: 1_700_000_000_000 }, { session_id: 1_700_000_000_000 }],
    ['-1 is no session', { session_id: -1 }, {}],
    ['0 is no session', { session_id: 0 }, {}],
    [
      'the event’s own properties win over what the line knows',
      {
        event_properties: { country: 'own', platform: 'own', session_id: 'own', time: 5 },
        country: 'x',
        platform: 'y',
        session_id: 7,
      },
      { country: 'own', platform: 'own', session_id: 'own', source_time: 5 },
    ],
    [
      'an empty property of the event does not',
      { event_properties: { country: null, platform: '' }, country: 'x', platform: 'y' },
      { country: 'x', platform: 'y' },
    ],
    [
      'groups, as Mixpanel takes them, and not their properties',
      {
        groups: { company: ['Acme'], plan: ['x'] },
        group_properties: { company: { Acme: { seats: 3 } } },
        event_properties: { plan: 'own' },
      },
      { plan: 'own', company: ['Acme'] },
    ],
    ['user properties are left out', { user_properties: { email: 'ada@example.com' } }, {}],
    [
      'what is about Amplitude is left out',
      {
        amplitude_id: 7,
        app: 1,
        data: { first_event: true },
        event_id: 3,
        adid: 'x',
        idfa: 'y',
        $schema: 12,
        dma: 'z',
      },
      {},
    ],
  ];
  for (const [what, line, expected] of properties) {
    test(`${what}: ${JSON.stringify(line)}`, () =>
      assert.deepEqual(sent(map({ ...LINE, ...line })), {
        event: 'Order Completed',
        properties: sent({ ...EVENT, ...expected }),
      }));
  }

  test('a time without a zone is UTC, wherever the import runs', () => {
    const before = process.env.TZ;
    process.env.TZ = 'America/New_York';
    try {
      assert.equal(new Date('2023-11-14 22:13:20').getTime(), 1_700_018_000_000);
      assert.deepEqual(map(LINE), { event: 'Order Completed', properties: EVENT });
    } finally {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    }
  });

  test('user properties that a rule asks for never overwrite those of the event, and have values', () => {
    const own = mapperOf({ from: 'amplitude', properties: ['event_properties', 'groups', 'user_properties'] });
    const line = {
      ...LINE,
      platform: 'iOS',
      event_properties: { plan: 'trial' },
      groups: { company: ['Acme'] },
      user_properties: { plan: 'pro', age: 7, initial_utm_source: 'EMPTY' },
    };
    assert.deepEqual(own(line), {
      event: 'Order Completed',
      properties: { ...EVENT, platform: 'iOS', plan: 'trial', company: ['Acme'], age: 7 },
    });
    assert.equal(line.user_properties.initial_utm_source, 'EMPTY', 'the record is left as it is');
  });

  for (const name of [
    '$identify',
    '$groupidentify',
    '$create_alias',
    '$merge',
    'revenue_amount',
    'session_start',
    'session_end',
  ]) {
    test(`${name} is left out, and what only begins like it is not`, () => {
      assert.equal(map({ ...LINE, event_type: name }), null);
      assert.deepEqual(map({ ...LINE, event_type: `${name}ed` }), { event: `${name}ed`, properties: EVENT });
    });
  }

  test('events of Amplitude’s own plugins keep their names', () =>
    assert.deepEqual(map({ ...LINE, event_type: '[Amplitude] Page Viewed' }), {
      event: '[Amplitude] Page Viewed',
      properties: EVENT,
    }));

  const misfits: [line: object, field: string, message: string][] = [
    [{ event_time: '14.11.2023' }, 'mapping.time', 'not a time at event_time, client_event_time, server_received_time'],
    [{ event_type: null }, 'mapping.event', 'nothing at event_type'],
  ];
  for (const [line, field, message] of misfits) {
    test(`${JSON.stringify(line)} is a rejection: ${field}: ${message}`, () =>
      assert.deepEqual(map({ ...LINE, ...line }), new Misfit(field, message)));
  }
});
