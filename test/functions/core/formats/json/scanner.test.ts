import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  MAX_DEPTH,
  newScan,
  type Scan,
  type ScanStatus,
  scan,
} from '../../../../../functions/core/formats/json/scanner.ts';
import { edit, edits, eventText, jsonText } from '../../../../support/parsing.ts';

function scanBytes(bytes: Buffer): Scan & { status: ScanStatus } {
  const out = newScan();
  const status = scan(bytes, 0, bytes.length, out);
  return { status, ...out };
}

function scanText(text: string): Scan & { status: ScanStatus } {
  return scanBytes(Buffer.from(text));
}

/** Whether the bytes are one value with nothing but white space around it. */
function isValue(bytes: Buffer): boolean {
  const { status, end } = scanBytes(bytes);
  return status === 'value' && /^[ \t\r\n]*$/.test(bytes.toString('latin1', end));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What a scan of an object should find, by what JSON.parse says of it. */
function expectedOf(parsed: Record<string, unknown>) {
  const { event, properties } = parsed;
  const isObject = typeof properties === 'object' && properties !== null && !Array.isArray(properties);
  const id = isObject ? (properties as Record<string, unknown>).$insert_id : undefined;
  return {
    isObject: true,
    hasEvent: event !== undefined,
    properties: properties === undefined ? 'absent' : isObject ? 'object' : 'other',
    insertId: id === undefined ? 'absent' : id === null || id === '' ? 'empty' : 'present',
  };
}

function nested(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels);
}

describe('what is JSON', () => {
  test('is what JSON.parse takes', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        assert.ok(isJson(text));
        assert.ok(isValue(Buffer.from(text)));
      }),
      { numRuns: 500 },
    );
  });

  test('is what JSON.parse takes when the text was damaged', () => {
    fc.assert(
      fc.property(fc.oneof(jsonText, eventText), edits, (text, changes) => {
        const bytes = edit(Buffer.from(text), changes);
        fc.pre(isUtf8(bytes));
        assert.equal(isValue(bytes), isJson(bytes.toString()), bytes.toString());
      }),
      { numRuns: 3000 },
    );
  });

  test('is incomplete at every place before the end of an object', () => {
    fc.assert(
      fc.property(eventText, (text) => {
        const bytes = Buffer.from(text);
        const { status, end } = scanBytes(bytes);
        assert.equal(status, 'value');
        for (let to = 0; to < end; to++) assert.equal(scan(bytes, 0, to, newScan()), 'incomplete', `at ${to}`);
      }),
      { numRuns: 200 },
    );
  });

  const rows: { name: string; input: string; status: ScanStatus; end?: number }[] = [
    { name: 'nothing', input: '', status: 'incomplete' },
    { name: 'white space', input: ' \t\r\n', status: 'incomplete' },
    { name: 'white space of Unicode', input: '\u00a0{}', status: 'invalid', end: 0 },
    { name: 'a byte order mark before it', input: '\ufeff{}', status: 'invalid', end: 0 },
    { name: 'a byte order mark inside', input: '{\ufeff"a":1}', status: 'invalid', end: 1 },
    { name: 'a byte order mark in a string', input: '{"a":"\ufeff"}', status: 'value' },
    { name: 'NUL before it', input: '\0{}', status: 'invalid', end: 0 },
    { name: 'NUL inside', input: '{"a":\0}', status: 'invalid', end: 5 },
    { name: 'NUL in a string', input: '"\0"', status: 'invalid', end: 1 },
    { name: 'NUL escaped', input: '"\\u0000"', status: 'value' },
    { name: 'a line break in a string', input: '"\n"', status: 'invalid', end: 1 },
    { name: 'DEL in a string', input: '"\x7f"', status: 'value' },
    { name: 'a lone surrogate, escaped', input: '{"a":"\\ud83d"}', status: 'value' },
    { name: 'an escape that there is not', input: '"\\x41"', status: 'invalid', end: 2 },
    { name: 'an escape with too few digits', input: '"\\u12g4"', status: 'invalid', end: 5 },
    { name: 'an escape that ends too soon', input: '"\\u12', status: 'incomplete', end: 5 },
    { name: 'a number of 400 digits', input: '7'.repeat(400), status: 'value' },
    { name: 'a fraction of 400 digits', input: `-0.${'7'.repeat(400)}`, status: 'value' },
    { name: 'an exponent that is no double', input: '1E+999', status: 'value' },
    { name: 'a zero before digits', input: '01', status: 'value', end: 1 },
    { name: 'a sign alone', input: '-', status: 'incomplete' },
    { name: 'a plus sign', input: '+1', status: 'invalid', end: 0 },
    { name: 'a point without digits', input: '[1.]', status: 'invalid', end: 3 },
    { name: 'a point before digits', input: '[.1]', status: 'invalid', end: 1 },
    { name: 'an exponent without digits', input: '[1e]', status: 'invalid', end: 3 },
    { name: 'NaN', input: 'NaN', status: 'invalid', end: 0 },
    { name: 'half a literal', input: 'nul', status: 'incomplete', end: 3 },
    { name: 'a literal in capitals', input: 'True', status: 'invalid', end: 0 },
    { name: 'a comma before the bracket', input: '[1,]', status: 'invalid', end: 3 },
    { name: 'a comma before the brace', input: '{"a":1,}', status: 'invalid', end: 7 },
    { name: 'the other bracket', input: '{"a":1]', status: 'invalid', end: 6 },
    { name: 'a key without quotes', input: '{a:1}', status: 'invalid', end: 1 },
    { name: 'single quotes', input: "{'a':1}", status: 'invalid', end: 1 },
    { name: 'a comment', input: '{/**/}', status: 'invalid', end: 1 },
    { name: 'a second value behind it', input: '{} {}', status: 'value', end: 2 },
  ];
  for (const { name, input, status, end = Buffer.byteLength(input) } of rows) {
    test(`takes ${name} as ${status}`, () => {
      const found = scanText(input);
      assert.deepEqual({ status: found.status, end: found.end }, { status, end });
    });
  }

  test('has no control character in a string, and may have any other', () => {
    for (let code = 0; code < 0x80; code++) {
      const text = `"a${String.fromCharCode(code)}${code === 0x5c ? '/' : ''}"`;
      assert.equal(isValue(Buffer.from(text)), isJson(text), `U+${code.toString(16)}`);
    }
  });

  test('is sought between the two indexes alone', () => {
    const bytes = Buffer.from('}{"event":1}{');
    const out = newScan();
    assert.equal(scan(bytes, 1, bytes.length, out), 'value');
    assert.equal(out.end, bytes.length - 1);
    assert.equal(scan(bytes, 1, bytes.length - 2, out), 'incomplete');
  });

  test('is the same whatever stands around it', () => {
    const around = fc
      .array(fc.constantFrom(...'"\\ \n\r\t\0{}[],:1eau'), { maxLength: 6 })
      .map((bytes) => bytes.join(''));
    fc.assert(
      fc.property(fc.oneof(jsonText, eventText), edits, around, around, (text, changes, before, behind) => {
        const alone = edit(Buffer.from(text), changes);
        const among = newScan();
        const status = scan(
          Buffer.concat([Buffer.from(before), alone, Buffer.from(behind)]),
          before.length,
          before.length + alone.length,
          among,
        );
        const { end, spliceAt } = among;
        const shift = spliceAt > 0 ? before.length : 0;
        assert.deepEqual({ status, ...among, end: end - before.length, spliceAt: spliceAt - shift }, scanBytes(alone));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('depth', () => {
  test('may be 100 levels', () => {
    assert.equal(MAX_DEPTH, 100);
    assert.equal(scanText(nested(100)).status, 'value');
    assert.equal(scanText(`{"a":${nested(99)}}`).status, 'value');
    assert.equal(scanText(`{"a":[${'{"b":'.repeat(98)}1${'}'.repeat(98)}]}`).status, 'value');
  });

  test('may not be 101 levels', () => {
    assert.equal(scanText(nested(101)).status, 'too-deep');
    assert.equal(scanText(`{"a":${nested(100)}}`).status, 'too-deep');
  });

  test('counts open brackets, not all that there have been', () => {
    assert.equal(scanText(`[${Array(300).fill(nested(99)).join()}]`).status, 'value');
  });

  test('does no harm at 100,000 levels', () => {
    assert.equal(scanText(nested(100_000)).status, 'too-deep');
    assert.equal(scanText('['.repeat(100_000)).status, 'too-deep');
    assert.equal(scanText('{"a":'.repeat(100_000)).status, 'too-deep');
  });
});

describe('what is found in an object', () => {
  test('is what JSON.parse finds, where names are escaped or stand twice too', () => {
    fc.assert(
      fc.property(eventText, (text) => {
        const { isObject, hasEvent, properties, insertId } = scanText(text);
        assert.deepEqual({ isObject, hasEvent, properties, insertId }, expectedOf(JSON.parse(text)));
      }),
      { numRuns: 2000 },
    );
  });

  test('takes an id spliced in, and is otherwise the same', () => {
    let spliced = 0;
    fc.assert(
      fc.property(eventText, (text) => {
        const bytes = Buffer.from(text);
        const { properties, insertId, spliceAt, propertiesEmpty } = scanBytes(bytes);
        if (properties !== 'object' || insertId !== 'absent') return;
        spliced++;
        const splice = Buffer.from(`"$insert_id":"x"${propertiesEmpty ? '' : ','}`);
        const withId = JSON.parse(
          Buffer.concat([bytes.subarray(0, spliceAt), splice, bytes.subarray(spliceAt)]).toString(),
        );
        assert.equal(withId.properties.$insert_id, 'x');
        delete withId.properties.$insert_id;
        assert.deepEqual(withId, JSON.parse(text));
      }),
      { numRuns: 2000 },
    );
    assert.ok(spliced > 200);
  });

  test('is not left over from the scan before', () => {
    const out = newScan();
    for (const text of ['{"event":1,"properties":{"$insert_id":1e9}\n}', '{"properties":{}}', '5']) {
      const bytes = Buffer.from(text);
      scan(bytes, 0, bytes.length, out);
    }
    const { isObject, hasEvent, properties, insertId, propertiesEmpty, longNumber, lineBreak } = out;
    assert.deepEqual(
      { isObject, hasEvent, properties, insertId, propertiesEmpty, longNumber, lineBreak },
      {
        isObject: false,
        hasEvent: false,
        properties: 'absent',
        insertId: 'absent',
        propertiesEmpty: false,
        longNumber: false,
        lineBreak: false,
      },
    );
  });

  const rows: { name: string; input: string; expected: Partial<Scan> }[] = [
    {
      name: 'names in an array',
      input: '[{"event":1,"properties":{}}]',
      expected: { isObject: false, hasEvent: false },
    },
    { name: 'names as values', input: '{"a":"event","b":"properties"}', expected: { hasEvent: false } },
    { name: 'names further down', input: '{"a":{"event":1,"properties":{}}}', expected: { properties: 'absent' } },
    {
      name: 'properties of properties',
      input: '{"properties":{"properties":{"$insert_id":"a"}}}',
      expected: { insertId: 'absent', spliceAt: 15, propertiesEmpty: false },
    },
    {
      name: 'an id beside the properties',
      input: '{"properties":{},"$insert_id":"a"}',
      expected: { insertId: 'absent', propertiesEmpty: true },
    },
    {
      name: 'an id in the object behind the properties',
      input: '{"properties":{},"a":{"$insert_id":"a"}}',
      expected: { insertId: 'absent', propertiesEmpty: true },
    },
    {
      name: 'the last properties',
      input: '{"properties":{"$insert_id":"a"},"properties":{ }}',
      expected: { properties: 'object', insertId: 'absent', spliceAt: 47, propertiesEmpty: true },
    },
    {
      name: 'the last properties, which are none',
      input: '{"properties":{"$insert_id":"a"},"properties":[]}',
      expected: { properties: 'other', insertId: 'absent' },
    },
    {
      name: 'the last id',
      input: '{"properties":{"$insert_id":"a","$insert_id":null}}',
      expected: { insertId: 'empty' },
    },
    { name: 'an id of nothing', input: '{"properties":{"$insert_id":""}}', expected: { insertId: 'empty' } },
    { name: 'an id of a space', input: '{"properties":{"$insert_id":" "}}', expected: { insertId: 'present' } },
    { name: 'an id of an escape', input: '{"properties":{"$insert_id":"\\""}}', expected: { insertId: 'present' } },
    { name: 'an id of zero', input: '{"properties":{"$insert_id":0}}', expected: { insertId: 'present' } },
    { name: 'an id that is an object', input: '{"properties":{"$insert_id":{}}}', expected: { insertId: 'present' } },
    {
      name: 'names escaped from end to end',
      input: `{"${escaped('event')}":1,"${escaped('properties')}":{"${escaped('$insert_id')}":1}}`,
      expected: { hasEvent: true, properties: 'object', insertId: 'present' },
    },
    { name: 'a name with an escaped backslash', input: '{"\\\\u0065vent":1}', expected: { hasEvent: false } },
    { name: 'a name in capitals', input: '{"Event":1}', expected: { hasEvent: false } },
  ];
  for (const { name, input, expected } of rows) {
    test(`tells apart ${name}`, () => {
      const found = scanText(input);
      assert.equal(found.status, 'value');
      assert.deepEqual(
        Object.fromEntries(Object.keys(expected).map((key) => [key, found[key as keyof Scan]])),
        expected,
      );
    });
  }
});

describe('a number that a double may not carry', () => {
  const rows: [input: string, expected: boolean][] = [
    ['123456789012345', false],
    ['-123456789012345', false],
    ['1234567890.1234', false],
    ['1700000000.123', false],
    ['1234567890123456', true],
    ['9007199254740993', true],
    ['0.1234567890123456', true],
    ['123456789.0123456', true],
    ['1e5', true],
    ['1E-5', true],
    ['7'.repeat(400), true],
  ];
  for (const [input, expected] of rows) {
    test(`is ${expected ? '' : 'not '}${input.slice(0, 30)}`, () => {
      assert.equal(scanText(input).longNumber, expected);
      assert.equal(scanText(`{"a":[1,${input},2]}`).longNumber, expected);
      assert.equal(scanText(`{"a":"${input}"}`).longNumber, false);
    });
  }

  test('is found wherever one stands', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        const withoutStrings = text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
        const numbers = withoutStrings.match(/-?\d[\d.eE+-]*/g) ?? [];
        const isLong = (number: string) => /e/i.test(number) || digitsOf(number) > 15;
        const { longNumber } = scanText(text);
        if (numbers.some(isLong)) assert.ok(longNumber);
        // A point and zeros in front may count as digits, to be on the safe side.
        if (numbers.every((number) => number.length <= 15 && !isLong(number))) assert.ok(!longNumber);
      }),
      { numRuns: 500 },
    );
  });
});

test('a line break is noticed around and inside the value, and not as an escape', () => {
  for (const input of ['\n{}', '\r{}', '{\r\n}', '{"a":1\n}', '[1,\n2]', '{"a"\r:1}', '{"a":\n1}']) {
    assert.equal(scanText(input).lineBreak, true, JSON.stringify(input));
  }
  for (const input of ['{}', '{"a":"\\n\\r"} ', '{\t}', '{}\n']) {
    assert.equal(scanText(input).lineBreak, false, JSON.stringify(input));
  }
});

function digitsOf(number: string): number {
  return number.replace(/^[-0.]+|\D/g, '').length;
}

function escaped(name: string): string {
  return [...name].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
}
