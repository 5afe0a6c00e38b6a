import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Counts, isBalanced, noCounts } from '../../../functions/core/block.ts';
import {
  type Checkpoint,
  formatCheckpoint,
  noProgress,
  parseCheckpoint,
  readCheckpoint,
} from '../../../functions/storage/checkpoint.ts';
import { startStored } from '../../support/stored.ts';

const failedAt = { time: '2026-11-22T23:00:00.000Z', since: '2026-11-22T21:00:00.000Z' };
const checkpoint: Checkpoint = {
  state: 'running',
  holder: 'h',
  leaseExpiresAt: '2026-11-23T00:00:00.000Z',
  format: 'json',
  compression: ['gzip'],
  position: { offset: 812, line: 7, checksum: 4_294_967_295, state: { array: true, indent: 2 } },
  counts: { read: 6, expanded: 1, imported: 5, rejected: 1, dropped: 1 },
  takeovers: 2,
  fruitless: 3,
  metadata: { plan: 'ü\n' },
  lastError: { code: 'request_refused', message: 'refused', ...failedAt },
};

async function read(t: TestContext, content: string) {
  const { bucket } = await startStored(t);
  const file = bucket.file('c.json');
  await file.save(content, { resumable: false });
  return { found: readCheckpoint(bucket, 'c.json'), generation: file.metadata.generation };
}

/** Fields in which checkpoints differ. */
const variants: Record<string, Partial<Checkpoint>> = {
  'with all fields': {},
  'with a released lease': { leaseExpiresAt: null },
  'of an import that has not begun': noProgress(),
  'of content that is not compressed': { compression: [] },
  'of content in two layers': { compression: ['gzip', 'utf-16le'] },
  'of another format': {
    format: 'csv',
    position: { ...checkpoint.position, state: { header: ['a', 'b'], row: 4 } },
  },
  'with a position without a state': { position: { offset: 812, line: 7, checksum: 0 } },
  'of an object without metadata': { metadata: {} },
  'without a last error': { lastError: null },
};

describe('formatCheckpoint', () => {
  test('formatCheckpoint writes an import that is in progress as version 2', () => {
    assert.equal(
      formatCheckpoint(checkpoint),
      '{"version":2,"state":"running","holder":"h","leaseExpiresAt":"2026-11-23T00:00:00.000Z",' +
        '"position":{"format":"json","compression":["gzip"],"offset":812,"line":7,"checksum":4294967295,"state":{"array":true,"indent":2}},' +
        '"counts":{"read":6,"expanded":1,"imported":5,"rejected":1,"dropped":1},"takeovers":2,"fruitless":3,"metadata":{"plan":"ü\\n"},' +
        '"lastError":{"code":"request_refused","message":"refused","time":"2026-11-22T23:00:00.000Z","since":"2026-11-22T21:00:00.000Z"}}',
    );
  });

  for (const [name, fields] of Object.entries(variants)) {
    test(`parseCheckpoint gives back a checkpoint ${name} as it was before formatCheckpoint`, () => {
      const written = { ...checkpoint, ...fields };
      assert.deepEqual(parseCheckpoint(formatCheckpoint(written)), written);
    });
  }

  test('formatCheckpoint writes an import that was set aside as version 2', () => {
    const stalled = { ...checkpoint, state: 'stalled' as const, leaseExpiresAt: null };
    assert.equal(JSON.parse(formatCheckpoint(stalled)).version, 2);
    assert.deepEqual(parseCheckpoint(formatCheckpoint(stalled)), stalled);
  });

  for (const [name, fields] of Object.entries(variants)) {
    test(`parseCheckpoint gives back where an import ${name} stood before its object was gone`, () => {
      const written = { ...checkpoint, ...fields, state: 'gone' as const };
      assert.deepEqual(parseCheckpoint(formatCheckpoint(written)), { ...written, fruitless: 0, lastError: null });
    });
  }

  for (const state of ['done', 'gone'] as const) {
    test(`formatCheckpoint writes an import that is ${state} as version 1`, () => {
      assert.equal(
        formatCheckpoint({ ...checkpoint, state, leaseExpiresAt: null }),
        `{"version":1,"state":"${state}","holder":"h","leaseExpiresAt":null,` +
          '"format":"array","gzip":true,"offset":812,"line":7,"checksum":4294967295,' +
          '"counts":{"read":6,"expanded":1,"imported":5,"rejected":1,"dropped":1},"takeovers":2' +
          (state === 'gone'
            ? ',"position":{"format":"json","compression":["gzip"],"offset":812,"line":7,"checksum":4294967295,' +
              '"state":{"array":true,"indent":2}},"metadata":{"plan":"ü\\n"}}'
            : '}'),
      );
    });

    for (const [name, fields] of Object.entries(variants)) {
      test(`the previous release accepts a checkpoint ${name} in the state ${state}`, () => {
        const over = { ...checkpoint, ...fields, state };
        const found = JSON.parse(formatCheckpoint(over));
        assert.equal(found.version, 1);
        assert.ok(isWholeInVersion1(found));
        const { offset, line, checksum } = over.position;
        assert.deepEqual(
          { ...found, format: undefined, gzip: undefined, position: undefined, metadata: undefined },
          {
            version: 1,
            state,
            holder: 'h',
            leaseExpiresAt: over.leaseExpiresAt,
            format: undefined,
            gzip: undefined,
            offset,
            line,
            checksum,
            counts: over.counts,
            takeovers: 2,
            position: undefined,
            metadata: undefined,
          },
        );
        const parsed = parseCheckpoint(formatCheckpoint(over));
        assert.ok(typeof parsed !== 'string');
        assert.deepEqual([parsed.state, parsed.counts, parsed.position.offset], [state, over.counts, offset]);
      });
    }
  }
});

/** What the previous release asks of a checkpoint, as it is in its source. */
function isWholeInVersion1(value: Record<string, unknown>): boolean {
  const { state, holder, leaseExpiresAt, format, gzip, offset, line, checksum, takeovers } = value;
  const counts = value.counts as Counts;
  return (
    (state === 'running' || state === 'done' || state === 'gone') &&
    typeof holder === 'string' &&
    (leaseExpiresAt === null || (typeof leaseExpiresAt === 'string' && !Number.isNaN(Date.parse(leaseExpiresAt)))) &&
    (format === null || format === 'ndjson' || format === 'array') &&
    (gzip === null || typeof gzip === 'boolean') &&
    isCount(offset) &&
    isCount(line) &&
    isCount(checksum) &&
    isCount(takeovers) &&
    typeof counts === 'object' &&
    counts !== null &&
    Object.keys(noCounts()).every((key) => isCount(counts[key as keyof Counts])) &&
    isBalanced(counts)
  );
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The text of a checkpoint as the previous release wrote it. */
function version1(fields: { state?: string; lease?: string; format: string; gzip: string }): string {
  const { state = '"running"', lease = '"2026-11-23T00:00:00.000Z"', format, gzip } = fields;
  return `{"version":1,"state":${state},"holder":"h","leaseExpiresAt":${lease},"format":${format},"gzip":${gzip},"offset":812,"line":7,"checksum":4294967295,"counts":{"read":6,"expanded":1,"imported":5,"rejected":1,"dropped":1},"takeovers":2}`;
}

describe('parseCheckpoint', () => {
  const place = { offset: 812, line: 7, checksum: 4_294_967_295 };
  const inArray = { ...place, state: { array: true } };
  const ofVersion1: Checkpoint = {
    ...checkpoint,
    compression: [],
    position: place,
    fruitless: 0,
    metadata: null,
    lastError: null,
  };
  const released: [name: string, text: string, expected: Checkpoint][] = [
    ['lines', version1({ format: '"ndjson"', gzip: 'false' }), ofVersion1],
    ['compressed lines', version1({ format: '"ndjson"', gzip: 'true' }), { ...ofVersion1, compression: ['gzip'] }],
    ['an array', version1({ format: '"array"', gzip: 'false' }), { ...ofVersion1, position: inArray }],
    [
      'a compressed array',
      version1({ format: '"array"', gzip: 'true' }),
      { ...ofVersion1, compression: ['gzip'], position: inArray },
    ],
    [
      'an object of which nothing is known yet',
      version1({ format: 'null', gzip: 'null' }),
      { ...ofVersion1, format: null, compression: null },
    ],
    [
      'an object whose lease was released',
      version1({ lease: 'null', format: '"ndjson"', gzip: 'false' }),
      { ...ofVersion1, leaseExpiresAt: null },
    ],
    [
      'an object that is done',
      version1({ state: '"done"', lease: 'null', format: '"ndjson"', gzip: 'false' }),
      { ...ofVersion1, state: 'done', leaseExpiresAt: null },
    ],
    [
      'an object that is gone',
      version1({ state: '"gone"', lease: 'null', format: 'null', gzip: 'null' }),
      { ...ofVersion1, state: 'gone', leaseExpiresAt: null, format: null, compression: null },
    ],
  ];
  for (const [name, text, expected] of released) {
    test(`parseCheckpoint reads what the previous release wrote about ${name}`, () => {
      assert.ok(isWholeInVersion1(JSON.parse(text)), 'the previous release could have written it');
      assert.deepEqual(parseCheckpoint(text), expected);
    });
  }
});

describe('readCheckpoint', { concurrency: true }, () => {
  test('readCheckpoint finds nothing if there is no checkpoint', async (t) => {
    const { bucket } = await startStored(t);
    assert.deepEqual(await readCheckpoint(bucket, 'c.json'), { checkpoint: undefined, text: '', generation: 0 });
  });

  for (const [version, text] of [
    [1, version1({ format: '"ndjson"', gzip: 'false' })],
    [2, formatCheckpoint(checkpoint)],
  ] as const) {
    test(`readCheckpoint reads a checkpoint of version ${version} with its text and its generation`, async (t) => {
      const { found, generation } = await read(t, text);
      assert.deepEqual(await found, { checkpoint: parseCheckpoint(text), text, generation });
    });
  }

  test('readCheckpoint reads a checkpoint that is rewritten between its two requests', async (t) => {
    const { bucket, server } = await startStored(t);
    const file = bucket.file('c.json');
    await file.save(formatCheckpoint(checkpoint), { resumable: false });
    const newer = formatCheckpoint({ ...checkpoint, position: { ...checkpoint.position, offset: 813 } });
    let written: Promise<void> | undefined;
    server.fault = ({ kind }) => {
      if (kind !== 'read' || written !== undefined) return undefined;
      written = file.save(newer, { resumable: false });
      return { after: written };
    };
    const found = await readCheckpoint(bucket, 'c.json');
    await written;
    assert.equal(found.checkpoint?.position.offset, 813);
    assert.equal(found.text, newer);
    assert.equal(found.generation, file.metadata.generation);
  });

  test('readCheckpoint leaves retries to its caller', async (t) => {
    const { bucket, server, requests } = await startStored(t);
    server.fault = () => ({ status: 503 });
    await assert.rejects(readCheckpoint(bucket, 'c.json'), { code: 503 });
    assert.equal(requests.length, 1);
  });

  const texts: Record<string, string> = {
    1: version1({ format: '"ndjson"', gzip: 'false' }),
    2: formatCheckpoint(checkpoint),
  };
  const unreadable: Record<string, [content: string, problem: RegExp]> = {
    'that is empty': ['', /it is not JSON/],
    'that is not JSON': ['{"version":1', /it is not JSON/],
    'that is null': ['null', /its version is undefined/],
    'that is a number': ['1', /its version is undefined/],
    'that is an array': ['[]', /its version is undefined/],
    'with a text for its version': ['{"version":"2"}', /its version is "2", and this code knows 1 and 2/],
    'of a later version': [changed(texts[2]!, 'version', 3), /its version is 3, and this code knows 1 and 2/],
    'of version 2 with the fields of version 1': [changed(texts[1]!, 'version', 2), /fields/],
    'of version 1 with the fields of version 2': [changed(texts[2]!, 'version', 1), /fields/],
    ...Object.fromEntries(
      Object.entries(texts).flatMap(([version, text]): [string, [string, RegExp]][] => [
        [`of version ${version} without its version`, [changed(text, 'version'), /its version is undefined/]],
        ...fieldsOf(text).map((field): [string, [string, RegExp]] => [
          `of version ${version} without ${field}`,
          [changed(text, field), /fields/],
        ]),
        [`of version ${version} in an unknown state`, [changed(text, 'state', 'paused'), /fields/]],
        [`of version ${version} with a lease until an invalid time`, [changed(text, 'leaseExpiresAt', 'x'), /fields/]],
        [`of version ${version} with null for its counts`, [changed(text, 'counts', null), /fields/]],
        [`of version ${version} with counts that do not add up`, [changed(text, 'counts.read', 7), /fields/]],
      ]),
    ),
    'of version 1 with an unknown format': [changed(texts[1]!, 'format', 'csv'), /fields/],
    'of version 1 with a text for gzip': [changed(texts[1]!, 'gzip', 'yes'), /fields/],
    'of version 1 with an offset before the beginning': [changed(texts[1]!, 'offset', -1), /fields/],
    'of version 1 with a fraction of a line': [changed(texts[1]!, 'line', 1.5), /fields/],
    'of version 2 with null for its position': [changed(texts[2]!, 'position', null), /fields/],
    'of version 2 with a text for its position': [changed(texts[2]!, 'position', 'here'), /fields/],
    'of version 2 with a number for its format': [changed(texts[2]!, 'position.format', 1), /fields/],
    'of version 2 with a text for its layers': [changed(texts[2]!, 'position.compression', 'gzip'), /fields/],
    'of version 2 with a number for a layer': [changed(texts[2]!, 'position.compression', [1]), /fields/],
    'of version 2 with an offset before the beginning': [changed(texts[2]!, 'position.offset', -1), /fields/],
    'of version 2 with a fraction of a line': [changed(texts[2]!, 'position.line', 1.5), /fields/],
    'of version 2 with a number in its metadata': [changed(texts[2]!, 'metadata.plan', 1), /fields/],
    'of version 2 with a text for its last error': [changed(texts[2]!, 'lastError', 'refused'), /fields/],
    'of version 2 with a number for the code of its last error': [changed(texts[2]!, 'lastError.code', 1), /fields/],
    'of version 2 with a negative number of fruitless invocations': [changed(texts[2]!, 'fruitless', -1), /fields/],
  };
  for (const [name, [content, problem]] of Object.entries(unreadable)) {
    test(`readCheckpoint refuses a checkpoint ${name}, and says what to do`, async (t) => {
      const { found } = await read(t, content);
      await assert.rejects(found, ({ name, code, message }: Error & { code: string }) => {
        assert.deepEqual([name, code], ['ImportError', 'checkpoint_unreadable']);
        assert.match(
          message,
          /^The checkpoint c\.json cannot be used: .*\. Nothing was overwritten\. Deploy .*, or delete it to import/,
        );
        assert.match(message, problem);
        return true;
      });
    });
  }
});

/** All fields that a checkpoint must have besides its version, including those of its position and its counts. */
function fieldsOf(text: string): string[] {
  const { version: _, ...value } = JSON.parse(text);
  // Whether a position has a state is up to the format.
  delete value.position?.state;
  const inner = (name: string) => Object.keys(value[name] ?? {}).map((field) => `${name}.${field}`);
  return [...Object.keys(value), ...inner('position'), ...inner('counts')];
}

/** The text with another value for a field, or without the field. */
function changed(text: string, path: string, value?: unknown): string {
  const changed = JSON.parse(text);
  const names = path.split('.');
  const last = names.pop()!;
  let inner = changed;
  for (const name of names) inner = inner[name];
  inner[last] = value;
  return JSON.stringify(changed);
}
