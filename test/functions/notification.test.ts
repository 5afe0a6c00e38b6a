import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CloudEvent, notificationOf, readNotification } from '../../functions/notification.ts';

const FINALIZED = 'google.cloud.storage.object.v1.finalized';
const PUBLISHED = 'google.cloud.pubsub.topic.v1.messagePublished';
const resource = { kind: 'storage#object', bucket: 'b', name: 'dir/ä b.json', generation: '1700000000000001' };
const object = { bucket: 'b', object: 'dir/ä b.json', generation: '1700000000000001' };
const attributes = { eventType: 'OBJECT_FINALIZE', payloadFormat: 'JSON_API_V1' };

function pushed(data: unknown, more: object = { attributes }): CloudEvent {
  const encoded = typeof data === 'string' ? data : Buffer.from(JSON.stringify(data)).toString('base64');
  return { type: PUBLISHED, data: { message: { data: encoded, messageId: 'm', ...more } } };
}

const found: { name: string; cloudEvent: CloudEvent; expected: object }[] = [
  { name: 'the type of a finalized object', cloudEvent: { type: FINALIZED, data: resource }, expected: object },
  { name: 'the envelope of a push', cloudEvent: pushed(resource), expected: object },
  {
    name: 'a number for the generation, as long as a double carries it',
    cloudEvent: pushed({ ...resource, generation: 1_700_000_000_000_001 }),
    expected: object,
  },
  {
    name: 'more digits than a double carries',
    cloudEvent: pushed({ ...resource, generation: '17000000000000000001' }),
    expected: { ...object, generation: '17000000000000000001' },
  },
  {
    name: 'a name with line ends',
    cloudEvent: pushed({ ...resource, name: 'a\nb' }),
    expected: { ...object, object: 'a\nb' },
  },
];

const problems: { name: string; cloudEvent: unknown; problem: RegExp }[] = [
  {
    name: 'another type',
    cloudEvent: { type: 'google.cloud.storage.object.v1.deleted', data: resource },
    problem: /type/,
  },
  { name: 'null for a type', cloudEvent: { type: null, data: resource }, problem: /type/ },
  { name: 'no fields at all', cloudEvent: {}, problem: /eventType/ },
  { name: 'an unfinished envelope', cloudEvent: { type: PUBLISHED }, problem: /eventType/ },
  { name: 'text for an envelope', cloudEvent: { type: PUBLISHED, data: 'text' }, problem: /eventType/ },
  { name: 'null for a message', cloudEvent: { type: PUBLISHED, data: { message: null } }, problem: /eventType/ },
  { name: 'a push without a type', cloudEvent: { message: { attributes, messageId: 'm' } }, problem: /no data/ },
  { name: 'no attributes', cloudEvent: pushed(resource, {}), problem: /eventType/ },
  { name: 'null for attributes', cloudEvent: pushed(resource, { attributes: null }), problem: /eventType/ },
  {
    name: 'a deletion',
    cloudEvent: pushed(resource, { attributes: { ...attributes, eventType: 'OBJECT_DELETE' } }),
    problem: /eventType/,
  },
  { name: 'no data', cloudEvent: pushed('', { attributes, data: undefined }), problem: /no data/ },
  { name: 'a number for data', cloudEvent: pushed('', { attributes, data: 5 }), problem: /no data/ },
  { name: 'empty data', cloudEvent: pushed(''), problem: /not JSON/ },
  { name: 'data that are not base64', cloudEvent: pushed('%%%'), problem: /not JSON/ },
  { name: 'data that are not JSON', cloudEvent: pushed(Buffer.from('{').toString('base64')), problem: /not JSON/ },
  { name: 'null for a resource', cloudEvent: pushed(null), problem: /bucket/ },
  { name: 'a number for a resource', cloudEvent: pushed(5), problem: /bucket/ },
  { name: 'a list for a resource', cloudEvent: pushed([resource]), problem: /bucket/ },
  { name: 'no resource', cloudEvent: { type: FINALIZED }, problem: /bucket/ },
  ...[undefined, null, '', 5, {}].flatMap((value) => [
    {
      name: `${JSON.stringify(value)} for a bucket`,
      cloudEvent: pushed({ ...resource, bucket: value }),
      problem: /bucket/,
    },
    {
      name: `${JSON.stringify(value)} for a name`,
      cloudEvent: pushed({ ...resource, name: value }),
      problem: /object/,
    },
  ]),
  ...[
    undefined,
    null,
    '',
    'latest',
    '-1',
    -1,
    '1.5',
    1.5,
    2 ** 53,
    '1\n',
    ['1'],
    {},
    { toString: 1, valueOf: 1 },
  ].flatMap((generation) => [
    {
      name: `${JSON.stringify(generation)} for a generation, pushed`,
      cloudEvent: pushed({ ...resource, generation }),
      problem: /generation/,
    },
    {
      name: `${JSON.stringify(generation)} for a generation`,
      cloudEvent: { type: FINALIZED, data: { ...resource, generation } },
      problem: /generation/,
    },
  ]),
];

describe('a notification', () => {
  for (const { name, cloudEvent, expected } of found) {
    test(`a notification with ${name} is read`, () =>
      assert.deepEqual(readNotification(cloudEvent), { object: expected }));
  }

  test('a notification is read back as it is published', () => {
    const { data, attributes: published } = notificationOf(object);
    const cloudEvent = pushed(data.toString('base64'), { attributes: published });
    assert.deepEqual(readNotification(cloudEvent), { object });
  });

  for (const { name, cloudEvent, problem } of problems) {
    test(`a CloudEvent with ${name} is refused as not a notification, without an exception`, () => {
      const read = readNotification(cloudEvent as CloudEvent);
      assert.ok('problem' in read);
      assert.match(read.problem, problem);
    });
  }

  test('a CloudEvent that is not a notification is identified by its own id, or by that of its message', () => {
    const read = (cloudEvent: CloudEvent) => {
      const it = readNotification(cloudEvent);
      return 'problem' in it ? it.id : undefined;
    };
    assert.equal(read({ ...pushed(''), id: 'c' }), 'c');
    assert.equal(read(pushed('')), 'm');
    assert.equal(read({}), undefined);
  });
});
