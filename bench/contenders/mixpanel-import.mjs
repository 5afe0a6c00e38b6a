// mixpanel-import, called as its README says, with 20 workers. Its addresses are fixed in its code; of its HTTP client
// alone the origin is exchanged, so that it posts to the server of the benchmark as it would to Mixpanel.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { BENCH_FILE: file, BENCH_URL: url, BENCH_EVENTS: events } = process.env;

const undici = require('undici');
const { Pool } = undici;
undici.Pool = class extends Pool {
  constructor(_origin, options) {
    super(url, options);
  }
};

const importer = require('mixpanel-import');
const results = await importer({ acct: 'bench', pass: 'bench', project: '1' }, file, {
  recordType: 'event',
  streamFormat: 'jsonl',
  isGzip: file.endsWith('.gz'),
  workers: 20,
  compress: true,
  logs: false,
});
if (results.total !== Number(events)) {
  throw new Error(`of ${events} events ${results.total} were read`);
}
process.exit(0);
