/** `npm run soak -- --minutes N`: files and messages keep coming, hostile ones among them, under faults and kills; nothing may be lost, memory may not grow. */

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { NAMES, startCloud } from './cloud.ts';
import { startFaults, stopFaults } from './soak/faults.ts';
import { findLosses } from './soak/losses.ts';
import { createProducer, type Sent } from './soak/producer.ts';
import { seededRandom } from './soak/random.ts';

const REPORT_INTERVAL_MS = 10_000;
/** How often one of the functions is killed. */
const KILL_INTERVAL_MS = 15_000;
/** How long it may take until all is settled once nothing new comes and nothing fails. */
const SETTLE_MS = 180_000;
/** Resident memory of a function, above which it has grown: bytes that are not settled are bounded by 64 MB. */
const MAX_MEMORY_MB = 400;
const MAX_WAITING_OBJECTS = 10;
const MAX_WAITING_MESSAGES = 5_000;
const TARGETS = ['importObject', 'drainSubscription'] as const;

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: String(Date.now()) } },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0) || !Number.isFinite(seed)) {
  console.error('usage: npm run soak -- [--minutes N] [--seed N]; N is a number above 0');
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'mixpanel-soak-'));
const cloud = await startCloud({
  folder,
  mixpanel: { keep: 'ids' },
  source: fileURLToPath(new URL('soak-functions.ts', import.meta.url)),
  minBackoffMs: 200,
  // A pause of a minute refuses a delivery many times.
  maxBackoffMs: 5_000,
  ackDeadlineSeconds: 10,
  // As deployed, where an instance imports one object at a time: its memory is what is looked at.
  maxOutstandingPushes: 1,
  env: {
    IMPORT_DEADLINE_SECONDS: '4',
    IMPORT_REQUEST_TIMEOUT_MS: '1000',
    IMPORT_RETRY_MIN_DELAY_MS: '20',
    IMPORT_RETRY_MAX_DELAY_MS: '500',
    IMPORT_LEASE_SECONDS: '2',
    DRAIN_IDLE_SECONDS: '0',
  },
});
const memoryMb: Record<string, number[]> = { importObject: [], drainSubscription: [] };
cloud.pubsub.setMaxListeners(0);
const ended = new AbortController();
const problems: string[] = [];
/** Drains that were killed: each may have had one message in its hands. */
let killedDrains = 0;
try {
  const random = seededRandom(seed);
  const { sent, uploadFile, publishMessages } = createProducer(cloud, random);
  console.log(`Soaking for ${minutes} min, --seed ${seed}: files, messages, hostile inputs, faults and kills`);
  const corrupted = startFaults(cloud, random);
  const background = [drainRepeatedly(), killRepeatedly(random), reportRepeatedly(sent)];
  const endsAt = Date.now() + minutes * 60_000;
  while (Date.now() < endsAt) {
    // What waits stays little: it is to be under way, under faults, throughout the soak.
    if (waiting(NAMES.objectSubscription) < MAX_WAITING_OBJECTS) await uploadFile();
    if (waiting(NAMES.eventSubscription) < MAX_WAITING_MESSAGES) publishMessages();
    // Slowly enough for an hour: the server's map of ids holds 16 million.
    await setTimeout(1_000);
  }
  stopFaults(cloud);
  const settled = await waitUntilSettled();
  ended.abort();
  await Promise.all(background);
  await report(sent);
  if (!settled) problems.push(`after ${SETTLE_MS / 1_000} s of peace something still waits: ${backlog()}`);
  problems.push(...(await findLosses(cloud, sent, { corrupted, killedDrains })), ...findGrowth());
} finally {
  await cloud.close();
  await rm(folder, { recursive: true });
}
for (const problem of problems) console.error(`FAILED: ${problem}`);
console.log(problems.length === 0 ? 'Nothing was lost, and memory did not grow.' : 'The soak failed.');
process.exitCode = problems.length === 0 ? 0 : 1;

async function drainRepeatedly(): Promise<void> {
  while (!ended.signal.aborted) {
    // A call that a kill cuts off is followed by the next one, as Cloud Scheduler's is.
    await cloud.drain().catch(() => {});
    await setTimeout(200);
  }
}

async function killRepeatedly(random: () => number): Promise<void> {
  while (!ended.signal.aborted) {
    await setTimeout(KILL_INTERVAL_MS * (0.5 + random()), undefined, { signal: ended.signal }).catch(() => {});
    if (ended.signal.aborted) return;
    const target = TARGETS[Math.floor(random() * TARGETS.length)]!;
    const signal = random() < 0.5 ? 'SIGKILL' : 'SIGTERM';
    if (target === 'drainSubscription' && signal === 'SIGKILL') killedDrains++;
    await cloud[target].restart(signal);
  }
}

async function reportRepeatedly(sent: Sent): Promise<void> {
  while (!ended.signal.aborted) {
    await setTimeout(REPORT_INTERVAL_MS, undefined, { signal: ended.signal }).catch(() => {});
    await report(sent);
  }
}

/** Prints what was sent and arrived, what waits, and the memory of both functions. */
async function report({ events, files, messages, hostile }: Sent): Promise<void> {
  const memory = await Promise.all(
    TARGETS.map(async (target) => {
      const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(cloud[target].pid)]).catch(() => ({
        stdout: '',
      }));
      const mb = Math.round(Number(stdout) / 1_024);
      if (mb > 0) memoryMb[target]!.push(mb);
      return `${target} ${mb} MB`;
    }),
  );
  const { received, duplicates } = cloud.mixpanel;
  console.log(
    `${new Date().toISOString()} sent ${events} events in ${files} files and ${messages} messages, and ${hostile} hostile inputs; arrived ${received - duplicates}, ${duplicates} of them again; waiting ${backlog()}; ${memory.join(', ')}`,
  );
}

function backlog(): string {
  return `${waiting(NAMES.objectSubscription)} objects, ${waiting(NAMES.eventSubscription)} messages`;
}

/** Messages of a subscription that are not acknowledged. */
function waiting(subscription: string): number {
  const { waiting, outstanding } = cloud.pubsub.backlog(subscription);
  return waiting + outstanding;
}

async function waitUntilSettled(): Promise<boolean> {
  const timeout = AbortSignal.timeout(SETTLE_MS);
  while (backlog() !== '0 objects, 0 messages') {
    const next = ['push', 'ack'].map((name) => once(cloud.pubsub, name as 'push', { signal: timeout }));
    try {
      await Promise.race(next);
    } catch {
      return false;
    } finally {
      for (const one of next) one.catch(() => {});
    }
  }
  return true;
}

function findGrowth(): string[] {
  return Object.entries(memoryMb)
    .filter(([, samples]) => Math.max(0, ...samples) > MAX_MEMORY_MB)
    .map(([target, samples]) => `${target} came to ${Math.max(...samples)} MB of memory`);
}
