/** The contenders: how each is run once on an input, and measured. */

import { setTimeout as sleep } from 'node:timers/promises';
import { NODE_OPTIONS } from '../local-cloud/served-function.ts';
import type { Input } from './inputs.ts';
import { BENCH, BUILD } from './paths.ts';
import { type MeasuredProcess, startMeasured, type Usage } from './processes.ts';
import type { RecordKind } from './records.ts';
import { functionEnv, post, postObject, serve } from './served.ts';
import type { SinkOptions } from './servers/sink.ts';
import type { Stage } from './stage.ts';

/** What one run of a contender took. */
export interface Measurement extends Usage {
  events: number;
  wallSeconds: number;
  /** Of a function, where it was called several times: what one could not settle in time, the next sends again. */
  invocations?: number;
}

/** What runs of a contender have in common. */
export interface RunOptions {
  /** How the server that stands for Mixpanel behaves. */
  sink?: SinkOptions;
  /** Variables for contenders of ours, over the others. */
  env?: Record<string, string>;
  profileFolder?: string | undefined;
}

type Contender = (input: Input, stage: Stage, options: RunOptions) => Promise<Measurement>;

/** Messages of a drain, at most: the local Pub/Sub keeps all of them in memory. */
const MAX_MESSAGES = 200_000;
/** Where the table shows them. */
const CONTENDERS: Record<string, Contender> = {
  floor: (input, stage, options) => runScript(input, stage, options, [`${BUILD}bench/contenders/floor.js`]),
  core: (input, stage, options) => runScript(input, stage, options, [NODE_OPTIONS, `${BUILD}bench/contenders/core.js`]),
  'core-transform': (input, stage, { env, ...options }) =>
    CONTENDERS.core!(input, stage, { ...options, env: { BENCH_TRANSFORM: '1', ...env } }),
  'core-mapping': mapped({ drop: ['search'], hash: ['distinct_id'] }, { BENCH_HASH_KEY: 'a key of the benchmark' }),
  'segment-floor': recordFloor('segment'),
  segment: mapped({ from: 'segment' }),
  'snowplow-floor': recordFloor('snowplow'),
  snowplow: mapped({ from: 'snowplow' }),
  'import-object': importObject,
  'drain-subscription': drainSubscription,
  'mixpanel-import': (input, stage, options) =>
    runScript(input, stage, options, [`${BENCH}contenders/mixpanel-import.mjs`]),
  guide: (input, stage, options) => runScript(input, stage, options, [`${BENCH}contenders/guide.py`], 'python3'),
};

/** Contenders that the events of an input go through as they are, so that the server can tell how many a body has. */
const KEEPS_BYTES = new Set(['floor', 'core', 'core-transform', 'import-object', 'drain-subscription']);
/** Contenders whose events differ in length from those of the input, so that the server has to count them. */
const MAKES_EVENTS = new Set(['core-mapping', 'segment', 'snowplow']);
/** Contenders that give an event its `$insert_id`. */
const MAKES_IDS = new Set(['core', 'core-transform', 'import-object', 'drain-subscription']);

/** The records that a contender is for; undefined if it imports events. */
export function recordsOf(name: string): RecordKind | undefined {
  return (['segment', 'snowplow'] as const).find((kind) => name === kind || name === `${kind}-floor`);
}

/**
 * Runs a contender once.
 *
 * @throws when not every event arrived, or one arrived twice in a single invocation: such a run proves nothing
 */
export async function measure(
  name: string,
  input: Input,
  stage: Stage,
  options: RunOptions = {},
): Promise<Measurement> {
  const lineBytes = MAKES_IDS.has(name) ? input.sentLineBytes : input.lineBytes;
  const isCounting = MAKES_EVENTS.has(name);
  await stage.reset({ ...(KEEPS_BYTES.has(name) ? { lineBytes } : {}), isCounting, ...options.sink });
  const measurement = await CONTENDERS[name]!(input, stage, options);
  const { events, uniqueIds } = await stage.arrivals();
  const { events: expected, invocations = 1 } = measurement;
  const isEach = (uniqueIds ?? events) === expected;
  if (!isEach || (events !== expected && invocations === 1)) {
    throw new Error(`${name}: of ${expected} events ${events} arrived, ${uniqueIds} of them different`);
  }
  return measurement;
}

/** Our core with a mapping. */
function mapped(mapping: object, variables?: Record<string, string>): Contender {
  return (input, stage, { env, ...options }) =>
    CONTENDERS.core!(input, stage, {
      ...options,
      env: { BENCH_MAPPING: JSON.stringify(mapping), ...variables, ...env },
    });
}

/** What it takes at least to make events of such records. */
function recordFloor(kind: RecordKind): Contender {
  return (input, stage, { env, ...options }) =>
    runScript(input, stage, { ...options, env: { BENCH_RECORDS: kind, ...env } }, [
      `${BUILD}bench/contenders/record-floor.js`,
    ]);
}

async function runScript(
  input: Input,
  stage: Stage,
  { env, profileFolder }: RunOptions,
  args: string[],
  command = process.execPath,
): Promise<Measurement> {
  const contender = startMeasured({
    command,
    args,
    env: {
      ...functionEnv(stage),
      BENCH_FILE: input.path,
      BENCH_URL: stage.mixpanelUrl,
      BENCH_EVENTS: String(input.events),
      ...env,
    },
    profileFolder,
  });
  const usage = await contender.usage;
  return { events: input.events, wallSeconds: secondsSince(contender), ...usage };
}

async function importObject(input: Input, stage: Stage, { env, profileFolder }: RunOptions): Promise<Measurement> {
  const { path, name, events } = input;
  const generation = await stage.ask('upload', { path, name });
  const served = await serve('importObject', stage, {
    env: { STATE_BUCKET: await stage.ask('newStateBucket'), ...env },
    profileFolder,
  });
  const calledAt = performance.now();
  let invocations = 0;
  // An import that its deadline cut off publishes a continuation: it is delivered by calling again.
  while (!served.printed.some((line) => line.includes('"object imported"'))) {
    invocations++;
    const status = await postObject(served.url, { name, generation });
    if (status !== 204) throw new Error(`importObject answered ${status}:\n${served.printed.join('\n')}`);
    // The line may come a moment after the answer.
    await sleep(20);
  }
  const wallSeconds = (performance.now() - calledAt) / 1_000;
  return { events, wallSeconds, invocations, ...(await served.stop()) };
}

async function drainSubscription(input: Input, stage: Stage, { env, profileFolder }: RunOptions): Promise<Measurement> {
  const events = Math.min(MAX_MESSAGES, input.events);
  await stage.ask('publish', { path: input.path, events });
  const served = await serve('drainSubscription', stage, {
    env: { STATE_BUCKET: await stage.ask('newStateBucket'), ...env },
    profileFolder,
  });
  const calledAt = performance.now();
  while ((await stage.ask('backlog')) > 0) {
    const status = await post(served.url);
    if (status !== 200) throw new Error(`drainSubscription answered ${status}:\n${served.printed.join('\n')}`);
  }
  const wallSeconds = (performance.now() - calledAt) / 1_000;
  return { events, wallSeconds, ...(await served.stop()) };
}

function secondsSince({ startedAt }: MeasuredProcess): number {
  return (performance.now() - startedAt) / 1_000;
}
