/** Checks one input without sending anything: its records, and by Mixpanel's documented rules the events made of them. */

import { type Block, isBalanced, lengthOf, type Reason, type Rejection } from '../../functions/core/block.ts';
import { locationOf, ManyEvents, type Mapped, RecordMapper, valueAt } from '../../functions/core/events.ts';
import { explained } from '../../functions/core/formats/json/reasons.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import { advised } from '../../functions/core/mappings/advice.ts';
import { AS_THEY_ARE } from '../../functions/core/mappings/mapping.ts';
import { MAX_EVENT_BYTES, validateEvent } from '../../local-cloud/mixpanel/rules.ts';
import { Findings } from './findings.ts';
import type { FileContext, FileResult } from './import-file.ts';
import type { Input } from './inputs.ts';
import type { Preview } from './preview.ts';
import { readInput } from './read-input.ts';

const EMPTY = Buffer.alloc(0);

/** Checks an input; in its counts `imported` are the events that Mixpanel would take. Never throws. */
export async function checkFile(
  input: Input,
  { config, mappingOf, meter, run }: FileContext,
  preview?: Preview,
): Promise<FileResult> {
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
    for await (const blocks of readInput(input, { insertIdOf: config.insertIdOf, mappingOf, meter: fileMeter, run })) {
      for (const block of blocks) {
        ledger.open(block);
        fileMeter.opened(block.weight);
        await checkBlock(block, config.insertIdOf, preview);
        run.stopping.throwIfAborted();
        findings.add(block.rejections);
        ledger.settle(block);
        fileMeter.settled(block.weight);
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
async function checkBlock(block: Block, insertIdOf: InsertIdOf, preview?: Preview): Promise<void> {
  const { counts, rejections } = block;
  const { mapping } = block.source;
  // To be checked, records are parsed even if they would be sent verbatim.
  const mapper = new RecordMapper(block, mapping.kind === 'mapped' ? mapping : AS_THEY_ARE, insertIdOf);
  const length = lengthOf(block.records);
  const pending: Promise<void>[] = [];
  for (let record = 0; record < length; record++) {
    const mapped = mapper.map(record);
    if (mapped instanceof Promise) pending.push(mapped.then((settled) => check(record, settled)));
    else check(record, mapped);
  }
  await Promise.all(pending);
  if (!isBalanced(counts)) {
    throw new Error(
      `The counts of a block do not add up: ${JSON.stringify(counts)}. This is a defect, please report it`,
    );
  }

  function check(record: number, mapped: Mapped): void {
    if (preview?.wants) preview.show(locationOf(block, record), () => valueAt(block.records, record), mapped, mapping);
    if (typeof mapped === 'string') {
      checkEvent(record, mapped);
      return;
    }
    if (mapped instanceof ManyEvents) {
      counts.expanded += mapped.length - 1;
      for (const made of mapped) {
        if ('rejection' in made) reject(made.rejection);
        else checkEvent(record, made.text, made.index);
      }
      return;
    }
    if (mapped.expanded === -1) counts.dropped++;
    else counts.expanded += mapped.expanded;
    for (const rejection of mapped.rejections) reject(rejection);
    for (const [event, text] of mapped.texts.entries()) checkEvent(record, text, mapped.indexes?.[event]);
  }

  function checkEvent(record: number, text: string, index?: number): void {
    const refusal = reasonAgainst(text);
    if (refusal === undefined) {
      counts.imported++;
      return;
    }
    const reason = advised(explained(refusal, Buffer.from(text), block.source.mapping), mapping);
    const location = locationOf(block, record, index);
    reject({ reason, location, insertId: undefined, record: EMPTY, bytes: 0, through: undefined });
  }

  function reject(rejection: Rejection): void {
    counts.rejected++;
    rejections.push(rejection);
  }
}

/** Why Mixpanel would refuse an event; undefined if it would take it. */
export function reasonAgainst(text: string): Reason | undefined {
  if (Buffer.byteLength(text) > MAX_EVENT_BYTES) {
    return { field: 'event', message: `larger than ${MAX_EVENT_BYTES} bytes` };
  }
  return validateEvent(JSON.parse(text), Date.now());
}
