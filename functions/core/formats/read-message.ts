/** Reads the data of a message as blocks of records. */

import { gunzipSync } from 'node:zlib';
import type { Block, Reason, Source } from '../block.ts';
import { noCounts, START, throughOf } from '../block.ts';
import type { InsertIdOf } from '../insert-id.ts';
import { CorruptContentError } from './corrupt.ts';
import { JsonParser, newScratch, type Scratch } from './json/parser.ts';
import { isZstd, unzstdSync } from './zstd.ts';

/** The most that a message may decompress to. */
const MAX_MESSAGE_BYTES = 100_000_000;
/** Layers of compression that are decoded. */
const MAX_LAYERS = 2;
/** Bytes that are parsed at a time. */
const SLICE_BYTES = 1_048_576;

/** Reads messages one after the other. */
export class MessageReader {
  readonly #insertIdOf: InsertIdOf;
  readonly #sliceBytes: number;
  readonly #scratch: Scratch = newScratch();

  /** @param sliceBytes bytes that are parsed at a time; a block has hardly more */
  constructor(insertIdOf: InsertIdOf, sliceBytes = SLICE_BYTES) {
    this.#insertIdOf = insertIdOf;
    this.#sliceBytes = sliceBytes;
  }

  /**
   * Yields the blocks of a message, one at a time; finish with one message before you begin the next.
   *
   * @param stored the message's data; gzip and zstd are recognized by their first bytes
   */
  *read(stored: Buffer, source: Source): Generator<Block> {
    const data = decompress(stored);
    if (!Buffer.isBuffer(data)) {
      yield rejectedBlock(stored, source, data, this.#insertIdOf);
      return;
    }
    const blockBytes = this.#sliceBytes;
    const context = { source, insertIdOf: this.#insertIdOf, ordinal: 'index', stored, blockBytes } as const;
    const parser = new JsonParser(context, START, this.#scratch);
    for (let at = 0; at < data.length; at += blockBytes) yield* parser.push(data.subarray(at, at + blockBytes));
    yield* parser.end();
  }
}

/** A block with one rejection: all of the message. */
export function rejectedBlock(stored: Buffer, source: Source, reason: Reason, insertIdOf: InsertIdOf): Block {
  const rejection = {
    reason,
    location: source.locate(0, 0),
    insertId: insertIdOf(stored, source, 0, 0),
    record: stored,
    bytes: stored.length,
    through: throughOf(source),
  };
  const none = new Float64Array();
  return {
    source,
    records: { form: 'rows', rows: [], first: 0, offsets: none, ordinals: none, original: () => stored },
    end: { ...START, offset: stored.length },
    weight: stored.length,
    rejections: [rejection],
    foundRejections: 1,
    counts: { ...noCounts(), read: 1, rejected: 1 },
    settledRecords: 0,
    pending: 1,
    cutAway: 0,
  };
}

/** The decompressed data, or why they cannot be decompressed. Twice compressed data are read too, as in objects. */
function decompress(stored: Buffer): Buffer | Reason {
  let data = stored;
  try {
    for (let layer = 0; layer < MAX_LAYERS; layer++) {
      if (data[0] === 0x1f && data[1] === 0x8b) data = gunzipSync(data, { maxOutputLength: MAX_MESSAGE_BYTES });
      else if (isZstd(data)) data = unzstdSync(data, MAX_MESSAGE_BYTES);
      else break;
    }
    return data;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isTooLarge = code === 'ERR_BUFFER_TOO_LARGE';
    return {
      field: 'record',
      message: isTooLarge
        ? `it decompresses to more than ${MAX_MESSAGE_BYTES} bytes`
        : `the ${error instanceof CorruptContentError ? error.layer : 'gzip'} data are corrupt: ${message}`,
    };
  }
}
