/** Imports one input, and writes down what of it was rejected. */

import type { CoreConfig } from '../../functions/config.ts';
import type { Block, Counts } from '../../functions/core/block.ts';
import { importBlocks } from '../../functions/core/import-blocks.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import type { MappingOf } from '../../functions/core/mappings/mappings.ts';
import type { Sender } from '../../functions/core/mixpanel/sender.ts';
import { RejectionLimit } from '../../functions/core/rejections.ts';
import type { Run } from '../../functions/core/run.ts';
import type { Settlement } from '../../functions/core/settlement.ts';
import { DeadLetterFile } from './dead-letter-file.ts';
import { Findings } from './findings.ts';
import type { Input } from './inputs.ts';
import type { Meter } from './meter.ts';
import { readInput } from './read-input.ts';

/** What became of an input. */
export interface FileResult {
  name: string;
  /** `done` when all of it is settled, be it rejected; `interrupted` by Ctrl-C. */
  state: 'done' | 'interrupted' | 'failed';
  /** Of exactly the range before `settledUpTo`. */
  counts: Counts;
  /** Everything before it is settled: the line that begins or continues there, and bytes of the decoded content. */
  settledUpTo: { line: number; offset: number };
  findings: Findings;
  /** Where its dead letters are, if there are any. */
  deadLetterPath: string | undefined;
  durationMs: number;
  /** What was thrown where it failed. */
  error?: unknown;
}

/** What all inputs have in common. */
export interface FileContext {
  config: CoreConfig;
  /** What becomes of records, by what they are read from. */
  mappingOf: MappingOf;
  meter: Meter;
  run: Run;
}

/** Imports an input; never throws. */
export async function importFile(
  input: Input,
  { config, mappingOf, meter, run }: FileContext,
  sender: Sender,
): Promise<FileResult> {
  const ledger = new Ledger();
  const limit = new RejectionLimit();
  const findings = new Findings();
  const deadLetters = new DeadLetterFile(input.deadLetterPath);
  const fileMeter = meter.begin(input.name, () => run.stats.accepted);
  const settle = (block: Block) => {
    ledger.settle(block);
    fileMeter.settled(block.weight);
  };
  const settlement: Settlement = {
    get unsettledBytes() {
      return ledger.unsettledBytes + limit.heldBytes;
    },
    open(block) {
      ledger.open(block);
      fileMeter.opened(block.weight);
    },
    settle(block) {
      if (block.rejections.length === 0) return settle(block);
      findings.add(block.rejections);
      return deadLetters.write(block.rejections).then(() => {
        limit.release(block.rejections);
        block.rejections = [];
        settle(block);
      });
    },
    flush() {},
  };
  const finish = (state: FileResult['state'], deadLetterPath: string, error?: unknown): FileResult => ({
    name: input.name,
    state,
    counts: ledger.counts,
    settledUpTo: ledger.position,
    findings,
    deadLetterPath: deadLetters.hasLetters ? deadLetterPath : undefined,
    durationMs: run.clock.now() - run.startedAt,
    error,
  });
  try {
    const blocks = readInput(input, { insertIdOf: config.insertIdOf, mappingOf, meter: fileMeter, run, limit });
    const isComplete = await importBlocks(blocks, { ...config, sender, settlement }, run);
    if (isComplete) {
      await deadLetters.complete();
      return finish('done', input.deadLetterPath);
    }
    return finish('interrupted', deadLetters.partialPath);
  } catch (error) {
    return finish('failed', deadLetters.partialPath, error);
  } finally {
    await deadLetters.close();
    fileMeter.end();
    run.end();
  }
}
