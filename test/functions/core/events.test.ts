import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { type Block, isBalanced } from '../../../functions/core/block.ts';
import type { MixpanelEvent, Transform } from '../../../functions/core/event.ts';
import {
  type PendingEvents,
  recordAsItCame,
  recordOf,
  sourceOf,
  transformBlock,
} from '../../../functions/core/events.ts';
import { insertIdByContent, insertIdByPosition } from '../../../functions/core/insert-id.ts';
import { BatchBuilder } from '../../../functions/core/mixpanel/batch.ts';
import { eventText as anyEventText, parse } from '../../support/parsing.ts';
import { addAllPassed } from '../../support/sending.ts';

function blockOf(content: string, isTransformed = false): Block {
  const { blocks } = parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER, isTransformed });
  assert.equal(blocks.length, 1);
  return blocks[0]!;
}

function contentId(record: string, event?: number): string {
  const hashed = event === undefined ? record : `${record}\n${event}`;
  return createHash('sha256').update(hashed).digest('hex').slice(0, 24);
}

/** The events that are sent when all records of `content` are passed through. */
async function pass(content: string, insertIdOf = insertIdByContent) {
  const block = blockOf(content);
  const builder = new BatchBuilder();
  addAllPassed(builder, block, insertIdOf);
  assert.equal(builder.events, block.starts.length);
  assert.equal(block.pending, 1 + block.starts.length);
  const batch = await builder.seal(1);
  const lines = gunzipSync(batch.body).toString().split('\n');
  assert.equal(lines.pop(), '');
  return { block, batch, lines };
}

/** A replacer, for texts that compare whatever the order of keys. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

function isMissing(id: unknown): boolean {
  return id === undefined || id === null || id === '';
}

const odd =
  '{ "event" :\t"a\\u0062\\/\\"\\ud83d\\ude00é" , "properties": {"$insert_id":"x" ,"n":12345678901234567890.10e-2,"z":1.0, "s":"\\u0000\\n" } }';

describe('a record that is passed through', () => {
  test('is sent byte for byte, long digits, escapes and white space included', async () => {
    assert.deepEqual((await pass(`${odd}\n`)).lines, [odd]);
  });

  const splices: { name: string; properties: string; expected: (id: string) => string }[] = [
    { name: 'properties', properties: '{"time":1}', expected: (id) => `{"$insert_id":"${id}","time":1}` },
    {
      name: 'properties behind white space',
      properties: ' \t{ "time":1}',
      expected: (id) => ` \t{"$insert_id":"${id}", "time":1}`,
    },
    { name: 'empty properties', properties: '{}', expected: (id) => `{"$insert_id":"${id}"}` },
    { name: 'empty properties with white space', properties: '{ \t}', expected: (id) => `{"$insert_id":"${id}" \t}` },
    {
      name: 'properties with an id further down',
      properties: '{"a":{"$insert_id":"x"}}',
      expected: (id) => `{"$insert_id":"${id}","a":{"$insert_id":"x"}}`,
    },
    {
      name: 'properties with __proto__',
      properties: '{"__proto__":{"$insert_id":"x"}}',
      expected: (id) => `{"$insert_id":"${id}","__proto__":{"$insert_id":"x"}}`,
    },
  ];
  for (const { name, properties, expected } of splices) {
    test(`gets an id in front of ${name}, and otherwise remains as it is`, async () => {
      const record = `{"a":12345678901234567890,"properties":${properties},"event":"e"}`;
      const { lines } = await pass(`${record}\n`);
      assert.deepEqual(lines, [`{"a":12345678901234567890,"properties":${expected(contentId(record))},"event":"e"}`]);
      assert.equal(JSON.parse(lines[0]!).properties.$insert_id, contentId(record));
    });
  }

  test('gets the id in the last of several properties, which is the one that counts', async () => {
    const record = '{"event":"e","properties":{"$insert_id":"x"},"propertie\\u0073":{"a":1}}';
    const { lines } = await pass(`${record}\n`);
    assert.equal(
      lines[0],
      `{"event":"e","properties":{"$insert_id":"x"},"propertie\\u0073":{"$insert_id":"${contentId(record)}","a":1}}`,
    );
  });

  for (const empty of ['null', '""']) {
    test(`is written anew where its id is ${empty}, with all digits`, async () => {
      const record = `{"event":"e","x":1e400,"properties":{"n":12345678901234567890,"$insert_id":${empty},"m":0.12345678901234567,"__proto__":1}}`;
      const { lines, batch } = await pass(`  ${record}\r\n`);
      assert.deepEqual(lines, [
        `{"event":"e","x":1e400,"properties":{"$insert_id":"${contentId(record)}","n":12345678901234567890,"m":0.12345678901234567,"__proto__":1}}`,
      ]);
      assert.equal(batch.kept.get(0)?.toString(), record);
    });
  }

  test('gets spaces for the line breaks in it, and is kept as it came', async () => {
    const record = '{\r\n  "event": "e",\n  "properties": {\n    "n": 12345678901234567890\n  }\n}';
    const { lines, batch } = await pass(`[\n${record}\n]`);
    const line = record.replace('{\n    "n', `{"$insert_id":"${contentId(record)}",\n    "n`).replace(/[\r\n]/g, ' ');
    assert.deepEqual(lines, [line]);
    assert.equal(batch.kept.get(0)?.toString(), record);
  });

  test('gets an id that says where it stands, if so configured: equal records then differ', async () => {
    const { lines } = await pass('{"event":"e","properties":{}}\n{"event":"e","properties":{}}\n', insertIdByPosition);
    const ids = lines.map((line) => JSON.parse(line).properties.$insert_id);
    assert.deepEqual(
      ids,
      [0, 30].map((offset) => createHash('sha256').update(`["b","o","1",${offset}]`).digest('hex').slice(0, 24)),
    );
  });

  test('is had back from what is sent, unless it is kept beside it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEventText, { minLength: 1, maxLength: 4 }), async (texts) => {
        const content = `[${texts.join(',')},{"event":"e","properties":{}}]`;
        const { lines, block, batch } = await pass(content);
        const bytes = Buffer.from(content);
        for (const [record, line] of lines.entries()) {
          const came = bytes.subarray(block.starts[record]!, block.ends[record]!);
          assert.deepEqual(batch.kept.get(record) ?? recordOf(Buffer.from(line), block, record), came);
          const sent = JSON.parse(line);
          const { properties, ...rest } = JSON.parse(came.toString());
          assert.ok(!isMissing(sent.properties.$insert_id));
          if (isMissing(properties.$insert_id)) {
            properties.$insert_id = insertIdByContent(came, block.origin, 0, 0);
          }
          // Written again, as -0 may have become 0.
          assert.equal(JSON.stringify(sent, sorted), JSON.stringify({ ...rest, properties }, sorted));
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** What a transform makes of one record, beside the block that counts it. */
async function transformOne(transform: unknown, record = '{"event":"e","properties":{"time":1}}') {
  const { events, block } = await transformAll(transform, `${record}\n`);
  return { texts: events.map(({ text }) => text), events, block, rejections: block.rejections, counts: block.counts };
}

async function transformAll(transform: unknown, content: string) {
  const block = blockOf(content, true);
  const pending: PendingEvents[] = [];
  const events = [...transformBlock(block, transform as Transform, insertIdByContent, pending)];
  events.push(...(await Promise.all(pending)).flat());
  block.counts.imported += events.length;
  assert.ok(isBalanced(block.counts), JSON.stringify(block.counts));
  return { block, events };
}

const e = (event: string, properties: object = {}): MixpanelEvent => ({ event, properties: { ...properties } });

describe('a transform', () => {
  const record = '{"event":"e","properties":{"time":1}}';

  const none: [name: string, result: unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['an empty array', []],
    ['a promise of null', Promise.resolve(null)],
    ['a promise of an empty array', Promise.resolve([])],
  ];
  for (const [name, result] of none) {
    test(`leaves the record out with ${name}`, async () => {
      const { texts, counts, rejections } = await transformOne(() => result);
      assert.deepEqual(texts, []);
      assert.deepEqual(rejections, []);
      assert.deepEqual(counts, { read: 1, expanded: 0, imported: 0, rejected: 0, dropped: 1 });
    });
  }

  test('makes one event, which gets the id of the record, and leaves the record as it came', async () => {
    for (const result of [e('x', { a: 1 }), [e('x', { a: 1 })], Promise.resolve(e('x', { a: 1 }))]) {
      const { texts, events, counts, block } = await transformOne(() => result);
      assert.deepEqual(texts, [`{"event":"x","properties":{"$insert_id":"${contentId(record)}","a":1}}`]);
      assert.deepEqual(events, [{ block, record: 0, eventIndex: undefined, text: texts[0] }]);
      assert.equal(recordAsItCame(block, 0).toString(), record);
      assert.deepEqual(counts, { read: 1, expanded: 0, imported: 1, rejected: 0, dropped: 0 });
    }
  });

  test('makes several events, each of which gets an id of its own, the same each time', async () => {
    const several = () => [e('x'), e('y', { $insert_id: 'own' }), e('x')];
    const { texts, events, counts } = await transformOne(several);
    assert.deepEqual(texts, [
      `{"event":"x","properties":{"$insert_id":"${contentId(record, 0)}"}}`,
      '{"event":"y","properties":{"$insert_id":"own"}}',
      `{"event":"x","properties":{"$insert_id":"${contentId(record, 2)}"}}`,
    ]);
    assert.deepEqual(
      events.map(({ eventIndex }) => eventIndex),
      [0, 1, 2],
    );
    assert.deepEqual(counts, { read: 1, expanded: 2, imported: 3, rejected: 0, dropped: 0 });
    assert.deepEqual((await transformOne(several)).texts, texts);
  });

  for (const $insert_id of [null, '', undefined]) {
    test(`that sets the id to ${JSON.stringify($insert_id)} leaves it to us`, async () => {
      const { texts } = await transformOne(() => e('x', { a: 1, $insert_id }));
      assert.deepEqual(texts, [`{"event":"x","properties":{"$insert_id":"${contentId(record)}","a":1}}`]);
    });
  }

  test('keeps the order of the records, be it synchronous, asynchronous or both', async () => {
    const later: (() => void)[] = [];
    const content = Array.from({ length: 9 }, (_, n) => `${JSON.stringify(e('e', { n }))}\n`).join('');
    const result = transformAll(({ properties }: MixpanelEvent) => {
      const n = properties.n as number;
      const event = e(`x${n}`);
      if (n % 3 === 0) return event;
      if (n % 3 === 1) return Promise.resolve(event);
      return new Promise((resolve) => later.push(() => resolve(event)));
    }, content);
    assert.equal(later.length, 3, 'all records are under way at once');
    for (const resolve of later.reverse()) resolve();
    const names = (await result).events.map(({ text }) => JSON.parse(text).event);
    assert.deepEqual(
      names,
      Array.from({ length: 9 }, (_, n) => `x${n}`),
    );
  });

  test("may give a promise that is not the runtime's own", async () => {
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about.
    const thenable = { then: (resolve: (event: MixpanelEvent) => void) => resolve(e('x')) };
    assert.equal((await transformOne(() => thenable)).texts.length, 1);
    const foreign = runInNewContext('Promise.resolve({event: "x", properties: {}})');
    assert.equal((await transformOne(() => foreign)).texts.length, 1);
  });

  const thrown: [name: string, error: unknown, message: string][] = [
    ['an error', new RangeError('no such plan'), 'no such plan'],
    ['an error of another realm', runInNewContext('new Error("elsewhere")'), 'Error: elsewhere'],
    ['a string', 'just text', 'just text'],
    ['undefined', undefined, 'undefined'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['an object without a prototype', Object.create(null), 'the transform threw something that has no text'],
    [
      'an error without a text',
      Object.assign(new Error('x'), { message: Object.create(null) }),
      'the transform threw something that has no text',
    ],
  ];
  for (const [name, error, message] of thrown) {
    test(`that throws ${name}, or is rejected with it, makes a rejection of the record as it came`, async () => {
      const throwing = () => {
        throw error;
      };
      for (const transform of [throwing, () => Promise.reject(error)]) {
        const { texts, rejections, counts } = await transformOne(transform);
        assert.deepEqual(texts, []);
        assert.deepEqual(rejections, [
          {
            reason: { field: 'transform', message },
            source: { bucket: 'b', object: 'o', generation: '1', line: 1, offset: 0 },
            insertId: contentId(record),
            record: Buffer.from(record),
            bytes: record.length,
          },
        ]);
        assert.deepEqual(counts, { read: 1, expanded: 0, imported: 0, rejected: 1, dropped: 0 });
      }
    });
  }

  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  let deep: object = {};
  for (let level = 0; level < 50_000; level++) deep = { deep };
  const rubbish: [name: string, result: unknown, message: RegExp][] = [
    ['a string', 'x', /other than events/],
    ['a number', 5, /other than events/],
    ['true', true, /other than events/],
    ['a symbol', Symbol('s'), /other than events/],
    ['an event without properties', { event: 'x' }, /other than events/],
    ['properties that are null', { event: 'x', properties: null }, /other than events/],
    ['properties that are an array', { event: 'x', properties: [] }, /other than events/],
    ['an array in an array', [[e('x')]], /other than events/],
    ['an array with null', [null], /other than events/],
    ['a cycle', e('x', cyclic), /circular/],
    ['a BigInt', e('x', { n: 1n }), /BigInt/],
    ['what is nested too deep to be written', e('x', deep), /call stack/],
    [
      'an event that writes itself as nothing',
      { ...e('x', { $insert_id: 'i' }), toJSON: () => undefined },
      /other than events/,
    ],
    ['an event that writes itself as text', { ...e('x'), toJSON: () => 'x' }, /other than events/],
    ['an event that writes itself as a list', { ...e('x'), toJSON: () => [] }, /other than events/],
    [
      'an event that cannot be read',
      new Proxy(e('x'), {
        get: (_, key) => {
          if (key === 'then') return undefined;
          throw new Error('unreadable');
        },
      }),
      /unreadable/,
    ],
  ];
  for (const [name, result, message] of rubbish) {
    test(`that gives ${name} makes a rejection of the record`, async () => {
      const { texts, rejections, counts } = await transformOne(() => result);
      assert.deepEqual(texts, []);
      assert.equal(rejections.length, 1);
      assert.equal(rejections[0]!.reason.field, 'transform');
      assert.match(rejections[0]!.reason.message, message);
      assert.equal(rejections[0]!.record.toString(), record);
      assert.deepEqual(counts, { read: 1, expanded: 0, imported: 0, rejected: 1, dropped: 0 });
    });
  }

  test('that gives rubbish among events rejects that alone, and says which it was', async () => {
    const { texts, rejections, counts } = await transformOne(() => [e('x'), 'rubbish', e('y'), e('z', { n: 1n })]);
    assert.deepEqual(
      texts.map((text) => JSON.parse(text).event),
      ['x', 'y'],
    );
    assert.deepEqual(
      rejections.map(({ source }) => source.event),
      [1, 3],
    );
    assert.deepEqual(
      rejections.map(({ insertId }) => insertId),
      [contentId(record, 1), contentId(record, 3)],
    );
    assert.deepEqual(counts, { read: 1, expanded: 3, imported: 2, rejected: 2, dropped: 0 });
  });

  test('that fails for one record leaves the others alone', async () => {
    const good = JSON.stringify(e('good'));
    const { events, block } = await transformAll(
      ({ event, ...rest }: MixpanelEvent) => {
        if (event === 'bad') throw new Error('bad');
        return { event, ...rest };
      },
      `${good}\nno event\n${JSON.stringify(e('bad'))}\n${good}\n`,
    );
    assert.deepEqual(
      events.map(({ record }) => block.ordinals[record]),
      [1, 4],
    );
    assert.deepEqual(
      block.rejections.map(({ reason }) => reason.field),
      ['record', 'transform'],
    );
    const { source } = block.rejections[1]!;
    assert.deepEqual(source, { bucket: 'b', object: 'o', generation: '1', line: 3, offset: good.length + 10 });
    assert.deepEqual(block.counts, { read: 4, expanded: 0, imported: 2, rejected: 2, dropped: 0 });
  });

  test('is given numbers whose digits survive it, and __proto__ as a key like others', async () => {
    const given =
      '{"event":"e","properties":{"$insert_id":"i","n":12345678901234567890,"f":0.1234567890123456789,"big":1e400,"small":1e-400,"list":[-9007199254740993],"__proto__":{"a":1},"short":1.50}}';
    const { texts } = await transformOne((it: MixpanelEvent) => ({ ...it, properties: { ...it.properties } }), given);
    assert.deepEqual(texts, [given.replace('1.50', '1.5')]);
    assert.equal(Object.getPrototypeOf({}).a, undefined);
  });

  test('is given ordinary numbers as such', async () => {
    let seen: unknown[] = [];
    const given =
      '{"event":"e","properties":{"time":1700000000.123,"e":1e3,"long":12345678901234567890,"z":-0.000000000000001}}';
    await transformOne(({ properties }: MixpanelEvent) => {
      seen = [properties.time, properties.e, typeof properties.long, properties.z];
      return null;
    }, given);
    assert.deepEqual(seen, [1_700_000_000.123, 1_000, 'object', -1e-15]);
  });

  test('leaves the record as it came, also where it changes what it is given', async () => {
    const pretty = '{\n "event":"e",\n "properties":{"time":12345678901234567890}}';
    const { events, block } = await transformAll((it: MixpanelEvent) => {
      it.properties.time = 2;
      return it;
    }, `[${pretty}]`);
    assert.equal(recordAsItCame(block, 0).toString(), pretty);
    assert.ok(!events[0]!.text.includes('\n'));
  });
});

test("the source of an event is its record's, with the index of the event where there are several", () => {
  const block = blockOf('\n {"event":"e","properties":{}}\n');
  const source = { bucket: 'b', object: 'o', generation: '1', line: 2, offset: 2 };
  assert.deepEqual(sourceOf(block, 0, undefined), source);
  assert.deepEqual(sourceOf(block, 0, 0), { ...source, event: 0 });
});
