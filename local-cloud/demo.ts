/** `npm run demo`: real files and real messages go through both functions into a local Mixpanel; shows what happens. */

import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalCloud, NAMES, startCloud } from './cloud.ts';
import { createTerminal } from './terminal.ts';

/** What the samples hold; the demo fails when anything else arrives. */
const FILES = [
  { file: '10-events.ndjson', events: 10, rejected: 0, says: 'ten events, one a line' },
  { file: 'shop.ndjson', events: 10, rejected: 2, says: 'twelve records, of which two are no good' },
  { file: '10-events.ndjson', events: 10, rejected: 0, says: 'the first file once more' },
];
const REPEATED_EVENTS = 10;
const SINGLE_EVENTS = 1_000;
const ARRAY_EVENTS = 5;
/** How long a function may take here, in milliseconds: far longer than it does. */
const MAX_WAIT_MS = 30_000;

/** What is of interest here of a function's summary line. */
interface Summary {
  imported: number;
  rejected: number;
}

/** Where something came from, what was sent from there, and what its invocation said became of it. */
interface Row {
  source: string;
  sent: number;
  imported: number;
  rejected: number;
}

const terminal = createTerminal(process.stdout);
const startedAt = performance.now();
const folder = await mkdtemp(join(tmpdir(), 'mixpanel-demo-'));
/** Emits `summary` with each summary line of a function. */
const functions = new EventEmitter<{ summary: [Summary] }>();

try {
  process.exitCode = (await runDemo()) ? 0 : 1;
} catch (error) {
  // A function that does not start has printed the rest of it.
  terminal.failure(String(error instanceof Error ? error.message : error).split('\n', 1)[0]!);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true });
}

/** Resolves with whether all that was sent has arrived. */
async function runDemo(): Promise<boolean> {
  terminal.heading('Starting Mixpanel, Cloud Storage, Pub/Sub and both functions on this machine');
  const cloud = await startCloud({
    folder,
    env: { DRAIN_IDLE_SECONDS: '1' },
    onLine(target, line) {
      terminal.functionLine(target, line);
      if (line.startsWith('{"') && 'durationMs' in JSON.parse(line)) functions.emit('summary', JSON.parse(line));
    },
  });
  cloud.mixpanel.on('request', ({ status, events }) =>
    terminal.line('mixpanel', `answered ${status} to a batch of ${events} events`),
  );
  try {
    const rows = [...(await importFiles(cloud)), await importMessages(cloud)];
    const deadLetters = await showDeadLetters(cloud);
    return report(cloud, rows, deadLetters);
  } finally {
    await cloud.close();
  }
}

async function importFiles({ storageClient }: LocalCloud): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { file, events, rejected, says } of FILES) {
    terminal.heading(`A file is uploaded: ${says}`);
    const path = new URL(`../samples/${file}`, import.meta.url).pathname;
    const summary = nextSummary();
    terminal.line('bucket', `gs://${NAMES.importBucket}/${file} is finalized; Cloud Storage notifies the topic`);
    await storageClient.bucket(NAMES.importBucket).upload(path);
    rows.push(toRow(`file ${file}`, events + rejected, await summary));
  }
  return rows;
}

async function importMessages({ pubsubClient, drain }: LocalCloud): Promise<Row> {
  terminal.heading('Messages are published, and Cloud Scheduler calls drainSubscription');
  const topic = pubsubClient.topic(NAMES.eventTopic);
  const newEvent = (index: number) => ({
    event: 'Sensor Read',
    properties: { time: 1_767_225_600 + index, distinct_id: `sensor-${index % 7}`, celsius: 20 + (index % 9) },
  });
  const messages = Array.from({ length: SINGLE_EVENTS }, (_, index) => JSON.stringify(newEvent(index)));
  messages.push(JSON.stringify(Array.from({ length: ARRAY_EVENTS }, (_, index) => newEvent(SINGLE_EVENTS + index))));
  messages.push('this is no JSON');
  await Promise.all(messages.map((message) => topic.publishMessage({ data: Buffer.from(message) })));
  terminal.line(
    'topic',
    `${messages.length} messages: an event each, one with an array of ${ARRAY_EVENTS}, one that is no good`,
  );
  const summary = nextSummary();
  await drain();
  return toRow(`${messages.length} messages`, SINGLE_EVENTS + ARRAY_EVENTS + 1, await summary);
}

async function nextSummary(): Promise<Summary> {
  const [summary] = await once(functions, 'summary', { signal: AbortSignal.timeout(MAX_WAIT_MS) });
  return summary;
}

function toRow(source: string, sent: number, { imported, rejected }: Summary): Row {
  return { source, sent, imported, rejected };
}

/** Prints what the state bucket holds and returns how many dead letters that is. */
async function showDeadLetters({ storageClient }: LocalCloud): Promise<number> {
  terminal.heading('What can never be imported is kept, with its place and its reason');
  const [files] = await storageClient.bucket(NAMES.stateBucket).getFiles({ prefix: 'dead-letters/' });
  let count = 0;
  for (const file of files) {
    terminal.line('dead letters', `gs://${NAMES.stateBucket}/${file.name}`);
    for (const line of (await file.download())[0].toString().trimEnd().split('\n')) {
      const { reason, source } = JSON.parse(line);
      const place = 'line' in source ? `line ${source.line}` : `message ${source.messageId}`;
      terminal.line('', `${place}: ${reason.field}: ${reason.message}`);
      count++;
    }
  }
  return count;
}

/** Prints the accounts and returns whether the server holds what it should. */
function report({ mixpanel }: LocalCloud, rows: readonly Row[], deadLetters: number): boolean {
  const total = { source: 'total', sent: 0, imported: 0, rejected: 0 };
  for (const row of rows) {
    total.sent += row.sent;
    total.imported += row.imported;
    total.rejected += row.rejected;
  }
  const unique = mixpanel.events().length;
  terminal.heading('The accounts');
  terminal.table([
    ['source', 'records sent', 'imported', 'rejected'],
    ...[...rows, total].map(({ source, sent, imported, rejected }) => [source, sent, imported, rejected]),
  ]);
  const expected = FILES.reduce((sum, { events }) => sum + events, SINGLE_EVENTS + ARRAY_EVENTS) - REPEATED_EVENTS;
  const isRight =
    rows.every(({ sent, imported, rejected }) => sent === imported + rejected) &&
    total.rejected === deadLetters &&
    unique === expected &&
    mixpanel.duplicates === REPEATED_EVENTS;
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const counts = `${unique} different events are in Mixpanel, ${mixpanel.duplicates} came twice and count once, ${deadLetters} dead letters`;
  if (isRight) terminal.success(`Every event arrived: ${counts} (${seconds} s).`);
  else terminal.failure(`Not what was sent, which was ${expected} different events: ${counts}.`);
  return isRight;
}
