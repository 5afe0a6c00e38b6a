/** The framing of Avro container files (https://avro.apache.org/docs/1.12.0/specification/#object-container-files). */

import { CODEC_NAMES, type Decompress, findCodec } from './codec.ts';
import { AvroError, Cursor, ShortError } from './cursor.ts';
import { dataOf, holdsMessages, recordOf } from './messages.ts';
import { compileSchema, type Read } from './schema.ts';

const MAGIC = Buffer.from('Obj\x01', 'latin1');
const SYNC_BYTES = 16;
/** The most that a header may have: schemas of warehouses have some hundred kilobytes. */
const MAX_HEADER_BYTES = 4_194_304;
/** The most that a block may have as it is stored. Writers make blocks of some kilobytes, at most of a few megabytes. */
const MAX_BLOCK_BYTES = 33_554_432;

/** What the header of a file says, as positions keep it. */
export interface Header {
  schema: string;
  codec: string;
  /** The marker that ends every block, as base64. */
  sync: string;
}

/** How the blocks of a file are read. */
export interface Container {
  header: Header;
  sync: Buffer;
  decompress: Decompress;
  read: Read;
  /** The row as it is stored, where it is not one of the schema's but what a message holds. */
  original?: (cursor: Cursor) => Buffer;
}

/** A block of the file, by indexes of the bytes that it was found in. */
export interface Frame {
  rows: number;
  from: number;
  to: number;
  /** After the marker. */
  end: number;
}

/**
 * Reads the header that `bytes` begin with.
 *
 * @returns undefined if it needs more bytes
 * @throws {@link AvroError} if it is not valid, or the file cannot be read
 */
export function readHeader(bytes: Buffer, isLast: boolean): { container: Container; length: number } | undefined {
  const cursor = new Cursor(bytes);
  const metadata = new Map<string, Buffer>();
  try {
    if (!cursor.slice(MAGIC.length).equals(MAGIC)) throw new AvroError('it does not begin as an Avro file');
    for (let count = cursor.size(); count !== 0; count = cursor.size()) {
      if (count < 0) cursor.size();
      for (let left = Math.abs(count); left > 0; left--) metadata.set(cursor.text(), cursor.slice(cursor.size()));
    }
    const sync = cursor.slice(SYNC_BYTES).toString('base64');
    const header = {
      schema: metadata.get('avro.schema')?.toString() ?? '',
      codec: metadata.get('avro.codec')?.toString() || 'null',
      sync,
    };
    return { container: open(header), length: cursor.at };
  } catch (error) {
    if (error instanceof ShortError && !isLast && bytes.length <= MAX_HEADER_BYTES) return undefined;
    throw error;
  }
}

/** @throws {@link AvroError} if the codec is unknown, or the schema not valid */
export function open(header: Header): Container {
  const decompress = findCodec(header.codec);
  if (decompress === undefined) {
    const codec = JSON.stringify(header.codec.slice(0, 100));
    throw new AvroError(`its codec is ${codec}, and those that are read are ${CODEC_NAMES.join(', ')}`);
  }
  let schema: unknown;
  try {
    schema = JSON.parse(header.schema);
  } catch {
    throw new AvroError('its schema is not JSON');
  }
  const read = compileSchema(schema);
  const container = { header, sync: Buffer.from(header.sync, 'base64'), decompress };
  if (!holdsMessages(schema)) return { ...container, read };
  const original = (cursor: Cursor) => dataOf(read, cursor);
  return { ...container, read: (cursor) => recordOf(original(cursor)), original };
}

/**
 * Finds the block that begins at `at`.
 *
 * @returns the number of bytes from `at` on that are needed, if there are fewer
 * @throws {@link AvroError} if there is no valid block
 */
export function readFrame(bytes: Buffer, at: number, sync: Buffer): Frame | number {
  const cursor = new Cursor(bytes, at);
  let rows: number;
  let size: number;
  try {
    rows = cursor.size();
    size = cursor.size();
  } catch (error) {
    if (error instanceof ShortError) return bytes.length - at + 1;
    throw error;
  }
  if (rows < 0 || size < 0) throw new AvroError('its length is not valid');
  if (size > MAX_BLOCK_BYTES) throw new AvroError(`it has more than ${MAX_BLOCK_BYTES} bytes`);
  const from = cursor.at;
  const to = from + size;
  const end = to + SYNC_BYTES;
  if (end > bytes.length) return end - at;
  if (bytes.compare(sync, 0, SYNC_BYTES, to, end) !== 0) throw new AvroError('it does not end with the marker');
  return { rows, from, to, end };
}
