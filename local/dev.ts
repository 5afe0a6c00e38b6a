/** `npm run dev`: the local cloud stays up, for uploads and messages of your own; shows what happens until Ctrl-C. */

import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setInterval } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type LocalCloud, NAMES, startCloud } from './cloud.ts';
import { createTerminal } from './terminal.ts';

/** Where the buckets are kept between one start and the next. */
const FOLDER = fileURLToPath(new URL('../.local/storage', import.meta.url));
/** How often waiting messages are looked for; in the cloud, Cloud Scheduler calls once a minute. */
const DRAIN_INTERVAL_MS = 2_000;

const terminal = createTerminal(process.stdout);
await mkdir(FOLDER, { recursive: true });
const cloud = await startCloud({
  folder: FOLDER,
  env: { DRAIN_IDLE_SECONDS: '1' },
  onLine: (target, line) => terminal.functionLine(target, line),
});
const ended = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ended.abort());

introduce(cloud);
watchArrivals(cloud);
publishTyped(cloud);
const drains = drainRepeatedly(cloud, ended.signal);
if (!ended.signal.aborted) await once(ended.signal, 'abort');
terminal.heading('Stopping');
await drains;
await cloud.close();
process.exit(0); // A standard input that is still open would keep the process.

function introduce({ mixpanel, storage, pubsub }: LocalCloud): void {
  const upload = `${storage.url}/upload/storage/v1/b/${NAMES.importBucket}/o?uploadType=media&name=10-events.ndjson`;
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
      `answered ${status} to a batch of ${events} events; it holds ${mixpanel.events().length} different ones`,
    ),
  );
}

/** Publishes each line of the standard input as a message. */
function publishTyped({ pubsubClient }: LocalCloud): void {
  const topic = pubsubClient.topic(NAMES.eventTopic);
  createInterface(process.stdin).on('line', async (line) => {
    if (line.trim() === '') return;
    await topic.publishMessage({ data: Buffer.from(line) });
    terminal.line('topic', 'a message was published');
  });
}

/** Calls drainSubscription whenever messages wait, as Cloud Scheduler does every minute. */
async function drainRepeatedly({ drain, pubsub }: LocalCloud, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of setInterval(DRAIN_INTERVAL_MS, undefined, { signal })) {
      if (pubsub.backlog(NAMES.eventSubscription).waiting > 0) await drain();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
