import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printable, printableLines } from '../../../cli/import/printable.ts';

test('a printable text shows escapes in place of control characters, bidirectional controls and halves of characters', () => {
  for (const [text, shown] of [
    ['\u0000\t\n\r\u001b\u007f', '\\u0000\\u0009\\u000a\\u000d\\u001b\\u007f'],
    ['\u0080\u0085\u009b\u009f', '\\u0080\\u0085\\u009b\\u009f'],
    ['\u061c\u200e\u202a\u202e\u2066\u2069', '\\u061c\\u200e\\u202a\\u202e\\u2066\\u2069'],
    ['\u2028\u2029\ud800', '\\u2028\\u2029\\ud800'],
    ['é 🎉 👩‍💻 שלום مرحبا "\\" #%', 'é 🎉 👩‍💻 שלום مرحبا "\\" #%'],
  ] as const) {
    assert.equal(printable(text), shown);
  }
});

test('a printable text is left as it is, so that nothing is escaped twice', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => printable(printable(text)) === printable(text)));
});

test('JSON that was made printable means the same, on the same lines', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = JSON.stringify({ text }, undefined, 2);
      const shown = printableLines(json);
      assert.doesNotMatch(shown.replaceAll('\n', ''), /[\p{Cc}\p{Bidi_Control}]/u);
      assert.deepEqual(JSON.parse(shown), { text });
      assert.equal(shown.split('\n').length, json.split('\n').length);
    }),
  );
});
