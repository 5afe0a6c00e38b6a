/** Tries a mapping on what came last, and hands it to the functions until the session ends. */

import { reasonAgainst } from '../cli/import/dry-run.ts';
import { placeOf } from '../cli/operate/letters.ts';
import { readCoreConfig } from '../functions/config.ts';
import { type Block, lengthOf, type Reason, type Source } from '../functions/core/block.ts';
import {
  locationOf,
  ManyEvents,
  type MappedRecord,
  originalAt,
  RecordMapper,
  valueAt,
} from '../functions/core/events.ts';
import { parseText } from '../functions/core/formats/json/numbers.ts';
import { readBlocks } from '../functions/core/formats/read-blocks.ts';
import { MessageReader } from '../functions/core/formats/read-message.ts';
import type { InsertIdOf } from '../functions/core/insert-id.ts';
import { advised } from '../functions/core/mappings/advice.ts';
import { AS_THEY_ARE, Misfit } from '../functions/core/mappings/mapping.ts';
import { createMappings, type MappingOf, mappingProblems } from '../functions/core/mappings/mappings.ts';
import { sourceOf } from '../functions/pubsub/message-source.ts';
import { objectSource } from '../functions/storage/object-source.ts';
import { type LocalCloud, NAMES } from '../local-cloud/cloud.ts';
import { RefusedError, restartFunctions } from './actions.ts';
import { readTransform } from './letters.ts';
import type { Trial, TriedRecord } from './page/frames.ts';
import type { Arrival, Recent } from './recent.ts';
import type { Watch } from './watch.ts';

/** Records of an object or a message that are shown. */
const MAX_RECORDS = 3;
/** Characters that are shown of a record, and of what becomes of it. */
const MAX_LENGTH = 8_000;
/** Events that are shown if a record becomes very many. */
const MAX_EVENTS = 10;

/** The mapping that the functions have; empty if there is none. */
export function mappingInUse({ env }: LocalCloud): string {
  return env.IMPORT_MAPPING ?? '';
}

/** Gives a mapping to the functions, which start again with it; an empty one takes it away. */
export function useMapping(cloud: LocalCloud, watch: Watch, mapping: unknown): string {
  const text = textOf(mapping);
  const [problem] = problemsOf(cloud, text);
  if (problem !== undefined) throw new RefusedError(problem);
  if (text === mappingInUse(cloud)) return 'The functions have this mapping already';
  cloud.setVariable('IMPORT_MAPPING', text === '' ? undefined : text);
  restartFunctions(cloud);
  const what = text === '' ? 'without a mapping' : 'with the mapping';
  watch.say(`both functions restart ${what}`);
  return `Both functions restart ${what}`;
}

/** What is wrong with a mapping, or what it makes of the first records of each object and message that came last. */
export async function tryMapping(cloud: LocalCloud, recent: Recent, mapping: unknown): Promise<Trial> {
  const text = textOf(mapping);
  const problems = problemsOf(cloud, text);
  const isInUse = text === mappingInUse(cloud);
  if (problems.length > 0) return { problems, isInUse, records: [] };
  const { hashKey, insertIdOf } = readCoreConfig({ ...cloud.env, IMPORT_MAPPING: undefined });
  const mappingOf = createMappings({ mapping: text || undefined, hashKey, transform: await readTransform() });
  const records: TriedRecord[] = [];
  for (const arrival of recent.all()) {
    let left = MAX_RECORDS;
    for await (const block of blocksOf(cloud, arrival, mappingOf, insertIdOf)) {
      const tried = await tryBlock(block, insertIdOf, left);
      records.push(...tried);
      left -= tried.length;
      if (left === 0) break;
    }
  }
  return { problems, isInUse, records };
}

function textOf(mapping: unknown): string {
  if (typeof mapping !== 'string') throw new RefusedError('A mapping must be a text');
  return mapping.trim();
}

function problemsOf({ env }: LocalCloud, text: string): readonly string[] {
  return text === '' ? [] : mappingProblems(text, env.IMPORT_HASH_KEY);
}

/** Reads as the functions do; whoever has seen enough leaves the rest. */
async function* blocksOf(
  { storageClient }: LocalCloud,
  arrival: Arrival,
  mappingOf: MappingOf,
  insertIdOf: InsertIdOf,
): AsyncGenerator<Block> {
  if ('message' in arrival) {
    const { messageId, attributes, data } = arrival.message;
    const source = sourceOf({ message: { messageId, attributes } }, NAMES.eventSubscription, mappingOf);
    yield* new MessageReader(insertIdOf).read(data, source);
    return;
  }
  const { bucket, name, generation, metadata = {} } = arrival.object;
  const about = objectSource({ bucket, object: name, generation }, metadata);
  const source: Source = { ...about, mapping: mappingOf(about.context) };
  const stored = storageClient
    .bucket(bucket)
    .file(name, { generation })
    .createReadStream({ validation: false, decompress: false });
  try {
    for await (const blocks of readBlocks(stored, { context: { source, insertIdOf, ordinal: 'line' } })) yield* blocks;
  } catch (error) {
    // Deleted or overwritten since.
    if ((error as { code?: unknown }).code !== 404) throw error;
  }
}

/** The block's records, at most so many, those that are none after the others. */
async function tryBlock(block: Block, insertIdOf: InsertIdOf, most: number): Promise<TriedRecord[]> {
  const { mapping } = block.source;
  const mapper = new RecordMapper(block, mapping.kind === 'mapped' ? mapping : AS_THEY_ARE, insertIdOf);
  const tried: TriedRecord[] = [];
  for (let record = 0; record < lengthOf(block.records) && tried.length < most; record++) {
    // Before the mapping, which may change what it is handed.
    const shown = showRecord(block, record);
    const mapped = await mapper.map(record);
    const outcome = outcomeOf(mapped instanceof ManyEvents ? mapped.first(MAX_EVENTS) : mapped, block.source);
    tried.push({ place: placeOf(locationOf(block, record)), record: shown, ...outcome });
  }
  for (const { location, record, reason } of block.rejections.slice(0, most - tried.length)) {
    tried.push({
      place: placeOf(location),
      record: showBytes(record),
      outcome: 'rejected',
      result: textOfReason(reason),
    });
  }
  return tried;
}

function showRecord({ records }: Block, record: number): string {
  const value = valueAt(records, record);
  const text = value instanceof Misfit ? originalAt(records, record).toString() : JSON.stringify(value, null, 2);
  return shorten(text);
}

/** A record that is none, or no event: it may be JSON all the same. */
function showBytes(record: Buffer): string {
  try {
    if (record.length <= MAX_LENGTH) return shorten(JSON.stringify(parseText(record.toString()), null, 2));
  } catch {
    // It is shown as it arrived.
  }
  return shorten(record.toString('utf8', 0, 4 * MAX_LENGTH));
}

function outcomeOf(mapped: string | MappedRecord, { mapping }: Source): Pick<TriedRecord, 'outcome' | 'result'> {
  if (typeof mapped !== 'string' && mapped.expanded === -1) return { outcome: 'left out', result: 'left out' };
  const texts = typeof mapped === 'string' ? [mapped] : mapped.texts;
  const refusals = texts.map(reasonAgainst).filter((reason) => reason !== undefined);
  const reasons = typeof mapped === 'string' ? [] : mapped.rejections.map(({ reason }) => reason);
  const events = texts.map((text) => JSON.stringify(JSON.parse(text), null, 2));
  const lines = [...reasons, ...refusals.map((reason) => advised(reason, mapping))].map(textOfReason);
  return { outcome: lines.length > 0 ? 'rejected' : 'sent', result: shorten([...lines, ...events].join('\n')) };
}

function textOfReason({ field, message }: Reason): string {
  return `rejected: ${field}: ${message}`;
}

function shorten(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}
