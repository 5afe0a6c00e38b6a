/** `npm run dev`: the local cloud stays up, for uploads and messages of your own; shows what happens until Ctrl-C. */

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs, parseEnv } from 'node:util';
import { UsageError } from '../cli/import/arguments.ts';
import { printable } from '../cli/import/printable.ts';
import { withMapping } from '../cli/mapping.ts';
import { deleteStorage, type Live, startLive, TRANSFORM } from '../live-view/live.ts';
import { problemOf } from './check-module.ts';
import { type LocalCloud, NAMES, TERMINAL_USERNAME } from './cloud.ts';
import { portProblems, portsFrom } from './ports.ts';
import { createTerminal } from './terminal.ts';

const HELP = `Runs the local cloud until Ctrl-C, with a page that shows what happens.

Usage: npm run dev -- [options]

Options
  --port N          first of six consecutive ports; default: 4321. 0: any free ports
  --clean           deletes all files, checkpoints and dead letters of the last session
  --folder FOLDER   keeps the buckets there; default: .local/storage
  --mapping FILE    gives the functions a mapping; its key is IMPORT_HASH_KEY
  --simplified      Mixpanel behaves as a project with simplified ID merge
  --help            prints this

The functions get the variables of .env in the current folder, except Mixpanel's and Google's own: they only ever talk
to the local cloud.
`;
/** Variables of the local cloud, which .env cannot set: credentials go nowhere else, and nothing real is written to. */
const OURS =
  /^(MIXPANEL_|GOOGLE_|GCLOUD_|CLOUDSDK_|NODE_|PUBSUB_|STORAGE_|METADATA_|(PATH|STATE_BUCKET|DEAD_LETTER_BUCKET|OBJECT_TOPIC|EVENT_SUBSCRIPTION)$)/;

/** Variables with which commands in another terminal work on the local cloud. */
const EXPORTED = [
  'METADATA_SERVER_DETECTION',
  'MIXPANEL_API_URL',
  'MIXPANEL_PROJECT_ID',
  'MIXPANEL_SERVICE_ACCOUNT_USERNAME',
  'MIXPANEL_SERVICE_ACCOUNT_SECRET',
  'STORAGE_API_ENDPOINT',
  'PUBSUB_EMULATOR_HOST',
  'STATE_BUCKET',
  'OBJECT_TOPIC',
];
/** The last of the six must be a port too. */
const MAX_PORT = 65_530;

const values = readOptions();
const env = await readVariables();
const ports = portsFrom(Number(values.port));
await checkBeforeStart();

const terminal = createTerminal(process.stdout);
if (values.clean) await deleteStorage(values.folder);
const ended = new AbortController();
const live = await startLive({
  folder: values.folder,
  ports,
  mixpanel: { simplified: values.simplified },
  env,
  onLine: (target, line) => terminal.functionLine(target, line),
  onProblem: (problem) => terminal.failure(problem),
  onStart: watchArrivals,
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ended.abort());

introduce(live);
publishTyped(live);
if (!ended.signal.aborted) await once(ended.signal, 'abort');
terminal.heading('Stopping');
await live.close();
process.exit(0); // A standard input that is still open would keep the process.

/** What was typed after the command; ends the process if it is wrong. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        folder: { type: 'string', default: fileURLToPath(new URL('../.local/storage', import.meta.url)) },
        port: { type: 'string', default: '4321' },
        clean: { type: 'boolean', default: false },
        simplified: { type: 'boolean', default: false },
        mapping: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > MAX_PORT) {
      return fail([`--port must be a number from 0 to ${MAX_PORT}`]);
    }
    return values;
  } catch (error) {
    return fail([`${(error as Error).message}. See npm run dev -- --help`]);
  }
}

/** Ends the process if a port is in use, or the transform cannot be loaded. */
async function checkBeforeStart(): Promise<void> {
  const problems = await portProblems(ports);
  if (problems.length > 0) fail([...problems, 'End that process, or choose other ports: npm run dev -- --port 5000']);
  const problem = await problemOf(TRANSFORM, env);
  if (problem !== undefined) fail([problem]);
}

function fail(problems: readonly string[]): never {
  for (const problem of problems) process.stderr.write(`${printable(problem)}\n`);
  process.exit(2);
}

/** Variables for the functions: those of .env, and the mapping; ends the process if the mapping is wrong. */
async function readVariables(): Promise<Record<string, string>> {
  const file = await readFile('.env', 'utf8').catch(() => '');
  const own = Object.entries(parseEnv(file)).filter(([name]) => !OURS.test(name)) as [string, string][];
  const variables = Object.fromEntries(own);
  try {
    const { IMPORT_MAPPING, IMPORT_HASH_KEY } = await withMapping({ ...variables, ...process.env }, values.mapping);
    const given = { IMPORT_MAPPING, IMPORT_HASH_KEY };
    return {
      ...variables,
      ...Object.fromEntries(Object.entries(given).flatMap(([name, value]) => (value ? [[name, value]] : []))),
    };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return fail(error.problems);
  }
}

function introduce({ view, cloud: { mixpanel, storage, pubsub, importObject, drainSubscription, env } }: Live): void {
  const upload = `${storage.url}/upload/storage/v1/b/${NAMES.importBucket}/o?uploadType=media&name=10-events.ndjson`;
  terminal.heading(`Watch it in a browser: ${view.url}`);
  terminal.heading('The local cloud is up; Ctrl-C ends it');
  terminal.line('mixpanel', `${mixpanel.url}/import`);
  terminal.line('bucket', `${storage.url}, gs://${NAMES.importBucket}; state in gs://${NAMES.stateBucket}`);
  terminal.line('topic', `${pubsub.host}, ${NAMES.eventTopic}`);
  terminal.line('importObject', importObject.url);
  terminal.line('drainSubscription', drainSubscription.url);
  terminal.heading('For npm run import, status, dead-letters, replay and backfill in another terminal');
  terminal.plain(`export ${exported(env)}`);
  terminal.heading('To upload a file');
  terminal.plain(`curl --data-binary @samples/10-events.ndjson '${upload}'`);
  terminal.heading('To publish a message, type it here and press Enter');
  terminal.plain('{"event":"Hello","properties":{"distinct_id":"me","time":1767225600}}');
  terminal.heading('What happens');
}

/** The variables with which a command works on the local cloud, as a shell takes them. */
function exported(env: Readonly<Record<string, string>>): string {
  const variables = { ...env, MIXPANEL_SERVICE_ACCOUNT_USERNAME: TERMINAL_USERNAME };
  return EXPORTED.map((name) => `${name}=${(variables as Record<string, string>)[name]}`).join(' ');
}

function watchArrivals({ mixpanel }: LocalCloud): void {
  mixpanel.on('request', ({ status, events }) =>
    terminal.line(
      'mixpanel',
      `answered ${status} to a batch of ${events} events; it holds ${mixpanel.received - mixpanel.duplicates} different ones`,
    ),
  );
}

/** Publishes each line of the standard input as a message. */
function publishTyped(live: Live): void {
  createInterface(process.stdin).on('line', async (line) => {
    if (line.trim() === '') return;
    try {
      await live.cloud.pubsubClient.topic(NAMES.eventTopic).publishMessage({ data: Buffer.from(line) });
      terminal.line('topic', 'a message was published');
    } catch (error) {
      terminal.line('topic', `the message was not published: ${error instanceof Error ? error.message : error}`);
    }
  });
}
