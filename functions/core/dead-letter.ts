/** Formats a rejection as a dead letter: one JSON object per line. */

import { isUtf8 } from 'node:buffer';
import type { Rejection } from './block.ts';

/**
 * @param rejectedAt when it was rejected
 * @returns a line with its line end: the record as text, or as `recordBase64` if it is not valid UTF-8; with `truncated`
 *   and its whole length if only its beginning is held
 */
export function formatDeadLetter(rejection: Rejection, rejectedAt: Date): string {
  const { reason, location, insertId, through, record, bytes } = rejection;
  const line = {
    reason,
    source: location,
    ...(through === undefined ? {} : { through }),
    insertId,
    rejectedAt: rejectedAt.toISOString(),
    ...(isUtf8(record) ? { record: record.toString() } : { recordBase64: record.toString('base64') }),
    ...(record.length < bytes ? { truncated: true, bytes } : {}),
  };
  return `${JSON.stringify(line)}\n`;
}
