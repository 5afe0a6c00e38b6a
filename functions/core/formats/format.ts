/** Formats: how decoded bytes become blocks of records. A format knows nothing about sources, a source nothing about formats. */

import type { Block, Position, Source } from '../block.ts';
import type { InsertIdOf } from '../insert-id.ts';
import type { TextFormat } from './csv/dialect.ts';
import { jsonFormat } from './json/format.ts';

/** What all blocks of one source have in common. */
export interface ParseContext {
  source: Source;
  insertIdOf: InsertIdOf;
  /** What ordinals count: lines from 1, or records from 0. */
  ordinal: 'line' | 'index';
  /** Continues a checksum over `bytes`; without it no checksum is kept. */
  checksumOf?: ((bytes: Buffer, before: number) => number) | undefined;
  /**
   * The source as it was stored, if nothing else keeps it (a message): rejected records are then held whole, and one
   * rejection of all of it holds these bytes. Chunks must then be pieces of one buffer that nobody overwrites.
   */
  stored?: Buffer | undefined;
  /** Bytes that make a block. */
  blockBytes?: number;
  /** Memory that the process may take, in bytes; default: what the machine and the heap allow. */
  memoryBytes?: number;
}

/**
 * Turns the bytes of one source, chunk by chunk, into blocks. Where chunks begin and end makes no difference. Take all blocks
 * that a call returns before the next call.
 */
export interface StreamParser {
  /**
   * Takes the next bytes of the decoded content and returns the blocks that they complete. Unless a block owns its bytes,
   * the next call overwrites them.
   */
  push(chunk: Buffer): Iterable<Block>;
  /** Returns what is complete so far, without waiting for enough bytes to make a block. */
  flush(): Iterable<Block>;
  /** Ends the content and returns the last blocks. */
  end(): Iterable<Block>;
  /** Ends the content because nothing after it can be decoded: the bytes not parsed yet become one rejection with `message`. */
  breakOff(message: string): Iterable<Block>;
}

/** A format. */
export type Format = StreamFormat | RangeFormat;

/** A format that reads its source as a stream, from beginning to end. */
export interface StreamFormat {
  access: 'stream';
  /** As it is stored in checkpoints. */
  name: string;
  /** @param from where an earlier run stopped; default: the beginning */
  parser(context: ParseContext, from?: Position): StreamParser;
}

/** A format that reads parts of its source, here and there. */
export interface RangeFormat {
  access: 'range';
  /** As it is stored in checkpoints. */
  name: string;
  /**
   * @param from where an earlier run stopped; default: the beginning
   * @throws {@link ImportError} `memory_exceeded` if a part does not fit into memory; whatever `file` throws
   */
  blocks(file: RangeReader, context: ParseContext, from?: Position): AsyncGenerator<Block[], void>;
}

/** Content of which any part can be read. */
export interface RangeReader {
  byteLength: number;
  /** The bytes from `start` up to `end`. */
  slice(start: number, end: number): Promise<ArrayBuffer>;
}

/** A format that is not loaded yet: what JSON needs is all that is loaded for JSON. */
interface KnownFormat {
  name: string;
  /** Whether the first bytes of the content are the format's signature. */
  recognizes(head: Buffer): boolean;
  load(): Promise<Format>;
}

const AVRO_MAGIC = Buffer.from('Obj\x01', 'latin1');

/** The second one is that of encrypted footers. */
const PARQUET_MAGICS: readonly string[] = ['PAR1', 'PARE'];

const FORMATS: readonly KnownFormat[] = [
  {
    name: 'avro',
    recognizes: (head) => head.subarray(0, AVRO_MAGIC.length).equals(AVRO_MAGIC),
    load: async () => (await import('./avro/format.ts')).avroFormat,
  },
  {
    name: 'parquet',
    recognizes: (head) => head.length >= 4 && PARQUET_MAGICS.includes(head.toString('latin1', 0, 4)),
    load: async () => (await import('./parquet/format.ts')).parquetFormat,
  },
];

/**
 * The format of content that begins with `head`. Content that begins with no signature is text.
 *
 * @param text how text is told into rows; default: it is JSON
 */
export async function recognizeFormat(head: Buffer, text?: TextFormat): Promise<Format> {
  const known = FORMATS.find(({ recognizes }) => recognizes(head));
  if (known !== undefined) return known.load();
  return text === undefined ? jsonFormat : (await import('./csv/format.ts')).csvFormat(text);
}

/** The format with that name; undefined if there is none. */
export async function findFormat(name: string): Promise<Format | undefined> {
  if (name === jsonFormat.name) return jsonFormat;
  if (name === 'csv') return (await import('./csv/format.ts')).csvFormat();
  return FORMATS.find((format) => format.name === name)?.load();
}
