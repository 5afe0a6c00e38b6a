/** What a mapping can do about events that Mixpanel refuses. */

import type { Reason } from '../block.ts';
import type { Mapping } from './mapping.ts';

const FEWER = 'the mapping can send less: see `pick` and `drop`';
const LEAVE_OUT = 'the mapping can leave it out: see `drop`';
/** Set by keys of their own: what is wrong with them is to be put right where they come from. */
const RESERVED = new Set(['properties.time', 'properties.distinct_id', 'properties.$insert_id']);

/** Mixpanel's reason with our advice, if a declared mapping made the event. */
export function advised(reason: Reason, mapping: Mapping): Reason {
  if (mapping.kind !== 'mapped' || !mapping.through.includes('mapping')) return reason;
  const { field, message } = reason;
  const isTooLarge = field === 'properties' || (field === 'event' && message.includes('larger'));
  if (isTooLarge) return { field, message: `${message}; ${FEWER}` };
  if (field.startsWith('properties.') && !RESERVED.has(field)) return { field, message: `${message}; ${LEAVE_OUT}` };
  return reason;
}
