/** Gives every event of a batch that was answered its outcome. */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type Block, throughOf } from './block.ts';
import { locationOf, placeOf } from './events.ts';
import { explained } from './formats/json/reasons.ts';
import { advised } from './mappings/advice.ts';
import type { Batch } from './mixpanel/batch.ts';
import { originalOf } from './mixpanel/original.ts';
import type { Refusal } from './mixpanel/response.ts';
import type { SettledPart } from './mixpanel/sender.ts';
import { addRejection } from './rejections.ts';

const gunzipAsync = promisify(gunzip);

/** Consecutive events of one block that have their outcomes. */
export interface SettledEvents {
  block: Block;
  events: number;
}

/** Records the outcomes of one batch, part by part. */
export class OutcomeRecorder {
  readonly #batch: Batch;
  #body: Promise<Buffer> | undefined;

  constructor(batch: Batch) {
    this.#batch = batch;
  }

  /**
   * Counts the events of a part in their blocks: as imported, or as rejected if Mixpanel refused them. Refused events become
   * rejections of their blocks, with the record as it arrived.
   *
   * @returns the events by block
   */
  async record({ first, events, refusals }: SettledPart): Promise<SettledEvents[]> {
    const { stretches, eventIndexes } = this.#batch;
    // Where records have several events, or an event was refused, no more is known than that the block is not settled.
    const isPlain = refusals.length === 0 && eventIndexes.size === 0;
    const settled: SettledEvents[] = [];
    let begin = 0;
    for (const stretch of stretches) {
      const end = begin + stretch.events;
      const within = Math.min(end, first + events) - Math.max(begin, first);
      if (within > 0) {
        const { block } = stretch;
        block.counts.imported += within;
        const record = stretch.record + Math.max(0, first - begin);
        if (isPlain && record === block.settledRecords) block.settledRecords += within;
        settled.push({ block: stretch.block, events: within });
      }
      begin = end;
    }
    if (refusals.length > 0) await this.#reject(refusals);
    return settled;
  }

  async #reject(refusals: readonly Refusal[]): Promise<void> {
    const { stretches, eventIndexes, originals } = this.#batch;
    this.#body ??= gunzipAsync(this.#batch.body);
    const body = await this.#body;
    let at = 0;
    let index = 0;
    let stretch = 0;
    let first = 0;
    for (const refusal of refusals) {
      for (; index < refusal.index; index++) at = body.indexOf(0x0a, at) + 1;
      const event = body.subarray(at, body.indexOf(0x0a, at));
      while (index >= first + stretches[stretch]!.events) first += stretches[stretch++]!.events;
      const { block, record: firstRecord } = stretches[stretch]!;
      const record = firstRecord + index - first;
      const original = originalOf(block, record, event, originals.get(index));
      const { mapping } = block.source;
      block.counts.imported--;
      block.counts.rejected++;
      const place = { ...placeOf(block, record), canExtend: block.rejections.length > block.foundRejections };
      addRejection(block.rejections, place, () => ({
        reason: advised(explained({ field: refusal.field, message: refusal.message }, original, mapping), mapping),
        location: locationOf(block, record, eventIndexes.get(index)),
        insertId: insertIdOf(event),
        record: original,
        bytes: original.length,
        through: throughOf(block.source),
      }));
    }
  }
}

/** The id of a refused event, which may be a value of any type. */
function insertIdOf(event: Buffer): string | undefined {
  const { properties } = JSON.parse(event.toString()) as { properties?: { $insert_id?: unknown } | null };
  const id = properties?.$insert_id;
  return typeof id === 'string' ? id : JSON.stringify(id);
}
