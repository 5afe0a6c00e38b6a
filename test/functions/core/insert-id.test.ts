import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Origin } from '../../../functions/core/block.ts';
import { insertIdByContent, insertIdByPosition } from '../../../functions/core/insert-id.ts';
import { messageOrigin, objectOrigin } from '../../support/parsing.ts';

const record = Buffer.from('{"event":"a","properties":{}}');
const fileOrigin: Origin = { sourceOf: (offset, line) => ({ file: 'events.ndjson', line, offset }) };

// Ids that change would let events in twice, so these are never to be adapted to the code.
describe('an id by content', () => {
  test('is the beginning of the SHA-256 of the record', () => {
    assert.equal(insertIdByContent(record, objectOrigin, 812, 7), '295fc712dcda46a2d31ae96d');
  });

  test('is another one for each event of a record', () => {
    assert.equal(insertIdByContent(record, objectOrigin, 812, 7, 1), '7f6cdb321b209d0c01c3e4db');
    assert.notEqual(
      insertIdByContent(record, objectOrigin, 812, 7, 0),
      insertIdByContent(record, objectOrigin, 812, 7),
    );
  });

  test('is the same wherever the record stands', () => {
    assert.equal(insertIdByContent(record, messageOrigin, 0, 3), insertIdByContent(record, fileOrigin, 9, 1));
  });
});

describe('an id by position', () => {
  test('says which bytes of which generation of an object it is', () => {
    assert.equal(insertIdByPosition(record, objectOrigin, 812, 7), '02e4ed8fb30935ee72cc7ca3');
    assert.equal(insertIdByPosition(record, objectOrigin, 812, 7, 2), '400ebebe614f2112b6fc8120');
  });

  test('says which record of which message it is', () => {
    const origin: Origin = {
      sourceOf: (_offset, index) => ({ subscription: 's', messageId: '123', publishTime: 't', index }),
    };
    assert.equal(insertIdByPosition(record, origin, 55, 4), '1822a39a12b496147c195772');
  });

  test('says which bytes of which file it is', () => {
    assert.equal(insertIdByPosition(record, fileOrigin, 0, 1), 'bccc0248dafcdb152127e2b3');
  });

  test('is the same whatever the record is', () => {
    const other = Buffer.from('{}');
    assert.equal(insertIdByPosition(other, objectOrigin, 812, 7), insertIdByPosition(record, objectOrigin, 812, 7));
  });
});
