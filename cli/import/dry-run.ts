/** Checks one input without sending anything: its records, and by Mixpanel's documented rules the events made of them. */

import { type Block, isBalanced, lengthOf, type Reason } from '../../functions/core/block.ts';
import { locationOf, type MappedRecord, RecordMapper } from '../../functions/core/events.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import { Ledger } from '../../functions/core/ledger.ts';
import { AS_THEY_ARE, type MappedRecords, mappingOf } from '../../functions/core/mappings/mapping.ts';
import transform from '../../functions/transform.ts';
import { MAX_EVENT_BYTES, validateEvent } from '../../local-cloud/mixpanel/rules.ts';
import { Findings } from './findings.ts';
import type { FileContext, FileResult } from './import-file.ts';
import type { Input } from './inputs.ts';
import { readInput } from './read-input.ts';

const EMPTY = Buffer.alloc(0);
const mapping = mappingOf(transform);
/** To be checked, records are parsed even if they would be sent verbatim. */
const MAPPED: MappedRecords = mapping.kind === 'mapped' ? mapping : AS_THEY_ARE;

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
    for await (const blocks of readInput(input, { insertIdOf: config.insertIdOf, meter: fileMeter, run })) {
      for (const block of blocks) {
        ledger.open(block);
        fileMeter.opened(block.weight);
        await checkBlock(block, config.insertIdOf);
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
async function checkBlock(block: Block, insertIdOf: InsertIdOf): Promise<void> {
  const { counts, rejections } = block;
  const mapper = new RecordMapper(block, MAPPED, insertIdOf);
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

  function check(record: number, mapped: string | MappedRecord): void {
    if (typeof mapped === 'string') {
      checkEvent(record, mapped);
      return;
    }
    if (mapped.expanded === -1) counts.dropped++;
    else counts.expanded += mapped.expanded;
    counts.rejected += mapped.rejections.length;
    for (const rejection of mapped.rejections) rejections.push(rejection);
    for (const [event, text] of mapped.texts.entries()) checkEvent(record, text, mapped.indexes?.[event]);
  }

  function checkEvent(record: number, text: string, index?: number): void {
    const reason = reasonAgainst(text);
    if (reason === undefined) {
      counts.imported++;
      return;
    }
    counts.rejected++;
    const location = locationOf(block, record, index);
    rejections.push({ reason, location, insertId: undefined, record: EMPTY, bytes: 0, through: undefined });
  }
}

function reasonAgainst(text: string): Reason | undefined {
  if (Buffer.byteLength(text) > MAX_EVENT_BYTES) {
    return { field: 'event', message: `larger than ${MAX_EVENT_BYTES} bytes` };
  }
  return validateEvent(JSON.parse(text), Date.now());
}
