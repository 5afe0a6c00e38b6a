/** `npm run dev`: the local cloud stays up, for uploads and messages of your own; shows what happens until Ctrl-C. */

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { UsageError } from '../cli/import/arguments.ts';
import { printable } from '../cli/import/printable.ts';
import { withMapping } from '../cli/mapping.ts';
import { type Live, startLive } from '../live-view/live.ts';
import { type LocalCloud, NAMES } from './cloud.ts';
import { createTerminal } from './terminal.ts';

const { values } = parseArgs({
  options: {
    /** Where the buckets are kept between one start and the next. */
    folder: { type: 'string', default: fileURLToPath(new URL('../.local/storage', import.meta.url)) },
    /** Of the view; another one where it is taken. */
    port: { type: 'string', default: '4321' },
    /** Whether the Mixpanel project uses simplified ID merge. */
    simplified: { type: 'boolean', default: false },
    /** File of a mapping; its key is IMPORT_HASH_KEY. */
    mapping: { type: 'string' },
  },
});

const terminal = createTerminal(process.stdout);
const live = await startLive({
  folder: values.folder,
  port: Number(values.port),
  mixpanel: { simplified: values.simplified },
  env: await readMapping(),
  onLine: (target, line) => terminal.functionLine(target, line),
});
const { cloud } = live;
const ended = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ended.abort());

introduce(live);
watchArrivals(cloud);
publishTyped(cloud);
if (!ended.signal.aborted) await once(ended.signal, 'abort');
terminal.heading('Stopping');
await live.close();
process.exit(0); // A standard input that is still open would keep the process.

/** The mapping that was given, for the functions; ends the process if it is wrong. */
async function readMapping(): Promise<Record<string, string>> {
  try {
    const { IMPORT_MAPPING, IMPORT_HASH_KEY } = await withMapping(process.env, values.mapping);
    const given = { IMPORT_MAPPING, IMPORT_HASH_KEY };
    return Object.fromEntries(Object.entries(given).flatMap(([name, value]) => (value ? [[name, value]] : [])));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    for (const problem of error.problems) process.stderr.write(`${printable(problem)}\n`);
    process.exit(2);
  }
}

function introduce({ view, cloud: { mixpanel, storage, pubsub } }: Live): void {
  const upload = `${storage.url}/upload/storage/v1/b/${NAMES.importBucket}/o?uploadType=media&name=10-events.ndjson`;
  terminal.heading(`Watch it in a browser: ${view.url}`);
  terminal.heading('The local cloud is up; Ctrl-C ends it');
  terminal.line('mixpanel', `${mixpanel.url}/import`);
  terminal.line('bucket', `gs://${NAMES.importBucket} at ${storage.url}; upload a file:`);
  terminal.line('', `curl --data-binary @samples/10-events.ndjson '${upload}'`);
  terminal.line('topic', `${NAMES.eventTopic} for clients with PUBSUB_EMULATOR_HOST=${pubsub.host}`);
  terminal.line('', 'or type a message here and press Enter, such as');
  terminal.line('', '{"event":"Hello","properties":{"distinct_id":"me","time":1767225600}}');
  terminal.heading('What happens');
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
function publishTyped({ pubsubClient }: LocalCloud): void {
  const topic = pubsubClient.topic(NAMES.eventTopic);
  createInterface(process.stdin).on('line', async (line) => {
    if (line.trim() === '') return;
    try {
      await topic.publishMessage({ data: Buffer.from(line) });
      terminal.line('topic', 'a message was published');
    } catch (error) {
      terminal.line('topic', `the message was not published: ${error instanceof Error ? error.message : error}`);
    }
  });
}
