/** The local cloud: Mixpanel, Cloud Storage and Pub/Sub on this machine, and both functions between them, as deployed. */

import { PubSub } from '@google-cloud/pubsub';
import type { Storage } from '@google-cloud/storage';
import { createStorage } from '../functions/storage/client.ts';
import { type MixpanelOptions, type MixpanelServer, startMixpanel } from './mixpanel/server.ts';
import { type PubSubServer, startPubSub } from './pubsub/server.ts';
import { type ServedFunction, serveFunction } from './served-function.ts';
import { type ObjectResource, type StorageServer, startStorage } from './storage/server.ts';

/** Names of the resources in the local cloud. */
export const NAMES = {
  project: 'local',
  importBucket: 'local-mixpanel-import',
  stateBucket: 'local-mixpanel-state',
  objectTopic: 'projects/local/topics/mixpanel-objects',
  objectSubscription: 'projects/local/subscriptions/mixpanel-objects',
  eventTopic: 'projects/local/topics/mixpanel-events',
  eventSubscription: 'projects/local/subscriptions/mixpanel-events',
} as const;

/** Service account of commands in a terminal, with the functions' project and secret: so its requests are told apart. */
export const TERMINAL_USERNAME = 'local-terminal';
/** Credentials that the local Mixpanel takes. */
const CREDENTIALS = { projectId: '1', username: 'local-service-account', secret: 'local-secret' } as const;

/** How a local cloud is started. */
export interface LocalCloudOptions {
  /** Where Cloud Storage keeps its objects. */
  folder: string;
  /** Variables of the functions' environment, over those that make them work here. */
  env?: Record<string, string>;
  /** Receives every line that a function prints. */
  onLine?: (target: string, line: string) => void;
  mixpanel?: MixpanelOptions | undefined;
  /** The module that registers the functions; default: their sources. */
  source?: string;
  /** How long a delivery that was refused is put off, at least; default: 10 s, as deployed. */
  minBackoffMs?: number;
  /** The same, at most; default: 30 s for objects and 600 s for messages, as deployed. */
  maxBackoffMs?: number;
  /** Objects that are imported at once, at most; default: 3. */
  maxOutstandingPushes?: number;
  /** How long a message that is neither acknowledged nor refused is put off; default: 600 s, as deployed. */
  ackDeadlineSeconds?: number;
  /** Whether a function whose process ends by itself is served again; default: false. */
  keepsFunctions?: boolean;
  /** Ports; default: free ones. */
  ports?: { mixpanel?: number; storage?: number; pubsub?: number; importObject?: number; drainSubscription?: number };
}

/** A local cloud that runs. */
export interface LocalCloud {
  readonly mixpanel: MixpanelServer;
  readonly storage: StorageServer;
  readonly pubsub: PubSubServer;
  readonly importObject: ServedFunction;
  readonly drainSubscription: ServedFunction;
  /** Environment of the functions. */
  readonly env: Readonly<Record<string, string>>;
  /** Sets a variable of the functions, or takes it away (undefined); a function has it from its next start on. */
  setVariable(name: string, value: string | undefined): void;
  /** A client for the local Cloud Storage, and one for the local Pub/Sub. */
  readonly storageClient: Storage;
  readonly pubsubClient: PubSub;
  /** Calls drainSubscription as Cloud Scheduler does; resolves with its answer. */
  drain(): Promise<{ status: number; body: unknown }>;
  close(): Promise<void>;
}

/** Starts everything; resolves when all of it answers. */
export async function startCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  const { folder, onLine = () => {}, ports = {} } = options;
  // No client looks for credentials or a metadata server here.
  process.env.METADATA_SERVER_DETECTION = 'none';
  // What was started before something fails is stopped all the same.
  await using starting = new AsyncDisposableStack();
  const mixpanel = await startMixpanel({
    serviceAccount: { ...CREDENTIALS, aliases: [TERMINAL_USERNAME] },
    port: ports.mixpanel ?? 0,
    ...options.mixpanel,
  });
  starting.defer(() => mixpanel.close());
  const pubsub = await startPubSub({
    port: ports.pubsub ?? 0,
    minAckDeadlineSeconds: 1,
    maxOutstandingPushes: options.maxOutstandingPushes ?? 3,
  });
  starting.defer(() => pubsub.close());
  const storage = await startStorage({
    folder,
    port: ports.storage ?? 0,
    onFinalize: (object) => notify(pubsub, object),
  });
  starting.defer(() => storage.close());
  storage.createBucket(NAMES.importBucket);
  storage.createBucket(NAMES.stateBucket);

  const env: Record<string, string> = {
    METADATA_SERVER_DETECTION: 'none',
    MIXPANEL_API_URL: mixpanel.url,
    MIXPANEL_PROJECT_ID: CREDENTIALS.projectId,
    MIXPANEL_SERVICE_ACCOUNT_USERNAME: CREDENTIALS.username,
    MIXPANEL_SERVICE_ACCOUNT_SECRET: CREDENTIALS.secret,
    STORAGE_API_ENDPOINT: storage.url,
    PUBSUB_EMULATOR_HOST: pubsub.host,
    STATE_BUCKET: NAMES.stateBucket,
    OBJECT_TOPIC: NAMES.objectTopic,
    EVENT_SUBSCRIPTION: NAMES.eventSubscription,
    ...options.env,
  };
  const served = (['importObject', 'drainSubscription'] as const).map(async (target) => {
    const it = await serveFunction({
      target,
      env,
      source: options.source,
      port: ports[target],
      isKept: options.keepsFunctions,
      onLine: (line) => onLine(target, line),
    });
    starting.defer(() => it.stop());
    return it;
  });
  await Promise.allSettled(served);
  const [importObject, drainSubscription] = await Promise.all(served);
  const storageClient = createStorage(storage.url);
  const pubsubClient = new PubSub({ projectId: NAMES.project, apiEndpoint: pubsub.host, emulatorMode: true });
  starting.defer(() => pubsubClient.close());
  await createTopology(pubsubClient, importObject!.url, options);

  const running = starting.move();
  return {
    mixpanel,
    storage,
    pubsub,
    importObject: importObject!,
    drainSubscription: drainSubscription!,
    env,
    setVariable(name, value) {
      if (value === undefined) delete env[name];
      else env[name] = value;
    },
    storageClient,
    pubsubClient,
    async drain() {
      const response = await fetch(drainSubscription!.url, { method: 'POST' });
      const text = await response.text();
      return { status: response.status, body: response.ok ? JSON.parse(text) : text };
    },
    close: () => running.disposeAsync(),
  };
}

/** Makes topics and subscriptions, as Terraform does; `importObjectUrl` is what notifications are pushed to. */
export async function createTopology(
  client: PubSub,
  importObjectUrl: string,
  options: Pick<LocalCloudOptions, 'minBackoffMs' | 'maxBackoffMs' | 'ackDeadlineSeconds'>,
): Promise<void> {
  const { minBackoffMs = 10_000, ackDeadlineSeconds = 600 } = options;
  const duration = (ms: number) => ({ seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 });
  const retryPolicy = (maxBackoffMs: number) => ({
    minimumBackoff: duration(minBackoffMs),
    maximumBackoff: duration(options.maxBackoffMs ?? maxBackoffMs),
  });
  for (const topic of [NAMES.objectTopic, NAMES.eventTopic]) await client.createTopic(topic);
  await client.createSubscription(NAMES.objectTopic, NAMES.objectSubscription, {
    pushConfig: { pushEndpoint: `${importObjectUrl}/${NAMES.objectTopic}` },
    ackDeadlineSeconds,
    retryPolicy: retryPolicy(30_000),
  });
  await client.createSubscription(NAMES.eventTopic, NAMES.eventSubscription, {
    ackDeadlineSeconds,
    retryPolicy: retryPolicy(600_000),
  });
}

/** Tells of an object as Cloud Storage does (https://cloud.google.com/storage/docs/pubsub-notifications). */
function notify(pubsub: PubSubServer, object: ObjectResource): void {
  if (object.bucket !== NAMES.importBucket) return;
  pubsub.publish(NAMES.objectTopic, {
    data: JSON.stringify(object),
    attributes: {
      notificationConfig: `projects/_/buckets/${object.bucket}/notificationConfigs/1`,
      eventType: 'OBJECT_FINALIZE',
      payloadFormat: 'JSON_API_V1',
      bucketId: object.bucket,
      objectId: object.name,
      objectGeneration: object.generation,
      eventTime: object.updated,
    },
  });
}
