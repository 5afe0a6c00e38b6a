/** The local cloud with the view: what `npm run dev` starts, and the browser tests. */

import { watch as watchFolder } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setInterval } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type LocalCloud, NAMES, startCloud } from '../local-cloud/cloud.ts';
import type { MixpanelOptions } from '../local-cloud/mixpanel/server.ts';
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
/** An editor may write a file in several steps. */
const WRITING_MS = 200;
const FUNCTIONS = fileURLToPath(new URL('../functions/', import.meta.url));
const BACKOFF_MS = { minBackoffMs: 1_000, maxBackoffMs: 5_000 };

/** How it is started. */
export interface LiveOptions {
  /** Where Cloud Storage keeps its objects. */
  folder: string;
  /** The port of the view; where that is taken, or 0, any that is free. */
  port: number;
  /** How the local Mixpanel behaves. */
  mixpanel?: MixpanelOptions;
  /** Further variables of the functions' environment, such as a mapping. */
  env?: Record<string, string>;
  /** Receives every line that a function prints. */
  onLine?: (target: string, line: string) => void;
}

/** What was started. */
export interface Live {
  readonly cloud: LocalCloud;
  readonly watch: Watch;
  /** May be closed, and another one put in its place. */
  view: ViewServer;
  close(): Promise<void>;
}

/** Starts everything; waiting messages are drained from then on. */
export async function startLive({ folder, port, mixpanel, env = {}, onLine }: LiveOptions): Promise<Live> {
  await mkdir(folder, { recursive: true });
  const watch = new Watch();
  const cloud = await startCloud({
    folder,
    mixpanel,
    env: { ...ENV, ...env },
    ...BACKOFF_MS,
    keepsFunctions: true,
    onLine(target, line) {
      watch.line(target as 'importObject' | 'drainSubscription', line);
      onLine?.(target, line);
    },
  });
  watch.observe(cloud);
  const view = await serveView({ cloud, watch, port }).catch(() => serveView({ cloud, watch, port: 0 }));
  const ended = new AbortController();
  const drains = drainRepeatedly(cloud, watch, ended.signal);
  restartOnChange(cloud, watch, ended.signal);
  const live = {
    cloud,
    watch,
    view,
    async close() {
      ended.abort();
      await live.view.close();
      // A drain under way ends with its function: it may be waiting for a Mixpanel that refuses it for minutes.
      await Promise.all([cloud.importObject.stop('SIGKILL'), cloud.drainSubscription.stop('SIGKILL')]);
      await drains;
      await cloud.close();
    },
  };
  return live;
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

/** Has both functions end, and so start again, when the user's transform was changed. */
function restartOnChange(cloud: LocalCloud, watch: Watch, signal: AbortSignal): void {
  let timer: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', () => clearTimeout(timer));
  // The folder, as an editor may put another file in the place of this one.
  watchFolder(FUNCTIONS, { signal, persistent: false }, (_, name) => {
    if (name !== 'transform.ts') return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      watch.say('functions/transform.ts has changed: both functions are started again with it');
      restartFunctions(cloud);
    }, WRITING_MS);
  });
}
