/** A local cloud for the tests of the functions: with a marker in every event and credential, and an eye on every line printed. */

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalCloud, type LocalCloudOptions, NAMES, startCloud } from '../../local/cloud.ts';

/** Stands in every event and in every credential of these tests, and must stand in no line that is logged. */
export const MARKER = 'quetzalcoatl';

const SERVICE_ACCOUNT = { projectId: '7', username: `user-${MARKER}`, secret: `secret-${MARKER}` };

/** A structured line that a function logged. */
export type LogLine = Record<string, unknown> & { severity: string; message: string };

/** A {@link LocalCloud} and what its functions printed. */
export interface TestCloud extends LocalCloud {
  /** All that was printed, by line. */
  readonly printed: string[];
  /** The structured lines among them; waits until there are so many. */
  logged(atLeast: number): Promise<LogLine[]>;
  /** Sends a CloudEvent or a push to importObject and returns the status of its answer. */
  post(body: unknown, headers?: Record<string, string>, path?: string): Promise<number>;
  /** Uploads an object, which makes a notification; resolves with the status that its delivery got. */
  upload(name: string, content: string | Buffer, options?: { contentEncoding?: string }): Promise<number>;
  /** Publishes messages as they are. */
  publish(...messages: (string | Buffer | { data: Buffer; attributes: Record<string, string> })[]): void;
  /** All dead letters in the state bucket. */
  deadLetters(): Promise<Record<string, unknown>[]>;
  /** Makes everything as it was at the beginning, but for the resources. */
  reset(): Promise<void>;
}

/** Starts a cloud whose functions back off in milliseconds instead of seconds. */
export async function startTestCloud(options: Partial<LocalCloudOptions> = {}): Promise<TestCloud> {
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-test-'));
  const printed: string[] = [];
  const lines = new EventEmitter<{ line: [] }>();
  const cloud = await startCloud({
    folder,
    minBackoffMs: 100,
    ...options,
    mixpanel: { serviceAccount: SERVICE_ACCOUNT, ...options.mixpanel },
    env: {
      MIXPANEL_PROJECT_ID: SERVICE_ACCOUNT.projectId,
      MIXPANEL_SERVICE_ACCOUNT_USERNAME: SERVICE_ACCOUNT.username,
      MIXPANEL_SERVICE_ACCOUNT_SECRET: SERVICE_ACCOUNT.secret,
      IMPORT_RETRY_MIN_DELAY_MS: '5',
      IMPORT_RETRY_MAX_DELAY_MS: '50',
      DRAIN_IDLE_SECONDS: '0',
      ...options.env,
    },
    onLine(_target, line) {
      printed.push(line);
      lines.emit('line');
    },
  });
  const stateBucket = cloud.storageClient.bucket(NAMES.stateBucket);
  return {
    ...cloud,
    printed,
    async logged(atLeast) {
      for (;;) {
        const structured = printed.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
        if (structured.length >= atLeast) return structured;
        await once(lines, 'line');
      }
    },
    async post(body, headers = {}, path = '') {
      const response = await fetch(cloud.importObject.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      await response.arrayBuffer();
      return response.status;
    },
    async upload(name, content, { contentEncoding } = {}) {
      const delivered = once(cloud.pubsub, 'push');
      const metadata = contentEncoding === undefined ? {} : { contentEncoding };
      await cloud.storageClient.bucket(NAMES.importBucket).file(name).save(content, { resumable: false, metadata });
      const [{ status }] = await delivered;
      return status;
    },
    publish(...messages) {
      for (const message of messages) {
        cloud.pubsub.publish(
          NAMES.eventTopic,
          typeof message === 'object' && 'data' in message ? message : { data: message },
        );
      }
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
      printed.length = 0;
      const [files] = await stateBucket.getFiles();
      await Promise.all(files.map((file) => file.delete()));
    },
    async close() {
      await cloud.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** Fails where an event's content or a credential was printed. */
export function assertNothingLeaked(printed: readonly string[]): void {
  const secret = Buffer.from(`${SERVICE_ACCOUNT.username}:${SERVICE_ACCOUNT.secret}`).toString('base64');
  assert.deepEqual(
    printed.filter((line) => line.includes(MARKER) || line.includes(secret)),
    [],
  );
}

/** An event's JSON, with the marker in its properties; `id` makes it one of its own. */
export function eventJson(id: string | number, properties: Record<string, unknown> = {}): string {
  return JSON.stringify({
    event: 'test',
    properties: { time: 1_767_225_600, distinct_id: `${MARKER}-${id}`, $insert_id: `id-${id}`, ...properties },
  });
}
