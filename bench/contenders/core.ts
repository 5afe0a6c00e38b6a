/** Our core on a file, as `npm run import` runs it, without its display. */

import '../../functions/runtime/heap.ts';
import { readFile } from '../../cli/import/read-file.ts';
import { readCoreConfig } from '../../functions/config.ts';
import type { Block } from '../../functions/core/block.ts';
import { passThrough, type Transform } from '../../functions/core/event.ts';
import { RecordParser } from '../../functions/core/formats/json/parser.ts';
import { recordBlocks } from '../../functions/core/formats/read-blocks.ts';
import { importBlocks, MAX_UNSETTLED_BYTES } from '../../functions/core/import-blocks.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender } from '../../functions/core/mixpanel/sender.ts';
import { startRun } from '../../functions/core/run.ts';

/** Has every record parsed and serialised anew, and changes nothing. */
const copy: Transform = ({ event, properties, ...rest }) => ({ event, properties: { ...properties }, ...rest });

const { BENCH_FILE: file = '', BENCH_TRANSFORM: hasTransform } = process.env;
const transform = hasTransform ? copy : passThrough;
const config = readCoreConfig(process.env);
const client = createMixpanelClient(config.mixpanel);
const ledger = new Ledger();
const run = startRun();

const isComplete = await importBlocks(
  blocks(),
  {
    ...config,
    sender: createSender(client, config),
    transform,
    unsettledBytes: () => ledger.aheadBytes,
    maxUnsettledBytes: MAX_UNSETTLED_BYTES,
    settle: (block) => ledger.settle(block),
  },
  run,
);
run.end();
client.close();
if (!isComplete || ledger.counts.rejected > 0)
  throw new Error(`not all was imported: ${JSON.stringify(ledger.counts)}`);

async function* blocks(): AsyncGenerator<Block[]> {
  const origin = { sourceOf: (offset: number, line: number) => ({ file, line, offset }) };
  const parser = new RecordParser({
    origin,
    insertIdOf: config.insertIdOf,
    ordinal: 'line',
    isTransformed: transform !== passThrough,
  });
  for await (const some of recordBlocks(readFile(file, run), { parser })) {
    ledger.open(some);
    yield some;
  }
}
