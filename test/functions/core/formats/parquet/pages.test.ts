import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ColumnMetaData } from 'hyparquet';
import { checkPages } from '../../../../../functions/core/formats/parquet/pages.ts';

const RLE_DICTIONARY = 8;

/** A column of one page of the older kind, with dictionary indexes of one bit. */
function columnOf(values: number, run: number[]): Buffer {
  const data = Buffer.from([1, ...run]);
  const header = [0x15, 0, 0x15, 2 * data.length, 0x15, 2 * data.length];
  return Buffer.from([...header, 0x2c, 0x15, 2 * values, 0x15, 2 * RLE_DICTIONARY, 0, 0, ...data]);
}

const metadata = (codec: string, values = 5) =>
  ({ codec, num_values: BigInt(values), total_uncompressed_size: 100n }) as unknown as ColumnMetaData;
const flat = { definition: 0, repetition: 0 };
/** Five values, and a billion of them. */
const five = [10, 0];
const billion = [0x80, 0xa8, 0xd6, 0xb9, 0x07, 0];

describe('pages of Parquet', () => {
  test('A page with as many values as it says is accepted, compressed or not', () => {
    assert.deepEqual(checkPages(columnOf(5, five), metadata('UNCOMPRESSED'), flat), []);
    const [page] = checkPages(columnOf(5, five), metadata('SNAPPY'), flat);
    page!.check(Buffer.from([1, ...five]));
  });

  test('A run of a billion values is refused before it is decoded, compressed or not', () => {
    assert.throws(
      () => checkPages(columnOf(5, billion), metadata('UNCOMPRESSED'), flat),
      /more values than its header/,
    );
    const [page] = checkPages(columnOf(5, billion), metadata('SNAPPY'), flat);
    assert.throws(() => page!.check(Buffer.from([1, ...billion])), /more values than its header/);
  });

  test('A page with more or fewer values than its column is refused', () => {
    assert.throws(() => checkPages(columnOf(6, five), metadata('SNAPPY'), flat), /more than the footer says/);
    assert.throws(() => checkPages(columnOf(4, five), metadata('SNAPPY'), flat), /fewer values/);
  });
});
