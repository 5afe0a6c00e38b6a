import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { passThrough, type RecordContext } from '../../../../functions/core/event.ts';
import { Misfit } from '../../../../functions/core/mappings/mapping.ts';
import { createMappings } from '../../../../functions/core/mappings/mappings.ts';
import { mapped, mapperOf } from '../../../support/mapping.ts';

const AT = 1_700_000_000_000;
const KEY = 'sixteen letters!';
const hmac = (text: string) => createHmac('sha256', KEY).update(text).digest('hex').slice(0, 32);
const sha = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32);

/** What a rule makes of a record with a name and a time: its properties without those that are always there. */
function propertiesOf(rule: object, record: object): Record<string, unknown> {
  const made = mapped({ event: 'e', time: 't', ...rule }, { e: 'Bought', t: AT, ...record }, { hashKey: KEY });
  assert.ok(made !== null && made !== undefined && 'properties' in made, String(JSON.stringify(made)));
  const { time, distinct_id, ip, ...properties } = made.properties;
  assert.equal(time, AT);
  return {
    ...properties,
    ...(distinct_id === '' ? {} : { distinct_id }),
    ...(ip === 0 ? {} : { ip }),
  };
}

describe('a rule that makes events', () => {
  const cases: [what: string, rule: object, record: object, properties: object][] = [
    ['all that no other key used is a property', {}, { a: 1, b: { c: [1] }, d: 'x' }, { a: 1, b: { c: [1] }, d: 'x' }],
    ['null is no property, empty text is one', {}, { a: null, b: '' }, { b: '' }],
    [
      'source properties with reserved names get a prefix',
      {},
      { time: 1, distinct_id: 2, $insert_id: 3, $user_id: 4, $device_id: 5, ip: 6, token: 7 },
      {
        source_time: 1,
        source_distinct_id: 2,
        source_$insert_id: 3,
        source_$user_id: 4,
        source_$device_id: 5,
        source_ip: 6,
        source_token: 7,
      },
    ],
    [
      'names that every object inherits are properties like others',
      {},
      JSON.parse('{"constructor":1,"toString":2,"__proto__":{"a":3}}'),
      JSON.parse('{"constructor":1,"toString":2,"__proto__":{"a":3}}'),
    ],
    [
      'what a path inside an object names is taken out of it',
      { user: 'u.id' },
      { u: { id: 'ada', age: 3 } },
      {
        $user_id: 'ada',
        distinct_id: 'ada',
        u: { age: 3 },
      },
    ],
    [
      'an object of which nothing is left is no property',
      { user: 'u.id' },
      { u: { id: 'ada' } },
      {
        $user_id: 'ada',
        distinct_id: 'ada',
      },
    ],
    [
      'what an element names is taken out of the array',
      { user: 'ids[1]' },
      { ids: ['a', 'ada', 'c'] },
      {
        $user_id: 'ada',
        distinct_id: 'ada',
        ids: ['a', 'c'],
      },
    ],
    ['properties of one object are spread', { properties: 'p' }, { p: { a: 1 }, other: 2 }, { a: 1 }],
    [
      'of a list, objects are spread, other values are put by name, and the first of one name wins',
      { properties: ['p.q', 'name', 'p.r'] },
      { p: { q: { a: 1, b: 1 }, r: { b: 2, c: 2 } }, name: 'x', other: 3 },
      { a: 1, b: 1, name: 'x', c: 2 },
    ],
    ['all, and an object that is spread', { properties: ['p', '*'] }, { p: { a: 1 }, b: 2 }, { a: 1, b: 2 }],
    [
      'what is used can be named',
      { user: 'u', properties: ['*', 'u'] },
      { u: 'ada' },
      {
        $user_id: 'ada',
        distinct_id: 'ada',
        u: 'ada',
      },
    ],
    [
      'params are spread by their one value',
      { params: 'ps' },
      {
        a: 1,
        ps: [
          { key: 'text', value: { string_value: 'x', int_value: null, float_value: null, double_value: null } },
          { key: 'integer', value: { string_value: null, int_value: '12', double_value: null } },
          { key: 'long', value: { int_value: '9007199254740993' } },
          { key: 'double', value: { double_value: 0.5 } },
          { key: 'nothing', value: { string_value: null } },
          { key: 'plain', value: 5 },
          { key: 'a', value: { string_value: 'later' } },
          { key: '', value: 5 },
          'rubbish',
        ],
      },
      { a: 1, text: 'x', integer: 12, long: { rawJSON: '9007199254740993' }, double: 0.5, plain: 5 },
    ],
    ['a property is renamed', { rename: { a: 'b' } }, { a: 1 }, { b: 1 }],
    ['what is inside an object is renamed', { rename: { 'a.b': 'b' } }, { a: { b: 1, c: 2 } }, { b: 1, a: { c: 2 } }],
    [
      'what is not spread can be renamed',
      { properties: 'p', rename: { x: 'y', 'p.a': 'b' } },
      { p: { a: 1, c: 2 }, x: 3 },
      {
        b: 1,
        c: 2,
        y: 3,
      },
    ],
    ['of two sources of one name the first wins', { rename: { a: 'b' } }, { a: 1, b: 2 }, { b: 2 }],
    [
      'a reserved name can be renamed',
      { rename: { ip: 'address', time: 'local' } },
      { ip: 1, time: 2 },
      {
        address: 1,
        local: 2,
      },
    ],
    [
      'JSON in text is parsed',
      { json: ['j'] },
      { j: '{"a":[1,12345678901234567890]}' },
      {
        j: { a: [1, { rawJSON: '12345678901234567890' }] },
      },
    ],
    [
      'numbers in text are converted and keep their digits',
      { number: ['a', 'b', 'c', 'd', 'g', 'f', 'missing'] },
      { a: ' 7.50 ', b: '-1e3', c: '007', d: '12345678901234567890', g: 5, f: '' },
      { a: 7.5, b: -1000, c: 7, d: { rawJSON: '12345678901234567890' }, g: 5 },
    ],
    [
      'booleans in text are converted',
      { boolean: ['a', 'b', 'c', 'd'] },
      { a: 'TRUE', b: 'f', c: '1', d: false },
      {
        a: true,
        b: false,
        c: true,
        d: false,
      },
    ],
    ['conversion sees renamed properties', { rename: { a: 'b' }, number: ['b'] }, { a: '5' }, { b: 5 }],
    [
      'names, paths and prefixes are picked',
      { pick: ['a', 'b.c', 'utm_*', 'l[].x'] },
      {
        a: 1,
        b: { c: 2, d: 3 },
        utm_source: 4,
        l: [{ x: 5, y: 6 }, { y: 7 }],
        other: 8,
      },
      { a: 1, b: { c: 2 }, utm_source: 4, l: [{ x: 5 }, {}] },
    ],
    [
      'names, paths and prefixes are dropped',
      { drop: ['a', 'b.c', 'utm_*', 'l[].x', 'm[0]'] },
      {
        a: 1,
        b: { c: 2, d: 3 },
        utm_source: 4,
        l: [{ x: 5, y: 6 }, { y: 7 }],
        m: [1, 2],
        other: 8,
      },
      { b: { d: 3 }, l: [{ y: 6 }, { y: 7 }], m: [2], other: 8 },
    ],
    [
      'a name with a dot is picked and dropped as a name',
      { pick: ['a.b', 'c'], drop: ['c.d'] },
      {
        'a.b': 1,
        'c.d': 2,
        c: 3,
      },
      { 'a.b': 1, c: 3 },
    ],
    [
      'pick and drop see final names',
      { rename: { a: 'b' }, pick: ['b', 'c'], drop: ['c'] },
      { a: 1, c: 2, d: 3 },
      { b: 1 },
    ],
    [
      'what is picked and dropped by a path is dropped',
      { pick: ['a.b', 'a.c'], drop: ['a.b'] },
      { a: { b: 1, c: 2 } },
      {
        a: { c: 2 },
      },
    ],
    [
      'the exact text is hashed: of a number its digits, of an object its JSON; empty stays empty',
      { hash: ['a', 'b', 'c', 'd', 'l[].m', 'o.p', 'missing'] },
      { a: ' Ada ', b: 1.5, c: { d: 1 }, d: '', l: [{ m: 'x', n: 1 }], o: { p: true } },
      {
        a: hmac(' Ada '),
        b: hmac('1.5'),
        c: hmac('{"d":1}'),
        d: '',
        l: [{ m: hmac('x'), n: 1 }],
        o: { p: hmac('true') },
      },
    ],
    [
      'before it is hashed a text can be trimmed and lower-cased',
      { hash: [{ name: 'a', normalize: true }] },
      {
        a: ' Ada@Example.COM ',
      },
      { a: hmac('ada@example.com') },
    ],
    [
      'users and devices are found by the first path that is not empty',
      { user: ['a', 'b'], device: ['c', 'd'] },
      {
        a: ' ',
        b: 7,
        c: 'NULL',
        d: ' d1 ',
      },
      { $user_id: '7', $device_id: 'd1', distinct_id: '7' },
    ],
    [
      'a device alone is an anonymous user',
      { device: 'd' },
      { d: '$device:d1' },
      {
        $device_id: 'd1',
        distinct_id: '$device:d1',
      },
    ],
    [
      'with original id merge a device has no prefix',
      { device: 'd', identity: 'original' },
      { d: 'd1' },
      {
        $device_id: 'd1',
        distinct_id: 'd1',
      },
    ],
    [
      'ids that are hashed are so wherever they stand',
      { user: 'u', device: 'd', hash: ['$user', '$device'] },
      {
        u: 'ada',
        d: 'd1',
      },
      { $user_id: hmac('ada'), $device_id: hmac('d1'), distinct_id: hmac('ada') },
    ],
    [
      'distinct_id is the user, else the device: both are hashed for it',
      { user: 'u', device: 'd', hash: ['distinct_id'] },
      {
        d: 'd1',
      },
      { $device_id: hmac('d1'), distinct_id: `$device:${hmac('d1')}` },
    ],
    [
      'a user can be normalized before it is hashed',
      { user: 'u', hash: [{ name: '$user', normalize: true }] },
      { u: 'Ada' },
      {
        $user_id: hmac('ada'),
        distinct_id: hmac('ada'),
      },
    ],
    [
      'an id that Mixpanel would cut is hashed',
      { user: 'u' },
      { u: 'é'.repeat(128) },
      {
        $user_id: hmac('é'.repeat(128)),
        distinct_id: hmac('é'.repeat(128)),
      },
    ],
    [
      'an id as long as Mixpanel takes is left',
      { user: 'u' },
      { u: 'x'.repeat(255) },
      {
        $user_id: 'x'.repeat(255),
        distinct_id: 'x'.repeat(255),
      },
    ],
    [
      'an id that Mixpanel takes is used as it is',
      { insertId: 'i' },
      { i: '94b86f90-7739-4f0d-bcc2-b054143abad5' },
      {
        $insert_id: '94b86f90-7739-4f0d-bcc2-b054143abad5',
      },
    ],
    ['any other id is hashed', { insertId: 'i' }, { i: 'a_b' }, { $insert_id: hmac('a_b') }],
    [
      'an id of 37 characters is hashed',
      { insertId: 'i' },
      { i: 'a'.repeat(37) },
      { $insert_id: hmac('a'.repeat(37)) },
    ],
    ['an id that Mixpanel refuses is none', { insertId: 'i' }, { i: 'undefined' }, {}],
    [
      'several values are hashed together, also if some are nothing',
      { insertId: ['i', 'j', 'k'] },
      { i: 'a', j: 1 },
      {
        $insert_id: hmac('["a","1",null]'),
      },
    ],
    ['several values of which none is there make no id', { insertId: ['i', 'j'] }, { i: '' }, {}],
    [
      'an id that is hashed elsewhere is hashed',
      { insertId: 'u', user: 'u', hash: ['$user'] },
      { u: 'ada' },
      {
        $insert_id: hmac('ada'),
        $user_id: hmac('ada'),
        distinct_id: hmac('ada'),
      },
    ],
    ['an address of IPv4 is sent', { ip: 'a' }, { a: '203.0.113.7' }, { ip: '203.0.113.7' }],
    ['an address of IPv6 is sent', { ip: 'a' }, { a: ' 2001:db8::1 ' }, { ip: '2001:db8::1' }],
    ['what is no address is not sent', { ip: 'a' }, { a: '92.231.x.x' }, {}],
    ['an address that is dropped is not sent', { ip: 'a', drop: ['ip'] }, { a: '203.0.113.7' }, {}],
    ['an address that is not picked is not sent', { ip: 'a', pick: ['b'] }, { a: '203.0.113.7', b: 1 }, { b: 1 }],
    ['an address that is picked is sent', { ip: 'a', pick: ['ip'] }, { a: '203.0.113.7', b: 1 }, { ip: '203.0.113.7' }],
  ];
  for (const [what, rule, record, properties] of cases) {
    test(`${what}: ${JSON.stringify(rule)}`, () => {
      const found = propertiesOf(rule, record);
      assert.deepEqual(plain(found), plain(properties));
    });
  }

  const disallowed = [
    ...[
      '',
      ' ',
      'anon',
      'Anonymous',
      'nil',
      'none',
      'NULL',
      'n/a',
      'na',
      'undefined',
      'unknown',
      '<nil>',
      '0',
      '-1',
      'true',
    ],
    ...['false', '[]', '{}', '00000000-0000-0000-0000-000000000000', 0, -1, true, null, {}, []],
  ];
  for (const id of disallowed) {
    test(`the id ${JSON.stringify(id)} counts as empty`, () => {
      const rule = { user: 'u', device: 'd', insertId: 'i', properties: [] };
      assert.deepEqual(propertiesOf(rule, { u: id, d: id, i: id }), {});
    });
  }

  const names: [what: string, event: unknown, record: object, result: string | null][] = [
    ['a value', { value: 'Order' }, {}, 'Order'],
    ['a number becomes text', 'n', { n: 5 }, '5'],
    ['a template', { template: 'Viewed {page.name} ({n})' }, { page: { name: 'Home' }, n: 2 }, 'Viewed Home (2)'],
    ['a template in which a path finds nothing', { template: '{a} {b}' }, { a: 'Home' }, 'Home'],
    ['a template in which no path finds anything', { template: 'Viewed {a}' }, {}, null],
    ['nothing', 'n', {}, null],
    ['empty text', 'n', { n: ' ' }, null],
    ['an object', 'n', { n: {} }, null],
  ];
  for (const [what, event, record, result] of names) {
    test(`the event's name is ${what}: ${JSON.stringify(event)}`, () => {
      const made = mapped({ event, time: 't' }, { t: AT, ...record });
      if (result === null) assert.equal((made as Misfit).field, 'mapping.event');
      else assert.equal((made as { event: string }).event, result);
    });
  }

  const misfits: [rule: object, record: unknown, field: string, message: string][] = [
    [{}, [], 'record', 'not an object'],
    [{}, { t: AT }, 'mapping.event', 'nothing at e'],
    [{}, { e: {}, t: AT }, 'mapping.event', 'not a text at e'],
    [{}, { e: 'x' }, 'mapping.time', 'nothing at t'],
    [{ time: 'a["b.c"][0]' }, { e: 'x', a: { 'b.c': ['secret'] } }, 'mapping.time', 'not a time at a["b.c"][0]'],
    [{ number: ['n'] }, { e: 'x', t: AT, n: 'secret' }, 'mapping.number', 'not a number in n'],
    [{ boolean: ['n'] }, { e: 'x', t: AT, n: 'secret' }, 'mapping.boolean', 'not a boolean in n'],
    [{ json: ['n'] }, { e: 'x', t: AT, n: '{secret' }, 'mapping.json', 'not JSON in n'],
  ];
  for (const [rule, record, field, message] of misfits) {
    test(`a record that does not fit is rejected: ${field}: ${message}`, () => {
      assert.deepEqual(mapped({ event: 'e', time: 't', ...rule }, record), new Misfit(field, message));
    });
  }

  test('events that are skipped are left out, by name and by prefix', () => {
    const map = mapperOf({ event: 'e', time: 't', skip: ['ping', '$auto*'] });
    const named = (e: string) => map({ e, t: AT });
    assert.deepEqual(['ping', '$autocapture'].map(named), [null, null]);
    assert.deepEqual((named('pings') as { event: string }).event, 'pings');
  });

  test('without a key, ids are hashed too', () => {
    const made = mapped({ event: 'e', time: 't', insertId: 'i' }, { e: 'x', t: AT, i: 'a_b' });
    assert.equal((made as { properties: Record<string, unknown> }).properties.$insert_id, sha('a_b'));
  });

  test('a mapping leaves the record as it is, and makes the same of it again', () => {
    const record = { e: 'x', t: AT, u: { id: 'ada' }, l: [{ m: 1, n: 2 }], s: 'x', j: '{}', o: { p: 1, q: 2 } };
    const map = mapperOf(
      { event: 'e', time: 't', user: 'u.id', json: ['j'], drop: ['l[].m', 'o.p'], hash: ['s', 'l[].n', '$user'] },
      { hashKey: KEY },
    );
    const before = structuredClone(record);
    const first = map(record);
    assert.deepEqual(record, before);
    assert.deepEqual(map(record), first);
  });
});

describe('a list of rules', () => {
  const object = (name: string): RecordContext => ({ kind: 'object', bucket: 'b', object: name, metadata: {} });
  const message = (attributes: Record<string, string>): RecordContext => ({
    kind: 'message',
    subscription: 's',
    attributes,
  });
  const file = (path: string): RecordContext => ({ kind: 'file', path });
  const rules = [
    { when: { object: 'orders/**/*.json' }, event: { value: 'first' }, time: 't' },
    { when: { object: '*.log' }, event: { value: 'second' }, time: 't' },
    { when: { attributes: { source: 'app', env: 'prod' } }, event: { value: 'third' }, time: 't' },
  ];
  const made = (context: RecordContext, more: object[] = [], onUnmatched?: (context: RecordContext) => void) => {
    const mappingOf = createMappings({
      mapping: JSON.stringify([...rules, ...more]),
      transform: passThrough,
      onUnmatched,
    });
    const mapping = mappingOf(context);
    return mapping.kind === 'verbatim' ? 'verbatim' : (mapping.map({ t: AT }, context) as { event?: string });
  };
  const cases: [context: RecordContext, event: string][] = [
    [object('orders/2024/a.json'), 'first'],
    [object('orders/a.json'), 'first'],
    [file('/data/x.log'), 'second'],
    [object('a/b/c.log'), 'second'],
    [message({ source: 'app', env: 'prod', more: 'x' }), 'third'],
  ];
  for (const [context, event] of cases) {
    test(`the first rule that holds counts: ${JSON.stringify(context)}`, () =>
      assert.equal((made(context) as { event: string }).event, event));
  }

  test('a source for which no rule holds is read as events, and the first one is told', () => {
    const told: RecordContext[] = [];
    const mappingOf = createMappings({
      mapping: JSON.stringify(rules),
      transform: passThrough,
      onUnmatched: (context) => told.push(context),
    });
    assert.equal(mappingOf(message({ source: 'app' })).kind, 'verbatim');
    assert.equal(mappingOf(object('x')).kind, 'verbatim');
    assert.deepEqual(told, [message({ source: 'app' })]);
  });

  test('a rule that refuses makes a rejection of every record', () => {
    const refused = made(object('x'), [{ refuse: true }]);
    assert.equal((refused as unknown as Misfit).field, 'mapping.when');
  });

  test('a rule that names a format alone hands rows to the transform as they are', () => {
    const transform = (record: unknown) => ({ event: 'made', properties: { record } });
    const mappingOf = createMappings({ mapping: '{"format":"csv"}', transform: transform as never });
    const mapping = mappingOf(object('x'));
    assert.ok(mapping.kind === 'mapped');
    assert.deepEqual(mapping.through, ['transform']);
    assert.deepEqual(mapping.map({ a: '1' }, object('x')), { event: 'made', properties: { record: { a: '1' } } });
  });

  test('a transform is handed what the mapping made, with the context, and nothing that does not fit or is left out', () => {
    const given: unknown[] = [];
    const transform = (event: unknown, context: unknown) => {
      given.push(event, context);
      return null;
    };
    const mapping = createMappings({
      mapping: '{"event":"e","time":"t","skip":["ping"]}',
      transform: transform as never,
    })(object('x'));
    assert.ok(mapping.kind === 'mapped');
    assert.deepEqual(mapping.through, ['mapping', 'transform']);
    for (const record of [{ e: 'a', t: AT }, { e: 'ping', t: AT }, { e: 'b' }]) mapping.map(record, object('x'));
    assert.deepEqual(given, [{ event: 'a', properties: { time: AT, distinct_id: '', ip: 0 } }, object('x')]);
  });
});

/** Numbers that keep their digits are objects of a kind that cannot be made by hand. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part) => (part?.rawJSON === undefined ? part : { rawJSON: part.rawJSON })),
  );
}
