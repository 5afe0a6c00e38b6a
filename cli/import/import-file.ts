/** Imports one input, and writes down what of it was rejected. */

import type { CoreConfig } from '../../functions/config.ts';
import { addCounts, type Block, type Counts } from '../../functions/core/block.ts';
import { importBlocks } from '../../functions/core/import-blocks.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import type { MappingOf } from '../../functions/core/mappings/mappings.ts';
import type { Sender } from '../../functions/core/mixpanel/sender.ts';
import { RejectionLimit } from '../../functions/core/rejections.ts';
import type { Run } from '../../functions/core/run.ts';
import type { Settlement } from '../../functions/core/settlement.ts';
import type { CheckpointFile, FileProgress } from './checkpoint-file.ts';
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
  /** The checkpoint from which a later run continues; undefined if there is none. */
  resumesFrom?: string | undefined;
}

/** What all inputs have in common. */
export interface FileContext {
  config: CoreConfig;
  /** What becomes of records, by what they are read from. */
  mappingOf: MappingOf;
  meter: Meter;
  run: Run;
  /** Where progress is written; undefined if the import cannot be resumed. */
  checkpoint?: CheckpointFile | undefined;
  /** Where the import continues. */
  begin?: FileProgress | undefined;
}

/** How often the checkpoint is written. */
const CHECKPOINT_MS = 10_000;

/** Imports an input; never throws. */
export async function importFile(
  input: Input,
  { config, mappingOf, meter, run, checkpoint, begin }: FileContext,
  sender: Sender,
): Promise<FileResult> {
  const ledger = new Ledger(begin?.position);
  const limit = new RejectionLimit();
  const findings = new Findings();
  const deadLetters = new DeadLetterFile(input.deadLetterPath, begin !== undefined);
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
  let read: Pick<FileProgress, 'format' | 'compression'> | undefined = begin;
  let isKept = false;
  /** A checkpoint that cannot be written costs no more than the way to go on. */
  const keep = async () => {
    if (checkpoint === undefined || read === undefined) return;
    const progress = progressOf(ledger, begin, read);
    if (Math.max(progress.position.offset, progress.position.settledTo ?? 0) === 0) return;
    isKept = await checkpoint.write(progress).then(
      () => true,
      () => false,
    );
  };
  let keeping = Promise.resolve();
  const timer = setInterval(() => {
    keeping = keeping.then(keep);
  }, CHECKPOINT_MS);
  const finish = (state: FileResult['state'], deadLetterPath: string, error?: unknown): FileResult => ({
    name: input.name,
    state,
    counts: begin === undefined ? ledger.counts : progressOf(ledger, begin).counts,
    resumesFrom: isKept ? checkpoint?.path : undefined,
    settledUpTo: ledger.position,
    findings,
    deadLetterPath: deadLetters.hasLetters ? deadLetterPath : undefined,
    durationMs: run.clock.now() - run.startedAt,
    error,
  });
  try {
    const onFormat =
      checkpoint && ((format: string, compression: readonly string[]) => (read = { format, compression }));
    const blocks = readInput(input, {
      insertIdOf: config.insertIdOf,
      mappingOf,
      meter: fileMeter,
      run,
      limit,
      begin,
      onFormat,
    });
    const isComplete = await importBlocks(blocks, { ...config, sender, settlement }, run);
    clearInterval(timer);
    await keeping;
    if (isComplete) {
      await deadLetters.complete();
      await checkpoint?.remove();
      return finish('done', input.deadLetterPath);
    }
    await keep();
    return finish('interrupted', deadLetters.partialPath);
  } catch (error) {
    clearInterval(timer);
    await keeping.then(keep);
    return finish('failed', deadLetters.partialPath, error);
  } finally {
    await deadLetters.close();
    fileMeter.end();
    run.end();
  }
}

/** How far it has come, with what the run that it continues had settled. */
function progressOf(
  ledger: Ledger,
  begin: FileProgress | undefined,
  read: Pick<FileProgress, 'format' | 'compression'> = begin!,
): FileProgress {
  const counts = { ...ledger.counts };
  if (begin !== undefined) addCounts(counts, begin.counts);
  const { position, settledPart } = ledger;
  if (settledPart !== undefined) {
    counts.read += settledPart.records;
    counts.imported += settledPart.records;
  }
  const settledTo = Math.max(settledPart?.offset ?? 0, begin?.position.settledTo ?? 0);
  const { settledTo: _, ...watermark } = position;
  return { ...read, position: settledTo > position.offset ? { ...watermark, settledTo } : watermark, counts };
}
