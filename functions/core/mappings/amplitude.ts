/**
 * Lines of Amplitude's exports: the Export API, and its exports to Cloud Storage and S3
 * (https://amplitude.com/docs/apis/analytics/export). Their times are UTC and name no zone.
 */

import { type Fields, isFields } from './path.ts';
import type { Preset, ValueSource } from './preset.ts';

/** What Amplitude writes where it knows nothing. */
const EMPTY = 'EMPTY';
const sessionOf = unlessInEvent('session_id');

/** The preset. */
export const amplitude: Preset = {
  begin,
  event: 'event_type',
  time: ['event_time', 'client_event_time', 'server_received_time'],
  user: 'user_id',
  device: 'device_id',
  insertId: ['uuid', '$insert_id'],
  ip: 'ip_address',
  fields: {
    $city: 'city',
    $region: 'region',
    // A name, and no code: Mixpanel's own property would show it as an unknown country.
    country: unlessInEvent('country'),
    // On the web what is called the system is the browser.
    $os: (record) => (isWeb(record) ? undefined : record.os_name),
    $os_version: (record) => (isWeb(record) ? undefined : record.os_version),
    $browser: (record) => (isWeb(record) ? record.os_name : undefined),
    $browser_version: (record) => (isWeb(record) ? record.os_version : undefined),
    $device: 'device_family',
    $device_type: 'device_type',
    $brand: 'device_brand',
    $manufacturer: 'device_manufacturer',
    $model: 'device_model',
    $carrier: ['device_carrier', 'carrier'],
    $locale: 'language',
    $app_version_string: 'version_name',
    $latitude: 'location_lat',
    $longitude: 'location_lng',
    mp_lib: 'library',
    platform: unlessInEvent('platform'),
    session_id: (record) => (Number(record.session_id) > 0 ? sessionOf(record) : undefined),
  },
  properties: 'event_properties',
  add({ groups }, put) {
    if (isFields(groups)) for (const name in groups) put(name, groups[name]);
    return undefined;
  },
  // None of these is something that a user did.
  skip: ['$identify', '$groupidentify', '$create_alias', '$merge', 'revenue_amount', 'session_start', 'session_end'],
};

/** Leaves out user properties without a value; they are there for rules that name them. */
function begin(record: Fields): Fields {
  const { user_properties: properties } = record;
  if (!isFields(properties)) return record;
  let isEmpty = false;
  for (const name in properties) if (properties[name] === EMPTY) isEmpty = true;
  if (!isEmpty) return record;
  const known = Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== EMPTY));
  return { ...record, user_properties: known };
}

/** The record's own value, unless the event has a property of that name. */
function unlessInEvent(name: string): ValueSource & ((record: Fields) => unknown) {
  return (record) => {
    const { event_properties: properties } = record;
    const own = isFields(properties) ? properties[name] : undefined;
    return own === undefined || own === null || own === '' ? record[name] : undefined;
  };
}

function isWeb({ platform }: Fields): boolean {
  return typeof platform === 'string' && platform.toLowerCase() === 'web';
}
