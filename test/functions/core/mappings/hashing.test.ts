import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { hmacWith } from '../../../../functions/core/mappings/hashing.ts';

const expected = (key: string, text: string) => createHmac('sha256', key).update(text).digest('hex').slice(0, 32);

test('a hash is the HMAC of the text, whatever the key, the text and the ones before', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ minLength: 200, maxLength: 600 }));
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), fc.array(text), (key, texts) => {
      const hash = hmacWith(key);
      for (const each of texts) assert.equal(hash(each), expected(key, each));
    }),
  );
});

for (const [key, length] of [
  ['k'.repeat(64), 256],
  ['k'.repeat(65), 257],
  ['é'.repeat(40), 256],
] as const) {
  test(`a key of ${Buffer.byteLength(key)} bytes, and ${length} characters of three bytes each`, () => {
    const text = '€'.repeat(length);
    assert.equal(hmacWith(key)(text), expected(key, text));
  });
}
