/** Our core on a file, as `npm run import` runs it, without its display. */

import '../../functions/runtime/heap.ts';
import { readFile } from '../../cli/import/read-file.ts';
import { readCoreConfig } from '../../functions/config.ts';
import type { Source } from '../../functions/core/block.ts';
import { passThrough, type RecordContext, type Transform } from '../../functions/core/event.ts';
import { readBlocks } from '../../functions/core/formats/read-blocks.ts';
import { importBlocks } from '../../functions/core/import-blocks.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import { createMappings } from '../../functions/core/mappings/mappings.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender } from '../../functions/core/mixpanel/sender.ts';
import { startRun } from '../../functions/core/run.ts';
import type { Settlement } from '../../functions/core/settlement.ts';

/** Has every record parsed and serialised anew, and changes nothing. */
const copy: Transform = ({ event, properties, ...rest }) => ({ event, properties: { ...properties }, ...rest });

const {
  BENCH_FILE: file = '',
  BENCH_TRANSFORM: hasTransform,
  BENCH_MAPPING: mapping,
  BENCH_HASH_KEY: hashKey,
} = process.env;
const transform = hasTransform ? copy : passThrough;
const context: RecordContext = { kind: 'file', path: file };
const config = readCoreConfig(process.env);
const client = createMixpanelClient(config.mixpanel);
const ledger = new Ledger();
const run = startRun();

const settlement: Settlement = {
  get unsettledBytes() {
    return ledger.unsettledBytes;
  },
  open: (block) => ledger.open(block),
  settle: (block) => ledger.settle(block),
  flush() {},
};
const source: Source = {
  context,
  mapping: createMappings({ mapping, hashKey, transform })(context),
  locate: (offset, line) => ({ file, line, offset }),
};
const blocks = readBlocks(readFile(file, run), {
  context: { source, insertIdOf: config.insertIdOf, ordinal: 'line' },
});
const isComplete = await importBlocks(blocks, { ...config, sender: createSender(client, config), settlement }, run);
run.end();
client.close();
if (!isComplete || ledger.counts.rejected > 0)
  throw new Error(`not all was imported: ${JSON.stringify(ledger.counts)}`);
