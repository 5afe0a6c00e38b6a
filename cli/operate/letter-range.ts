/** Reads the records that one letter stands for: from the object where they are, or from the letter if it holds a message. */

import type { Storage } from '@google-cloud/storage';
import {
  type Block,
  type Location,
  lengthOf,
  noCounts,
  offsetOf,
  recordsFrom,
  type Source,
} from '../../functions/core/block.ts';
import { placeOf } from '../../functions/core/events.ts';
import { MessageReader } from '../../functions/core/formats/read-message.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import { addRejection, countAll } from '../../functions/core/rejections.ts';
import type { Run } from '../../functions/core/run.ts';
import { ObjectGoneError } from '../../functions/storage/read-object.ts';
import type { Letter } from './letters.ts';
import { type ObjectScan, scanObject } from './scan-object.ts';

/** The records cannot be found: the letter stays as it is. */
export class RangeLostError extends Error {
  override readonly name = 'RangeLostError';
}

/** Reads ranges, one after the other. Letters of one object that are in its order have it read once. */
export class RangeReader {
  readonly #insertIdOf: InsertIdOf;
  readonly #endpoint: string | undefined;
  readonly #run: Run;
  #storage: Promise<Storage> | undefined;
  #scan: ObjectScan | undefined;

  /** @param endpoint base URL of another Cloud Storage; default: Google's */
  constructor(insertIdOf: InsertIdOf, endpoint: string | undefined, run: Run) {
    this.#insertIdOf = insertIdOf;
    this.#endpoint = endpoint;
    this.#run = run;
  }

  /**
   * Yields the blocks of a letter's range, or of the whole message if it has none. The bytes of a block last until the next
   * one is asked for.
   *
   * @param source the source of the blocks
   * @throws {@link RangeLostError} before the first block; whatever reading the object throws
   */
  async *read(letter: Letter, source: Source): AsyncGenerator<Block> {
    const range = letter.range ?? { from: 0, to: Number.POSITIVE_INFINITY };
    let isFound = false;
    for await (const whole of this.#blocks(letter, source)) {
      const { block, first } = blockWithin(whole, source, range);
      if (first === undefined) continue;
      // If records begin elsewhere now, the range says nothing any more.
      if (!isFound && first !== range.from) break;
      isFound = true;
      yield block;
    }
    if (!isFound) throw new RangeLostError('there is no record where the first of its records was');
  }

  /** Ends the reading of an object. */
  async close(): Promise<void> {
    const scan = this.#scan;
    this.#scan = undefined;
    await scan?.close();
  }

  #blocks(letter: Letter, source: Source): AsyncIterable<Block> | Iterable<Block> {
    // Without a limit each rejection is there by itself.
    const unlimited = { ...source, limit: undefined };
    if ('bucket' in letter.source) return this.#objectBlocks(letter, unlimited);
    return new MessageReader(this.#insertIdOf).read(letter.record, unlimited, this.#run.stopping);
  }

  async *#objectBlocks({ range, source: location }: Letter, source: Source): AsyncGenerator<Block> {
    const scan = await this.#scanFrom(range!.from, location, source);
    for (;;) {
      if (scan.block === undefined) return;
      yield scan.block;
      // The next range may begin in the same block. Rows of the next block may have the same offset.
      const { offset } = scan.block.end;
      if (offset > range!.to || (offset === range!.to && scan.block.records.form === 'json')) return;
      await scan.next();
    }
  }

  async #scanFrom(from: number, location: Location, source: Source): Promise<ObjectScan> {
    if (!('bucket' in location)) throw new TypeError('not an object');
    const { bucket, object, generation } = location;
    const scan = this.#scan;
    if (scan !== undefined) {
      const is = scan.object;
      const isSame = is.bucket === bucket && is.object === object && is.generation === generation;
      if (isSame && scan.begin <= from) return scan;
      await this.close();
    }
    this.#storage ??= import('../../functions/storage/client.ts').then(({ createReadingStorage }) =>
      createReadingStorage(this.#endpoint),
    );
    const context = { source, insertIdOf: this.#insertIdOf, ordinal: 'line' } as const;
    try {
      const options = { storage: await this.#storage, context, run: this.#run };
      this.#scan = await scanObject({ bucket, object, generation }, options);
      return this.#scan;
    } catch (error) {
      if (!(error instanceof ObjectGoneError)) throw error;
      throw new RangeLostError(
        `gs://${bucket}/${object}#${generation}, where its records are, does not exist any more`,
      );
    }
  }
}

/** The part of a block that is in the range, with `source` as its source, and where its first record is. */
function blockWithin(
  block: Block,
  source: Source,
  { from, to }: { from: number; to: number },
): { block: Block; first: number | undefined } {
  const placed = { source, records: block.records };
  const length = lengthOf(block.records);
  const isRows = block.records.form === 'rows' && source.context.kind !== 'message';
  let begin = 0;
  while (begin < length && placeOf(placed, begin).from < from) begin++;
  let end = begin;
  while (end < length && placeOf(placed, end).to <= to) end++;
  // A range ends where the last of its rows begins, at an offset that others may share.
  const isWithin = (offset: number) => offset >= from && (offset < to || (offset === to && isRows));
  const found = block.rejections.filter(({ location }) => isWithin(offsetOf(location)));
  const records = end - begin;
  const { limit, stored } = source;
  if (limit !== undefined) limit.read += records + found.length;
  const rejections: Block['rejections'] = [];
  for (const rejection of found) {
    const offset = offsetOf(rejection.location);
    const place = { source, from: offset, to: offset + (stored === undefined ? rejection.bytes : 1), stored };
    addRejection(rejections, { ...place, canExtend: true }, () => rejection);
  }
  const rejected = countAll(rejections);
  const firsts = [
    ...(records > 0 ? [placeOf(placed, begin).from] : []),
    ...(found.length > 0 ? [offsetOf(found[0]!.location)] : []),
  ];
  return {
    block: {
      ...withoutPositions(block),
      source,
      records: recordsFrom(block.records, begin, end),
      rejections,
      foundRejections: rejections.length,
      counts: { ...noCounts(), read: records + rejected, rejected },
    },
    first: firsts.length === 0 ? undefined : Math.min(...firsts),
  };
}

/** The block as one that only settles as a whole. */
function withoutPositions({ positionAt: _, ...block }: Block): Block {
  return block;
}
