/**
 * Snowplow's enriched events, by the default mapping of Snowplow's own forwarding to Mixpanel
 * (https://docs.snowplow.io/docs/destinations/forwarding-events/integrations/mixpanel/), and better where that falls short.
 */

import { addSelfDescribing } from '../formats/snowplow/row.ts';
import { Misfit } from './mapping.ts';
import { type Fields, isFields } from './path.ts';
import type { Preset, Put } from './preset.ts';

/** The entities of a record, by name: the first of each. */
type Entities = ReadonlyMap<string, Fields>;

/** What a record is found to hold, kept with it. */
interface Parts {
  /** The self-describing event: its name, and its data. */
  event: { name: string; data: Fields } | undefined;
  entities: Entities;
}

const PARTS = Symbol('parts');
/** `contexts_com_acme_cart_1`; the loader of BigQuery writes the whole version, `_1_0_0`, and its parsed form only the model. */
const KEY = /^(contexts|unstruct_event)_(.+?)_(\d+)(?:_(\d+)_(\d+))?$/;
/** Vendors whose entities go by their names alone. */
const VENDOR =
  /^(?:com_snowplowanalytics_snowplow|com_snowplowanalytics_mobile|nl_basjes|org_w3|org_ietf|com_iab_snowplow)_/;
/** Columns of self-describing JSON that some SDKs leave as it is. */
const JSON_COLUMNS = ['contexts', 'derived_contexts', 'unstruct_event'] as const;
/** What the SDK for Scala adds to every entity. */
const ADDED = new Set(['_schema_version', '_schema_vendor', '_schema_name', '_schema_format']);
const NO_NAME = new Misfit('mapping.event', 'nothing at event_name');
const NO_ENTITIES: Entities = new Map();
/** Keys that are remembered. */
const MAX_CACHED = 4_096;

/** What YAUAA says where it knows nothing. */
const UNKNOWN = new Set(['??', 'Unknown', 'unknown']);
/** Members of entities that become Mixpanel's own properties. */
const USED = new Set([
  'yauaa_context.deviceBrand',
  'yauaa_context.deviceName',
  'yauaa_context.agentName',
  'yauaa_context.agentVersion',
  'yauaa_context.operatingSystemName',
  'yauaa_context.operatingSystemVersion',
  'yauaa_context.carrier',
  'application.version',
  'application.build',
  'client_session.userId',
  'mobile_context.osType',
  'mobile_context.osVersion',
  'mobile_context.deviceManufacturer',
  'mobile_context.deviceModel',
  'mobile_context.carrier',
  'mobile_context.networkTechnology',
]);

/** The preset. */
export const snowplow: Preset = {
  format: 'snowplow',
  begin,
  event: nameOf,
  time: ['derived_tstamp', 'true_tstamp', 'collector_tstamp', 'dvce_created_tstamp'],
  user: 'user_id',
  device: (record) => record.domain_userid || entity(record, 'client_session')?.userId || record.network_userid,
  insertId: 'event_id',
  ip: 'user_ipaddress',
  fields: {
    $city: 'geo_city',
    // Mixpanel shows names; geo_region is a code.
    $region: ['geo_region_name', 'geo_region'],
    mp_country_code: ({ geo_country: code }) =>
      typeof code === 'string' && /^[A-Za-z]{2}$/.test(code) ? code.toUpperCase() : undefined,
    $browser: (record) =>
      known(record, 'yauaa_context', 'agentName') ??
      known(record, 'ua_parser_context', 'useragentFamily') ??
      (record.br_family || record.br_name),
    $browser_version: (record) =>
      known(record, 'yauaa_context', 'agentVersion') ??
      known(record, 'ua_parser_context', 'useragentMajor') ??
      record.br_version,
    $os: (record) =>
      record.os_name ||
      (known(record, 'yauaa_context', 'operatingSystemName') ??
        known(record, 'ua_parser_context', 'osFamily') ??
        known(record, 'mobile_context', 'osType')),
    $os_version: (record) =>
      known(record, 'yauaa_context', 'operatingSystemVersion') ?? known(record, 'mobile_context', 'osVersion'),
    $device: (record) => known(record, 'yauaa_context', 'deviceName'),
    $manufacturer: (record) =>
      known(record, 'yauaa_context', 'deviceBrand') ?? known(record, 'mobile_context', 'deviceManufacturer'),
    $model: (record) => known(record, 'yauaa_context', 'deviceName') ?? known(record, 'mobile_context', 'deviceModel'),
    $carrier: (record) => known(record, 'yauaa_context', 'carrier') ?? known(record, 'mobile_context', 'carrier'),
    $radio: (record) => known(record, 'mobile_context', 'networkTechnology'),
    $wifi: (record) => {
      const type = known(record, 'mobile_context', 'networkType');
      return type === undefined ? undefined : type === 'wifi';
    },
    $app_version_string: (record) => known(record, 'application', 'version'),
    $app_build_number: (record) => known(record, 'application', 'build'),
    $current_url: 'page_url',
    $referrer: 'page_referrer',
    $referring_domain: 'refr_urlhost',
    $screen_height: 'dvce_screenheight',
    $screen_width: 'dvce_screenwidth',
    $lib_version: 'v_tracker',
    mp_lib: ({ v_tracker: tracker }) => (tracker ? `Snowplow: ${tracker}` : undefined),
    utm_source: 'mkt_source',
    utm_medium: 'mkt_medium',
    utm_campaign: 'mkt_campaign',
    utm_content: 'mkt_content',
    utm_term: 'mkt_term',
  },
  uses: [
    // Read by functions above.
    ...['event_name', 'se_action', 'domain_userid', 'network_userid', 'geo_country'],
    ...['br_family', 'br_name', 'br_version', 'os_name'],
    // About the pipeline, or told already by the addresses.
    ...['etl_tstamp', 'etl_tags', 'v_collector', 'v_etl', 'name_tracker', 'txn_id', 'dvce_sent_tstamp'],
    ...['page_urlscheme', 'page_urlhost', 'page_urlport', 'page_urlpath', 'page_urlquery', 'page_urlfragment'],
    ...['refr_urlscheme', 'refr_urlport', 'refr_urlpath', 'refr_urlquery', 'refr_urlfragment', 'geo_location'],
    ...['pdf', 'flash', 'java', 'director', 'quicktime', 'realplayer', 'windowsmedia', 'gears', 'silverlight'].map(
      (name) => `br_features_${name}`,
    ),
    ...JSON_COLUMNS,
  ],
  addFirst(record, put) {
    const { event } = partsOf(record);
    if (event !== undefined) for (const name in event.data) if (!ADDED.has(name)) put(name, event.data[name]);
    return undefined;
  },
  properties: '*',
  drop: ['contexts_*', 'unstruct_event_*'],
  add(record, put) {
    for (const [name, data] of partsOf(record).entities) spreadEntity(name, data, put);
    return undefined;
  },
  skip: ['page_ping'],
};

/** Finds the event's data and the entities, whatever the version of their schemas. */
function begin(record: Fields): Fields | Misfit {
  let read = record;
  for (const column of JSON_COLUMNS) {
    const value = record[column];
    if (value === undefined || value === null || value === '') continue;
    if (read === record) read = { ...record };
    const problem = addSelfDescribing(read, column, value);
    if (problem !== undefined) return problem;
  }
  return read;
}

function partsOf(record: Fields & { [PARTS]?: Parts }): Parts {
  const before = record[PARTS];
  if (before !== undefined) return before;
  const parts = findParts(record);
  // A symbol is neither copied into properties nor serialized.
  record[PARTS] = parts;
  return parts;
}

function findParts(record: Fields): Parts {
  let entities: Map<string, Fields> | undefined;
  let versions: Map<string, number> | undefined;
  let event: Parts['event'];
  for (const key in record) {
    const known = partOf(key);
    if (known === undefined) continue;
    const { isEvent, name, version } = known;
    const value = record[key];
    const data = isEvent || !Array.isArray(value) ? value : value[0];
    if (!isFields(data)) continue;
    if (isEvent) {
      event ??= { name, data };
      continue;
    }
    versions ??= new Map();
    entities ??= new Map();
    if (version < (versions.get(name) ?? 0)) continue;
    versions.set(name, version);
    entities.set(name, data);
  }
  return { event, entities: entities ?? NO_ENTITIES };
}

interface PartKey {
  isEvent: boolean;
  name: string;
  version: number;
}

const partKeys = new Map<string, PartKey | undefined>();

/** What a key of a record says; undefined if it is a column. */
function partOf(key: string): PartKey | undefined {
  const code = key.charCodeAt(0);
  if (code !== 0x63 && code !== 0x75) return undefined;
  const known = partKeys.get(key);
  if (known !== undefined || partKeys.has(key)) return known;
  const [, kind, full, model, revision = '0', addition = '0'] = KEY.exec(key) ?? [];
  const part =
    kind === undefined || full === undefined
      ? undefined
      : {
          isEvent: kind === 'unstruct_event',
          // The SDK for Go keeps dashes of a vendor.
          name: full.replaceAll('-', '_').replace(VENDOR, ''),
          version: 1e8 * Number(model) + 1e4 * Number(revision) + Number(addition),
        };
  if (partKeys.size < MAX_CACHED) partKeys.set(key, part);
  return part;
}

/** Structured events are all called `event` by Snowplow: their action is their name. */
function nameOf(record: Fields): unknown {
  const { event, event_name: name } = record;
  if (event === 'struct' || (name === 'event' && event !== 'unstruct')) return record.se_action || name || event;
  if (name) return name;
  return (event === 'unstruct' ? partsOf(record).event?.name : event) || NO_NAME;
}

function entity(record: Fields, name: string): Fields | undefined {
  return partsOf(record).entities.get(name);
}

/** A member of an entity, unless it says that it is not known. */
function known(record: Fields, name: string, member: string): unknown {
  const value = entity(record, name)?.[member];
  if (value === null || value === '') return undefined;
  return typeof value === 'string' && UNKNOWN.has(value) ? undefined : value;
}

/** Names of properties by those of entities and their members: made once, for a name that is joined has to be hashed anew. */
const memberNames = new Map<string, Map<string, string>>();

function spreadEntity(entityName: string, data: Fields, put: Put): void {
  let names = memberNames.get(entityName);
  if (names === undefined) {
    names = new Map();
    if (memberNames.size < MAX_CACHED) memberNames.set(entityName, names);
  }
  for (const member in data) {
    let name = names.get(member);
    if (name === undefined) {
      const full = `${entityName}.${member}`;
      name = ADDED.has(member) || USED.has(full) ? '' : full;
      if (names.size < MAX_CACHED) names.set(member, name);
    }
    if (name !== '') put(name, data[member]);
  }
}
