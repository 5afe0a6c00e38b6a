import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_DEPTH, Scanner, type ScanStatus } from '../../../../../functions/core/formats/json/scanner.ts';
import { anyEventText, edit, edits, jsonText } from '../../../../support/parsing.ts';

/** What a scan found, as a value that compares; indexes count from `from`. */
function scanRange(bytes: Buffer, from: number, to: number, scanner = new Scanner()) {
  const status = scanner.scan(bytes, from, to);
  const { isObject, hasEvent, properties, insertId, propertiesEmpty, longNumber, lineBreak, depth, stringAt } = scanner;
  return {
    status,
    end: scanner.end - from,
    isObject,
    hasEvent,
    properties,
    insertId,
    spliceAt: properties === 'object' ? scanner.spliceAt - from : undefined,
    propertiesEmpty,
    longNumber,
    lineBreak,
    openedAt: [...scanner.openedAt.subarray(1, depth + 1)].map((at) => at - from),
    stringAt: stringAt === -1 ? undefined : stringAt - from,
  };
}

type Found = ReturnType<typeof scanRange>;

function scanBytes(bytes: Buffer): Found {
  return scanRange(bytes, 0, bytes.length);
}

function scanText(text: string): Found {
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

describe('the syntax of JSON', () => {
  test('A scan accepts every text that JSON.parse accepts', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        assert.ok(isJson(text));
        assert.ok(isValue(Buffer.from(text)));
      }),
      { numRuns: 500 },
    );
  });

  test('A scan accepts a damaged text if and only if JSON.parse accepts it', () => {
    fc.assert(
      fc.property(fc.oneof(jsonText, anyEventText), edits, (text, changes) => {
        const bytes = edit(Buffer.from(text), changes);
        fc.pre(isUtf8(bytes));
        assert.equal(isValue(bytes), isJson(bytes.toString()), bytes.toString());
      }),
      { numRuns: 3000 },
    );
  });

  test('A scan of an object is incomplete at every index before its end', () => {
    fc.assert(
      fc.property(anyEventText, (text) => {
        const bytes = Buffer.from(text);
        const { status, end } = scanBytes(bytes);
        assert.equal(status, 'value');
        for (let to = 0; to < end; to++) assert.equal(scanRange(bytes, 0, to).status, 'incomplete', `at ${to}`);
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
    { name: 'an unknown escape', input: '"\\x41"', status: 'invalid', end: 2 },
    { name: 'an escape with too few digits', input: '"\\u12g4"', status: 'invalid', end: 5 },
    { name: 'an escape that ends too soon', input: '"\\u12', status: 'incomplete', end: 5 },
    { name: 'a number of 400 digits', input: '7'.repeat(400), status: 'value' },
    { name: 'a fraction of 400 digits', input: `-0.${'7'.repeat(400)}`, status: 'value' },
    { name: 'an exponent too large for a double', input: '1E+999', status: 'value' },
    { name: 'a zero before digits', input: '01', status: 'value', end: 1 },
    { name: 'a sign without digits', input: '-', status: 'incomplete' },
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
    { name: 'a second value after the first', input: '{} {}', status: 'value', end: 2 },
  ];
  for (const { name, input, status, end = Buffer.byteLength(input) } of rows) {
    test(`A scan calls ${name} ${status === 'value' ? 'a value' : status}`, () => {
      const found = scanText(input);
      assert.deepEqual({ status: found.status, end: found.end }, { status, end });
    });
  }

  test('A scan accepts the same ASCII characters in a string as JSON.parse', () => {
    for (let code = 0; code < 0x80; code++) {
      const text = `"a${String.fromCharCode(code)}${code === 0x5c ? '/' : ''}"`;
      assert.equal(isValue(Buffer.from(text)), isJson(text), `U+${code.toString(16)}`);
    }
  });

  test('A scan reads only the bytes between its two indexes', () => {
    const bytes = Buffer.from('}{"event":1}{');
    const { status, end } = scanRange(bytes, 1, bytes.length);
    assert.deepEqual({ status, end }, { status: 'value', end: bytes.length - 2 });
    assert.equal(scanRange(bytes, 1, bytes.length - 2).status, 'incomplete');
  });

  test('A scan finds the same whatever bytes are before and after the value', () => {
    const around = fc
      .array(fc.constantFrom(...'"\\ \n\r\t\0{}[],:1eau'), { maxLength: 6 })
      .map((bytes) => bytes.join(''));
    fc.assert(
      fc.property(fc.oneof(jsonText, anyEventText), edits, around, around, (text, changes, before, after) => {
        const alone = edit(Buffer.from(text), changes);
        const bytes = Buffer.concat([Buffer.from(before), alone, Buffer.from(after)]);
        const found = scanRange(bytes, before.length, before.length + alone.length);
        assert.deepEqual(found, scanBytes(alone));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the depth of a value', () => {
  test('A scan accepts 100 levels of nesting', () => {
    assert.equal(MAX_DEPTH, 100);
    assert.equal(scanText(nested(100)).status, 'value');
    assert.equal(scanText(`{"a":${nested(99)}}`).status, 'value');
    assert.equal(scanText(`{"a":[${'{"b":'.repeat(98)}1${'}'.repeat(98)}]}`).status, 'value');
  });

  test('A scan calls 101 levels of nesting too deep', () => {
    assert.equal(scanText(nested(101)).status, 'too-deep');
    assert.equal(scanText(`{"a":${nested(100)}}`).status, 'too-deep');
  });

  test('A scan counts only the brackets that are open', () => {
    assert.equal(scanText(`[${Array(300).fill(nested(99)).join()}]`).status, 'value');
  });

  test('A scan calls 100,000 levels of nesting too deep, without overflowing the stack', () => {
    assert.equal(scanText(nested(100_000)).status, 'too-deep');
    assert.equal(scanText('['.repeat(100_000)).status, 'too-deep');
    assert.equal(scanText('{"a":'.repeat(100_000)).status, 'too-deep');
  });
});

describe('the event in an object', () => {
  test('A scan finds the members that JSON.parse finds, even if names are escaped or occur twice', () => {
    fc.assert(
      fc.property(anyEventText, (text) => {
        const { isObject, hasEvent, properties, insertId } = scanText(text);
        assert.deepEqual({ isObject, hasEvent, properties, insertId }, expectedOf(JSON.parse(text)));
      }),
      { numRuns: 2000 },
    );
  });

  test('An id can be spliced in at the index that a scan returns, and changes nothing else', () => {
    let spliced = 0;
    fc.assert(
      fc.property(anyEventText, (text) => {
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

  test('A scanner that is used again finds what a new one finds', () => {
    const text = fc.tuple(fc.oneof(jsonText, anyEventText), fc.option(edits, { nil: [] }));
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 4 }), (texts) => {
        const scanner = new Scanner();
        for (const [text, changes] of texts) {
          const bytes = edit(Buffer.from(text), changes);
          assert.deepEqual(scanRange(bytes, 0, bytes.length, scanner), scanBytes(bytes));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  const rows: { name: string; input: string; expected: Partial<Found> }[] = [
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
      name: 'an id in the object after the properties',
      input: '{"properties":{},"a":{"$insert_id":"a"}}',
      expected: { insertId: 'absent', propertiesEmpty: true },
    },
    {
      name: 'the last properties',
      input: '{"properties":{"$insert_id":"a"},"properties":{ }}',
      expected: { properties: 'object', insertId: 'absent', spliceAt: 47, propertiesEmpty: true },
    },
    {
      name: 'the last properties, which are not an object',
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
    test(`A scan recognizes ${name}`, () => {
      const found = scanText(input);
      assert.equal(found.status, 'value');
      assert.deepEqual(
        Object.fromEntries(Object.keys(expected).map((key) => [key, found[key as keyof Found]])),
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
    test(`A scan ${expected ? 'marks' : 'does not mark'} ${input.slice(0, 30)}`, () => {
      assert.equal(scanText(input).longNumber, expected);
      assert.equal(scanText(`{"a":[1,${input},2]}`).longNumber, expected);
      assert.equal(scanText(`{"a":"${input}"}`).longNumber, false);
    });
  }

  test('A scan marks a number of more than 15 digits wherever it occurs', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        const withoutStrings = text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
        const numbers = withoutStrings.match(/-?\d[\d.eE+-]*/g) ?? [];
        const isLong = (number: string) => /e/i.test(number) || digitsOf(number) > 15;
        const { longNumber } = scanText(text);
        if (numbers.some(isLong)) assert.ok(longNumber);
        // A point and leading zeros may count as digits, to be on the safe side.
        if (numbers.every((number) => number.length <= 15 && !isLong(number))) assert.ok(!longNumber);
      }),
      { numRuns: 500 },
    );
  });
});

test('A scan notices a line break before and inside the value, but not an escaped one', () => {
  for (const input of ['\n{}', '\r{}', '{\r\n}', '{"a":1\n}', '[1,\n2]', '{"a"\r:1}', '{"a":\n1}']) {
    assert.equal(scanText(input).lineBreak, true, JSON.stringify(input));
  }
  for (const input of ['{}', '{"a":"\\n\\r"} ', '{\t}', '{}\n']) {
    assert.equal(scanText(input).lineBreak, false, JSON.stringify(input));
  }
});

describe('the place where a scan stops', () => {
  const rows: { name: string; input: string; status: ScanStatus; openedAt: number[]; stringAt?: number }[] = [
    { name: 'after a value', input: '{"a":[1,{}]}', status: 'value', openedAt: [] },
    { name: 'inside containers', input: '{"a":[1,{"b":2},[', status: 'incomplete', openedAt: [0, 5, 16] },
    { name: 'at an unexpected character', input: '[[],{"a":[NaN', status: 'invalid', openedAt: [0, 4, 9] },
    {
      name: 'at the end of a string that is not closed',
      input: '[{"a',
      status: 'incomplete',
      openedAt: [0, 1],
      stringAt: 2,
    },
    { name: 'at a line break in a string', input: '{"a":"b\n"}', status: 'invalid', openedAt: [0], stringAt: 5 },
    { name: 'at a bad escape in a string', input: '{"a":"\\x"}', status: 'invalid', openedAt: [0], stringAt: 5 },
  ];
  for (const { name, input, status, openedAt, stringAt } of rows) {
    test(`A scanner that stops ${name} knows which containers and which string are open`, () => {
      const found = scanText(input);
      assert.deepEqual(
        { status: found.status, openedAt: found.openedAt, stringAt: found.stringAt },
        { status, openedAt, stringAt },
      );
    });
  }

  test('A scanner that stops because of the depth knows where all 100 containers begin', () => {
    const { status, openedAt } = scanText('['.repeat(200));
    assert.equal(status, 'too-deep');
    assert.deepEqual(
      openedAt,
      Array.from({ length: 100 }, (_, index) => index),
    );
  });

  test('A scanner counts the bytes of all its scans', () => {
    const scanner = new Scanner();
    scanner.scan(Buffer.from('x[1,2]'), 1, 6);
    scanner.scan(Buffer.from('{"a":NaN}'), 0, 9);
    assert.equal(scanner.bytesScanned, 5 + 5);
  });
});

function digitsOf(number: string): number {
  return number.replace(/^[-0.]+|\D/g, '').length;
}

function escaped(name: string): string {
  return [...name].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
}
