/**
 * Events that Mixpanel's export gave (https://developer.mixpanel.com/reference/raw-event-export), or its data pipelines, for
 * another project. Projects made before 2023 export times on the clock of their time zone: name it in `time.zone`.
 */

import { parseText } from '../formats/json/numbers.ts';
import { DEVICE_PREFIX, idOf } from './identity.ts';
import { Misfit } from './mapping.ts';
import { type Fields, isFields } from './path.ts';
import type { Preset } from './preset.ts';

/** The preset. */
export const mixpanelExport: Preset = {
  begin,
  event: ['event', 'event_name'],
  time: ['properties.time', 'time'],
  numbersAreLocal: true,
  user: (record) => {
    const { user, device, other } = idsOf(record);
    return user ?? (device === undefined && !other?.startsWith(DEVICE_PREFIX) ? other : undefined);
  },
  device: (record) => {
    const { user, device, other } = idsOf(record);
    return device ?? (user === undefined && other?.startsWith(DEVICE_PREFIX) ? other : undefined);
  },
  insertId: ['properties.$insert_id', 'insert_id'],
  uses: [
    // Ids, and the address: the place is found already.
    ...['$user_id', '$device_id', 'distinct_id', '$distinct_id_before_identity', 'ip', 'token'],
    // Set by ingestion; they would count as properties.
    ...['$import', '$mp_api_endpoint', '$mp_api_timestamp_ms', '$mp_event_size', 'mp_processing_time_ms', '$source'],
    ...['$geo_source', '$is_reshuffled', '$preshuffle_distinct_id'],
    // Mixpanel would not show the event.
    '$ignore',
  ].map((name) => `properties.${name}`),
  properties: 'properties',
  drop: ['mp_original_*'],
  // A project with simplified ID merge refuses a request that has one of them.
  skip: ['$identify', '$create_alias', '$merge'],
};

/** Parses the properties, where a pipeline wrote them as text. */
function begin(record: Fields): Fields | Misfit {
  if (typeof record.properties !== 'string') return record;
  try {
    return { ...record, properties: parseText(record.properties) };
  } catch {
    return new Misfit('properties', 'not JSON');
  }
}

/** The ids of an event; `other` is the distinct_id, which is not that of a whole cluster if the export tells. */
function idsOf(record: Fields): Record<'user' | 'device' | 'other', string | undefined> {
  const properties = isFields(record.properties) ? record.properties : {};
  const { $user_id, $device_id, $distinct_id_before_identity, distinct_id } = properties;
  return {
    user: idOf($user_id) ?? idOf(record.user_id),
    device: idOf($device_id) ?? idOf(record.device_id),
    other: idOf($distinct_id_before_identity) ?? idOf(distinct_id) ?? idOf(record.distinct_id),
  };
}
