/** The library: imports records from other people's programs. */

import { type Environment, readCoreConfig } from '../functions/config.ts';
import { type Block, type Counts, noCounts } from '../functions/core/block.ts';
import type { Transform } from '../functions/core/event.ts';
import { passThrough } from '../functions/core/event.ts';
import { readBlocks } from '../functions/core/formats/read-blocks.ts';
import { importBlocks } from '../functions/core/import-blocks.ts';
import { Ledger } from '../functions/core/ledger.ts';
import { createMappings } from '../functions/core/mappings/mappings.ts';
import { createMixpanelClient } from '../functions/core/mixpanel/client.ts';
import { createSender } from '../functions/core/mixpanel/sender.ts';
import { RejectionLimit } from '../functions/core/rejections.ts';
import { startRun } from '../functions/core/run.ts';
import { givingUp } from './give-up.ts';

/** How records are imported. */
export interface ImportRecordsOptions {
  /** Variables with credentials and settings, as docs/configuration.md says; default: `process.env`. */
  env?: Environment;
  /** Makes events of the records; default: they are events as they are, or IMPORT_MAPPING makes events of them. */
  transform?: Transform;
  /** What the records are of, for the transform's context; default: `records`. */
  name?: string;
  /** Stops the import: requests under way are finished. */
  signal?: AbortSignal;
  /** Milliseconds without any success after which it fails; default: ten minutes. */
  giveUpAfterMs?: number;
}

/** A record that Mixpanel will never take. */
export interface RejectedRecord {
  /** Index of the record among those that were objects; of bytes, the line less one. */
  index: number;
  field: string;
  message: string;
  /** As it was read; of a long one, or of many that are summed up, the beginning. */
  record: Buffer;
}

/** What became of the records: every one has its outcome. */
export interface ImportedRecords {
  counts: Counts;
  /** In no order; from 10,000 on one can stand for many. */
  rejections: RejectedRecord[];
}

const GIVE_UP_MS = 600_000;

/**
 * Imports records, and resolves once every one is settled: then it is safe to commit offsets, or to acknowledge.
 *
 * @param records objects, or the bytes of a file in pieces (NDJSON, arrays, gzip); memory does not grow with their number
 * @throws ConfigError if the variables are not usable; ImportError if Mixpanel refuses the credentials, or it was stopped;
 *   UnreachableError if Mixpanel took nothing for too long. Nothing is known then of records without an outcome: import
 *   them again, Mixpanel recognises what it has
 */
export async function importRecords(
  records: AsyncIterable<object | Uint8Array> | Iterable<object | Uint8Array>,
  {
    env = process.env,
    transform = passThrough,
    name = 'records',
    signal,
    giveUpAfterMs = GIVE_UP_MS,
  }: ImportRecordsOptions = {},
): Promise<ImportedRecords> {
  const config = readCoreConfig(env);
  const { url } = config.mixpanel;
  const client = givingUp(createMixpanelClient(config.mixpanel), { url, limitMs: giveUpAfterMs });
  const sender = createSender(client, config);
  const run = startRun();
  const stop = () => run.stop('shutdown');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  const limit = new RejectionLimit();
  const ledger = new Ledger();
  const rejections: RejectedRecord[] = [];
  const settle = (block: Block) => {
    for (const { reason, location, record } of block.rejections) {
      const index = 'line' in location ? location.line - 1 : 0;
      rejections.push({ index, field: reason.field, message: reason.message, record: Buffer.from(record) });
    }
    limit.release(block.rejections);
    block.rejections = [];
    ledger.settle(block);
  };
  const settlement = {
    get unsettledBytes() {
      return ledger.unsettledBytes + limit.heldBytes;
    },
    open: (block: Block) => ledger.open(block),
    settle,
    flush() {},
  };
  const context = { kind: 'file', path: name } as const;
  const mapping = createMappings({ ...config, transform })(context);
  const source = { context, mapping, limit, locate: (offset: number, line: number) => ({ file: name, line, offset }) };
  try {
    const blocks = readBlocks(bytesOf(records), {
      context: { source, insertIdOf: config.insertIdOf, ordinal: 'line' },
    });
    const isComplete = await importBlocks(blocks, { ...config, sender, settlement }, run);
    if (!isComplete) run.stopping.throwIfAborted();
    return { counts: { ...noCounts(), ...ledger.counts }, rejections };
  } finally {
    signal?.removeEventListener('abort', stop);
    run.end();
    client.close();
  }
}

/** Objects one a line. */
async function* bytesOf(records: AsyncIterable<object> | Iterable<object>): AsyncGenerator<Buffer> {
  for await (const record of records) {
    if (record instanceof Uint8Array) yield Buffer.from(record.buffer, record.byteOffset, record.byteLength);
    else yield Buffer.from(`${JSON.stringify(record)}\n`);
  }
}
