import { v4 } from 'uuid';
import type { Transform } from 'mixpanel-cloud-ingestion/transform';
import { share } from './lib/share.ts';

const transform: Transform = (record) => ({ ...record, id: v4(), share: share('') });

export default transform;
