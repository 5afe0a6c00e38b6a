import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseKeepingDigits } from '../../../../../functions/core/formats/json/numbers.ts';
import { anyEventText, jsonText } from '../../../../support/parsing.ts';

/** The exact value of a decimal number, as its digits without zeros around them and an exponent. */
function decimalOf(number: string): string {
  const [mantissa = '', exponent = '0'] = number.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  let digits = BigInt(whole + fraction);
  let power = Number(exponent) - fraction.length;
  if (digits === 0n) return '0';
  for (; digits % 10n === 0n; power++) digits /= 10n;
  return `${mantissa.startsWith('-') ? '-' : ''}${digits}e${power}`;
}

const nested = (levels: number, inner: string) => `${'['.repeat(levels)}${inner}${']'.repeat(levels)}`;

describe('parseKeepingDigits', () => {
  const kept = [
    '12345678901234567890',
    '-12345678901234567890',
    '9007199254740993',
    '1767225600123456789',
    '0.1234567890123456789',
    '123456789.0123456789',
    '19.9899999999999984',
    '1234567890123456.75',
    '123456789012345678e2',
    '0.00000000000000012345678901234567',
    '1e400',
    '-1E+400',
    '1e-400',
  ];
  for (const number of kept) {
    test(`A number keeps its digits if the double would lose some: ${number}`, () => {
      const text = `{"a":[${number}],"b":${number}}`;
      assert.equal(JSON.stringify(parseKeepingDigits(text)), text);
      const { b } = parseKeepingDigits(text) as { b: unknown };
      assert.ok((JSON as unknown as { isRawJSON(value: unknown): boolean }).isRawJSON(b));
    });
  }

  const plain: [text: string, value: unknown][] = [
    ['0', 0],
    ['0.000', 0],
    ['0e5', 0],
    ['0e-400', 0],
    ['1.50', 1.5],
    ['1e3', 1_000],
    ['1E+3', 1_000],
    ['1200e-2', 12],
    ['123456789012345', 123_456_789_012_345],
    ['1767225600123456', 1_767_225_600_123_456],
    ['9007199254740992', 9_007_199_254_740_992],
    ['-9007199254740991', -9_007_199_254_740_991],
    ['1234567890123456e2', 123_456_789_012_345_600],
    ['100000000000000000000000', 1e23],
    ['1e23', 1e23],
    ['18.990000000000002', 18.990000000000002],
    ['0.30000000000000004', 0.30000000000000004],
    ['0.1000000000000000000000', 0.1],
    ['-0.00000000000123456789012345', -0.00000000000123456789012345],
    ['1.7976931348623157e308', Number.MAX_VALUE],
    ['5e-324', Number.MIN_VALUE],
    ['1700000000000', 1_700_000_000_000],
    ['"12345678901234567890"', '12345678901234567890'],
    ['true', true],
    ['null', null],
  ];
  for (const [text, value] of plain) {
    test(`A value arrives as it is if the double prints back to it: ${text}`, () => {
      assert.deepEqual(parseKeepingDigits(`[${text}]`), [value]);
    });
  }

  test('Any number is plain if the double prints back to the same value, and else keeps its text', () => {
    const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][+-]?\d{1,2})?$/);
    const printed = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value));
    const exponential = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toExponential());
    fc.assert(
      fc.property(fc.oneof(digits, printed, exponential), (text) => {
        const [value] = parseKeepingDigits(`[${text}]`) as unknown[];
        const isCarried = Number.isFinite(Number(text)) && decimalOf(String(Number(text))) === decimalOf(text);
        assert.equal(typeof value, isCarried ? 'number' : 'object');
        if (isCarried) assert.equal(value, Number(text));
        else assert.equal(JSON.stringify(value), text);
      }),
      { numRuns: 3_000 },
    );
  });

  test('Every double arrives as itself, as JavaScript prints it', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        assert.deepEqual(parseKeepingDigits(JSON.stringify([value])), [value === 0 ? 0 : value]);
      }),
      { numRuns: 1_000 },
    );
  });

  const texts: [name: string, text: string, written?: string][] = [
    ['ordinary values', '{"a":1,"b":"c","d":[true,null,{"e":-1.5}]}'],
    ['a number too large for a double below many levels', nested(40, '1e400')],
    ['a key that is a long number', '{"12345678901234567890":12345678901234567890}'],
    ['half a surrogate pair', '{"a":"\\ud800"}'],
    ['zeros after the point', '{"a":0,"b":[0],"c":{"d":0.0}}', '{"a":0,"b":[0],"c":{"d":0}}'],
    ['an exponent that a double carries', '{"a":1e3}', '{"a":1000}'],
    ['the same key twice', '{"a":9007199254740993,"a":2}', '{"a":2}'],
  ];
  for (const [name, text, written = text] of texts) {
    test(`A text with ${name} is written again with the same meaning`, () => {
      assert.equal(JSON.stringify(parseKeepingDigits(text)), written);
    });
  }

  test('A member named __proto__ does not set a prototype', () => {
    const value = parseKeepingDigits('{"__proto__":{"a":12345678901234567890}}') as object;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.deepEqual(Object.keys(value), ['__proto__']);
  });

  test('Any text means the same to JSON.parse once it is written again', () => {
    fc.assert(
      fc.property(fc.oneof(jsonText, anyEventText), (text) => {
        const again = JSON.stringify(parseKeepingDigits(text));
        // A zero loses its sign when it is written.
        assert.equal(JSON.stringify(JSON.parse(again)), JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 1_000 },
    );
  });

  const longNumbers: [name: string, of: (zeros: string) => string][] = [
    ['a whole number', (zeros) => `1${zeros}1`],
    ['a small fraction', (zeros) => `0.${zeros}1`],
    ['zeros at its end', (zeros) => `1.5${zeros}`],
    ['zeros in its middle', (zeros) => `1.${zeros}1`],
  ];
  for (const [name, of] of longNumbers) {
    test(`A number of 40,000 digits takes no longer than its length: ${name}`, () => {
      const text = of('0'.repeat(40_000));
      const before = performance.now();
      parseKeepingDigits(`[${text}]`);
      const ms = performance.now() - before;
      assert.ok(ms < 400, `${ms} ms`);
    });
  }
});
