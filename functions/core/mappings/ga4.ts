/**
 * Google Analytics 4, as it is exported to BigQuery and from there: JSON in which 64-bit integers are text, Avro or Parquet
 * (https://support.google.com/analytics/answer/7029846).
 */

import { numberFrom } from '../formats/json/numbers.ts';
import { type Fields, getterOf, isFields, pathOf } from './path.ts';
import type { Preset, Put } from './preset.ts';
import { paramValue, spreadParams } from './spread.ts';

/** What Google writes where it knows nothing. */
const UNKNOWN = new Set<unknown>(['', '(not set)', '<Other>']);
/** Parameters that Mixpanel knows by other names. */
const PARAMS: Readonly<Record<string, string>> = { page_location: '$current_url', page_referrer: '$referrer' };
/** Structures that stay together, less what is not known. */
const KEPT = [
  ...['app_info', 'collected_traffic_source', 'ecommerce', 'items'],
  ...['session_traffic_source_last_click', 'traffic_source', 'user_ltv'],
];
/** Members that become properties of their own. */
const TAKEN = new Set([
  ...['manual_source', 'manual_medium', 'manual_campaign_name', 'manual_term', 'manual_content', 'gclid'].map(
    (name) => `collected_traffic_source.${name}`,
  ),
  'app_info.version',
]);
/** Members of structures that are 64-bit integers, in {@link KEPT}. */
const INTEGERS = new Set(['quantity', 'total_item_quantity', 'unique_items']);
const INTEGER = /^-?\d{1,19}$/;

/** The preset. */
export const ga4: Preset = {
  event: 'event_name',
  time: 'event_timestamp',
  user: 'user_id',
  device: 'user_pseudo_id',
  // Neither the file nor the table counts: rows move from intraday tables to daily ones, which are written again for days.
  insertId: {
    hashOf: [
      ...['user_pseudo_id', 'event_name', 'event_timestamp', 'event_bundle_sequence_id'],
      ...['batch_page_id', 'batch_ordering_id', 'batch_event_index'],
      textOfParams,
    ],
  },
  fields: {
    $city: known('geo.city'),
    // Mixpanel's code of the country has no source: Google gives names.
    $region: known('geo.region'),
    $os: known('device.operating_system'),
    $os_version: known('device.operating_system_version'),
    $browser: known('device.web_info.browser', 'device.browser'),
    $browser_version: known('device.web_info.browser_version', 'device.browser_version'),
    $device_type: known('device.category'),
    $device: known('device.mobile_marketing_name'),
    $model: known('device.mobile_model_name'),
    $manufacturer: known('device.mobile_brand_name'),
    $locale: known('device.language'),
    $app_version_string: known('app_info.version'),
    // Of the event. `traffic_source` is of the user's first visit.
    utm_source: known('collected_traffic_source.manual_source'),
    utm_medium: known('collected_traffic_source.manual_medium'),
    utm_campaign: known('collected_traffic_source.manual_campaign_name'),
    utm_term: known('collected_traffic_source.manual_term'),
    utm_content: known('collected_traffic_source.manual_content'),
    gclid: known('collected_traffic_source.gclid'),
  },
  uses: [
    // Read by functions.
    ...['event_params', 'user_properties', 'device', 'geo', ...KEPT],
    // About the export.
    ...['event_date', 'event_previous_timestamp', 'event_server_timestamp_offset', 'event_dimensions', 'privacy_info'],
    ...['user_first_touch_timestamp'],
  ],
  addFirst({ event_params: params }, put) {
    spreadParams(params, (name, value) => put(PARAMS[name] ?? name, value));
    return undefined;
  },
  properties: '*',
  add(record, put) {
    // After the event's own, which they do not overwrite.
    spreadParams(record.user_properties, put);
    for (const name of KEPT) put(name, compact(name, record[name]));
    addPlace(record, put);
    return undefined;
  },
};

const getPlace = {
  country: known('geo.country'),
  continent: known('geo.continent'),
  sub_continent: known('geo.sub_continent'),
  metro: known('geo.metro'),
  hostname: known('device.web_info.hostname'),
};

function addPlace(record: Fields, put: Put): void {
  for (const [name, get] of Object.entries(getPlace)) put(name, get(record));
}

/** The first of the values that is known. */
function known(...paths: string[]): (record: Fields) => unknown {
  const getters = paths.map((path) => getterOf(pathOf(path)));
  return (record) => {
    for (const get of getters) {
      const value = get(record);
      if (value !== undefined && value !== null && !UNKNOWN.has(value)) return value;
    }
    return undefined;
  };
}

/**
 * The parameters as a text that is the same in each format, where nothing else tells hits apart: rows before July 2024 have
 * no index in their batch, and equal clicks in one bundle may have one time.
 */
function textOfParams({ batch_event_index: index, event_params: params }: Fields): string | undefined {
  if ((index !== null && index !== undefined && index !== '') || !Array.isArray(params)) return undefined;
  const entries = params.filter(isFields).map(({ key, value }) => [key, paramValue(value)]);
  return entries.length === 0 ? undefined : JSON.stringify(entries);
}

/** A structure without what is not known; undefined if nothing is left. */
function compact(path: string, value: unknown): unknown {
  if (Array.isArray(value)) {
    const elements = value.map((element) => compact(path, element)).filter((element) => element !== undefined);
    return elements.length === 0 ? undefined : elements;
  }
  if (value === null || UNKNOWN.has(value)) return undefined;
  if (!isFields(value)) return value;
  const left: Fields = {};
  for (const name in value) {
    const member = `${path}.${name}`;
    if (name === 'item_params' || TAKEN.has(member)) continue;
    const part = compact(member, value[name]);
    if (part === undefined) continue;
    left[name] = INTEGERS.has(name) && typeof part === 'string' && INTEGER.test(part) ? numberFrom(part) : part;
  }
  // Parameters of an item would be deeper than Mixpanel looks.
  spreadParams(value.item_params, (name, param) => {
    if (param !== null && param !== undefined && !Object.hasOwn(left, name)) left[name] = param;
  });
  return Object.keys(left).length === 0 ? undefined : left;
}
