import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isBalanced, UNSCANNED } from '../../../../../functions/core/block.ts';
import { transformBlock } from '../../../../../functions/core/events.ts';
import { parseKeepingDigits } from '../../../../../functions/core/formats/json/numbers.ts';
import { insertIdByContent } from '../../../../../functions/core/insert-id.ts';
import { edit, edits, eventText, jsonText, parse } from '../../../../support/parsing.ts';

const FIRST = '{"event":"first","properties":{}}\n';

/** What a transform that gives back what it is given makes of `content`, and what of it is no event. */
function transformed(content: Buffer, isTransformed: boolean) {
  const { blocks } = parse(content, { isTransformed });
  const events = blocks.flatMap((block) => {
    const made = [...transformBlock(block, (record) => ({ ...record }), insertIdByContent, [])];
    block.counts.imported += made.length;
    assert.ok(isBalanced(block.counts));
    return made.map(({ record, text }) => ({ line: block.ordinals[record], text }));
  });
  const rejections = blocks
    .flatMap((block) => block.rejections)
    .map(({ record, source, ...rejection }) => ({ ...rejection, source, record: record.toString('latin1') }))
    .sort((a, b) => ('line' in a.source && 'line' in b.source ? a.source.line - b.source.line : 0));
  return { events, rejections };
}

/** Checks that lines give the same whether they are scanned first or not. */
function assertSame(content: Buffer): ReturnType<typeof transformed> {
  const found = transformed(content, true);
  assert.deepEqual(found, transformed(content, false));
  return found;
}

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

describe('a line that is parsed without being scanned', () => {
  const events: [name: string, properties: string, sent?: string][] = [
    ['ordinary values', '"a":1,"b":"c","d":[true,null,{"e":-1.5}]'],
    ['a number of 15 digits', '"a":123456789012345'],
    ['a number of 16 digits', '"a":9007199254740993'],
    ['a fraction of many digits', '"a":0.1234567890123456789'],
    ['many digits in a string', '"a":"12345678901234567890"'],
    ['zeros', '"a":0,"b":[0],"c":{"d":0.0}', '"a":0,"b":[0],"c":{"d":0}'],
    ['a number too small for a double', '"a":{"b":[1e-400]}'],
    ['the same with a capital', '"a":1E-400'],
    ['a number too large for a double', '"a":[{"b":-1e400}]'],
    ['an exponent that a double carries', '"a":1e3', '"a":1000'],
    ['many levels', `"a":${nested(98)}`],
    ['a number too large for a double below many levels', `"a":${nested(40).replace('[]', '[1e400]')}`],
    ['a prototype', '"__proto__":{"a":1}'],
    ['half a surrogate pair', '"a":"\\ud800"'],
  ];
  for (const [name, properties, sent = properties] of events) {
    test(`may hold ${name}`, () => {
      const line = (text: string) => `{"event":"e","properties":{"$insert_id":"i",${text}}}`;
      const found = assertSame(Buffer.from(`${FIRST}${line(properties)}\n`));
      assert.equal(found.events[1]!.text, line(sent));
    });
  }

  test('may hold a number of 16 digits at any place', () => {
    const lines = Array.from(
      { length: 32 },
      (_, length) => `{"event":"${'e'.repeat(length)}","properties":{"$insert_id":"i","a":9007199254740993}}`,
    );
    const found = assertSame(Buffer.from(`${FIRST}${lines.join('\n')}\n`));
    assert.deepEqual(
      found.events.slice(1).map(({ text }) => text),
      lines,
    );
  });

  test('is an event as its last properties say', () => {
    const line = '{"properties":1,"event":null,"properties":{"$insert_id":"i"}}';
    const { events: found } = assertSame(Buffer.from(`${FIRST}${line}\n`));
    assert.equal(found[1]!.text, '{"properties":{"$insert_id":"i"},"event":null}');
  });

  const faults: [text: string, field: string, message: RegExp][] = [
    ['no JSON', 'record', /^not JSON: unexpected character at byte 2$/],
    ['{"event":"e"', 'record', /^not JSON: it ends in the middle, after 12 bytes$/],
    ['{"event":"e","properties":{}} {}', 'record', /^not JSON: unexpected character at byte 31$/],
    ['\u00a0{"event":"e","properties":{}}', 'record', /^not JSON: unexpected character at byte 1$/],
    ['{"event":"e","properties":{"a":01}}', 'record', /^not JSON/],
    ['null', 'record', /^not an object$/],
    ['1e400', 'record', /^not an object$/],
    ['[{"event":"e","properties":{}}]', 'record', /^not an object$/],
    ['{"toString":1,"properties":{}}', 'event', /^missing$/],
    ['{"__proto__":{"event":1},"properties":{}}', 'event', /^missing$/],
    ['{"event":"e"}', 'properties', /^missing$/],
    ['{"event":"e","properties":{},"properties":[]}', 'properties', /^not an object$/],
    ['{"event":"e","properties":null}', 'properties', /^not an object$/],
    [`{"event":"e","properties":{"a":${nested(99)}}}`, 'record', /^nested more than 100 levels deep$/],
  ];
  for (const [text, field, message] of faults) {
    test(`is rejected as ${text.slice(0, 50)} with its reason`, () => {
      const { events: found, rejections } = assertSame(Buffer.from(`${FIRST}\n  ${text}\t\n${FIRST}`));
      assert.equal(found.length, 2);
      assert.equal(rejections.length, 1);
      const { reason, record } = rejections[0]!;
      assert.equal(reason.field, field);
      assert.match(reason.message, message);
      assert.equal(Buffer.from(record, 'latin1').toString(), text);
    });
  }

  test('beside one that is no valid UTF-8 is an event', () => {
    const bad = Buffer.concat([Buffer.from('{"event":"'), Buffer.from([0xff]), Buffer.from('","properties":{}}\n')]);
    const { events: found, rejections } = assertSame(Buffer.concat([Buffer.from(FIRST), bad, Buffer.from(FIRST)]));
    assert.equal(found.length, 2);
    assert.deepEqual(
      rejections.map(({ reason }) => reason.message),
      ['not valid UTF-8'],
    );
  });

  test('of more than 1 MB is rejected', () => {
    const long = `{"event":"e","properties":{"a":"${'x'.repeat(1_000_000)}"}}`;
    const { rejections } = assertSame(Buffer.from(`${FIRST}${long}\n${FIRST}`));
    assert.deepEqual(
      rejections.map(({ reason, bytes }) => [reason.message, bytes]),
      [['larger than 1000000 bytes', long.length]],
    );
  });

  test('comes behind a JSON object only: content without one is a single rejection', () => {
    const { rejections } = assertSame(Buffer.from('name,value\n'.repeat(2_000)));
    assert.deepEqual(
      rejections.map(({ reason }) => reason.message),
      ['no JSON object among the first 1000 records of the object'],
    );
    const { blocks } = parse(Buffer.from(`1\n${FIRST.repeat(3)}`), { isTransformed: true });
    assert.deepEqual(
      blocks.flatMap(({ flags }) => [...flags]).map((flags) => (flags & UNSCANNED) !== 0),
      [false, true, true],
    );
  });

  test('gives what it gives when it is scanned, whatever stands on it', () => {
    const line = fc.oneof(eventText, jsonText).map((text) => text.replaceAll(/[\r\n]/g, ' '));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), fc.option(edits, { nil: [] }), (lines, changes) => {
        assertSame(Buffer.concat([Buffer.from(FIRST), edit(Buffer.from(`${lines.join('\n')}\n`), changes)]));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('parseKeepingDigits', () => {
  const kept = [
    '12345678901234567890',
    '-12345678901234567890',
    '9007199254740993',
    '0.1234567890123456789',
    '123456789.0123456789',
    '1234567890123456e2',
    '1e400',
    '-1E+400',
    '1e-400',
    '0.00000000000000012345678901234567',
  ];
  for (const number of kept) {
    test(`keeps ${number} as it is written`, () => {
      const text = `{"a":[${number}],"b":${number}}`;
      assert.equal(JSON.stringify(parseKeepingDigits(text)), text);
      assert.equal(typeof (parseKeepingDigits(text) as { b: unknown }).b, 'object');
    });
  }

  const plain: [text: string, value: unknown][] = [
    ['0', 0],
    ['0.000', 0],
    ['0e5', 0],
    ['1.50', 1.5],
    ['1e3', 1_000],
    ['123456789012345', 123_456_789_012_345],
    ['-0.00000000000123456789012345', -0.00000000000123456789012345],
    ['1700000000000', 1_700_000_000_000],
    ['"12345678901234567890"', '12345678901234567890'],
    ['true', true],
    ['null', null],
  ];
  for (const [text, value] of plain) {
    test(`gives ${text} as the value that it is`, () => {
      assert.deepEqual(parseKeepingDigits(`[${text}]`), [value]);
    });
  }

  test('sets no prototype', () => {
    const value = parseKeepingDigits('{"__proto__":{"a":12345678901234567890}}') as object;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.deepEqual(Object.keys(value), ['__proto__']);
  });

  test('means the same as JSON.parse once it is written again', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        const again = JSON.stringify(parseKeepingDigits(text));
        // Zero has no sign in JSON text that is written.
        assert.equal(JSON.stringify(JSON.parse(again)), JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 500 },
    );
  });
});
