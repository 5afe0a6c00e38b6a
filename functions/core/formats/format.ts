/** Formats: how decoded bytes become blocks of records. A format knows nothing about sources, a source nothing about formats. */

import type { Block, Position, Source } from '../block.ts';
import type { InsertIdOf } from '../insert-id.ts';
import type { Mapping } from '../mappings/mapping.ts';
import type { TextFormat } from './csv/dialect.ts';
import { jsonFormat } from './json/format.ts';
import type { Scratch } from './json/parser.ts';
import { isSnowplow, snowplowFormat } from './snowplow/format.ts';

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
   * rejection of all of it holds these bytes, as does one of a record that is too large to be held. Chunks must then be
   * pieces of one buffer that nobody overwrites, unless {@link isStreamed}.
   */
  stored?: Buffer | undefined;
  /** Whether chunks are separate buffers although `stored` is given. */
  isStreamed?: boolean | undefined;
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
  /**
   * @param from    where an earlier run stopped; default: the beginning
   * @param scratch what parsers of sources that are read one after the other share
   */
  parser(context: ParseContext, from?: Position, scratch?: Scratch): StreamParser;
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

/** A format that is known by its signature. It is not loaded yet: what JSON needs is all that is loaded for JSON. */
interface SignedFormat {
  name: string;
  /** First bytes of the content, in Latin-1. */
  signatures: readonly string[];
  load(): Promise<Format>;
}

const SIGNED: readonly SignedFormat[] = [
  { name: 'avro', signatures: ['Obj\x01'], load: async () => (await import('./avro/format.ts')).avroFormat },
  // The second signature is that of encrypted footers.
  {
    name: 'parquet',
    signatures: ['PAR1', 'PARE'],
    load: async () => (await import('./parquet/format.ts')).parquetFormat,
  },
];

const SIGNATURE_BYTES = 4;

/**
 * The format of content that begins with `head`: by its signature, as the mapping says, or by its first line. A promise if it
 * is not loaded yet.
 */
export function recognizeFormat(head: Buffer, mapping: Mapping): Format | Promise<Format> {
  const first = head.toString('latin1', 0, SIGNATURE_BYTES);
  const signed = SIGNED.find(({ signatures }) => signatures.includes(first));
  if (signed !== undefined) return signed.load();
  if (isToldByLine(mapping)) return isSnowplow(head) ? snowplowFormat : jsonFormat;
  if (mapping.kind === 'verbatim' || mapping.format === undefined) return jsonFormat;
  return mapping.format === 'snowplow' ? snowplowFormat : loadCsv(mapping.format);
}

/**
 * Whether the first line tells the format of text. What is sent as it arrives is JSON: other text is rejected as a whole, by a
 * reason that says what it looks like.
 */
export function isToldByLine(mapping: Mapping): boolean {
  return mapping.kind === 'mapped' && mapping.format === undefined;
}

/** The format with that name; undefined if there is none. */
export async function findFormat(name: string): Promise<Format | undefined> {
  if (name === 'csv') return loadCsv();
  const format = [jsonFormat, snowplowFormat].find((known) => known.name === name);
  return format ?? SIGNED.find((known) => known.name === name)?.load();
}

async function loadCsv(text?: TextFormat): Promise<Format> {
  return (await import('./csv/format.ts')).csvFormat(text);
}
