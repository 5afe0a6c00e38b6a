/** Gives every event of a batch that was answered its outcome. */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { recordAsItCame, recordOf, sourceOf } from './events.ts';
import type { Batch } from './mixpanel/batch.ts';
import type { Failure } from './mixpanel/response.ts';

const gunzipAsync = promisify(gunzip);

/**
 * Counts the batch's events in their blocks: as imported, or as rejected where they are among the failures; those
 * become rejections of their blocks, with the record as it came.
 */
export async function recordOutcomes(batch: Batch, failures: readonly Failure[]): Promise<void> {
  for (const { block, events } of batch.stretches) block.counts.imported += events;
  if (failures.length === 0) return;
  const body: Buffer = await gunzipAsync(batch.body);
  let at = 0;
  let index = 0;
  let stretch = 0;
  let first = 0;
  for (const failure of failures) {
    for (; index < failure.index; index++) at = body.indexOf(0x0a, at) + 1;
    const event = body.subarray(at, body.indexOf(0x0a, at));
    while (index >= first + batch.stretches[stretch]!.events) first += batch.stretches[stretch++]!.events;
    const { block, record: firstRecord } = batch.stretches[stretch]!;
    const recordIndex = firstRecord + index - first;
    const isHeld = block.bytes.length > 0;
    const record = isHeld
      ? Buffer.from(recordAsItCame(block, recordIndex))
      : (batch.kept.get(index) ?? recordOf(event, block, recordIndex));
    block.counts.imported--;
    block.counts.rejected++;
    block.rejections.push({
      reason: { field: failure.field, message: failure.message },
      source: sourceOf(block, recordIndex, batch.eventIndexes.get(index)),
      insertId: insertIdOf(event),
      record,
      bytes: record.length,
    });
  }
}

/** What an event that was refused has for its id may be anything. */
function insertIdOf(event: Buffer): string | undefined {
  const { properties } = JSON.parse(event.toString()) as { properties?: { $insert_id?: unknown } | null };
  const id = properties?.$insert_id;
  return typeof id === 'string' ? id : JSON.stringify(id);
}
