/** What the tests of the pipeline share: content in chunks, a local Mixpanel, and an import into it. */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  addCounts,
  type Block,
  type Counts,
  isBalanced,
  noCounts,
  type Rejection,
} from '../../functions/core/block.ts';
import { passThrough } from '../../functions/core/event.ts';
import { RecordParser } from '../../functions/core/formats/json/parser.ts';
import { recordBlocks } from '../../functions/core/formats/read-blocks.ts';
import { type ImportOptions, importBlocks } from '../../functions/core/import-blocks.ts';
import { insertIdByContent } from '../../functions/core/insert-id.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender, type Sender, type SenderOptions } from '../../functions/core/mixpanel/sender.ts';
import { type Run, startRun } from '../../functions/core/run.ts';
import { type MixpanelOptions, type MixpanelServer, startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { kept, objectOrigin } from './parsing.ts';

/** The text of an event that Mixpanel takes. */
export function eventText(id: string | undefined, properties: object = {}): string {
  const $insert_id = id === undefined ? {} : { $insert_id: id };
  return JSON.stringify({
    event: 'e',
    properties: { time: 1_700_000_000, distinct_id: 'u', ...$insert_id, ...properties },
  });
}

/** Lines of so many events with the ids `PREFIX-0`, `PREFIX-1`, … */
export function eventLines(count: number, prefix: string, properties?: object): string {
  return Array.from({ length: count }, (_, index) => `${eventText(`${prefix}-${index}`, properties)}\n`).join('');
}

/** A source of bytes that knows how far it was read, and whether it was closed. */
export interface Chunks extends AsyncIterable<Buffer> {
  pulled: number;
  isClosed: boolean;
}

/**
 * @param chunks what it yields, each overwritten when the next is pulled
 * @param failure what it throws behind them, where given
 */
export function chunksOf(chunks: Iterable<Buffer>, failure?: { error: unknown }): Chunks {
  async function* generate() {
    try {
      for (const chunk of chunks) {
        source.pulled++;
        const own = Buffer.from(chunk);
        yield own;
        own.fill('#');
      }
      if (failure !== undefined) throw failure.error;
    } finally {
      source.isClosed = true;
    }
  }
  const source: Chunks = { pulled: 0, isClosed: false, [Symbol.asyncIterator]: generate };
  return source;
}

/** `bytes` in pieces of `size`, the last one shorter. */
export function pieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

/** A parser as importObject has it, with blocks of `blockBytes`. */
export function newParser(blockBytes?: number, isTransformed = false): RecordParser {
  return new RecordParser({
    origin: objectOrigin,
    insertIdOf: insertIdByContent,
    ordinal: 'line',
    isTransformed,
    ...(blockBytes === undefined ? {} : { blockBytes }),
  });
}

/** The blocks of content that is no gzip, one array of them for each time that the source is pulled. */
export function blocksOf(
  content: string | Buffer,
  blockBytes?: number,
  isTransformed?: boolean,
): AsyncGenerator<Block[]> {
  const bytes = Buffer.from(content);
  return recordBlocks(chunksOf(pieces(bytes, blockBytes ?? 65_536)), {
    parser: newParser(blockBytes, isTransformed),
  });
}

/** All blocks of a source, each with bytes of its own. */
export async function gather(source: AsyncIterable<Block[]>): Promise<Block[]> {
  return (await Array.fromAsync(source, (blocks) => blocks.map(kept))).flat();
}

/** How a pipeline differs from one with room for everything and short back-offs. */
export interface PipelineOptions {
  server?: MixpanelOptions;
  sender?: Partial<SenderOptions>;
  import?: Partial<ImportOptions>;
  requestTimeoutMs?: number;
  password?: string;
}

/** A local Mixpanel with a sender, and what has become of the blocks that were imported into it. */
export interface Pipeline {
  server: MixpanelServer;
  sender: Sender;
  ledger: Ledger;
  /** Blocks in the order in which they were settled. */
  settled: Block[];
  rejections: Rejection[];
  /** The sum over all settled blocks. */
  counts: Counts;
  /** @param into the ledger in which is noted what is read; that of the pipeline unless given */
  import(source: AsyncIterable<Block[]>, run?: Run, options?: Partial<ImportOptions>, into?: Ledger): Promise<boolean>;
}

/** Starts a pipeline, which ends with the test. */
export async function startPipeline(t: TestContext, options: PipelineOptions = {}): Promise<Pipeline> {
  const server = await startMixpanel(options.server);
  const client = createMixpanelClient({
    url: server.url,
    username: 'user',
    password: options.password ?? 'secret',
    projectId: '1',
    requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
  });
  const common = { gzipLevel: 1, maxConcurrency: 10 };
  const sender = createSender(client, {
    ...common,
    maxEvents: 2_000,
    maxBytes: 10_000_000,
    retryMinDelayMs: 1,
    retryMaxDelayMs: 10,
    ...options.sender,
  });
  t.after(async () => {
    client.close();
    await server.close();
  });
  const ledger = new Ledger();
  const settled: Block[] = [];
  const rejections: Rejection[] = [];
  const counts = noCounts();
  const preset: ImportOptions = {
    ...common,
    sender,
    transform: passThrough,
    insertIdOf: insertIdByContent,
    maxBytesInFlight: 48_000_000,
    unsettledBytes: () => ledger.aheadBytes,
    maxUnsettledBytes: 64_000_000,
    settle(block) {
      assert.ok(!settled.includes(block), 'a block settles once');
      assert.equal(block.pending, 0, 'a block settles when nothing of it is pending');
      assert.ok(isBalanced(block.counts), 'a block settles with its accounts balanced');
      settled.push(block);
      rejections.push(...block.rejections);
      addCounts(counts, block.counts);
      ledger.settle(block);
    },
    ...options.import,
  };
  return {
    server,
    sender,
    ledger,
    settled,
    rejections,
    counts,
    import: (source, run = startRun(), more = {}, into = ledger) =>
      importBlocks(opened(source, into), { ...preset, ...more }, run),
  };
}

/** Notes in the ledger what is read; `return` reaches the source even while that waits. */
function opened(source: AsyncIterable<Block[]>, ledger: Ledger): AsyncIterable<Block[]> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = source[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await iterator.next();
          if (!result.done) ledger.open(result.value);
          return result;
        },
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}
