/** The local cloud with the view: what `npm run dev` starts, and the browser tests. */

import { watch as watchFolder } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { problemOf } from '../local-cloud/check-module.ts';
import { type LocalCloud, NAMES, startCloud } from '../local-cloud/cloud.ts';
import type { MixpanelOptions } from '../local-cloud/mixpanel/server.ts';
import type { Ports } from '../local-cloud/ports.ts';
import { restartFunctions } from './actions.ts';
import { serveView, type ViewServer } from './server.ts';
import { Watch } from './watch.ts';

/** How often waiting messages are looked for; in the cloud, Cloud Scheduler calls once a minute. */
const DRAIN_INTERVAL_MS = 2_000;
/** Shorter than deployed, so that one sees in seconds what takes minutes there. */
const ENV = {
  DRAIN_IDLE_SECONDS: '1',
  IMPORT_LEASE_SECONDS: '5',
  IMPORT_DEADLINE_SECONDS: '60',
  IMPORT_RETRY_MIN_DELAY_MS: '500',
  IMPORT_RETRY_MAX_DELAY_MS: '5000',
};
/** How long an answer has before its server ends. */
const ANSWERING_MS = 100;
/** An editor may write a file in several steps. */
const WRITING_MS = 200;
const FUNCTIONS = fileURLToPath(new URL('../functions/', import.meta.url));
/** The user's transform. */
export const TRANSFORM = new URL('../functions/transform.ts', import.meta.url);
/** What the local Cloud Storage makes in its folder; nothing else there is ever deleted. */
const STORAGE_FOLDERS = ['buckets', 'staging'];
const BACKOFF_MS = { minBackoffMs: 1_000, maxBackoffMs: 5_000 };

/** How it is started. */
export interface LiveOptions {
  /** Where Cloud Storage keeps its objects. */
  folder: string;
  /** Where everything listens; free ports where there is none, or 0. */
  ports?: Partial<Ports>;
  /** How the local Mixpanel behaves. */
  mixpanel?: MixpanelOptions;
  /** Further variables of the functions' environment, such as a mapping. */
  env?: Record<string, string>;
  /** Receives every line that a function prints. */
  onLine?: (target: string, line: string) => void;
  /** Receives the reason why a saved transform cannot be loaded. */
  onProblem?: (problem: string) => void;
  /** Is called with each local cloud that was started. */
  onStart?: (cloud: LocalCloud) => void;
}

/** What was started. Starting empty puts other parts in place. */
export interface Live {
  cloud: LocalCloud;
  watch: Watch;
  /** May be closed, and another one put in its place. */
  view: ViewServer;
  /** Ends everything, deletes all data, and starts again on the same ports. */
  clean(): Promise<void>;
  close(): Promise<void>;
}

/** Deletes the buckets in the folder of a local Cloud Storage. */
export async function deleteStorage(folder: string): Promise<void> {
  for (const name of STORAGE_FOLDERS) await rm(join(folder, name), { recursive: true, force: true });
}

/** Starts everything; waiting messages are drained from then on. */
export async function startLive(options: LiveOptions): Promise<Live> {
  let parts = await startParts(options, clean);
  let cleaning: Promise<void> | undefined;

  function clean(): Promise<void> {
    cleaning ??= startAgain().finally(() => {
      cleaning = undefined;
    });
    return cleaning;
  }

  async function startAgain(): Promise<void> {
    const { IMPORT_MAPPING } = live.cloud.env;
    const ports = portsOf(live);
    await end();
    await deleteStorage(options.folder);
    const env = { ...options.env, ...(IMPORT_MAPPING === undefined ? {} : { IMPORT_MAPPING }) };
    parts = await startParts({ ...options, ports, env }, clean);
    Object.assign(live, parts.shown);
  }

  async function end(): Promise<void> {
    const { cloud, view } = live;
    parts.ended.abort();
    await view.close();
    // A drain under way ends with its function: it may be waiting for a Mixpanel that refuses it for minutes.
    await Promise.all([cloud.importObject.stop('SIGKILL'), cloud.drainSubscription.stop('SIGKILL')]);
    await parts.drains;
    await cloud.close();
  }

  const live: Live = {
    ...parts.shown,
    clean,
    async close() {
      await cleaning;
      await end();
    },
  };
  return live;
}

async function startParts(options: LiveOptions, clean: () => Promise<void>) {
  const { folder, ports = {}, mixpanel, env = {}, onLine, onStart } = options;
  await mkdir(folder, { recursive: true });
  const watch = new Watch();
  const cloud = await startCloud({
    folder,
    mixpanel,
    env: { ...ENV, ...env },
    ...BACKOFF_MS,
    keepsFunctions: true,
    ports: withoutZeros(ports),
    onLine(target, line) {
      watch.line(target as 'importObject' | 'drainSubscription', line);
      onLine?.(target, line);
    },
  });
  watch.observe(cloud);
  const view = await serveView({ cloud, watch, port: ports.view ?? 0, onClean: () => cleanSoon(clean) });
  const ended = new AbortController();
  restartOnChange(cloud, watch, options, ended.signal);
  onStart?.(cloud);
  return { shown: { cloud, watch, view }, ended, drains: drainRepeatedly(cloud, watch, ended.signal) };
}

/** After the answer, which the server gives while it is still there. */
function cleanSoon(clean: () => Promise<void>): string {
  setTimeout(clean, ANSWERING_MS);
  return 'All data is being deleted; the local cloud restarts';
}

function withoutZeros({ view: _, ...ports }: Partial<Ports>): Partial<Ports> {
  return Object.fromEntries(Object.entries(ports).filter(([, port]) => port > 0));
}

function portsOf({ view, cloud: { mixpanel, storage, pubsub, importObject, drainSubscription } }: Live): Ports {
  const portOf = (url: string) => Number(new URL(url).port);
  return {
    view: view.port,
    mixpanel: mixpanel.port,
    storage: portOf(storage.url),
    pubsub: portOf(`http://${pubsub.host}`),
    importObject: portOf(importObject.url),
    drainSubscription: portOf(drainSubscription.url),
  };
}

/** Calls drainSubscription whenever messages wait, as Cloud Scheduler does every minute. */
async function drainRepeatedly({ drain, pubsub }: LocalCloud, watch: Watch, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of setInterval(DRAIN_INTERVAL_MS, undefined, { signal })) {
      if (pubsub.backlog(NAMES.eventSubscription).waiting === 0) continue;
      watch.isDraining = true;
      await drain().catch(() => {});
      // What it still holds, as it was killed or a pull had just given up, comes again: here at once, in the cloud
      // when the ack deadline is over.
      pubsub.expire(NAMES.eventSubscription);
      watch.isDraining = false;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Has both functions end, and so start again, when the transform or anything else of theirs was saved and can be loaded. */
function restartOnChange(cloud: LocalCloud, watch: Watch, { onProblem }: LiveOptions, signal: AbortSignal): void {
  let timer: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', () => clearTimeout(timer));
  const restart = async (name: string) => {
    const problem = await problemOf(TRANSFORM, cloud.env);
    if (signal.aborted) return;
    if (problem === undefined) {
      watch.say(`functions/${name} has changed: both functions restart with it`);
      restartFunctions(cloud);
      return;
    }
    const text = `${problem}. Both functions keep the previous version`;
    watch.say(text, 'ERROR');
    onProblem?.(text);
  };
  // The folder, as an editor may put another file in the place of this one.
  watchFolder(FUNCTIONS, { signal, persistent: false, recursive: true }, (_, name) => {
    if (!name?.endsWith('.ts')) return;
    clearTimeout(timer);
    timer = setTimeout(restart, WRITING_MS, name);
  });
}
