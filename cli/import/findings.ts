/** Gathers why records were rejected: the first few by their place, all of them by their reason. */

import type { Rejection } from '../../functions/core/block.ts';
import { countOf } from '../../functions/core/rejections.ts';
import { printable } from './printable.ts';

/** Rejections that are kept, of those that stand first. */
const MAX_FIRST = 5;
/** Different reasons that are counted apart; a transform's exceptions can all be different. */
const MAX_REASONS = 1_000;
const OTHER_REASONS = 'other reasons';
/** Characters of a reason that are shown. */
const MAX_REASON_LENGTH = 200;

/** Where something was rejected and why; nothing of the record itself. */
export interface Finding {
  /** Its line; of a row of Avro or Parquet, `row N`. */
  place: string;
  offset: number;
  /** `field: message` */
  reason: string;
}

/** What is known of the rejections of one file. */
export class Findings {
  /** Those that stand first, in the order of the file. */
  readonly first: Finding[] = [];
  /** All rejections. */
  total = 0;
  /** Rejections by reason, the places in the reasons left out. */
  readonly counts = new Map<string, number>();

  /** Takes rejections, in any order. */
  add(rejections: readonly Rejection[]): void {
    for (const rejection of rejections) {
      const { reason, location } = rejection;
      const text = describe(reason);
      const count = countOf(rejection);
      this.total += count;
      this.#count(text, count);
      if (!('offset' in location)) continue;
      const last = this.first.at(-1);
      if (this.first.length === MAX_FIRST && last !== undefined && last.offset < location.offset) continue;
      const place = 'line' in location ? String(location.line) : `row ${location.row}`;
      this.first.push({ place, offset: location.offset, reason: text });
      this.first.sort((a, b) => a.offset - b.offset);
      this.first.length = Math.min(this.first.length, MAX_FIRST);
    }
  }

  #count(reason: string, count: number): void {
    const kind = kindOf(reason);
    const key = this.counts.has(kind) || this.counts.size < MAX_REASONS ? kind : OTHER_REASONS;
    this.counts.set(key, (this.counts.get(key) ?? 0) + count);
  }
}

/** `field: message` on one line, printable. */
export function describe({ field, message }: Rejection['reason']): string {
  // Mixpanel's messages name the field once more.
  const text = printable(`${field}: ${message.replace(`'${field}' is invalid: `, '')}`);
  return text.length > MAX_REASON_LENGTH ? `${text.slice(0, MAX_REASON_LENGTH)}…` : text;
}

/** A described reason without the place in it, so that equal ones are counted together. */
export function kindOf(reason: string): string {
  return reason.replace(/,? (at byte \d+|after \d+ bytes)$/, '');
}
