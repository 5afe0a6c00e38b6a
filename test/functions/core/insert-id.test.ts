import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Location, Source } from '../../../functions/core/block.ts';
import { insertIdByContent, insertIdByPosition } from '../../../functions/core/insert-id.ts';
import { messageSource, objectSource } from '../../support/parsing.ts';

const record = Buffer.from('{"event":"a","properties":{}}');
const fileSource: Source = {
  ...objectSource,
  context: { kind: 'file', path: 'events.ndjson' },
  locate: (offset, line) => ({ file: 'events.ndjson', line, offset }),
};

// An id that changes would let events in twice, so never adapt these to the code.
describe('an id by content', () => {
  test('an id by content is the beginning of the SHA-256 of the record', () => {
    assert.equal(insertIdByContent(record, objectSource, 812, 7), '295fc712dcda46a2d31ae96d');
  });

  test('an id by content is another one for each event of a record', () => {
    assert.equal(insertIdByContent(record, objectSource, 812, 7, 1), '7f6cdb321b209d0c01c3e4db');
    assert.notEqual(
      insertIdByContent(record, objectSource, 812, 7, 0),
      insertIdByContent(record, objectSource, 812, 7),
    );
  });

  test('an id by content is the same wherever the record is', () => {
    assert.equal(insertIdByContent(record, messageSource, 0, 3), insertIdByContent(record, fileSource, 9, 1));
  });
});

describe('an id by position', () => {
  test('an id by position says at which byte of which generation of an object the record is', () => {
    assert.equal(insertIdByPosition(record, objectSource, 812, 7), '02e4ed8fb30935ee72cc7ca3');
    assert.equal(insertIdByPosition(record, objectSource, 812, 7, 2), '400ebebe614f2112b6fc8120');
  });

  test('an id by position says which record of which message it is', () => {
    const source: Source = {
      ...messageSource,
      locate: (_offset, index) => ({ subscription: 's', messageId: '123', publishTime: 't', index }),
    };
    assert.equal(insertIdByPosition(record, source, 55, 4), '1822a39a12b496147c195772');
  });

  test('an id by position says at which byte of which file the record is', () => {
    assert.equal(insertIdByPosition(record, fileSource, 0, 1), 'bccc0248dafcdb152127e2b3');
  });

  test('an id by position is the same whatever the record contains', () => {
    const other = Buffer.from('{}');
    assert.equal(insertIdByPosition(other, objectSource, 812, 7), insertIdByPosition(record, objectSource, 812, 7));
  });

  const located: [what: string, source: Source, extra: Partial<Location>][] = [
    ['the metadata of an object', objectSource, { metadata: { a: '1' } }],
    ['the attributes of a message', messageSource, { attributes: { a: '1' } }],
  ];
  for (const [what, source, extra] of located) {
    test(`an id by position does not depend on ${what}`, () => {
      const withMore: Source = {
        ...source,
        locate: (offset, ordinal) => ({ ...source.locate(offset, ordinal), ...extra }) as Location,
      };
      assert.equal(insertIdByPosition(record, withMore, 812, 7), insertIdByPosition(record, source, 812, 7));
    });
  }
});
