/** Leaves out what the team itself does, and hashes the id of everybody else. */

import type { Transform } from 'mixpanel-cloud-ingestion/transform';
import { hashed } from './lib/hashed.ts';

const { DISTINCT_ID_KEY: key, INTERNAL_DOMAIN: domain } = process.env;
if (!key || !domain) throw new Error('DISTINCT_ID_KEY and INTERNAL_DOMAIN must be set');

const transform: Transform = (record) => {
  const { distinct_id: id, $insert_id: insertId } = record.properties;
  if (id === undefined || id === null || id === '') return record;
  const text = typeof id === 'string' ? id.trim().toLowerCase() : JSON.stringify(id);
  if (text.endsWith(`@${domain}`)) return undefined;
  // The id that is made otherwise is a hash without a key, of a record that holds the address.
  const $insert_id = insertId || hashed(JSON.stringify(record), key);
  return { ...record, properties: { ...record.properties, $insert_id, distinct_id: hashed(text, key) } };
};

export default transform;
