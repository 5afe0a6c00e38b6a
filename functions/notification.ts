/** Reads which object a CloudEvent tells of, in either envelope in which notifications come. */

import type { ObjectGeneration } from './storage/names.ts';

/** As far as it matters here (https://github.com/cloudevents/spec/blob/main/cloudevents/spec.md). */
export interface CloudEvent {
  id?: unknown;
  type?: unknown;
  data?: unknown;
  traceparent?: unknown;
}

/** The finalized object of a notification, or why the CloudEvent is none. */
export type Notification = { object: ObjectGeneration } | { problem: string };

/**
 * @param cloudEvent `google.cloud.storage.object.v1.finalized`, or the push of a Cloud Storage notification, which the
 *   functions framework turns into `google.cloud.pubsub.topic.v1.messagePublished`
 *   (https://cloud.google.com/storage/docs/pubsub-notifications)
 */
export function readNotification(cloudEvent: CloudEvent): Notification {
  if (cloudEvent.type === 'google.cloud.storage.object.v1.finalized') return readObject(cloudEvent.data);
  if (cloudEvent.type !== 'google.cloud.pubsub.topic.v1.messagePublished') {
    return { problem: 'its type is neither that of a finalized object nor that of a published message' };
  }
  const message = asRecord(asRecord(cloudEvent.data).message);
  const eventType = asRecord(message.attributes).eventType;
  if (eventType !== 'OBJECT_FINALIZE') return { problem: 'its attribute eventType is not OBJECT_FINALIZE' };
  if (typeof message.data !== 'string') return { problem: 'its message has no data' };
  try {
    return readObject(JSON.parse(Buffer.from(message.data, 'base64').toString()));
  } catch {
    return { problem: 'the data of its message are no JSON' };
  }
}

function readObject(resource: unknown): Notification {
  const { bucket, name, generation } = asRecord(resource);
  if (typeof bucket !== 'string' || bucket === '') return { problem: 'it names no bucket' };
  if (typeof name !== 'string' || name === '') return { problem: 'it names no object' };
  if (!/^\d+$/.test(String(generation))) return { problem: 'it names no generation' };
  return { object: { bucket, object: name, generation: String(generation) } };
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
