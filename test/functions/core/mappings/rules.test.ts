import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { problemsOf } from '../../../support/mapping.ts';

const PATH = 'must be a path, such as context.page.url, items[0].sku or ["a.b"]';
const KEY = 'sixteen letters!';

/** A rule that is right, with something in it. */
function rule(more: object): object {
  return { event: 'e', time: 't', ...more };
}

describe('a mapping that is wrong', () => {
  const wrong: [mapping: unknown, ...problems: string[]][] = [
    ['{', 'the mapping is not JSON'],
    [5, 'the mapping must be a rule, which is an object, or a list of rules'],
    [[], 'the mapping must have a rule'],
    [[5], '[0]: must be a rule, which is an object, or a list of rules'],
    [rule({ evnt: 1 }), 'evnt: unknown key. Is event meant?'],
    [rule({ insertid: 'x' }), 'insertid: unknown key. Is insertId meant?'],
    [
      rule({ zzzzzz: 1 }),
      'zzzzzz: unknown key. Known are when, refuse, format, from, event, time, user, device, insertId, ip, properties, params, rename, number, boolean, json, pick, drop, hash, skip, identity',
    ],
    [{ event: 'e' }, 'the mapping has `event` without `time`: give a path of the time'],
    [{ time: 't' }, 'the mapping has `time` without `event`: give a path, or { "value": "Name" }'],
    [rule({ time: {} }), 'time: must have a `path`'],
    [rule({ event: '' }), `event: ${PATH}`],
    [rule({ event: 'a..b' }), `event: ${PATH}`],
    [rule({ event: 'items[].name' }), `event: ${PATH}`],
    [rule({ event: {} }), 'event: must be a path, { "value": "Name" } or { "template": "Viewed {path}" }'],
    [rule({ event: { value: ' ' } }), 'event.value: is empty'],
    [
      rule({ event: { valu: 'x' } }),
      'event.valu: unknown key. Is value meant?',
      'event: must be a path, { "value": "Name" } or { "template": "Viewed {path}" }',
    ],
    [rule({ event: { template: 'Viewed {name' } }), 'event.template: has a brace that is not closed'],
    [rule({ event: { template: 'Viewed {}' } }), `event.template: ${PATH}`],
    [rule({ time: { path: 't', unit: 'sec' } }), 'time.unit: must be one of s, ms, us, ns. Is s meant?'],
    [
      rule({ time: { path: 't', zone: '+01:00' } }),
      'time.zone: must be the IANA name of a time zone, such as Europe/Berlin',
    ],
    [
      rule({ time: { path: 't', zone: 'Mars/Olympus' } }),
      'time.zone: must be the IANA name of a time zone, such as Europe/Berlin',
    ],
    [rule({ from: 'snoplow' }), /^from: must be one of snowplow.*\. Is snowplow meant\?$/ as unknown as string],
    [rule({ user: [] }), 'user: must be a path, or a list of some'],
    [rule({ device: ['a', 5] }), `device[1]: ${PATH}`],
    [rule({ insertId: { path: 'a' } }), `insertId: ${PATH}`],
    [rule({ ip: 5 }), `ip: ${PATH}`],
    [rule({ properties: ['*', ''] }), `properties[1]: ${PATH}`],
    [rule({ rename: ['a'] }), 'rename: must be an object { path: name }'],
    [rule({ rename: { a: '', b: 'time' } }), 'rename.a: must be a name', 'rename.b: `time` is set by a key of its own'],
    [rule({ rename: { 'a..b': 'c' } }), `rename."a..b": ${PATH}`],
    [rule({ number: 'a' }), 'number: must be a list of names'],
    [rule({ boolean: [''] }), 'boolean: must be a list of names'],
    [rule({ drop: ['a*b'] }), 'drop[0]: must be a name, a path such as items[].sku, or prefix*'] as never,
    [rule({ hash: ['ip'] }), 'hash[0]: an address that is hashed is none: drop it, so that 0 is sent'],
    [
      rule({ hash: ['time', 5] }),
      'hash[0]: cannot be hashed',
      'hash[1]: must be a name, or { "name": name, "normalize": true }',
    ],
    [rule({ hash: [{ name: 'a', normalise: true }] }), 'hash[0].normalise: unknown key. Is normalize meant?'],
    [rule({ hash: [{ name: 'a', normalize: 1 }] }), 'hash[0].normalize: must be true or false'],
    [rule({ identity: 'simple' }), 'identity: must be one of simplified, original'],
    [rule({ when: {} }), 'when: must be { "object": glob } or { "attributes": { name: value } }'],
    [
      rule({ when: { object: 'a', attributes: { b: 'c' } } }),
      'when: has both `object` and `attributes`: no record comes from an object and from a message',
    ],
    [
      rule({ when: { object: '{a,b}' } }),
      'when.object: has a bracket, a brace or a backslash: write ? for such a character',
    ],
    [rule({ when: { attributes: { a: 1 } } }), 'when.attributes.a: must be a text'],
    [{ refuse: false }, 'refuse: must be true, or absent'],
    [{ refuse: true, drop: ['a'] }, 'drop: stands beside `refuse`, which makes no events'],
    [rule({ format: 'xml' }), 'format: must be csv, tsv or an object with delimiter, header, quote, null'],
    [
      rule({ format: { delimiter: '::', quote: '', header: ['a', 'a'], null: '' } }),
      'format.delimiter: must be one ASCII character',
      'format.quote: must be one ASCII character, or null',
      'format.header: must be true, or a list of different names',
      'format.null: must be a list of texts',
    ],
    [rule({ format: { delimiter: '"' } }), 'format.quote: must differ from the delimiter'],
    [{ from: 'snowplow', format: 'tsv' }, 'format: stands beside a preset that has a format of its own'],
    [
      { properties: 'a', params: 'b' },
      'properties: needs `event` and `time`, or `from`: without them records are Mixpanel events',
      'params: needs `event` and `time`, or `from`: without them records are Mixpanel events',
    ],
    [
      [{ drop: ['a'] }, { when: { object: 'a' }, drop: ['b'] }],
      '[0]: has no `when`, so the rules after it never count. Put it last',
    ],
    [
      [
        { when: { object: 'a' }, evnt: 1 },
        { drop: 5, tim: 'x' },
      ],
      '[0].evnt: unknown key. Is event meant?',
      '[1].tim: unknown key. Is time meant?',
      '[1].drop: must be a list of names',
    ],
  ];
  for (const [mapping, ...problems] of wrong) {
    const text = typeof mapping === 'string' ? mapping : JSON.stringify(mapping);
    test(`the mapping ${text} is refused, and all that is wrong is told`, () => {
      const found = problemsOf(mapping, KEY);
      assert.equal(found.length, problems.length, found.join('\n'));
      for (const [index, problem] of problems.entries()) {
        if ((problem as unknown) instanceof RegExp) assert.match(found[index]!, problem as unknown as RegExp);
        else assert.equal(found[index], problem);
      }
    });
  }

  test('a mapping that hashes is refused without a key', () => {
    assert.deepEqual(problemsOf({ hash: ['a'] }), ['hash: needs the variable IMPORT_HASH_KEY']);
    assert.deepEqual(problemsOf({ hash: ['a'] }, KEY), []);
  });
});

describe('a mapping that is right', () => {
  const right: unknown[] = [
    {},
    rule({}),
    { from: 'snowplow' },
    { from: 'snowplow', time: { zone: 'UTC' }, skip: [], drop: ['page_title'] },
    { pick: ['page', 'price', 'items[].sku', 'utm_*'], drop: ['a.b'] },
    [
      { when: { object: 'a/**/*.csv' }, ...rule({ format: 'csv' }) },
      { when: { attributes: { a: 'b' } } },
      { refuse: true },
    ],
    rule({ format: { delimiter: ';', header: ['a', 'b'], quote: null, null: ['', '\\N'] } }),
    rule({
      event: { template: 'Viewed {page.name} {n}' },
      user: ['a', 'b'],
      insertId: ['a', 'b'],
      ip: 'c',
      params: 'd',
    }),
    rule({ properties: ['*', 'a.b'], rename: { 'a.c': 'c', '["x.y"]': 'z' }, number: ['n'], identity: 'original' }),
  ];
  for (const mapping of right) {
    test(`the mapping ${JSON.stringify(mapping)} is accepted`, () => assert.deepEqual(problemsOf(mapping, KEY), []));
  }
});
