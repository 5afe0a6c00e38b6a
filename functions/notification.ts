/** Reads which object a CloudEvent tells of, in either envelope in which notifications come. */

import type { ObjectGeneration } from './storage/names.ts';

/** As far as it matters here (https://github.com/cloudevents/spec/blob/main/cloudevents/spec.md). */
export interface CloudEvent {
  id?: unknown;
  type?: unknown;
  data?: unknown;
  traceparent?: unknown;
}

/** The message that tells of a finalized object, as Cloud Storage publishes it. */
export function notificationOf({ bucket, object, generation }: ObjectGeneration) {
  return {
    data: Buffer.from(JSON.stringify({ kind: 'storage#object', bucket, name: object, generation })),
    attributes: {
      eventType: 'OBJECT_FINALIZE',
      payloadFormat: 'JSON_API_V1',
      bucketId: bucket,
      objectId: object,
      objectGeneration: generation,
    },
  };
}

/** The finalized object of a notification, or why the CloudEvent is none, and by which id to find it. */
export type Notification = { object: ObjectGeneration } | { problem: string; id: unknown };

/**
 * @param cloudEvent `google.cloud.storage.object.v1.finalized`, or the push of a Cloud Storage notification, which the
 *   functions framework turns into `google.cloud.pubsub.topic.v1.messagePublished`
 *   (https://cloud.google.com/storage/docs/pubsub-notifications)
 */
export function readNotification(cloudEvent: CloudEvent): Notification {
  const body = asRecord(cloudEvent.type === undefined ? cloudEvent : cloudEvent.data);
  const message = asRecord(body.message);
  const found = readObject(cloudEvent.type, body, message);
  return typeof found === 'string' ? { problem: found, id: cloudEvent.id ?? message.messageId } : { object: found };
}

function readObject(type: unknown, body: Fields, message: Fields): ObjectGeneration | string {
  if (type === 'google.cloud.storage.object.v1.finalized') return readResource(body);
  // The framework leaves a push whose message has no data as it is, without a type.
  if (type !== 'google.cloud.pubsub.topic.v1.messagePublished' && type !== undefined) {
    return 'its type is neither that of a finalized object nor that of a published message';
  }
  if (asRecord(message.attributes).eventType !== 'OBJECT_FINALIZE') {
    return 'it is not a message with the attribute eventType OBJECT_FINALIZE';
  }
  if (typeof message.data !== 'string') return 'its message has no data';
  try {
    return readResource(JSON.parse(Buffer.from(message.data, 'base64').toString()));
  } catch {
    return 'its message data is not JSON';
  }
}

function readResource(resource: unknown): ObjectGeneration | string {
  const { bucket, name, generation } = asRecord(resource);
  if (typeof bucket !== 'string' || bucket === '') return 'it names no bucket';
  if (typeof name !== 'string' || name === '') return 'it names no object';
  const text = Number.isSafeInteger(generation) ? String(generation) : generation;
  if (typeof text !== 'string' || !/^\d+$/.test(text)) return 'it names no generation';
  return { bucket, object: name, generation: text };
}

type Fields = Record<string, unknown>;

function asRecord(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
