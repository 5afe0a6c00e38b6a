/** A pulled message as a source of records. */

import type { Source } from '../core/block.ts';
import type { RecordContext } from '../core/event.ts';
import type { MappingOf } from '../core/mappings/mappings.ts';
import type { RejectionLimit } from '../core/rejections.ts';
import type { ReceivedMessage } from './pull.ts';

const NO_ATTRIBUTES: Readonly<Record<string, string>> = Object.freeze({});

/** The data of a message as it was published. */
export function dataOf({ message }: ReceivedMessage): Buffer {
  const data = message?.data;
  if (typeof data === 'string') return Buffer.from(data, 'base64');
  return data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.alloc(0);
}

/**
 * @param subscription `projects/P/subscriptions/S`
 * @param limit        sums up rejections; default: each is held
 * @param stored       the data, if rejections may have to be summed up
 */
export function sourceOf(
  { message }: ReceivedMessage,
  subscription: string,
  mappingOf: MappingOf,
  limit?: RejectionLimit,
  stored?: Buffer,
): Source {
  // Not the message itself: its data would be held until it is settled.
  const messageId = message?.messageId ?? '';
  const publishedAt = message?.publishTime;
  // Frozen, as the transform is handed what dead letters repeat.
  const attributes = hasAny(message?.attributes) ? Object.freeze({ ...message?.attributes }) : NO_ATTRIBUTES;
  const context: RecordContext = { kind: 'message', subscription, attributes };
  return {
    context,
    mapping: mappingOf(context),
    limit,
    stored,
    locate(_offset, index) {
      const publishTime = toIso(publishedAt);
      const about = attributes === NO_ATTRIBUTES ? {} : { attributes };
      return { subscription, messageId, publishTime, index, ...about };
    },
  };
}

function toIso(time: { seconds?: unknown; nanos?: number | null } | null | undefined): string {
  return new Date(Number(time?.seconds ?? 0) * 1_000 + Math.trunc((time?.nanos ?? 0) / 1_000_000)).toISOString();
}

function hasAny(attributes: object | null | undefined): boolean {
  for (const _ in attributes) return true;
  return false;
}
