import { setTimeout } from 'node:timers/promises';
import type { Transform } from 'mixpanel-cloud-ingestion/transform';
import { share } from './lib/share.ts';

const transform: Transform = async (record) => {
  await setTimeout(0);
  return share(String(record.properties.distinct_id)) < Number(process.env.SHARE) ? record : undefined;
};

export default transform;
