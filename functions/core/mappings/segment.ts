/**
 * Segment's raw calls, as it writes them to storage, by the default mapping of its own destination for Mixpanel
 * (https://segment.com/docs/connections/destinations/catalog/actions-mixpanel/), without what that invents.
 */

import { addOfCall, beginCall, CALL_FIELDS, pageName, trackName, VERB_PROPERTIES, VERBS } from './calls.ts';
import type { Fields } from './path.ts';
import type { Preset } from './preset.ts';

/** The preset. */
export const segment: Preset = {
  begin: beginCall,
  event: nameOf,
  // The others that a call has are not corrected by what the clock of the device was wrong.
  time: 'timestamp',
  user: 'userId',
  device: 'anonymousId',
  insertId: 'messageId',
  ip: 'context.ip',
  fields: CALL_FIELDS,
  properties: 'properties',
  add: addOfCall,
  skip: VERBS,
  drop: VERB_PROPERTIES,
};

function nameOf(record: Fields): unknown {
  switch (record.type) {
    case 'page':
      return `Viewed ${pageName(record) ?? 'Page'}`;
    case 'screen':
      return `Viewed ${pageName(record) ?? 'Screen'}`;
    case 'identify':
      return 'Identify';
    default:
      return trackName(record);
  }
}
