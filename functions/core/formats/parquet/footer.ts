/** Reads the footer of a Parquet file, and checks that the file can be what it says. */

import { type FileMetaData, parquetMetadata, parquetSchema } from 'hyparquet';
import type { RangeReader } from '../format.ts';
import { type Column, columnsOf } from './columns.ts';
import { ThriftWalker } from './thrift.ts';

/** `PAR1`, the length of the metadata, and `PAR1`. */
const MIN_FILE_BYTES = 12;
const TAIL_BYTES = 8;
/** Bytes that are read at first; most footers have fewer. */
const FIRST_BYTES = 65_536;
/** The most that a footer may have. */
const MAX_FOOTER_BYTES = 67_108_864;

/** What a footer says. */
export interface Footer {
  metadata: FileMetaData;
  columns: Column[];
}

/**
 * What the footer says; or what is wrong with the file.
 *
 * @throws whatever `file` throws
 */
export async function readFooter(file: RangeReader): Promise<Footer | string> {
  const { byteLength } = file;
  if (byteLength < MIN_FILE_BYTES) return 'it is cut short';
  const from = Math.max(0, byteLength - FIRST_BYTES);
  let footer = Buffer.from(await file.slice(from, byteLength));
  const magic = footer.toString('latin1', footer.length - 4);
  if (magic === 'PARE') return 'it is encrypted, which is not supported';
  if (magic !== 'PAR1') return 'it is cut short: it does not end with PAR1';
  const length = footer.readUInt32LE(footer.length - TAIL_BYTES);
  if (length > byteLength - MIN_FILE_BYTES) return 'its footer is larger than the file';
  if (length > MAX_FOOTER_BYTES) return `its footer has more than ${MAX_FOOTER_BYTES} bytes`;
  if (length + TAIL_BYTES > footer.length) {
    footer = Buffer.from(await file.slice(byteLength - length - TAIL_BYTES, byteLength));
  }
  try {
    const metadata = footer.subarray(footer.length - length - TAIL_BYTES);
    new ThriftWalker(metadata.subarray(0, length)).struct();
    const parsed = parquetMetadata(Uint8Array.from(metadata), { geoparquet: false });
    const problem = problemOf(parsed, byteLength);
    if (problem !== undefined) return `its footer is not valid: ${problem}`;
    return { metadata: parsed, columns: columnsOf(parquetSchema(parsed)) };
  } catch (error) {
    return `its footer is not valid: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** What cannot be. */
function problemOf(metadata: FileMetaData, byteLength: number): string | undefined {
  let rows = 0;
  for (const { columns, num_rows } of metadata.row_groups) {
    rows += Number(num_rows);
    if (num_rows < 0n || !Number.isSafeInteger(Number(num_rows))) return 'a row group has no size';
    for (const { meta_data: column, file_path, crypto_metadata } of columns as ((typeof columns)[number] & {
      crypto_metadata?: unknown;
    })[]) {
      if (crypto_metadata !== undefined) return 'it is encrypted, which is not supported';
      if (file_path) return 'its columns are in other files, which is not supported';
      if (column === undefined) return 'a column has no metadata';
      const { begin, end } = chunkOf(column);
      const counts = [column.num_values, column.total_uncompressed_size];
      if (!(begin >= 4 && end >= begin && end <= byteLength) || counts.some((count) => count < 0n)) {
        return 'a column is not within the file';
      }
      if (column.path_in_schema.length === 1 && column.num_values > num_rows) {
        // More values than rows have only lists.
        const isList = metadata.schema.some(
          ({ name, repetition_type }) => name === column.path_in_schema[0] && repetition_type === 'REPEATED',
        );
        if (!isList) return 'a column has more values than rows';
      }
    }
  }
  if (rows !== Number(metadata.num_rows)) return 'row groups have other numbers of rows than the file';
  return undefined;
}

/** Where the pages of a column are. */
export function chunkOf(column: {
  dictionary_page_offset?: bigint | undefined;
  data_page_offset: bigint;
  total_compressed_size: bigint;
}) {
  const begin = Number(column.dictionary_page_offset || column.data_page_offset);
  return { begin, end: begin + Number(column.total_compressed_size) };
}
