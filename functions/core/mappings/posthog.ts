/**
 * PostHog's batch export of events: JSON lines, or Parquet in which the properties are JSON as text
 * (https://posthog.com/docs/cdp/batch-exports/s3).
 */

import { parseText } from '../formats/json/numbers.ts';
import { idOf } from './identity.ts';
import { Misfit } from './mapping.ts';
import { type Fields, isFields } from './path.ts';
import type { Preset } from './preset.ts';

/** Events that go by another name in Mixpanel; `$identify` is refused there. */
const NAMES = new Map<unknown, string>([
  ['$pageview', '$mp_web_page_view'],
  ['$identify', 'Identify'],
]);

/** The preset. */
export const posthog: Preset = {
  begin,
  event: ({ event }) => NAMES.get(event) ?? event,
  time: 'timestamp',
  user: (record) => (isAnonymous(record) ? undefined : record.distinct_id),
  device: (record) => {
    const { $device_id: device, $anon_distinct_id: before } = propertiesOf(record);
    // After a logout the device keeps its id, which is linked to the user of before.
    if (isAnonymous(record)) return record.distinct_id;
    return record.event === '$identify' ? (idOf(before) ?? device) : device;
  },
  insertId: 'uuid',
  ip: 'properties.$ip',
  fields: {
    $city: 'properties.$geoip_city_name',
    // Mixpanel shows names; $geoip_subdivision_1_code is a code.
    $region: 'properties.$geoip_subdivision_1_name',
    mp_country_code: (record) => {
      const { $geoip_country_code: code } = propertiesOf(record);
      return typeof code === 'string' && /^[A-Za-z]{2}$/.test(code) ? code.toUpperCase() : undefined;
    },
    mp_lib: 'properties.$lib',
  },
  uses: [
    // Ids, in places where the reader looks above.
    ...['$device_id', '$anon_distinct_id', '$user_id', 'distinct_id', '$insert_id', '$is_identified'],
    // Of PostHog's own concern.
    ...['token', '$time', '$sent_at', '$set', '$set_once', '$unset', '$process_person_profile'],
    ...['$active_feature_flags', '$window_id', '$pageview_id', '$initial_person_info', '$config_defaults'],
  ].map((name) => `properties.${name}`),
  properties: 'properties',
  drop: ['$feature/*', '$feature_flag*', '$session_*', '$geoip_*', '$sdk_debug_*', '$replay_*', '$recording_*'],
  // Exact names: `$set_up` is somebody's own.
  skip: [
    ...['$autocapture', '$feature_flag_called', '$groupidentify', '$pageleave', '$set', '$web_vitals'],
    ...['$snapshot', '$snapshot_items', '$performance_event', '$$heatmap'],
    // Mixpanel refuses a request that has one of them, with simplified ID merge.
    ...['$create_alias', '$merge_dangerously', '$merge'],
  ],
};

/** Parses the properties, where they are text, and leaves out the list of files that PostHog writes beside them. */
function begin(record: Fields): Fields | null | Misfit {
  const { event, properties } = record;
  if (event === undefined && Array.isArray(record.files)) return null;
  if (typeof properties !== 'string') return record;
  if (properties === '') return { ...record, properties: {} };
  try {
    return { ...record, properties: parseText(properties) };
  } catch {
    return new Misfit('properties', 'not JSON');
  }
}

/** Whether distinct_id is one that PostHog's library made up. */
function isAnonymous(record: Fields): boolean {
  const { $is_identified: isIdentified, $device_id: device, $process_person_profile: profile } = propertiesOf(record);
  if (record.event === '$identify' || isIdentified === true) return false;
  if (isIdentified === false || profile === false) return true;
  return idOf(device) === idOf(record.distinct_id);
}

const NOTHING: Fields = {};

function propertiesOf({ properties }: Fields): Fields {
  return isFields(properties) ? properties : NOTHING;
}
