/** Columns of Snowplow's enriched TSV, in order: https://docs.snowplow.io/docs/fundamentals/canonical-event/understanding-the-enriched-tsv-format/. */

/** What the text of a column is. */
type ColumnType = 'text' | 'time' | 'integer' | 'number' | 'boolean' | 'contexts' | 'unstruct';

/** A column. */
export interface Column {
  name: string;
  type: ColumnType;
}

/** Fields of a line of the first version that is known, and of today's. */
export const MIN_FIELDS = 108;
export const MAX_FIELDS = 131;
/** Fields of a line after shredding, from which the JSON columns were taken away. */
const SHREDDED_FIELDS = 128;

/** Names by type; those that are text have none. */
const TIMES =
  'etl_tstamp collector_tstamp dvce_created_tstamp dvce_sent_tstamp refr_dvce_tstamp derived_tstamp true_tstamp';
const INTEGERS = `txn_id domain_sessionidx page_urlport refr_urlport ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min
  pp_yoffset_max br_viewwidth br_viewheight dvce_screenwidth dvce_screenheight doc_width doc_height`;
const NUMBERS = `geo_latitude geo_longitude se_value tr_total tr_tax tr_shipping ti_price tr_total_base tr_tax_base
  tr_shipping_base ti_price_base`;
const BOOLEANS = `br_features_pdf br_features_flash br_features_java br_features_director br_features_quicktime
  br_features_realplayer br_features_windowsmedia br_features_gears br_features_silverlight br_cookies dvce_ismobile`;

const NAMES = `app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id name_tracker v_tracker
  v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid domain_sessionidx network_userid geo_country geo_region
  geo_city geo_zipcode geo_latitude geo_longitude geo_region_name ip_isp ip_organization ip_domain ip_netspeed page_url page_title
  page_referrer page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery page_urlfragment refr_urlscheme refr_urlhost
  refr_urlport refr_urlpath refr_urlquery refr_urlfragment refr_medium refr_source refr_term mkt_medium mkt_source mkt_term
  mkt_content mkt_campaign contexts se_category se_action se_label se_property se_value unstruct_event tr_orderid tr_affiliation
  tr_total tr_tax tr_shipping tr_city tr_state tr_country ti_orderid ti_sku ti_name ti_category ti_price ti_quantity
  pp_xoffset_min pp_xoffset_max pp_yoffset_min pp_yoffset_max useragent br_name br_family br_version br_type br_renderengine
  br_lang br_features_pdf br_features_flash br_features_java br_features_director br_features_quicktime br_features_realplayer
  br_features_windowsmedia br_features_gears br_features_silverlight br_cookies br_colordepth br_viewwidth br_viewheight os_name
  os_family os_manufacturer os_timezone dvce_type dvce_ismobile dvce_screenwidth dvce_screenheight doc_charset doc_width doc_height
  tr_currency tr_total_base tr_tax_base tr_shipping_base ti_currency ti_price_base base_currency geo_timezone mkt_clickid
  mkt_network etl_tags dvce_sent_tstamp refr_domain_userid refr_dvce_tstamp derived_contexts domain_sessionid derived_tstamp
  event_vendor event_name event_format event_version event_fingerprint true_tstamp`;

const TYPES = new Map<string, ColumnType>([
  ...wordsOf(TIMES, 'time'),
  ...wordsOf(INTEGERS, 'integer'),
  ...wordsOf(NUMBERS, 'number'),
  ...wordsOf(BOOLEANS, 'boolean'),
  ['contexts', 'contexts'],
  ['derived_contexts', 'contexts'],
  ['unstruct_event', 'unstruct'],
]);

const COLUMNS: readonly Column[] = namesOf(NAMES).map((name) => ({ name, type: TYPES.get(name) ?? 'text' }));
const SHREDDED: readonly Column[] = COLUMNS.filter(({ type }) => type !== 'contexts' && type !== 'unstruct');

/** The columns of a line with so many fields, as its first ones; undefined if no version has as many. */
export function columnsOf(fields: number): readonly Column[] | undefined {
  if (fields < MIN_FIELDS || fields > MAX_FIELDS) return undefined;
  return fields === SHREDDED_FIELDS ? SHREDDED : COLUMNS;
}

function wordsOf(names: string, type: ColumnType): [string, ColumnType][] {
  return namesOf(names).map((name) => [name, type]);
}

function namesOf(text: string): string[] {
  return text.split(/\s+/);
}
