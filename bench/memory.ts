/** Measures the peak memory of importObject: for every kind of event, small and large files, slow and throttling servers. */

import { measure } from './contenders.ts';
import type { EventKind } from './events.ts';
import { makeInput } from './inputs.ts';
import type { SinkOptions } from './servers/sink.ts';
import type { Stage } from './stage.ts';
import { megabytes, renderTable } from './table.ts';

/** The servers that the function meets. */
const SERVERS: Record<string, SinkOptions> = {
  quick: {},
  'slow (2 s)': { delayMs: 2_000 },
  'half 429': { isThrottling: true },
};
/** Of a function with every second request refused; the pauses alone would make hours of a large file. */
const SHORT_PAUSES = { IMPORT_RETRY_MIN_DELAY_MS: '10' };

/** What is measured. */
export interface MemoryOptions {
  kinds: readonly EventKind[];
  sizes: readonly number[];
  gzips: readonly boolean[];
}

/** Runs the function once for every combination; resolves with a table. */
export async function measureMemory({ kinds, sizes, gzips }: MemoryOptions, stage: Stage): Promise<string> {
  const lines: string[][] = [];
  for (const kind of kinds) {
    for (const isGzip of gzips) {
      for (const [server, sink] of Object.entries(SERVERS)) {
        const peaks: number[] = [];
        for (const bytes of sizes) {
          process.stderr.write(`${kind}${isGzip ? ', gzip' : ''}, ${bytes / 1e6} MB, ${server} …\n`);
          const input = await makeInput({ kind, hasIds: true, isGzip, bytes });
          const { peakMemoryBytes } = await measure('import-object', input, stage, { sink, env: SHORT_PAUSES });
          peaks.push(peakMemoryBytes);
        }
        lines.push([
          `${kind}${isGzip ? ', gzip' : ''}`,
          server,
          ...peaks.map(megabytes),
          (peaks.at(-1)! / peaks[0]!).toFixed(2),
        ]);
      }
    }
  }
  return renderTable(['', 'server', ...sizes.map((bytes) => `${bytes / 1e6} MB: peak MB`), 'ratio'], lines);
}
