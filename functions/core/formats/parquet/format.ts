/** Parquet files as a format: row groups are read one after the other, by ranges of the file. */

import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetScan,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
} from 'hyparquet';
import { compressors as libraryCompressors } from 'hyparquet-compressors';
import { type Block, type Position, type RowRecords, START } from '../../block.ts';
import type { Format, ParseContext, RangeReader } from '../format.ts';
import { rowBlock, rowSource, unreadableBlock } from '../rows.ts';
import { unsnappy } from '../snappy.ts';
import { setMember } from '../values.ts';
import { unzstdSync } from '../zstd.ts';
import { type Column, withRawTypes } from './columns.ts';
import { chunkOf, readFooter } from './footer.ts';
import { availableMemory, checkMemory } from './memory.ts';
import { type CompressedPage, checkPages, type Levels } from './pages.ts';

/** Rows that are values at the same time. */
const SLICE_ROWS = 1_000;
/** Bytes before the first row group. */
const MAGIC_BYTES = 4;

/** A row group. */
interface Group {
  metadata: RowGroup;
  rows: number;
  /** Number in the file of its first row. */
  firstRow: number;
  /** Bytes of the groups before it, and of all up to its end: what positions have for an offset. */
  offset: number;
  end: number;
}

/** The decoded columns of a row group. */
type Decoded = readonly (Column & { values: ArrayLike<unknown> })[];

/** Node's own where there are any: they are faster than the library's. */
const compressors: Compressors = {
  ...libraryCompressors,
  SNAPPY: unsnappy,
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: length + 1 }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: length + 1 }),
  ZSTD: (input, length) => unzstdSync(Buffer.from(input.buffer, input.byteOffset, input.length), length),
};

/** Compressors that check what they have decompressed of the page that `next` returns. */
function checkedCompressors(next: () => CompressedPage | undefined): Compressors {
  return Object.fromEntries(
    Object.entries(compressors).map(([codec, decompress]) => [
      codec,
      (input: Uint8Array, length: number) => {
        const page = next();
        if (page?.bytes !== input.length) throw new Error('pages are not where their headers say');
        const output = decompress(input, length);
        page.check(output);
        return output;
      },
    ]),
  );
}

/** The format of what begins with `PAR1`. */
export const parquetFormat: Format = { access: 'range', name: 'parquet', blocks: readParquet };

async function* readParquet(
  file: RangeReader,
  given: ParseContext,
  from: Position = START,
): AsyncGenerator<Block[], void> {
  const context = { ...given, source: rowSource(given.source) };
  const footer = await readFooter(file);
  if (typeof footer === 'string') {
    const message = `the Parquet file is not usable: ${footer}`;
    const part = { offset: 0, ordinal: 0, head: Buffer.alloc(0), bytes: file.byteLength };
    const end = { offset: file.byteLength, line: 2, checksum: 0 };
    yield [unreadableBlock(context, { ...part, reason: { field: 'record', message } }, end)];
    return;
  }
  const { metadata, columns } = footer;
  const groups = groupsOf(metadata, file.byteLength);
  const settled = (from.state as { row: number } | undefined)?.row ?? 0;
  const left = groups.filter(({ firstRow, rows }) => firstRow + rows > settled);
  checkMemory(
    left.map((group) => group.metadata),
    context.memoryBytes ?? availableMemory(),
  );
  const raw = withRawTypes(metadata);
  for (const group of left) {
    const decoded = await decodeGroup(file, raw, group, columns);
    if (typeof decoded === 'string') yield [unreadableGroup(context, group, group.firstRow, decoded)];
    else yield* sliceGroup(context, group, decoded, Math.max(settled, group.firstRow));
  }
  const start = Math.max(from.offset, groups.at(-1)?.end ?? 0);
  if (start === file.byteLength) return;
  const end = positionAt(file.byteLength, Number(metadata.num_rows));
  yield [rowBlock(context.source, start, end, recordsOf([], 0, 0, 0), () => end)];
}

function groupsOf({ row_groups }: FileMetaData, byteLength: number): Group[] {
  let firstRow = 0;
  let offset = MAGIC_BYTES;
  return row_groups.map((metadata) => {
    const bytes = metadata.columns.reduce((sum, { meta_data }) => sum + Number(meta_data!.total_compressed_size), 0);
    const rows = Number(metadata.num_rows);
    const end = Math.min(offset + bytes, byteLength);
    const group = { metadata, rows, firstRow, offset, end };
    firstRow += rows;
    offset = end;
    return group;
  });
}

/** The columns of a row group; or what is wrong with it. */
async function decodeGroup(
  file: RangeReader,
  metadata: FileMetaData,
  group: Group,
  columns: readonly Column[],
): Promise<Decoded | string> {
  const chunks = group.metadata.columns.map(({ meta_data }) => ({ ...chunkOf(meta_data!), column: meta_data! }));
  const begin = chunks.reduce((least, chunk) => Math.min(least, chunk.begin), Number.POSITIVE_INFINITY);
  const end = chunks.reduce((most, chunk) => Math.max(most, chunk.end), 0);
  const bytes = await file.slice(begin, end);
  // Ranges of what was read, as the library asks for them.
  const cached: AsyncBuffer = {
    byteLength: file.byteLength,
    slice: (from, to = file.byteLength) => bytes.slice(from - begin, to - begin),
  };
  const rowStart = group.firstRow;
  const rowEnd = rowStart + group.rows;
  const parsers = { timestampFromNanoseconds: (nanos: bigint) => nanos };
  const tree = parquetSchema(metadata);
  let pages: CompressedPage[] = [];
  try {
    const checked = checkedCompressors(() => pages.shift());
    const options = { file: cached, metadata, rowStart, rowEnd, compressors: checked, parsers, utf8: false };
    const scan = await parquetScan({ ...options, useOffsetIndex: false } as Parameters<typeof parquetScan>[0]);
    const decoded: (Column & { values: ArrayLike<unknown> })[] = [];
    for (const column of columns) {
      // In the order in which the library decompresses them.
      pages = chunks
        .filter((chunk) => chunk.column.path_in_schema[0] === column.name)
        .flatMap((chunk) => {
          const part = Buffer.from(bytes, chunk.begin - begin, chunk.end - chunk.begin);
          return checkPages(part, chunk.column, levelsOf(tree, chunk.column.path_in_schema));
        });
      const values = await scan.readColumn({ column: column.name, rowStart, rowEnd });
      if (values.length !== group.rows) return `column ${JSON.stringify(column.name)} has ${values.length} rows`;
      decoded.push({ ...column, values });
    }
    return decoded;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function levelsOf(tree: SchemaTree, path: readonly string[]): Levels {
  const levels = { definition: 0, repetition: 0 };
  let node: SchemaTree | undefined = tree;
  for (const name of path) {
    node = node.children.find(({ element }) => element.name === name);
    if (node === undefined) throw new Error('a column is not in the schema');
    if (node.element.repetition_type !== 'REQUIRED') levels.definition++;
    if (node.element.repetition_type === 'REPEATED') levels.repetition++;
  }
  return levels;
}

/** @param from the first row that is not read */
function unreadableGroup(context: ParseContext, group: Group, from: number, problem: string): Block {
  const { offset, end, firstRow, rows } = group;
  const message = `the Parquet row group of ${rows} rows is corrupt: ${problem}`;
  const part = { offset, ordinal: from, head: Buffer.alloc(0), bytes: end - offset };
  return unreadableBlock(context, { ...part, reason: { field: 'record', message } }, positionAt(end, firstRow + rows));
}

function* sliceGroup(context: ParseContext, group: Group, decoded: Decoded, from: number): Generator<Block[], void> {
  const { firstRow, rows, offset, end } = group;
  const last = firstRow + rows;
  for (let first = from; first < last; first += SLICE_ROWS) {
    const to = Math.min(first + SLICE_ROWS, last);
    let records: RowRecords;
    try {
      records = recordsOf(decoded, first, to, firstRow, offset);
    } catch (error) {
      yield [unreadableGroup(context, group, first, error instanceof Error ? error.message : String(error))];
      return;
    }
    const position = (row: number) => positionAt(row === last ? end : offset, row);
    yield [rowBlock(context.source, offset, position(to), records, (record) => position(first + record))];
  }
}

function recordsOf(decoded: Decoded, first: number, to: number, groupStart: number, offset = 0): RowRecords {
  const rows: unknown[] = [];
  for (let row = first; row < to; row++) rows.push(rowOf(decoded, row - groupStart, false));
  const numbers = Float64Array.from({ length: to - first }, (_, index) => first + index);
  return {
    form: 'rows',
    rows,
    first: 0,
    offsets: new Float64Array(to - first).fill(offset),
    ordinals: numbers,
    original: (index) => Buffer.from(JSON.stringify(rowOf(decoded, first + index - groupStart, true))),
    release() {
      rows.length = 0;
    },
  };
}

function rowOf(decoded: Decoded, index: number, isExact: boolean): object {
  const row: Record<string, unknown> = {};
  for (const { name, values, render } of decoded) setMember(row, name, render(values[index], isExact));
  return row;
}

/** The position before the row with that number in the file. */
function positionAt(offset: number, row: number): Position {
  return { offset, line: row + 1, checksum: 0, state: { row } };
}
