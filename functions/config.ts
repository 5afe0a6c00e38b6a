/** Reads the configuration from the environment; no other file does. */

import { ConfigError } from './core/errors.ts';
import { globProblem } from './core/glob.ts';
import { type InsertIdOf, insertIdByContent, insertIdByKeyedContent, insertIdByPosition } from './core/insert-id.ts';
import { mappingProblems } from './core/mappings/mappings.ts';
import type { BatchLimits } from './core/mixpanel/batch.ts';
import type { MixpanelOptions } from './core/mixpanel/client.ts';
import { type ObjectNames, TEMPORARY_OBJECTS } from './object-filter.ts';

/** What the import core needs, wherever events come from. */
export interface CoreConfig extends BatchLimits {
  mixpanel: MixpanelOptions;
  maxConcurrency: number;
  maxBytesInFlight: number;
  gzipLevel: number;
  retryMinDelayMs: number;
  retryMaxDelayMs: number;
  insertIdOf: InsertIdOf;
  /** A mapping, JSON that was checked; undefined if records are Mixpanel's events. */
  mapping: string | undefined;
  /** Key of the hashes of a mapping and of ids by content. */
  hashKey: string | undefined;
  /** Base URL of another Cloud Storage; default: Google's. */
  storageEndpoint: string | undefined;
}

/** What both functions need. */
interface FunctionConfig extends CoreConfig {
  stateBucket: string;
  /** Default: the state bucket. */
  deadLetterBucket: string;
  /** From the start of an invocation to the moment it winds down. */
  deadlineMs: number;
}

/** What importObject needs. */
export interface ImportObjectConfig extends FunctionConfig, ObjectNames {
  /** `projects/P/topics/T` */
  objectTopic: string;
  /** `host:port` of another Pub/Sub to publish to; default: Google's. */
  pubsubEmulatorHost: string | undefined;
  leaseMs: number;
}

/** What drainSubscription needs. */
export interface DrainSubscriptionConfig extends FunctionConfig {
  /** `projects/P/subscriptions/S` */
  eventSubscription: string;
  drainIdleMs: number;
}

/** Variables by name. */
export type Environment = Record<string, string | undefined>;

const REGIONS: Record<string, string> = {
  us: 'https://api.mixpanel.com',
  eu: 'https://api-eu.mixpanel.com',
  in: 'https://api-in.mixpanel.com',
};
/** https://cloud.google.com/storage/docs/buckets#naming */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
/** Shorter ones can be found by trial. */
const MIN_HASH_KEY = 16;
/** Time-out of the deployed functions, and what of it is left for winding down, in seconds. */
const FUNCTION_TIMEOUT = 580;
const WIND_DOWN = 20;

/**
 * The function that this process serves: FUNCTION_TARGET, or what the functions framework is started with.
 *
 * @throws {@link ConfigError} when it is neither of ours
 */
export function readTarget(env: Environment, args: readonly string[]): 'importObject' | 'drainSubscription' {
  const flag = args.findIndex((arg) => /^--target(=|$)/.test(arg));
  const target = flag === -1 ? env.FUNCTION_TARGET : (args[flag]!.split('=')[1] ?? args[flag + 1]);
  if (target === 'importObject' || target === 'drainSubscription') return target;
  throw new ConfigError(['FUNCTION_TARGET must be importObject or drainSubscription']);
}

/** @throws {@link ConfigError} that names every invalid variable */
export function readCoreConfig(env: Environment): CoreConfig {
  return read(env, readCore);
}

/** @throws {@link ConfigError} that names every invalid variable */
export function readImportObjectConfig(env: Environment): ImportObjectConfig {
  return read(env, (variables) => ({
    ...readFunction(variables),
    objectTopic: variables.required('OBJECT_TOPIC', /^projects\/[^/\s]+\/topics\/[^/\s]+$/, 'projects/P/topics/T'),
    objectPrefix: variables.text('OBJECT_PREFIX') ?? '',
    objectInclude: variables.globs('OBJECT_INCLUDE', []),
    objectExclude:
      variables.text('OBJECT_EXCLUDE') === 'none' ? [] : variables.globs('OBJECT_EXCLUDE', TEMPORARY_OBJECTS),
    pubsubEmulatorHost: variables.text('PUBSUB_EMULATOR_HOST'),
    leaseMs: 1_000 * variables.number('IMPORT_LEASE_SECONDS', 60, 2, 600),
  }));
}

/** @throws {@link ConfigError} that names every invalid variable */
export function readDrainSubscriptionConfig(env: Environment): DrainSubscriptionConfig {
  return read(env, (variables) => ({
    ...readFunction(variables),
    eventSubscription: variables.required(
      'EVENT_SUBSCRIPTION',
      /^projects\/[^/\s]+\/subscriptions\/[^/\s]+$/,
      'projects/P/subscriptions/S',
    ),
    drainIdleMs: 1_000 * variables.number('DRAIN_IDLE_SECONDS', 3, 0, 500),
  }));
}

function readFunction(variables: Variables): FunctionConfig {
  const core = readCore(variables);
  const deadlineMs = 1_000 * variables.number('IMPORT_DEADLINE_SECONDS', 500, 1, FUNCTION_TIMEOUT);
  if (deadlineMs + core.mixpanel.requestTimeoutMs + 1_000 * WIND_DOWN > 1_000 * FUNCTION_TIMEOUT) {
    variables.problem(
      `IMPORT_DEADLINE_SECONDS and IMPORT_REQUEST_TIMEOUT_MS together must leave ${WIND_DOWN} of the function's ${FUNCTION_TIMEOUT} seconds`,
    );
  }
  const stateBucket = variables.required('STATE_BUCKET', BUCKET, 'the name of a bucket');
  return {
    ...core,
    stateBucket,
    deadLetterBucket: variables.matching('DEAD_LETTER_BUCKET', BUCKET, 'the name of a bucket') ?? stateBucket,
    deadlineMs,
  };
}

function readCore(variables: Variables): CoreConfig {
  const region = variables.oneOf('MIXPANEL_REGION', 'us', REGIONS);
  const hashKey = readHashKey(variables);
  return {
    mixpanel: {
      ...readCredentials(variables),
      url: variables.url('MIXPANEL_API_URL') ?? region,
      requestTimeoutMs: variables.number('IMPORT_REQUEST_TIMEOUT_MS', 60_000, 1, 600_000),
    },
    maxEvents: variables.number('IMPORT_MAX_BATCH_EVENTS', 2_000, 1, 2_000),
    maxBytes: variables.number('IMPORT_MAX_BATCH_BYTES', 10_000_000, 1, 10_000_000),
    maxConcurrency: variables.number('IMPORT_MAX_CONCURRENCY', 10, 1, 100),
    maxBytesInFlight: variables.number('IMPORT_MAX_BYTES_IN_FLIGHT', 48_000_000, 1, 1_000_000_000),
    gzipLevel: variables.number('IMPORT_GZIP_LEVEL', 6, 1, 9),
    retryMinDelayMs: variables.number('IMPORT_RETRY_MIN_DELAY_MS', 2_000, 1, 600_000),
    retryMaxDelayMs: variables.number('IMPORT_RETRY_MAX_DELAY_MS', 60_000, 1, 600_000),
    insertIdOf: variables.oneOf('INSERT_ID', 'content', {
      content: hashKey === undefined ? insertIdByContent : insertIdByKeyedContent(hashKey),
      position: insertIdByPosition,
    }),
    mapping: readMapping(variables, hashKey),
    hashKey,
    storageEndpoint: variables.url('STORAGE_API_ENDPOINT'),
  };
}

function readHashKey(variables: Variables): string | undefined {
  const key = variables.text('IMPORT_HASH_KEY');
  if (key !== undefined && key.length < MIN_HASH_KEY) {
    variables.problem(`IMPORT_HASH_KEY must have at least ${MIN_HASH_KEY} characters`);
  }
  return key;
}

function readMapping(variables: Variables, hashKey: string | undefined): string | undefined {
  const mapping = variables.text('IMPORT_MAPPING');
  if (mapping === undefined) return undefined;
  for (const problem of mappingProblems(mapping, hashKey)) variables.problem(`IMPORT_MAPPING: ${problem}`);
  return mapping;
}

function readCredentials(variables: Variables) {
  const token = variables.text('MIXPANEL_PROJECT_TOKEN');
  const names = ['MIXPANEL_PROJECT_ID', 'MIXPANEL_SERVICE_ACCOUNT_USERNAME', 'MIXPANEL_SERVICE_ACCOUNT_SECRET'];
  const [projectId, username, secret] = names.map((name) => variables.text(name));
  if (token !== undefined) {
    if (username !== undefined || secret !== undefined) {
      variables.problem(
        'MIXPANEL_PROJECT_TOKEN must not be set together with MIXPANEL_SERVICE_ACCOUNT_USERNAME or _SECRET',
      );
    }
    return { projectId, username: token, password: '' };
  }
  if (projectId === undefined && username === undefined && secret === undefined) {
    variables.problem(`${names.join(', ')} must be set, or MIXPANEL_PROJECT_TOKEN`);
  } else {
    for (const name of names.filter((name) => variables.text(name) === undefined)) {
      variables.problem(`${name} must be set too: other service account variables are set`);
    }
  }
  return { projectId, username: username ?? '', password: secret ?? '' };
}

function read<Result>(env: Environment, take: (variables: Variables) => Result): Result {
  const variables = new Variables(env);
  const result = take(variables);
  if (variables.problems.length > 0) throw new ConfigError(variables.problems);
  return result;
}

/** Reads variables and gathers what is wrong with them; an empty one counts as not set. */
class Variables {
  readonly problems: string[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  problem(problem: string): void {
    this.problems.push(problem);
  }

  text(name: string): string | undefined {
    return this.#env[name]?.trim() || undefined;
  }

  required(name: string, pattern: RegExp, allowed: string): string {
    const value = this.text(name) ?? '';
    if (!pattern.test(value)) this.problem(`${name} must be ${allowed}`);
    return value;
  }

  matching(name: string, pattern: RegExp, allowed: string): string | undefined {
    return this.text(name) === undefined ? undefined : this.required(name, pattern, allowed);
  }

  number(name: string, fallback: number, min: number, max: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    this.problem(`${name} must be a whole number from ${min} to ${max}`);
    return fallback;
  }

  oneOf<Value>(name: string, fallback: string, values: Record<string, Value>): Value {
    const text = this.text(name) ?? fallback;
    if (Object.hasOwn(values, text)) return values[text]!;
    this.problem(`${name} must be one of ${Object.keys(values).join(', ')}`);
    return values[fallback]!;
  }

  /** A list, separated by commas. */
  globs(name: string, fallback: readonly string[]): readonly string[] {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const patterns = text.split(',').map((pattern) => pattern.trim());
    for (const [index, pattern] of patterns.entries()) {
      const problem = globProblem(pattern);
      if (problem === undefined) continue;
      this.problem(`${name} must be globs with *, ** and ?, separated by commas: number ${index + 1} ${problem}`);
    }
    return patterns;
  }

  url(name: string): string | undefined {
    const text = this.text(name);
    // What is appended to it must end up in its path.
    if (text === undefined || (/^https?:\/\/[^@?#]+$/.test(text) && URL.canParse(text))) return text;
    this.problem(`${name} must be a URL that begins with http:// or https://, without user name, query and fragment`);
    return undefined;
  }
}
