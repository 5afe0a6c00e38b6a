/** Makes a block of a message that was pulled. */

import { gunzipSync } from 'node:zlib';
import type { Block, Origin } from '../core/block.ts';
import { messageBlock, undecodableMessage } from '../core/formats/json/message.ts';
import type { InsertIdOf } from '../core/insert-id.ts';
import type { ReceivedMessage } from './pull.ts';

/** What a message may decompress to. */
const MAX_MESSAGE_BYTES = 100_000_000;

/** @param subscription `projects/P/subscriptions/S` */
export function toBlock({ message }: ReceivedMessage, subscription: string, insertIdOf: InsertIdOf): Block {
  const stored = toBuffer(message?.data);
  const messageId = message?.messageId ?? '';
  const publishTime = message?.publishTime;
  const origin: Origin = {
    sourceOf: (_offset, index) => ({ subscription, messageId, publishTime: toIso(publishTime), index }),
  };
  if (message?.attributes?.['Content-Encoding']?.toLowerCase() !== 'gzip' || stored.length === 0) {
    return messageBlock(stored, { origin, insertIdOf });
  }
  try {
    const data = gunzipSync(stored, { maxOutputLength: MAX_MESSAGE_BYTES });
    return messageBlock(data, { origin, insertIdOf });
  } catch (error) {
    const { code, message: text } = error as NodeJS.ErrnoException;
    const isTooLarge = code === 'ERR_BUFFER_TOO_LARGE';
    const reason = isTooLarge
      ? `it decompresses to more than ${MAX_MESSAGE_BYTES} bytes`
      : `the gzip data are corrupt: ${text}`;
    return undecodableMessage(stored, { origin, insertIdOf }, reason);
  }
}

function toBuffer(data: Uint8Array | string | null | undefined): Buffer {
  if (typeof data === 'string') return Buffer.from(data, 'base64');
  return data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.alloc(0);
}

function toIso(time: { seconds?: unknown; nanos?: number | null } | null | undefined): string {
  return new Date(Number(time?.seconds ?? 0) * 1_000 + Math.trunc((time?.nanos ?? 0) / 1_000_000)).toISOString();
}
