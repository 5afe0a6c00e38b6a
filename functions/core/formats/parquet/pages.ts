/**
 * Checks the pages of a column before they are decoded. The library believes counts in them: damaged ones would have it fill
 * gigabytes, or never return.
 */

import type { ColumnMetaData } from 'hyparquet';
import { type Struct, ThriftWalker } from './thrift.ts';

/** The highest definition and repetition levels of a column. */
export interface Levels {
  definition: number;
  repetition: number;
}

/** A page with compressed data, in the order in which the library decompresses them. */
export interface CompressedPage {
  /** Length of the compressed data. */
  bytes: number;
  /** @throws Error if the decompressed data are not what the header says */
  check(data: Uint8Array): void;
}

/** Fields of a page's header: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift. */
const [UNCOMPRESSED, COMPRESSED, DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2] = [2, 3, 5, 7, 8] as const;
/** Fields of the headers of both kinds of data pages, and of the newer one alone. */
const NUM_VALUES = 1;
const ENCODING = { [DATA_PAGE]: 2, [DATA_PAGE_V2]: 4 } as const;
const [DEFINITION_BYTES, REPETITION_BYTES] = [5, 6] as const;
/** Encodings. */
const [PLAIN_DICTIONARY, RLE, RLE_DICTIONARY] = [2, 3, 8] as const;
const DELTAS: readonly number[] = [5, 6, 7];
/** Headers are part of a column's size, and sizes are not always counted alike. */
const SLACK_BYTES = 65_536;
/** Values that writers may add to fill a group of bit-packed ones. */
const MAX_PADDING = 512;
const MAX_BIT_WIDTH = 32;
const MAX_DELTA_BLOCK = 1_048_576;

/**
 * @param bytes all of the column chunk
 * @returns the pages that are compressed
 * @throws Error if pages hold more than the footer says of the column
 */
export function checkPages(bytes: Buffer, column: ColumnMetaData, levels: Levels): CompressedPage[] {
  const maxValues = Number(column.num_values);
  const maxBytes = Number(column.total_uncompressed_size) + SLACK_BYTES;
  const isCompressed = column.codec !== 'UNCOMPRESSED';
  const walker = new ThriftWalker(bytes);
  const compressedPages: CompressedPage[] = [];
  let values = 0;
  let size = 0;
  while (walker.at < bytes.length - 1 && values < maxValues) {
    const { integers, structs } = walker.struct();
    const compressed = integers.get(COMPRESSED) ?? -1;
    const uncompressed = integers.get(UNCOMPRESSED) ?? -1;
    size += uncompressed;
    const first = structs.get(DATA_PAGE);
    const second = structs.get(DATA_PAGE_V2);
    const inPage = (first ?? second ?? structs.get(DICTIONARY_PAGE))?.integers.get(NUM_VALUES) ?? 0;
    if (first !== undefined || second !== undefined) values += inPage;
    const isValid = inPage >= 0 && compressed >= 0 && uncompressed >= 0 && compressed <= bytes.length - walker.at;
    if (!isValid || inPage > Math.max(maxValues, 8 * uncompressed) || values > maxValues || size > maxBytes) {
      throw new Error('a page holds more than the footer says of its column');
    }
    const data = bytes.subarray(walker.at, walker.at + compressed);
    walker.at += compressed;
    let rest = data;
    let hasData = true;
    let check = (_: Uint8Array) => {};
    if (first !== undefined) check = (page) => checkFirst(page, first, levels, inPage);
    else if (second !== undefined) {
      rest = data.subarray(checkLevels(data, second, levels, inPage));
      // Without values there is nothing to decompress.
      hasData = uncompressed > data.length - rest.length;
      check = (page) => checkValues(page, 0, second.integers.get(ENCODING[DATA_PAGE_V2]) ?? 0, inPage);
    }
    if (!hasData) continue;
    if (isCompressed && second?.booleans.get(7) !== false) compressedPages.push({ bytes: rest.length, check });
    else check(rest);
  }
  if (values !== maxValues) throw new Error('pages hold fewer values than the footer says of their column');
  return compressedPages;
}

/** A page of the older kind, whose levels are part of the data. */
function checkFirst(page: Uint8Array, header: Struct, { repetition, definition }: Levels, count: number): void {
  let at = 0;
  for (const level of [repetition, definition]) {
    if (level === 0) continue;
    const begin = at + 4;
    if (begin > page.length) throw new Error('a page ends in its levels');
    at = begin + new DataView(page.buffer, page.byteOffset + at, 4).getUint32(0, true);
    if (at > page.length) throw new Error('a page ends in its levels');
    checkLevelRuns(page, begin, at, level, count);
  }
  checkValues(page, at, header.integers.get(ENCODING[DATA_PAGE]) ?? 0, count);
}

/** The levels of a page of the newer kind, which are never compressed; returns where they end. */
function checkLevels(page: Uint8Array, header: Struct, { repetition, definition }: Levels, count: number): number {
  const repetitionEnd = header.integers.get(REPETITION_BYTES) ?? 0;
  const end = repetitionEnd + (header.integers.get(DEFINITION_BYTES) ?? 0);
  if (!(repetitionEnd >= 0 && end >= repetitionEnd && end <= page.length)) throw new Error('a page ends in its levels');
  if (repetition > 0) checkLevelRuns(page, 0, repetitionEnd, repetition, count);
  if (definition > 0) checkLevelRuns(page, repetitionEnd, end, definition, count);
  return end;
}

function checkValues(page: Uint8Array, at: number, encoding: number, count: number): void {
  if (at >= page.length) return;
  if (encoding === PLAIN_DICTIONARY || encoding === RLE_DICTIONARY) {
    checkRuns(page, at + 1, page.length, page[at]!, count);
  } else if (encoding === RLE) {
    checkRuns(page, Math.min(at + 4, page.length), page.length, 1, count);
  } else if (DELTAS.includes(encoding)) {
    const integers = new Varints(page, at, page.length);
    const isValid =
      integers.next() <= MAX_DELTA_BLOCK && integers.next() <= MAX_DELTA_BLOCK && integers.next() <= count;
    if (!isValid) throw new Error('a page of deltas holds more than its header says');
  }
}

/** Checks runs of equal or bit-packed values, and returns how many there are: https://github.com/apache/parquet-format/blob/master/Encodings.md#RLE. */
function checkRuns(page: Uint8Array, from: number, to: number, bitWidth: number, count: number): number {
  if (bitWidth > MAX_BIT_WIDTH) throw new Error('a page has values of too many bits');
  const integers = new Varints(page, from, to);
  let seen = 0;
  while (seen < count && integers.at < to) {
    const header = integers.next();
    const isPacked = header % 2 === 1;
    const run = Math.floor(header / 2) * (isPacked ? 8 : 1);
    seen += run;
    if (seen > count + (isPacked ? MAX_PADDING : 0)) throw new Error('a page has more values than its header says');
    integers.at += isPacked ? (run / 8) * bitWidth : Math.ceil(bitWidth / 8);
  }
  return seen;
}

/** The library reads levels until it has enough, wherever they end. */
function checkLevelRuns(page: Uint8Array, from: number, to: number, level: number, count: number): void {
  const seen = checkRuns(page, from, to, 32 - Math.clz32(level), count);
  if (seen < count) throw new Error('a page has fewer levels than values');
}

/** Integers of variable length, one after the other. */
class Varints {
  at: number;
  readonly #page: Uint8Array;
  readonly #to: number;

  constructor(page: Uint8Array, at: number, to: number) {
    this.#page = page;
    this.at = at;
    this.#to = to;
  }

  next(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 35 && this.at < this.#to; factor *= 128) {
      const byte = this.#page[this.at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new Error('a page ends in the middle of an integer, or has one that is too large');
  }
}
