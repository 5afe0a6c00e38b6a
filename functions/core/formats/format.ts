/** Formats: how decoded bytes become blocks of records. A format knows nothing about sources, a source nothing about formats. */

import type { Block, Position, Source } from '../block.ts';
import type { InsertIdOf } from '../insert-id.ts';
import type { Mapping } from '../mappings/mapping.ts';
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
export interface Format {
  /** How the format reads its source: as a stream, from beginning to end. */
  access: 'stream';
  /** As it is stored in checkpoints. */
  name: string;
  /**
   * @param from    where an earlier run stopped; default: the beginning
   * @param scratch what parsers of sources that are read one after the other share
   */
  parser(context: ParseContext, from?: Position, scratch?: Scratch): StreamParser;
}

const FORMATS: readonly Format[] = [jsonFormat, snowplowFormat];

/** The format of content that begins with `head`: as the mapping says, or by its content. */
export function recognizeFormat(head: Buffer, mapping: Mapping): Format {
  if (mapping.kind === 'mapped' && mapping.format === 'snowplow') return snowplowFormat;
  return isToldByLine(mapping) && isSnowplow(head) ? snowplowFormat : jsonFormat;
}

/**
 * Whether the first line tells the format of text. What is sent as it arrives is JSON: other text is rejected as a whole, by a
 * reason that says what it looks like.
 */
export function isToldByLine(mapping: Mapping): boolean {
  return mapping.kind === 'mapped' && mapping.format === undefined;
}

/** The format with that name; undefined if there is none. */
export function findFormat(name: string): Format | undefined {
  return FORMATS.find((format) => format.name === name);
}
