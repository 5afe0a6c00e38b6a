import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { type Block, cutBlock, isBalanced, lengthOf, noCounts, type Source } from '../../../functions/core/block.ts';
import type { MixpanelEvent, RecordContext, Transform } from '../../../functions/core/event.ts';
import { locationOf, ManyEvents, originalAt, RecordMapper, withoutSplice } from '../../../functions/core/events.ts';
import { insertIdByContent, insertIdByPosition } from '../../../functions/core/insert-id.ts';
import { type MappedRecords, mappingOf } from '../../../functions/core/mappings/mapping.ts';
import { BatchBuilder } from '../../../functions/core/mixpanel/batch.ts';
import { originalOf } from '../../../functions/core/mixpanel/original.ts';
import { anyEventText, columnsOf, mappedSource, objectSource, parse } from '../../support/parsing.ts';
import { blocksOf, startPipeline } from '../../support/pipeline.ts';
import { addAllRecords } from '../../support/sending.ts';

function blockOf(content: string, isMapped = false): Block {
  const { blocks } = parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER, isMapped });
  assert.equal(blocks.length, 1);
  return blocks[0]!;
}

function contentId(record: string, event?: number): string {
  const hashed = event === undefined ? record : `${record}\n${event}`;
  return createHash('sha256').update(hashed).digest('hex').slice(0, 24);
}

/** The events that are sent if all records of `content` are sent as they arrive. */
async function pass(content: string, insertIdOf = insertIdByContent) {
  const block = blockOf(content);
  const builder = new BatchBuilder();
  addAllRecords(builder, block, insertIdOf);
  assert.equal(builder.events, lengthOf(block.records));
  assert.equal(block.pending, 1 + lengthOf(block.records));
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

describe('a record that is sent as it arrived', () => {
  test('a record with an id is sent byte for byte, with its long digits, escapes and white space', async () => {
    assert.deepEqual((await pass(`${odd}\n`)).lines, [odd]);
  });

  const splices: { name: string; properties: string; expected: (id: string) => string }[] = [
    { name: 'properties', properties: '{"time":1}', expected: (id) => `{"$insert_id":"${id}","time":1}` },
    {
      name: 'properties after white space',
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
    test(`an id is put at the beginning of ${name}, and nothing else changes`, async () => {
      const record = `{"a":12345678901234567890,"properties":${properties},"event":"e"}`;
      const { lines } = await pass(`${record}\n`);
      assert.deepEqual(lines, [`{"a":12345678901234567890,"properties":${expected(contentId(record))},"event":"e"}`]);
      assert.equal(JSON.parse(lines[0]!).properties.$insert_id, contentId(record));
    });
  }

  test('an id is put into the last of several properties, which is the one that counts', async () => {
    const record = '{"event":"e","properties":{"$insert_id":"x"},"propertie\\u0073":{"a":1}}';
    const { lines } = await pass(`${record}\n`);
    assert.equal(
      lines[0],
      `{"event":"e","properties":{"$insert_id":"x"},"propertie\\u0073":{"$insert_id":"${contentId(record)}","a":1}}`,
    );
  });

  for (const empty of ['null', '""']) {
    test(`a record whose id is ${empty} is serialized anew, with all digits`, async () => {
      const record = `{"event":"e","x":1e400,"properties":{"n":12345678901234567890,"$insert_id":${empty},"m":0.12345678901234567,"__proto__":1}}`;
      const { lines, batch } = await pass(`  ${record}\r\n`);
      assert.deepEqual(lines, [
        `{"event":"e","x":1e400,"properties":{"$insert_id":"${contentId(record)}","n":12345678901234567890,"m":0.12345678901234567,"__proto__":1}}`,
      ]);
      assert.equal(batch.originals.get(0)?.toString(), record);
    });
  }

  test('line breaks in a record become spaces, and the record is kept as it arrived', async () => {
    const record = '{\r\n  "event": "e",\n  "properties": {\n    "n": 12345678901234567890\n  }\n}';
    const { lines, batch } = await pass(`[\n${record}\n]`);
    const line = record.replace('{\n    "n', `{"$insert_id":"${contentId(record)}",\n    "n`).replace(/[\r\n]/g, ' ');
    assert.deepEqual(lines, [line]);
    assert.equal(batch.originals.get(0)?.toString(), record);
  });

  test('ids by position differ for equal records', async () => {
    const { lines } = await pass('{"event":"e","properties":{}}\n{"event":"e","properties":{}}\n', insertIdByPosition);
    const ids = lines.map((line) => JSON.parse(line).properties.$insert_id);
    assert.deepEqual(
      ids,
      [0, 30].map((offset) => createHash('sha256').update(`["b","o","1",${offset}]`).digest('hex').slice(0, 24)),
    );
  });

  test('the record is recovered from the event that is sent, unless the batch keeps the record', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEventText, { minLength: 1, maxLength: 4 }), async (texts) => {
        const content = `[${texts.join(',')},{"event":"e","properties":{}}]`;
        const { lines, block, batch } = await pass(content);
        const bytes = Buffer.from(content);
        const columns = columnsOf(block);
        columns.bytes = Buffer.alloc(0);
        for (const [record, line] of lines.entries()) {
          const arrived = bytes.subarray(columns.starts[record]!, columns.ends[record]!);
          assert.deepEqual(originalOf(block, record, Buffer.from(line), batch.originals.get(record)), arrived);
          const sent = JSON.parse(line);
          const { properties, ...rest } = JSON.parse(arrived.toString());
          assert.ok(!isMissing(sent.properties.$insert_id));
          if (isMissing(properties.$insert_id)) {
            properties.$insert_id = insertIdByContent(arrived, block.source, 0, 0);
          }
          // Written again, as -0 may have become 0.
          assert.equal(JSON.stringify(sent, sorted), JSON.stringify({ ...rest, properties }, sorted));
        }
      }),
      { numRuns: 300 },
    );
  });

  for (const properties of ['{}', '{ \t}', '{"a":1}', '{ "a":1}']) {
    test(`an id that was put into the properties ${JSON.stringify(properties)} is taken out again`, async () => {
      const record = `{"event":"é","properties":${properties}}`;
      const { block, lines } = await pass(`${record}\n`);
      assert.notEqual(lines[0], record);
      assert.equal(withoutSplice(Buffer.from(lines[0]!), columnsOf(block), 0).toString(), record);
    });
  }
});

/** An event that a mapping made. */
interface MadeEvent {
  record: number;
  index: number | undefined;
  text: string;
}

/** What a mapping makes of the records of a block, and the counts once all of it is settled. */
async function mapAll(block: Block, mapping: MappedRecords) {
  const mapper = new RecordMapper(block, mapping, insertIdByContent);
  // All at once, as records may wait for each other.
  const mapped = Array.from({ length: lengthOf(block.records) }, (_, record) => mapper.map(record));
  const events: MadeEvent[] = [];
  const { counts, rejections } = block;
  for (const [record, made] of (await Promise.all(mapped)).entries()) {
    if (typeof made === 'string') {
      events.push({ record, index: undefined, text: made });
      continue;
    }
    assert.ok(!(made instanceof ManyEvents), 'few events are serialized at once');
    for (const [at, text] of made.texts.entries()) events.push({ record, index: made.indexes?.[at], text });
    if (made.expanded === -1) counts.dropped++;
    else counts.expanded += made.expanded;
    counts.rejected += made.rejections.length;
    rejections.push(...made.rejections);
  }
  counts.imported += events.length;
  assert.ok(isBalanced(counts), JSON.stringify(counts));
  return { block, events, rejections, counts, texts: events.map(({ text }) => text) };
}

function transformAll(transform: unknown, content: string) {
  return mapAll(blockOf(content, true), mappedBy(transform));
}

function transformOne(transform: unknown, record = '{"event":"e","properties":{"time":1}}') {
  return transformAll(transform, `${record}\n`);
}

function mappedBy(transform: unknown): MappedRecords {
  const mapping = mappingOf(transform as Transform);
  assert.ok(mapping.kind === 'mapped');
  return mapping;
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
    test(`a transform that returns ${name} leaves the record out`, async () => {
      const { texts, counts, rejections } = await transformOne(() => result);
      assert.deepEqual(texts, []);
      assert.deepEqual(rejections, []);
      assert.deepEqual(counts, { read: 1, expanded: 0, imported: 0, rejected: 0, dropped: 1 });
    });
  }

  const single: [name: string, result: unknown][] = [
    ['an event', e('x', { a: 1 })],
    ['an array with one event', [e('x', { a: 1 })]],
    ['a promise of an event', Promise.resolve(e('x', { a: 1 }))],
    ['a promise of an array with one event', Promise.resolve([e('x', { a: 1 })])],
  ];
  for (const [name, result] of single) {
    test(`a transform that returns ${name} makes one event with the id of the record`, async () => {
      const { texts, events, counts, block } = await transformOne(() => result);
      assert.deepEqual(texts, [`{"event":"x","properties":{"$insert_id":"${contentId(record)}","a":1}}`]);
      assert.deepEqual(events, [{ record: 0, index: undefined, text: texts[0] }]);
      assert.equal(originalAt(block.records, 0).toString(), record);
      assert.deepEqual(counts, { read: 1, expanded: 0, imported: 1, rejected: 0, dropped: 0 });
    });
  }

  test('each of several events that a transform makes gets an id of its own, the same each time', async () => {
    const several = () => [e('x'), e('y', { $insert_id: 'own' }), e('x')];
    const { texts, events, counts } = await transformOne(several);
    assert.deepEqual(texts, [
      `{"event":"x","properties":{"$insert_id":"${contentId(record, 0)}"}}`,
      '{"event":"y","properties":{"$insert_id":"own"}}',
      `{"event":"x","properties":{"$insert_id":"${contentId(record, 2)}"}}`,
    ]);
    assert.deepEqual(
      events.map(({ index }) => index),
      [0, 1, 2],
    );
    assert.deepEqual(counts, { read: 1, expanded: 2, imported: 3, rejected: 0, dropped: 0 });
    assert.deepEqual((await transformOne(several)).texts, texts);
  });

  for (const $insert_id of [null, '', undefined]) {
    test(`an event whose id a transform set to ${JSON.stringify($insert_id)} gets the id of the record`, async () => {
      const { texts } = await transformOne(() => e('x', { a: 1, $insert_id }));
      assert.deepEqual(texts, [`{"event":"x","properties":{"$insert_id":"${contentId(record)}","a":1}}`]);
    });
  }

  test('events keep the order of their records if some transforms are synchronous and some are not', async (t) => {
    const pipeline = await startPipeline(t);
    const later: (() => void)[] = [];
    const content = Array.from({ length: 9 }, (_, n) => `${JSON.stringify(e('e', { n }))}\n`).join('');
    const transform: Transform = ({ properties }) => {
      const n = properties.n as number;
      const event = e(`x${n}`, { time: 1_700_000_000, distinct_id: 'u' });
      if (n % 3 === 0) return event;
      if (n % 3 === 1) return Promise.resolve(event);
      return new Promise((resolve) => {
        later.push(() => resolve(event));
        // The last record: this is reached only if all records are transformed at once.
        if (n === 8) for (const resolveOne of later.reverse()) resolveOne();
      });
    };
    assert.ok(await pipeline.import(blocksOf(content, { transform })));
    assert.deepEqual(
      pipeline.server.events().map(({ event }) => event),
      Array.from({ length: 9 }, (_, n) => `x${n}`),
    );
  });

  test("a transform may return a promise that is not the runtime's own", async () => {
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about.
    const thenable = { then: (resolve: (event: MixpanelEvent) => void) => resolve(e('x')) };
    assert.equal((await transformOne(() => thenable)).texts.length, 1);
    const foreign = runInNewContext('Promise.resolve({event: "x", properties: {}})');
    assert.equal((await transformOne(() => foreign)).texts.length, 1);
  });

  const thrown: [name: string, error: unknown, message: string][] = [
    ['an error', new RangeError('unknown plan'), 'unknown plan'],
    ['an error of another realm', runInNewContext('new Error("elsewhere")'), 'Error: elsewhere'],
    ['a string', 'just text', 'just text'],
    ['undefined', undefined, 'undefined'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['an object without a prototype', Object.create(null), 'the transform threw a value that has no text'],
    [
      'an error without a text',
      Object.assign(new Error('x'), { message: Object.create(null) }),
      'the transform threw a value that has no text',
    ],
  ];
  for (const [name, error, message] of thrown) {
    test(`a transform that throws ${name}, or rejects with it, makes a rejection of the record as it arrived`, async () => {
      const throwing = () => {
        throw error;
      };
      for (const transform of [throwing, () => Promise.reject(error)]) {
        const { texts, rejections, counts } = await transformOne(transform);
        assert.deepEqual(texts, []);
        assert.deepEqual(rejections, [
          {
            reason: { field: 'transform', message },
            location: { bucket: 'b', object: 'o', generation: '1', line: 1, offset: 0 },
            insertId: contentId(record),
            record: Buffer.from(record),
            bytes: record.length,
            through: ['transform'],
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
  const others: [name: string, result: unknown, message: RegExp][] = [
    ['a string', 'x', /other than events/],
    ['a number', 5, /other than events/],
    ['true', true, /other than events/],
    ['a symbol', Symbol('s'), /other than events/],
    ['an object without `event`', { properties: {} }, /other than events/],
    ['an event without properties', { event: 'x' }, /other than events/],
    ['properties that are null', { event: 'x', properties: null }, /other than events/],
    ['properties that are an array', { event: 'x', properties: [] }, /other than events/],
    ['an array in an array', [[e('x')]], /other than events/],
    ['an array with null', [null], /other than events/],
    ['an event with a cycle', e('x', cyclic), /circular/],
    ['an event with a BigInt', e('x', { n: 1n }), /BigInt/],
    ['an event that is nested too deep to be serialized', e('x', deep), /call stack/],
    [
      'an event that serializes itself as nothing',
      { ...e('x', { $insert_id: 'i' }), toJSON: () => undefined },
      /other than events/,
    ],
    ['an event that serializes itself as text', { ...e('x'), toJSON: () => 'x' }, /other than events/],
    ['an event that serializes itself as an array', { ...e('x'), toJSON: () => [] }, /other than events/],
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
  for (const [name, result, message] of others) {
    test(`a transform that returns ${name} makes a rejection of the record`, async () => {
      const { texts, rejections, counts } = await transformOne(() => result);
      assert.deepEqual(texts, []);
      assert.equal(rejections.length, 1);
      assert.equal(rejections[0]!.reason.field, 'transform');
      assert.match(rejections[0]!.reason.message, message);
      assert.equal(rejections[0]!.record.toString(), record);
      assert.deepEqual(counts, { read: 1, expanded: 0, imported: 0, rejected: 1, dropped: 0 });
    });
  }

  test('of several values that a transform returns, only those that are not events are rejected, with their index', async () => {
    const { texts, rejections, counts } = await transformOne(() => [e('x'), 'text', e('y'), e('z', { n: 1n })]);
    assert.deepEqual(
      texts.map((text) => JSON.parse(text).event),
      ['x', 'y'],
    );
    assert.deepEqual(
      rejections.map(({ location }) => location.event),
      [1, 3],
    );
    assert.deepEqual(
      rejections.map(({ insertId }) => insertId),
      [contentId(record, 1), contentId(record, 3)],
    );
    for (const { through, record: original } of rejections) {
      assert.deepEqual(through, ['transform']);
      assert.equal(original.toString(), record);
    }
    assert.deepEqual(counts, { read: 1, expanded: 3, imported: 2, rejected: 2, dropped: 0 });
  });

  test('a transform that fails for one record does not affect the others', async () => {
    const good = JSON.stringify(e('good'));
    const { events, block } = await transformAll(
      ({ event, ...rest }: MixpanelEvent) => {
        if (event === 'bad') throw new Error('bad');
        return { event, ...rest };
      },
      `${good}\nno event\n${JSON.stringify(e('bad'))}\n${good}\n`,
    );
    assert.deepEqual(
      events.map(({ record }) => block.records.ordinals[record]),
      [1, 4],
    );
    assert.deepEqual(
      block.rejections.map(({ reason }) => reason.field),
      ['record', 'transform'],
    );
    const { location } = block.rejections[1]!;
    assert.deepEqual(location, { bucket: 'b', object: 'o', generation: '1', line: 3, offset: good.length + 10 });
    assert.deepEqual(block.counts, { read: 4, expanded: 0, imported: 2, rejected: 2, dropped: 0 });
  });

  test('a transform is handed the parsed record and the context of its source', async () => {
    const given: unknown[][] = [];
    const contents: [source: Source, context: RecordContext][] = [
      { kind: 'object', bucket: 'b', object: 'o', metadata: { plan: 'x' } } as const,
      { kind: 'message', subscription: 'projects/p/subscriptions/s', attributes: { plan: 'y' } } as const,
      { kind: 'file', path: 'events.ndjson' } as const,
    ].map((context) => [{ ...mappedSource, context }, context]);
    for (const [source, context] of contents) {
      const block = { ...blockOf(`${record}\n`, true), source };
      await mapAll(
        block,
        mappedBy((...all: unknown[]) => void given.push(all)),
      );
      const [parsed, told, ...others] = given.pop()!;
      assert.deepEqual(parsed, JSON.parse(record));
      assert.equal(told, context);
      assert.deepEqual(others, []);
    }
  });

  const notEvents: [name: string, given: string][] = [
    ['is not an event', '{"user":"u","n":12345678901234567890}'],
    ['is empty', '{}'],
    ['has a name that is not text', '{"event":{"a":1}}'],
    ['has properties that are not an object', '{"event":"e","properties":[1]}'],
  ];
  for (const [name, given] of notEvents) {
    test(`a transform may make an event of a record that ${name}`, async () => {
      const { texts, counts } = await transformOne((it: object) => e('made', { given: it }), given);
      assert.deepEqual(texts, [`{"event":"made","properties":{"$insert_id":"${contentId(given)}","given":${given}}}`]);
      assert.deepEqual(counts, { ...noCounts(), read: 1, imported: 1 });
    });

    test(`a record that ${name} is rejected if the transform returns it as it is`, async () => {
      const { texts, counts, rejections } = await transformOne((it: object) => it, given);
      assert.deepEqual(texts, []);
      assert.equal(rejections[0]!.reason.field, 'transform');
      assert.match(rejections[0]!.reason.message, /other than events/);
      assert.equal(rejections[0]!.record.toString(), given);
      assert.equal(rejections[0]!.insertId, contentId(given));
      assert.deepEqual(counts, { ...noCounts(), read: 1, rejected: 1 });
    });
  }

  test('a transform returns numbers with all their digits, and __proto__ as a key like others', async () => {
    const given =
      '{"event":"e","properties":{"$insert_id":"i","n":12345678901234567890,"f":0.1234567890123456789,"big":1e400,"small":1e-400,"list":[-9007199254740993],"__proto__":{"a":1},"short":1.50}}';
    const { texts } = await transformOne((it: MixpanelEvent) => ({ ...it, properties: { ...it.properties } }), given);
    assert.deepEqual(texts, [given.replace('1.50', '1.5')]);
    assert.equal(Object.getPrototypeOf({}).a, undefined);
  });

  const numbers: [text: string, value: number | undefined][] = [
    ['1700000000.123', 1_700_000_000.123],
    ['1e3', 1_000],
    ['1.50', 1.5],
    ['-0.000000000000001', -1e-15],
    ['0.1000000000000000000', 0.1],
    ['9007199254740992', 9_007_199_254_740_992],
    ['100000000000000000000', 1e20],
    ['9007199254740993', undefined],
    ['12345678901234567890', undefined],
    ['0.1234567890123456789', undefined],
    ['1e400', undefined],
    ['1e-400', undefined],
  ];
  for (const [text, value] of numbers) {
    const isPlain = value !== undefined;
    const name = isPlain ? 'as a plain number' : 'as a value that serializes with all its digits';
    test(`a transform is handed ${text} ${name}`, async () => {
      let seen: unknown;
      const { texts } = await transformOne((it: MixpanelEvent) => {
        seen = it.properties.n;
        return it;
      }, `{"event":"e","properties":{"$insert_id":"i","n":${text}}}`);
      if (isPlain) assert.equal(seen, value);
      else assert.equal(typeof seen, 'object');
      assert.deepEqual(texts, [`{"event":"e","properties":{"$insert_id":"i","n":${isPlain ? String(value) : text}}}`]);
    });
  }

  test('a transform that changes the record it is handed does not change the original', async () => {
    const pretty = '{\n "event":"e",\n "properties":{"time":12345678901234567890}}';
    const { texts, block } = await transformAll((it: MixpanelEvent) => {
      it.properties.time = 2;
      return it;
    }, `[${pretty}]`);
    assert.equal(originalAt(block.records, 0).toString(), pretty);
    assert.deepEqual(texts, [`{"event":"e","properties":{"$insert_id":"${contentId(pretty)}","time":2}}`]);
  });
});

/** A block of records that arrived as values, with a rendering of each that is not the one of JSON.stringify. */
function rowsOf(rows: readonly unknown[], source: Source): Block {
  return {
    source,
    records: {
      form: 'rows',
      first: 0,
      rows,
      offsets: Float64Array.from(rows, (_, index) => 100 * index),
      ordinals: Float64Array.from(rows, (_, index) => 10 + index),
      original: (index) => Buffer.from(renderingOf(index)),
    },
    end: { offset: 100 * rows.length, line: 1, checksum: 0 },
    weight: 100 * rows.length,
    rejections: [],
    foundRejections: 0,
    counts: { ...noCounts(), read: rows.length },
    settledRecords: 0,
    pending: 1,
    cutAway: 0,
  };
}

const renderingOf = (index: number) => `{ "row": ${index} }`;

describe('records that arrive as rows', () => {
  /** Rows are events already if their source is verbatim. */
  const asTheyAre: MappedRecords = { kind: 'mapped', through: [], map: (row) => row as MixpanelEvent };

  test('a transform is handed the row itself and the context of its source', async () => {
    const rows = [{ a: 1 }, { a: 2 }];
    const given: unknown[][] = [];
    const block = rowsOf(rows, mappedSource);
    const { counts } = await mapAll(
      block,
      mappedBy((...all: unknown[]) => void given.push(all)),
    );
    assert.equal(given.length, 2);
    for (const [index, all] of given.entries()) {
      assert.equal(all[0], rows[index]);
      assert.equal(all[1], mappedSource.context);
    }
    assert.deepEqual(counts, { ...noCounts(), read: 2, dropped: 2 });
  });

  test('the id of an event that is made of a row is that of its canonical rendering', async () => {
    const rows = [{ a: 1 }, { a: 2 }];
    const transform = (row: { a: number }) => (row.a === 1 ? e('x', row) : [e('y'), e('z')]);
    const { texts } = await mapAll(rowsOf(rows, mappedSource), mappedBy(transform));
    assert.deepEqual(texts, [
      `{"event":"x","properties":{"$insert_id":"${contentId(renderingOf(0))}","a":1}}`,
      `{"event":"y","properties":{"$insert_id":"${contentId(renderingOf(1), 0)}"}}`,
      `{"event":"z","properties":{"$insert_id":"${contentId(renderingOf(1), 1)}"}}`,
    ]);
  });

  test('rows of a source without a mapping are events as they are', async () => {
    const rows = [e('x', { $insert_id: 'i' }), e('y', { a: 1 })];
    const { texts, counts } = await mapAll(rowsOf(rows, objectSource), asTheyAre);
    assert.deepEqual(texts, [
      '{"event":"x","properties":{"$insert_id":"i"}}',
      `{"event":"y","properties":{"$insert_id":"${contentId(renderingOf(1))}","a":1}}`,
    ]);
    assert.deepEqual(counts, { ...noCounts(), read: 2, imported: 2 });
  });

  for (const [kind, source, mapping, through] of [
    ['with', mappedSource, mappedBy((row: unknown) => row), ['transform']],
    ['without', objectSource, asTheyAre, undefined],
  ] as const) {
    test(`a row of a source ${kind} a mapping that does not become an event is rejected in its canonical rendering`, async () => {
      const { texts, rejections } = await mapAll(rowsOf([e('x', { $insert_id: 'i' }), { a: 1 }], source), mapping);
      assert.equal(texts.length, 1);
      assert.equal(rejections.length, 1);
      const { reason, ...rejection } = rejections[0]!;
      assert.equal(reason.field, 'transform');
      assert.deepEqual(rejection, {
        location: { bucket: 'b', object: 'o', generation: '1', line: 11, offset: 100 },
        insertId: contentId(renderingOf(1)),
        record: Buffer.from(renderingOf(1)),
        bytes: renderingOf(1).length,
        through,
      });
    });
  }

  test('a row is rendered only if that is asked for', async () => {
    const block = rowsOf([{}], mappedSource);
    assert.ok(block.records.form === 'rows');
    block.records.original = () => assert.fail('rendered a row');
    const { texts } = await mapAll(
      block,
      mappedBy(() => e('x', { $insert_id: 'i' })),
    );
    assert.equal(texts.length, 1);
  });
});

test('a mapping continues with the records of its block after that was cut', async () => {
  const content = ['a', 'b', 'c'].map((name) => `{"event":"${name}"}\n`).join('');
  const block = blockOf(content, true);
  const mapper = new RecordMapper(
    block,
    mappedBy(({ event }: MixpanelEvent) => e(event, { $insert_id: 'i' })),
    insertIdByContent,
  );
  assert.equal(mapper.map(0), '{"event":"a","properties":{"$insert_id":"i"}}');
  cutBlock(block, 1);
  assert.equal(lengthOf(block.records), 1);
  assert.equal(mapper.map(2), '{"event":"c","properties":{"$insert_id":"i"}}');
});

test("the location of an event is its record's, with an index if several events were made of the record", () => {
  const block = blockOf('\n {"event":"e","properties":{}}\n');
  const location = { bucket: 'b', object: 'o', generation: '1', line: 2, offset: 2 };
  assert.deepEqual(locationOf(block, 0, undefined), location);
  assert.deepEqual(locationOf(block, 0, 0), { ...location, event: 0 });
});
