/** Reads an object generation again, block by block. */

import type { Storage } from '@google-cloud/storage';
import type { Block } from '../../functions/core/block.ts';
import { type ReadOptions, readBlocks } from '../../functions/core/formats/read-blocks.ts';
import type { Run } from '../../functions/core/run.ts';
import type { ObjectGeneration } from '../../functions/storage/names.ts';
import { createObjectReader, createRangeReader, getMetadata } from '../../functions/storage/read-object.ts';

/** An object that is being read. */
export interface ObjectScan {
  readonly object: ObjectGeneration;
  /** The block that was read last; its bytes last until the next is read. Undefined if there are no more. */
  readonly block: Block | undefined;
  /** Where in the decoded content that block begins. */
  readonly begin: number;
  /** Reads the next block. */
  next(): Promise<void>;
  /** Ends the reading. */
  close(): Promise<void>;
}

/**
 * Begins to read an object generation from its beginning.
 *
 * @param storage a client that does not repeat reads by itself
 * @throws `ObjectGoneError` if the generation does not exist; whatever reading it throws
 */
export async function scanObject(
  object: ObjectGeneration,
  { storage, context, run }: { storage: Storage; context: ReadOptions['context']; run: Run },
): Promise<ObjectScan> {
  const file = storage.bucket(object.bucket).file(object.object, { generation: object.generation });
  const stored = await getMetadata(file, run);
  const { read } = createObjectReader(file, stored, run);
  const blocks = readBlocks(read(), {
    context,
    ranges: createRangeReader(file, stored, run),
    // The very bytes that could not be decompressed are verified: a second read might bring others.
    async verifyStored() {
      for await (const _ of read()) run.stopping.throwIfAborted();
    },
  });
  let waiting: Block[] = [];
  let block: Block | undefined;
  let begin = 0;
  const next = async () => {
    begin = block?.end.offset ?? 0;
    while (waiting.length === 0) {
      const result = await blocks.next();
      if (result.done) break;
      waiting = result.value;
    }
    [block, ...waiting] = waiting;
  };
  await next();
  return {
    object,
    get block() {
      return block;
    },
    get begin() {
      return begin;
    },
    next,
    close: async () => void (await blocks.return(undefined)),
  };
}
