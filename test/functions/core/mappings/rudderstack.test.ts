import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { mapperOf } from '../../../support/mapping.ts';
import { sampleOf, sent } from '../../../support/samples.ts';

const map = mapperOf({ from: 'rudderstack' });
const sha = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32);

const UUID = '168cf720-6227-4b56-a98e-c49bdc7279e9';
/** A call that has what every call has. */
const CALL = {
  type: 'track',
  event: 'Order Completed',
  messageId: UUID,
  originalTimestamp: '2001-01-01T00:00:00.000Z',
  timestamp: '2023-11-15T03:43:20.500+05:30',
};
/** What becomes of it. */
const EVENT = { time: 1_700_000_000_500, distinct_id: '', $insert_id: UUID, ip: 0 };

describe('the preset of RudderStack', () => {
  test('the events of the sample are what they always were', () => {
    const events = sampleOf('rudderstack/handmade-after-docs.ndjson').map((call) => map(call));
    assert.deepEqual(sent(events), sampleOf('rudderstack/handmade-after-docs.events.ndjson'));
  });

  const properties: [what: string, call: object, properties: object][] = [
    ['a number as userId becomes text', { userId: 12345 }, { distinct_id: '12345', $user_id: '12345' }],
    ['a visitor is a device', { anonymousId: 'a1', userId: '' }, { distinct_id: '$device:a1', $device_id: 'a1' }],
    ['of a timed message id the UUID is the id', { messageId: `1662363980287-${UUID}` }, { $insert_id: UUID }],
    [
      'of another prefix nothing is cut off, for two messages would become one',
      { messageId: `order-created-${UUID}` },
      { $insert_id: sha(`order-created-${UUID}`) },
    ],
    [
      'originalTimestamp stands in for a timestamp that is missing',
      { timestamp: undefined, originalTimestamp: '2023-11-14T22:13:20.500Z' },
      {},
    ],
    [
      'the address of the context is the user’s',
      { context: { ip: '203.0.113.7' }, request_ip: '203.0.113.8' },
      { ip: '203.0.113.7' },
    ],
    [
      'the address of the request stands in for it',
      { channel: 'web', request_ip: '203.0.113.8' },
      { ip: '203.0.113.8' },
    ],
    ['the address of a server’s request is not a user’s', { channel: 'server', request_ip: '203.0.113.8' }, {}],
    ['the address of a warehouse source is not a user’s', { channel: 'sources', request_ip: '203.0.113.8' }, {}],
    ['properties of identity events are left out', { properties: { $anon_id: 'a', $distinct_ids: ['a', 'b'] } }, {}],
    [
      'traits stay where they are',
      { context: { traits: { email: 'ada@example.com' } }, traits: { email: 'ada@example.com' } },
      {},
    ],
    [
      'what is about the pipeline is left out',
      { rudderId: 'r', channel: 'web', receivedAt: 'x', sentAt: 'x', _metadata: {} },
      {},
    ],
    [
      'a visit without a referrer is called so by Mixpanel, too',
      { context: { page: { referrer: '$direct' } } },
      { $referrer: '$direct', $referring_domain: '$direct' },
    ],
    ['the session', { context: { sessionId: 7 } }, { session_id: 7 }],
    [
      'a session of the event’s own wins',
      { context: { sessionId: 7 }, properties: { session_id: 'own' } },
      { session_id: 'own' },
    ],
    [
      'the context, as of Segment’s calls',
      {
        context: {
          os: { name: 'iOS' },
          campaign: { name: 'spring' },
          library: { name: 'js', version: '1.8' },
          timezone: 'Europe/Berlin',
        },
      },
      { $os: 'iOS', utm_campaign: 'spring', mp_lib: 'js', $lib_version: '1.8', timezone: 'Europe/Berlin' },
    ],
  ];
  for (const [what, call, expected] of properties) {
    test(`${what}: ${JSON.stringify(call)}`, () =>
      assert.deepEqual(map({ ...CALL, ...call }), { event: 'Order Completed', properties: { ...EVENT, ...expected } }));
  }

  test('pages and screens are called what RudderStack calls them', () => {
    assert.deepEqual(map({ ...CALL, type: 'page', name: 'Home' }), {
      event: 'Loaded a Page',
      properties: { ...EVENT, name: 'Home' },
    });
    assert.deepEqual(map({ ...CALL, type: 'screen', name: 'Basket' }), {
      event: 'Loaded a Screen',
      properties: { ...EVENT, name: 'Basket' },
    });
  });

  test('identify becomes one event that links user and device', () =>
    assert.deepEqual(map({ ...CALL, type: 'identify', userId: 7, anonymousId: 'a1' }), {
      event: 'Identify',
      properties: { ...EVENT, distinct_id: '7', $device_id: 'a1', $user_id: '7' },
    }));

  const leftOut: [what: string, call: object][] = [
    ['a merge, which would join all users of a shared device', { type: 'merge' }],
    ['an alias', { type: 'alias' }],
    ['a group', { type: 'group' }],
    ['an event that merges', { event: '$merge' }],
    ['a call that is not for Mixpanel', { integrations: { All: true, Mixpanel: false } }],
    ['a call that is not for Mixpanel by its short name', { integrations: { MP: false } }],
    [
      'a call without consent to analytics',
      { context: { consentManagement: { allowedConsentIds: ['ads'], deniedConsentIds: ['Analytics'] } } },
    ],
    [
      'a call without consent to something that has a name of its own',
      { context: { consentManagement: { allowedConsentIds: ['c1'], deniedConsentIds: ['c2'] } } },
    ],
  ];
  for (const [what, call] of leftOut) {
    test(`${what} is left out: ${JSON.stringify(call)}`, () => assert.equal(map({ ...CALL, ...call }), null));
  }

  test('a call that denies very many categories is left out', () => {
    const consentManagement = { deniedConsentIds: Array.from({ length: 200_000 }, () => 'c') };
    assert.equal(map({ ...CALL, context: { consentManagement } }), null);
  });

  test('a call with consent to analytics but not to advertising is an event', () => {
    const consentManagement = { allowedConsentIds: ['Performance'], deniedConsentIds: ['Advertising'] };
    assert.deepEqual(map({ ...CALL, context: { consentManagement } }), { event: 'Order Completed', properties: EVENT });
  });

  const misfits: [call: object, field: string, message: string][] = [
    [{ timestamp: 'soon' }, 'mapping.time', 'not a time at timestamp, originalTimestamp'],
    [{ event: undefined }, 'mapping.event', 'nothing at event'],
  ];
  for (const [call, field, message] of misfits) {
    test(`${JSON.stringify(call)} is a rejection: ${field}: ${message}`, () =>
      assert.deepEqual(map({ ...CALL, ...call }), new Misfit(field, message)));
  }
});
