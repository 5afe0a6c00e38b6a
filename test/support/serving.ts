/** Clouds for the tests of the functions: with a marker in every event and credential, and an eye on every line printed. */

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Storage } from '@google-cloud/storage';
import { type LocalCloud, type LocalCloudOptions, NAMES, startCloud } from '../../local-cloud/cloud.ts';
import type { MixpanelServer } from '../../local-cloud/mixpanel/server.ts';
import { MARKER } from './event.ts';

/** The credentials that Mixpanel takes in these tests. */
export const SERVICE_ACCOUNT = { projectId: '7', username: `user-${MARKER}`, secret: `secret-${MARKER}` };

/** Environment of the functions under test: these credentials, and back-offs in milliseconds instead of seconds. */
export const FUNCTION_ENV = {
  MIXPANEL_PROJECT_ID: SERVICE_ACCOUNT.projectId,
  MIXPANEL_SERVICE_ACCOUNT_USERNAME: SERVICE_ACCOUNT.username,
  MIXPANEL_SERVICE_ACCOUNT_SECRET: SERVICE_ACCOUNT.secret,
  IMPORT_RETRY_MIN_DELAY_MS: '5',
  IMPORT_RETRY_MAX_DELAY_MS: '50',
  DRAIN_IDLE_SECONDS: '0',
};

/** A structured line that a function logged. */
export type LogLine = Record<string, unknown> & { severity: string; message: string };

/** A message's data, or all of it. */
export type TestMessage = string | Buffer | { data: Buffer; attributes: Record<string, string> };

/** What the tests of the functions ask of a cloud, whoever wrote its servers. */
export interface CloudUnderTest {
  readonly mixpanel: MixpanelServer;
  readonly storageClient: Storage;
  /** All that the functions printed, by line. */
  readonly printed: string[];
  /** The structured lines among them; waits until there are so many. */
  logged(atLeast: number): Promise<LogLine[]>;
  /** The structured lines up to the first one with this message; waits for it. */
  loggedUntil(message: string): Promise<LogLine[]>;
  /** Sends a CloudEvent or a push to importObject and returns the status of its answer. */
  post(body: unknown, headers?: Record<string, string>, path?: string): Promise<number>;
  /** Uploads an object, which makes a notification; resolves with the status that its delivery got. */
  upload(name: string, content: string | Buffer, options?: { contentEncoding?: string }): Promise<number>;
  /** Publishes messages as they are. */
  publish(...messages: TestMessage[]): Promise<void>;
  /** Calls drainSubscription as Cloud Scheduler does; resolves with its answer. */
  drain(): Promise<{ status: number; body: unknown }>;
  /** How many messages in a subscription, default that of the events, are not acknowledged. */
  backlog(subscription?: string): Promise<number>;
  /** All dead letters in the state bucket. */
  deadLetters(): Promise<Record<string, unknown>[]>;
  /** Makes everything as it was at the beginning, except for the resources. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** A {@link LocalCloud} under test. */
export interface TestCloud extends LocalCloud, CloudUnderTest {}

/** Starts a local cloud whose functions back off in milliseconds instead of seconds. */
export async function startTestCloud(options: Partial<LocalCloudOptions> = {}): Promise<TestCloud> {
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-test-'));
  const lines = new PrintedLines();
  const cloud = await startCloud({
    folder,
    minBackoffMs: 100,
    ...options,
    mixpanel: { serviceAccount: SERVICE_ACCOUNT, ...options.mixpanel },
    env: { ...FUNCTION_ENV, ...options.env },
    onLine: (_target, line) => lines.add(line),
  });
  return {
    ...cloud,
    ...watch(cloud, lines),
    async upload(name, content, uploadOptions) {
      const delivered = once(cloud.pubsub, 'push');
      await save(cloud.storageClient, name, content, uploadOptions);
      const [{ status }] = await delivered;
      return status;
    },
    async publish(...messages) {
      for (const message of messages) cloud.pubsub.publish(NAMES.eventTopic, toMessage(message));
    },
    async backlog(subscription = NAMES.eventSubscription) {
      const { waiting, outstanding } = cloud.pubsub.backlog(subscription);
      return waiting + outstanding;
    },
    async close() {
      await cloud.close();
      await rm(folder, { recursive: true });
      lines.assertNothingLeaked();
    },
  };
}

/** The lines that functions print. */
export class PrintedLines extends EventEmitter<{ line: [] }> {
  readonly all: string[] = [];
  /** Those that should not have been printed, of all times: no reset takes them away. */
  readonly #leaked: string[] = [];

  add(line: string): void {
    this.all.push(line);
    if (isLeak(line)) this.#leaked.push(line);
    this.emit('line');
  }

  /** Fails if an event's content or a credential was printed at any time. */
  assertNothingLeaked(): void {
    assert.deepEqual(this.#leaked, []);
  }

  /** The structured lines, from the line of this number on, without that of a start. */
  structured(from = 0): LogLine[] {
    return this.all
      .slice(from)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
      .filter(({ message }) => message !== 'function started');
  }

  /** The first answer that is not undefined; asked at each line. */
  async until<Answer>(ask: () => Answer | undefined): Promise<Answer> {
    for (;;) {
      const answer = ask();
      if (answer !== undefined) return answer;
      await once(this, 'line');
    }
  }
}

/** What is the same for every {@link CloudUnderTest}. */
export function watch(
  cloud: Pick<LocalCloud, 'mixpanel' | 'storageClient' | 'importObject'>,
  lines: PrintedLines,
): Pick<CloudUnderTest, 'printed' | 'logged' | 'loggedUntil' | 'post' | 'deadLetters' | 'reset'> {
  const stateBucket = cloud.storageClient.bucket(NAMES.stateBucket);
  return {
    printed: lines.all,
    logged: (atLeast) =>
      lines.until(() => {
        const structured = lines.structured();
        return structured.length >= atLeast ? structured : undefined;
      }),
    loggedUntil: (message) =>
      lines.until(() => {
        const structured = lines.structured();
        const at = structured.findIndex((line) => line.message === message);
        return at < 0 ? undefined : structured.slice(0, at + 1);
      }),
    async post(body, headers = {}, path = '') {
      const response = await fetch(cloud.importObject.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      await response.arrayBuffer();
      return response.status;
    },
    async deadLetters() {
      const [files] = await stateBucket.getFiles({ prefix: 'dead-letters/' });
      const contents = await Promise.all(files.map(async (file) => (await file.download())[0].toString()));
      return contents.flatMap((content) =>
        content
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line)),
      );
    },
    async reset() {
      cloud.mixpanel.reset();
      lines.all.length = 0;
      const [files] = await stateBucket.getFiles();
      await Promise.all(files.map((file) => file.delete()));
    },
  };
}

/** Uploads an object to the import bucket. */
export async function save(
  client: Storage,
  name: string,
  content: string | Buffer,
  { contentEncoding }: { contentEncoding?: string } = {},
): Promise<void> {
  const metadata = contentEncoding === undefined ? {} : { contentEncoding };
  await client.bucket(NAMES.importBucket).file(name).save(content, { resumable: false, metadata });
}

/** The message as clients publish it. */
export function toMessage(message: TestMessage): { data: Buffer; attributes?: Record<string, string> } {
  if (typeof message === 'object' && 'data' in message) return message;
  return { data: Buffer.from(message) };
}

const CREDENTIALS = Buffer.from(`${SERVICE_ACCOUNT.username}:${SERVICE_ACCOUNT.secret}`).toString('base64');

function isLeak(line: string): boolean {
  return line.includes(MARKER) || line.includes(CREDENTIALS);
}

/** Fails if an event's content or a credential was printed. */
export function assertNothingLeaked(printed: readonly string[]): void {
  assert.deepEqual(printed.filter(isLeak), []);
}
