/** Recovers the record, as it arrived, that an event of a batch was made of. */

import { type Block, NEEDS_ID } from '../block.ts';
import { originalAt, withoutSplice } from '../events.ts';

/**
 * The original is found as follows:
 *
 * | records | the event was | original |
 * | --- | --- | --- |
 * | rows | mapped | the row in its canonical rendering |
 * | JSON, the block owns its bytes | mapped | the block's own bytes |
 * | JSON, lent bytes | serialized anew, or line breaks became spaces | kept in the batch |
 * | JSON, lent bytes | given an id | the event without the id |
 * | JSON, lent bytes | sent verbatim | the event |
 *
 * @param event the event's bytes in the batch
 * @param kept  what the batch keeps of it
 */
export function originalOf(block: Block, record: number, event: Buffer, kept: Buffer | undefined): Buffer {
  const { records } = block;
  if (records.form === 'rows' || records.ownsBytes) return Buffer.from(originalAt(records, record));
  if (kept !== undefined) return kept;
  return (records.flags[record]! & NEEDS_ID) === 0 ? Buffer.from(event) : withoutSplice(event, records, record);
}
