import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Rejection } from '../../../functions/core/block.ts';
import { encodeDeadLetter, formatDeadLetter } from '../../../functions/core/dead-letter.ts';
import { parse } from '../../support/parsing.ts';

const rejectedAt = new Date('2026-11-23T01:02:03.456Z');
const reason = { field: 'properties.time', message: "'properties.time' is invalid" };
const location = { bucket: 'b', object: 'o', generation: '1', line: 7, offset: 812 };
const start = `{"reason":${JSON.stringify(reason)},"source":${JSON.stringify(location)},`;
const at = '"rejectedAt":"2026-11-23T01:02:03.456Z"';

function rejection(record: Buffer, more: Partial<Rejection> = {}): Rejection {
  return { reason, location, insertId: 'id', record, bytes: record.length, through: undefined, ...more };
}

const cases: { name: string; rejection: Rejection; expected: string }[] = [
  {
    name: 'a record as text',
    rejection: rejection(Buffer.from('{"event":"ä\\n"}')),
    expected: `${start}"insertId":"id",${at},"record":"{\\"event\\":\\"ä\\\\n\\"}"}\n`,
  },
  {
    name: 'line ends in a record as escapes',
    rejection: rejection(Buffer.from('{\r\n}')),
    expected: `${start}"insertId":"id",${at},"record":"{\\r\\n}"}\n`,
  },
  {
    name: 'an empty record',
    rejection: rejection(Buffer.alloc(0)),
    expected: `${start}"insertId":"id",${at},"record":""}\n`,
  },
  {
    name: 'a byte order mark and a zero',
    rejection: rejection(Buffer.from([0xef, 0xbb, 0xbf, 0x00])),
    expected: `${start}"insertId":"id",${at},"record":"\ufeff\\u0000"}\n`,
  },
  {
    name: 'a record that is not valid UTF-8 as base64',
    rejection: rejection(Buffer.from([0x7b, 0xff, 0x7d])),
    expected: `${start}"insertId":"id",${at},"recordBase64":"e/99"}\n`,
  },
  {
    name: 'the beginning of a record that is not held whole',
    rejection: rejection(Buffer.from('{"a'), { insertId: undefined, bytes: 1_000_001 }),
    expected: `${start}${at},"record":"{\\"a","truncated":true,"bytes":1000001}\n`,
  },
  {
    name: 'the beginning of a record that is neither held whole nor valid UTF-8',
    rejection: rejection(Buffer.from([0xff]), { insertId: undefined, bytes: 2 }),
    expected: `${start}${at},"recordBase64":"/w==","truncated":true,"bytes":2}\n`,
  },
  {
    name: 'the index of one of several events',
    rejection: rejection(Buffer.from('{}'), { location: { ...location, event: 0 } }),
    expected: `{"reason":${JSON.stringify(reason)},"source":{"bucket":"b","object":"o","generation":"1","line":7,"offset":812,"event":0},"insertId":"id",${at},"record":"{}"}\n`,
  },
  {
    name: 'a message as the source',
    rejection: rejection(Buffer.from('{}'), {
      location: { subscription: 's', messageId: 'm', publishTime: 't', index: 0 },
    }),
    expected: `{"reason":${JSON.stringify(reason)},"source":{"subscription":"s","messageId":"m","publishTime":"t","index":0},"insertId":"id",${at},"record":"{}"}\n`,
  },
  {
    name: 'the metadata of an object',
    rejection: rejection(Buffer.from('{}'), { location: { ...location, metadata: { plan: 'x\n' } } }),
    expected: `{"reason":${JSON.stringify(reason)},"source":{"bucket":"b","object":"o","generation":"1","line":7,"offset":812,"metadata":{"plan":"x\\n"}},"insertId":"id",${at},"record":"{}"}\n`,
  },
  {
    name: 'what the record passes before it is sent',
    rejection: rejection(Buffer.from('{}'), { through: ['mapping', 'transform'] }),
    expected: `${start}"through":["mapping","transform"],"insertId":"id",${at},"record":"{}"}\n`,
  },
];

describe('a dead letter', () => {
  for (const { name, rejection: input, expected } of cases) {
    test(`a dead letter holds ${name}, on one line`, () => {
      const line = formatDeadLetter(input, rejectedAt);
      assert.equal(line, expected);
      assert.equal(line.indexOf('\n'), line.length - 1);
    });
  }

  test('a dead letter holds the very bytes of any record that is held whole', () => {
    for (const bytes of [
      Buffer.from('{"a":"\u2028\ud83d\ude00"}'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from([0, 1, 2]),
    ]) {
      const letter = JSON.parse(formatDeadLetter(rejection(bytes), rejectedAt));
      const record = 'record' in letter ? Buffer.from(letter.record) : Buffer.from(letter.recordBase64, 'base64');
      assert.deepEqual(record, bytes);
    }
  });

  test('a dead letter is the same whether it is encoded at once or piece by piece', () => {
    const text = `{"a":"${'\u2028\ud83d\ude00é\\u0000\n'.repeat(50_000)}"}`;
    const records = [Buffer.from(text), Buffer.from(`x${text}`), Buffer.from(text).subarray(1, -1)];
    for (let shift = 1; shift < 4; shift++) records.push(Buffer.from('é'.repeat(shift) + '😀'.repeat(200_000)));
    for (const length of [400_000, 400_001, 400_002]) records.push(Buffer.alloc(length, Buffer.from([0xff, 10, 0])));
    for (const record of records) {
      for (const more of [{}, { bytes: 2_000_000 }, { location: { ...location, metadata: { record: '' } } }]) {
        const encoded = encodeDeadLetter(rejection(record, more), rejectedAt);
        assert.ok(Buffer.isBuffer(encoded));
        assert.ok(encoded.equals(Buffer.from(formatDeadLetter(rejection(record, more), rejectedAt))));
      }
    }
  });

  for (const isMapped of [false, true]) {
    const kind = isMapped ? 'mapped' : 'verbatim';
    test(`a dead letter of a ${kind} source ${isMapped ? 'names the transform' : 'does not name a transform'}`, () => {
      const { rejections } = parse(Buffer.from('{"event":"a","properties":{}}\n5\n'), { isMapped });
      const letter = JSON.parse(formatDeadLetter(rejections[0]!, rejectedAt));
      assert.equal(letter.record, '5');
      assert.deepEqual(letter.through, isMapped ? ['transform'] : undefined);
    });
  }

  test('a dead letter of a record that is too large holds its beginning in whole characters, and its length', () => {
    const large = Buffer.from(`{"event":"a","properties":{"x":"${'€'.repeat(400_000)}"}}`);
    const { rejections } = parse(Buffer.concat([large, Buffer.from('\n{"event":"b","properties":{}}\n')]));
    const letter = JSON.parse(formatDeadLetter(rejections[0]!, rejectedAt));
    assert.equal(letter.truncated, true);
    assert.equal(letter.bytes, large.length);
    assert.ok(large.toString().startsWith(letter.record));
    assert.ok(Buffer.byteLength(letter.record) > 65_530);
    assert.ok(!('insertId' in letter));
  });
});
