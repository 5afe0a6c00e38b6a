/** What the calls of Segment and of RudderStack have in common: https://segment.com/docs/connections/spec/common/. */

import { deviceIdOf, idOf } from './identity.ts';
import { Misfit } from './mapping.ts';
import { type Fields, isFields } from './path.ts';
import type { Preset, Put } from './preset.ts';

/** What `integrations` calls Mixpanel. */
const MIXPANEL = new Set(['Mixpanel', 'Mixpanel (Actions)', 'Actions Mixpanel', 'MP']);
/** Categories of consent that an analytics tool belongs to; C0002 is OneTrust's. */
const ANALYTICS = /analytic|statistic|performance|measurement|mixpanel|^c0002$/i;
const HOST = /^[a-z][a-z\d+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:]+)/i;
const NO_TYPE = new Misfit('mapping.event', 'nothing at type');
const NO_EVENT = new Misfit('mapping.event', 'nothing at event');
const NOT_A_NAME = new Misfit('mapping.event', 'not a text at event');
const OTHER_TYPE = new Misfit('mapping.event', 'type is not track, page, screen, identify, group or alias');

/** Events that Mixpanel's own libraries make of calls; /import refuses the whole request if there is one. */
export const VERBS: readonly string[] = ['$identify', '$create_alias', '$merge'];

/** Names of properties that mean something in these events alone. */
export const VERB_PROPERTIES: readonly string[] = ['$anon_id', '$identified_id', '$distinct_ids'];

/** Leaves out calls that are not events, are not meant for Mixpanel, or lack the user's consent. */
export function beginCall(record: Fields): Fields | null | Misfit {
  switch (record.type) {
    case 'track':
    case 'page':
    case 'screen':
      break;
    case 'identify':
      // With one id alone it links nothing.
      if (idOf(record.userId) === undefined || deviceIdOf(record.anonymousId) === undefined) return null;
      break;
    case 'group':
    case 'alias':
    case 'merge':
      return null;
    default:
      return record.type ? OTHER_TYPE : NO_TYPE;
  }
  if (isRefused(record.integrations) || isDenied(record.context)) return null;
  return record.type === 'page' ? withOwnPage(record) : record;
}

/** Of a page call its own properties tell about the page, and the context does where they say nothing. */
function withOwnPage(record: Fields): Fields {
  const { properties } = record;
  if (!isFields(properties) || !(properties.url || properties.referrer)) return record;
  const context = isFields(record.context) ? record.context : {};
  const page = isFields(context.page) ? context.page : {};
  const { url, referrer } = properties;
  return {
    ...record,
    context: { ...context, page: { ...page, url: url || page.url, referrer: referrer || page.referrer } },
  };
}

/** Whether `integrations` keeps the call from Mixpanel: by name, or as one of all. */
function isRefused(value: unknown): boolean {
  const integrations = objectOf(value);
  if (integrations === undefined) return false;
  let isNamed = false;
  for (const name in integrations) {
    if (!MIXPANEL.has(name)) continue;
    const choice = integrations[name];
    if (choice === false) return true;
    if (choice) isNamed = true;
  }
  return integrations.All === false && !isNamed;
}

/** Whether the user has denied consent, as Segment and RudderStack note it in `context`. */
function isDenied(value: unknown): boolean {
  const context = objectOf(value);
  if (context?.consent === undefined && context?.consentManagement === undefined) return false;
  const { consent, consentManagement } = context;
  let denied: string[] = [];
  let allowed: string[] = [];
  if (isFields(consent) && isFields(consent.categoryPreferences)) {
    for (const [name, choice] of Object.entries(consent.categoryPreferences)) {
      (choice === true ? allowed : denied).push(name);
    }
  }
  if (isFields(consentManagement)) {
    denied = denied.concat(textsOf(consentManagement.deniedConsentIds));
    allowed = allowed.concat(textsOf(consentManagement.allowedConsentIds));
  }
  if (denied.some((name) => ANALYTICS.test(name))) return true;
  // Which category is meant for analytics is not known if none says so: then every one has to be allowed.
  return denied.length > 0 && !allowed.some((name) => ANALYTICS.test(name));
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((element) => typeof element === 'string') : [];
}

/** Properties that Mixpanel knows, as both tools' own integrations call them. */
export const CALL_FIELDS: NonNullable<Preset['fields']> = {
  $app_version_string: 'context.app.version',
  $app_build_number: 'context.app.build',
  $os: 'context.os.name',
  $os_version: 'context.os.version',
  $manufacturer: 'context.device.manufacturer',
  $model: 'context.device.model',
  $device: 'context.device.name',
  $device_type: 'context.device.type',
  $carrier: 'context.network.carrier',
  $wifi: 'context.network.wifi',
  $bluetooth: 'context.network.bluetooth',
  $cellular: 'context.network.cellular',
  $screen_width: 'context.screen.width',
  $screen_height: 'context.screen.height',
  $screen_density: 'context.screen.density',
  $current_url: 'context.page.url',
  $referrer: 'context.page.referrer',
  $city: 'context.location.city',
  $region: 'context.location.region',
  $latitude: 'context.location.latitude',
  $longitude: 'context.location.longitude',
  utm_campaign: 'context.campaign.name',
  utm_source: 'context.campaign.source',
  utm_medium: 'context.campaign.medium',
  utm_term: 'context.campaign.term',
  utm_content: 'context.campaign.content',
  $locale: 'context.locale',
  $lib_version: 'context.library.version',
  mp_lib: 'context.library.name',
  $group_id: 'context.groupId',
  $referring_domain: ({ context }) => domainOf(objectOf(objectOf(context)?.page)?.referrer),
  mp_country_code: ({ context }) => {
    const country = objectOf(objectOf(context)?.location)?.country;
    return typeof country === 'string' && isCountryCode(country) ? country.toUpperCase() : undefined;
  },
};

/** Puts what has names that a call's own properties may have, too: those win. */
export function addOfCall(record: Fields, put: Put): undefined {
  if (record.type !== 'track') {
    put('name', record.name);
    put('category', record.category);
  }
  const context = objectOf(record.context);
  if (context === undefined) return;
  const page = objectOf(context.page);
  if (page !== undefined) {
    put('title', page.title);
    put('path', page.path);
    put('search', page.search);
  }
  const country = objectOf(context.location)?.country;
  // A name is not a code, and stays a name.
  if (typeof country === 'string' && !isCountryCode(country)) put('country', country);
  put('timezone', context.timezone);
  put('user_agent', context.userAgent);
}

/** The name of a track call's event. */
export function trackName({ event }: Fields): unknown {
  if (event === undefined || event === null || event === '') return NO_EVENT;
  return typeof event === 'string' || typeof event === 'number' ? event : NOT_A_NAME;
}

/** The name of a page or screen, which Segment's libraries also write into its properties. */
export function pageName({ name, properties }: Fields): string | undefined {
  const found = name || objectOf(properties)?.name;
  return typeof found === 'string' && found.trim() !== '' ? found : undefined;
}

/** The host of a URL; of what is none, such as `$direct`, nothing but Mixpanel's own word for it. */
function domainOf(referrer: unknown): string | undefined {
  if (typeof referrer !== 'string' || referrer === '') return undefined;
  return referrer === '$direct' ? referrer : HOST.exec(referrer)?.[1];
}

function isCountryCode(text: string): boolean {
  return text.length === 2 && /^[A-Za-z]{2}$/.test(text);
}

/** The value, if it has members. */
function objectOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
}
