/** Names of the objects in the state bucket and the dead letter bucket. */

import { hash } from 'node:crypto';

/** The most bytes that a name may have (https://cloud.google.com/storage/docs/objects#naming). */
const MAX_NAME_BYTES = 1_024;

/** An object as it was at one time. */
export interface ObjectGeneration {
  bucket: string;
  object: string;
  generation: string;
}

/** `PREFIX/BUCKET/OBJECT/REST`, with a hash of OBJECT in its place where that would be too long. */
function stateName(prefix: string, { bucket, object }: ObjectGeneration, rest: string): string {
  const name = `${prefix}/${bucket}/${object}/${rest}`;
  return Buffer.byteLength(name) <= MAX_NAME_BYTES ? name : `${prefix}/${bucket}/${hash('sha256', object)}/${rest}`;
}

/** Where the checkpoint of an object generation is. */
export function checkpointName(source: ObjectGeneration): string {
  return stateName('checkpoints', source, `${source.generation}.json`);
}

/**
 * Where dead letters of an object go.
 *
 * @param offset where the first of their records begins in the decoded content
 * @param id     a UUID
 */
export function objectDeadLetterName(source: ObjectGeneration, offset: number, id: string): string {
  const file = `${String(offset).padStart(15, '0')}-${id}.ndjson`;
  return stateName('dead-letters/objects', source, `${source.generation}/${file}`);
}

/**
 * Where dead letters of messages go.
 *
 * @param subscription `projects/P/subscriptions/S`
 * @param id           a UUID
 */
export function messageDeadLetterName(subscription: string, now: Date, id: string): string {
  return `dead-letters/messages/${subscription.split('/').at(-1)}/${now.toISOString().slice(0, 10)}/${id}.ndjson`;
}

/**
 * Where the registry of a subscription's drains is.
 *
 * @param subscription `projects/P/subscriptions/S`
 */
export function drainRegistryName(subscription: string): string {
  return `suspects/${subscription.split('/').at(-1)}/drains.json`;
}

/**
 * Where the marker of a message is that is handled alone.
 *
 * @param subscription `projects/P/subscriptions/S`
 * @param messageId    digits; anything else is hashed, as it comes from outside
 */
export function suspectName(subscription: string, messageId: string): string {
  const id = /^\d{1,100}$/.test(messageId) ? messageId : hash('sha256', messageId);
  return `suspects/${subscription.split('/').at(-1)}/${id}`;
}
