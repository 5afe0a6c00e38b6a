/**
 * RudderStack's calls, as it writes them to storage, named as its own destination for Mixpanel does
 * (https://www.rudderstack.com/docs/destinations/streaming-destinations/mixpanel/).
 */

import { addOfCall, beginCall, CALL_FIELDS, trackName, VERB_PROPERTIES, VERBS } from './calls.ts';
import { type Fields, isFields } from './path.ts';
import type { Preset } from './preset.ts';

/** An id of the library for the web: the time, and a UUID, which is enough. */
const TIMED_UUID = /^\d{10,16}-([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/i;

/** The preset. */
export const rudderstack: Preset = {
  begin: beginCall,
  event: nameOf,
  time: ['timestamp', 'originalTimestamp'],
  user: 'userId',
  device: 'anonymousId',
  insertId: ({ messageId: id }) => (typeof id === 'string' ? (TIMED_UUID.exec(id)?.[1] ?? id) : id),
  ip: addressOfCall,
  fields: { ...CALL_FIELDS, session_id: sessionOf },
  properties: 'properties',
  add: addOfCall,
  skip: VERBS,
  drop: VERB_PROPERTIES,
};

function nameOf(record: Fields): unknown {
  switch (record.type) {
    case 'page':
      return 'Loaded a Page';
    case 'screen':
      return 'Loaded a Screen';
    case 'identify':
      return 'Identify';
    default:
      return trackName(record);
  }
}

/** The address that sent a server's call is that of the server. */
function addressOfCall({ context, channel, request_ip: sender }: Fields): unknown {
  const ip = isFields(context) ? context.ip : undefined;
  return ip || (channel === 'server' || channel === 'sources' ? undefined : sender);
}

function sessionOf({ context, properties }: Fields): unknown {
  if (isFields(properties) && properties.session_id !== undefined) return undefined;
  return isFields(context) ? context.sessionId : undefined;
}
