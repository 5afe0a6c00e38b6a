/** Counts rejected records by their reasons, each dead letter once, and keeps a few of each as examples. */

import type { Location } from '../../functions/core/block.ts';
import { describe, kindOf } from '../import/findings.ts';
import { type Letter, letterKey } from './letters.ts';

/** Examples of each reason that are kept, the newest. */
const MAX_EXAMPLES = 3;
/** Different reasons that are counted apart; a transform's exceptions can all be different. */
const MAX_REASONS = 1_000;
const OTHER_REASONS = 'other reasons';

/** Characters of a record that are kept. */
const MAX_RECORD_LENGTH = 1_000;

/** A dead letter in short. */
interface Example {
  source: Location;
  rejectedAt: string;
  insertId: string | undefined;
  /** The beginning of the record. */
  record: string;
}

/** A reason, and what was rejected for it. */
export interface ReasonCount {
  /** `field: message`, without the places in it. */
  reason: string;
  /** Records and events that were rejected for it. */
  count: number;
  /** The newest, that one first. */
  examples: Example[];
}

/** What is known of any number of dead letters. */
export class Tally {
  /** Different ones. */
  total = 0;
  /** Records and events that they stand for. */
  records = 0;
  /** Those that stand somewhere else too. */
  repeated = 0;
  /** Different ones with the beginning of their record alone. */
  truncated = 0;
  readonly #reasons = new Map<string, ReasonCount>();
  readonly #sources = new Set<string>();

  add(letter: Letter): void {
    const key = letterKey(letter);
    if (this.#sources.has(key)) {
      this.repeated++;
      return;
    }
    this.#sources.add(key);
    this.total++;
    this.records += letter.rejected;
    if (letter.isTruncated) this.truncated++;
    const entry = this.#entry(kindOf(describe(letter.reason)));
    entry.count += letter.rejected;
    const { examples } = entry;
    const { source, rejectedAt, insertId, record } = letter;
    if (examples.length === MAX_EXAMPLES && examples.at(-1)!.rejectedAt >= rejectedAt) return;
    const beginning = record.toString('utf8', 0, 4 * MAX_RECORD_LENGTH).slice(0, MAX_RECORD_LENGTH);
    examples.push({ source, rejectedAt, insertId, record: beginning });
    examples.sort((a, b) => (a.rejectedAt < b.rejectedAt ? 1 : a.rejectedAt > b.rejectedAt ? -1 : 0));
    examples.length = Math.min(examples.length, MAX_EXAMPLES);
  }

  /** The most frequent reason first. */
  reasons(): ReasonCount[] {
    return [...this.#reasons.values()].sort((a, b) => b.count - a.count);
  }

  #entry(reason: string): ReasonCount {
    const key = this.#reasons.has(reason) || this.#reasons.size < MAX_REASONS ? reason : OTHER_REASONS;
    const entry = this.#reasons.get(key) ?? { reason: key, count: 0, examples: [] };
    this.#reasons.set(key, entry);
    return entry;
  }
}
