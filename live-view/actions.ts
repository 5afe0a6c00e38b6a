/** What can be done from the page: bring data, and break things. */

import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type LocalCloud, NAMES } from '../local-cloud/cloud.ts';
import type { SwitchName, Target } from './page/frames.ts';
import type { Watch } from './watch.ts';

const SAMPLES = new URL('../samples/', import.meta.url);
/** Pub/Sub's own limit is 10 MB for a message (https://cloud.google.com/pubsub/quotas#resource_limits). */
const MAX_MESSAGES = 10_000;
const MAX_MADE_EVENTS = 1_000_000;
/** Events that are written together. */
const MADE_AT_ONCE = 1_000;
const EVENT_NAMES = ['Page Viewed', 'Product Viewed', 'Product Added', 'Checkout Started', 'Order Completed'];

/** What cannot be done, in words for the page. */
export class RefusedError extends Error {
  override name = 'RefusedError';
}

/** Writes an object to the import bucket as any client does; resolves with what is to be said. */
export async function upload({ storage }: LocalCloud, name: string, content: Readable, size?: string): Promise<string> {
  if (name === '') throw new RefusedError('A file must have a name');
  const url = `${storage.url}/upload/storage/v1/b/${NAMES.importBucket}/o?uploadType=media&name=${encodeURIComponent(name)}`;
  const headers = size === undefined ? {} : { 'content-length': size };
  const sent = request(url, { method: 'POST', headers });
  const answered = once(sent, 'response');
  // Where the content breaks off, so does this, and nothing is stored.
  await Promise.all([pipeline(content, sent), answered.catch(() => {})]);
  const [response] = (await answered) as [IncomingMessage];
  const body = (await json(response)) as { error?: { message?: string } };
  if (response.statusCode !== 200) throw new RefusedError(`${name}: ${body.error?.message ?? response.statusCode}`);
  return `${name} is uploaded`;
}

/**
 * Uploads the files in `samples/`.
 *
 * @param round from 1; each has names of its own: an object that is overwritten before it was read is gone
 */
export async function uploadSamples(cloud: LocalCloud, round: number): Promise<string> {
  const uploaded: string[] = [];
  for (const file of await readdir(SAMPLES)) {
    if (!file.endsWith('.ndjson')) continue;
    const name = round === 1 ? file : file.replace('.ndjson', `-${round}.ndjson`);
    await upload(cloud, name, createReadStream(new URL(file, SAMPLES)));
    uploaded.push(name);
  }
  return `${uploaded.join(' and ')} are uploaded`;
}

/** Makes a file of so many events and uploads it; no two of them are equal. */
export async function uploadMade(cloud: LocalCloud, count: number): Promise<string> {
  if (!Number.isInteger(count) || count < 1 || count > MAX_MADE_EVENTS) {
    throw new RefusedError(`The number of events must be from 1 to ${MAX_MADE_EVENTS}`);
  }
  return upload(cloud, `made-${count}-events-${Date.now()}.ndjson`, Readable.from(madeEvents(count)));
}

function* madeEvents(count: number): Generator<string> {
  const now = Date.now();
  for (let from = 0; from < count; from += MADE_AT_ONCE) {
    let text = '';
    for (let index = from; index < Math.min(count, from + MADE_AT_ONCE); index++) {
      const properties = {
        time: now - count + index,
        distinct_id: `shopper-${index % 997}`,
        page: `/products/${index % 89}`,
        price: (index % 400) / 4,
      };
      text += `${JSON.stringify({ event: EVENT_NAMES[index % EVENT_NAMES.length], properties })}\n`;
    }
    yield text;
  }
}

/** Publishes a message so many times; `{n}` in it becomes the number of each. */
export function publish({ pubsub }: LocalCloud, { data, count }: { data?: unknown; count?: unknown }): string {
  if (typeof data !== 'string' || data === '') throw new RefusedError('A message must not be empty');
  if (!Number.isInteger(count) || Number(count) < 1 || Number(count) > MAX_MESSAGES) {
    throw new RefusedError(`The number of messages must be from 1 to ${MAX_MESSAGES}`);
  }
  for (let number = 1; number <= Number(count); number++) {
    pubsub.publish(NAMES.eventTopic, { data: data.replaceAll('{n}', String(number)) });
  }
  return count === 1 ? 'A message is published' : `${Number(count).toLocaleString('en')} messages are published`;
}

/** Makes something go wrong at the local Mixpanel, or no more. */
export function setSwitch({ switches }: Watch, { name, on }: { name?: unknown; on?: unknown }): string {
  if (typeof name !== 'string' || !Object.hasOwn(switches, name)) throw new RefusedError('There is no such switch');
  switches[name as SwitchName] = on === true;
  return '';
}

/** Ends the process of a function at once; the local cloud serves it again. */
export function kill(cloud: LocalCloud, target: unknown): string {
  if (target !== 'importObject' && target !== 'drainSubscription') throw new RefusedError('There is no such function');
  const { pid, isUp } = cloud[target satisfies Target];
  if (!isUp) throw new RefusedError(`${target} is being started already`);
  process.kill(pid, 'SIGKILL');
  return `${target} was killed; it is started again`;
}

/** Has both functions end in good order, and so start again. */
export function restartFunctions({ importObject, drainSubscription }: LocalCloud): void {
  for (const { isUp, pid } of [importObject, drainSubscription]) if (isUp) process.kill(pid, 'SIGTERM');
}
