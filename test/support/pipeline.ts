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
  type Source,
} from '../../functions/core/block.ts';
import type { Transform } from '../../functions/core/event.ts';
import { readBlocks } from '../../functions/core/formats/read-blocks.ts';
import { type ImportOptions, importBlocks } from '../../functions/core/import-blocks.ts';
import { insertIdByContent } from '../../functions/core/insert-id.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import { mappingOf } from '../../functions/core/mappings/mapping.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender, type Sender, type SenderOptions } from '../../functions/core/mixpanel/sender.ts';
import { type Run, startRun } from '../../functions/core/run.ts';
import type { Settlement } from '../../functions/core/settlement.ts';
import { type MixpanelOptions, type MixpanelServer, startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { ndjson } from './event.ts';
import { contextOf, kept, objectSource } from './parsing.ts';

/** A source of bytes that knows how far it was read, and whether it was closed. */
export interface Chunks extends AsyncIterable<Buffer> {
  pulled: number;
  isClosed: boolean;
}

/**
 * @param chunks what it yields, each overwritten when the next is pulled
 * @param failure what it throws after them, if given
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

/** The source of the tests' objects, with a transform if given. */
export function sourceWith(transform?: Transform): Source {
  return transform === undefined ? objectSource : { ...objectSource, mapping: mappingOf(transform) };
}

/** The blocks of lines, or of content that is not compressed: one array of them each time that the source is pulled. */
export function blocksOf(
  content: string | Buffer | readonly string[],
  { blockBytes, transform }: { blockBytes?: number | undefined; transform?: Transform | undefined } = {},
): AsyncGenerator<Block[]> {
  const context = contextOf({ source: sourceWith(transform), ...(blockBytes === undefined ? {} : { blockBytes }) });
  const bytes = Buffer.from(typeof content === 'string' || Buffer.isBuffer(content) ? content : ndjson(content));
  return readBlocks(chunksOf(pieces(bytes, blockBytes ?? 65_536)), { context });
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
  /** @param settlement replaces parts of the pipeline's own */
  import(
    source: AsyncIterable<Block[]>,
    run?: Run,
    options?: Partial<ImportOptions>,
    settlement?: Partial<Settlement>,
  ): Promise<boolean>;
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
  const own: Settlement = {
    get unsettledBytes() {
      return ledger.unsettledBytes;
    },
    open: (block) => ledger.open(block),
    settle(block) {
      assert.ok(!settled.includes(block), 'a block settles once');
      assert.equal(block.pending, 0, 'a block settles when nothing of it is pending');
      assert.ok(isBalanced(block.counts), 'the counts of a settled block add up');
      settled.push(block);
      rejections.push(...block.rejections);
      addCounts(counts, block.counts);
      ledger.settle(block);
    },
    flush() {},
  };
  const defaults: ImportOptions = {
    ...common,
    sender,
    insertIdOf: insertIdByContent,
    maxBytesInFlight: 48_000_000,
    maxUnsettledBytes: 64_000_000,
    settlement: own,
    ...options.import,
  };
  return {
    server,
    sender,
    ledger,
    settled,
    rejections,
    counts,
    import: (source, run = startRun(), more = {}, settlement = {}) =>
      importBlocks(source, { ...defaults, settlement: withParts(own, settlement), ...more }, run),
  };
}

/** A settlement with some of its parts replaced. */
function withParts(own: Settlement, parts: Partial<Settlement>): Settlement {
  return {
    get unsettledBytes() {
      return parts.unsettledBytes ?? own.unsettledBytes;
    },
    open: (block) => (parts.open ?? own.open)(block),
    settle: (block) => (parts.settle ?? own.settle)(block),
    flush: () => (parts.flush ?? own.flush)(),
  };
}
