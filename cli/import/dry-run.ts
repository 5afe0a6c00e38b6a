/** Checks one input without sending anything: its records, and by Mixpanel's documented rules the events made of them. */

import { type Block, isBalanced } from '../../functions/core/block.ts';
import { type PendingEvents, sourceOf, type TransformedEvent, transformBlock } from '../../functions/core/events.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import transform from '../../functions/transform.ts';
import { MAX_EVENT_BYTES, validateEvent } from '../../local-cloud/mixpanel/rules.ts';
import { Findings } from './findings.ts';
import type { FileContext, FileResult } from './import-file.ts';
import type { Input } from './inputs.ts';
import { readBlocks } from './read-blocks.ts';

const EMPTY = Buffer.alloc(0);

/** Checks an input; in its counts `imported` are the events that Mixpanel would take. Never throws. */
export async function checkFile(input: Input, { config, meter, run }: FileContext): Promise<FileResult> {
  const ledger = new Ledger();
  const findings = new Findings();
  const fileMeter = meter.begin(input.name, () => ledger.counts.read);
  const finish = (state: FileResult['state'], error?: unknown): FileResult => ({
    name: input.name,
    state,
    counts: ledger.counts,
    settledUpTo: ledger.position,
    findings,
    deadLetterPath: undefined,
    durationMs: run.clock.now() - run.startedAt,
    error,
  });
  try {
    const blocks = readBlocks(input, { insertIdOf: config.insertIdOf, ledger, meter: fileMeter, run });
    for await (const some of blocks) {
      for (const block of some) {
        await checkBlock(block, config.insertIdOf);
        run.stopping.throwIfAborted();
        findings.add(block.rejections);
        ledger.settle(block);
        fileMeter.settled(block.size);
      }
    }
    return finish('done');
  } catch (error) {
    return run.stopping.aborted ? finish('interrupted') : finish('failed', error);
  } finally {
    fileMeter.end();
    run.end();
  }
}

/** Counts the block's events, those that Mixpanel would refuse among its rejections. */
async function checkBlock(block: Block, insertIdOf: InsertIdOf): Promise<void> {
  const { counts, rejections } = block;
  const pending: PendingEvents[] = [];
  for (const event of transformBlock(block, transform, insertIdOf, pending)) check(event);
  for (const event of (await Promise.all(pending)).flat()) check(event);
  if (!isBalanced(counts)) {
    throw new Error(
      `The accounts of a block do not balance: ${JSON.stringify(counts)}; this is a defect, please report it`,
    );
  }

  function check({ record, eventIndex, text }: TransformedEvent): void {
    const reason =
      Buffer.byteLength(text) > MAX_EVENT_BYTES
        ? { field: 'event', message: `larger than ${MAX_EVENT_BYTES} bytes` }
        : validateEvent(JSON.parse(text), Date.now());
    if (reason === undefined) {
      counts.imported++;
      return;
    }
    counts.rejected++;
    const source = sourceOf(block, record, eventIndex);
    rejections.push({ reason, source, insertId: undefined, record: EMPTY, bytes: 0 });
  }
}
