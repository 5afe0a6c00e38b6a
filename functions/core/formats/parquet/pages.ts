/** Checks the pages of a column before they are decoded: a damaged header must not make the decoder allocate whatever it says. */

import type { ColumnMetaData } from 'hyparquet';
import { ThriftWalker } from './thrift.ts';

/** Fields of a page's header: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift. */
const [UNCOMPRESSED, COMPRESSED, DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2] = [2, 3, 5, 7, 8] as const;
const NUM_VALUES = 1;
/** Headers are part of a column's size, and sizes are not always counted alike. */
const SLACK_BYTES = 65_536;

/**
 * @param bytes all of the column chunk
 * @throws Error if pages hold more than the footer says of the column
 */
export function checkPages(bytes: Buffer, { num_values, total_uncompressed_size }: ColumnMetaData): void {
  const maxValues = Number(num_values);
  const maxBytes = Number(total_uncompressed_size) + SLACK_BYTES;
  const walker = new ThriftWalker(bytes);
  let values = 0;
  let size = 0;
  while (walker.at < bytes.length - 1 && values < maxValues) {
    const { integers, structs } = walker.struct();
    const compressed = integers.get(COMPRESSED) ?? -1;
    const uncompressed = integers.get(UNCOMPRESSED) ?? -1;
    size += uncompressed;
    const data = structs.get(DATA_PAGE) ?? structs.get(DATA_PAGE_V2);
    const inPage = (data ?? structs.get(DICTIONARY_PAGE))?.integers.get(NUM_VALUES) ?? 0;
    if (data !== undefined) values += inPage;
    const isValid = inPage >= 0 && compressed >= 0 && uncompressed >= 0 && compressed <= bytes.length - walker.at;
    if (!isValid || inPage > Math.max(maxValues, uncompressed) || values > maxValues || size > maxBytes) {
      throw new Error('a page holds more than the footer says of its column');
    }
    walker.at += compressed;
  }
  if (values !== maxValues) throw new Error('pages hold fewer values than the footer says of their column');
}
