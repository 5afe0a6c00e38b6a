/** A rejection whose end is being looked for, over any number of windows. */

import { isUtf8 } from 'node:buffer';
import type { Reason } from '../../block.ts';
import { MAX_KEPT_BYTES } from '../../rejections.ts';
import { newlinesIn } from './block-builder.ts';
import type { RejectionEnd } from './ends.ts';
import { MAX_RECORD_BYTES } from './reasons.ts';
import { IS_SEPARATOR } from './separators.ts';

/**
 * The most bytes of a record that is held whole whatever its size: more than a message has, unless it is compressed. Of a
 * larger record the dead letter holds the whole message as it was stored.
 */
const MAX_HELD_WHOLE_BYTES = 16_000_000;

/** Where a rejection begins, and what is known of it. */
export interface SkippedOptions {
  /** Where it begins in the decoded content. */
  offset: number;
  ordinal: number;
  /** Why it is rejected; undefined if that depends on where it ends. */
  reason?: Reason | undefined;
  /** Bytes of it that were valid; undefined if that is not known. */
  failedAt?: number | undefined;
  /** Where it ends; undefined: with the content. */
  end?: RejectionEnd | undefined;
  /** Whether it is held whole even if it is larger than a record may be. */
  isHeldWhole: boolean;
  /** All of the source as it was stored, if the rejection is all of it and nothing else keeps it. */
  stored?: Buffer | undefined;
}

/** The rejection of the modes that skip. */
export class SkippedRecord {
  readonly options: SkippedOptions;
  /** Its length so far, and the same without the separators at its end. */
  bytes = 0;
  #trimmedBytes = 0;
  /** Newlines in it. */
  newlines = 0;
  #pieces: Buffer[] = [];
  #heldBytes = 0;
  /** The most bytes that are held whole. */
  #maxWholeBytes = MAX_RECORD_BYTES;

  constructor(options: SkippedOptions) {
    this.options = options;
  }

  /** Takes `bytes[from, to)`, which come next. */
  take(bytes: Buffer, from: number, to: number): void {
    if (from === to) return;
    let trimmed = to;
    while (trimmed > from && IS_SEPARATOR[bytes[trimmed - 1]!] === 1) trimmed--;
    if (trimmed > from) this.#trimmedBytes = this.bytes + trimmed - from;
    this.newlines += newlinesIn(bytes, from, to);
    this.bytes += to - from;
    this.#hold(bytes.subarray(from, to));
  }

  /** Takes the beginning of the content, which the window does not hold any more; its newlines were counted. */
  takeHead(head: Buffer, bytes: number): void {
    this.#hold(head);
    // The bytes between the head and the window are gone, if there are any.
    this.#maxWholeBytes = MAX_KEPT_BYTES;
    this.bytes += bytes;
    this.#trimmedBytes = this.bytes;
  }

  /** The whole of it: its length and its bytes, or their beginning if it is too large to be held. */
  finish(): { record: Buffer; bytes: number } {
    const { stored } = this.options;
    if (stored !== undefined) return { record: stored, bytes: stored.length };
    const bytes = this.options.end === undefined ? this.bytes : this.#trimmedBytes;
    const held = Buffer.concat(this.#pieces).subarray(0, bytes);
    if (held.length === bytes && (this.options.isHeldWhole || bytes <= this.#maxWholeBytes))
      return { record: held, bytes };
    return { record: wholeCharacters(held.subarray(0, MAX_KEPT_BYTES)), bytes };
  }

  #hold(bytes: Buffer): void {
    const maxBytes = this.options.isHeldWhole ? MAX_HELD_WHOLE_BYTES : MAX_RECORD_BYTES;
    if (this.#heldBytes > maxBytes) return;
    this.#pieces.push(Buffer.from(bytes));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes <= maxBytes) return;
    this.#pieces = [Buffer.from(Buffer.concat(this.#pieces).subarray(0, MAX_KEPT_BYTES))];
  }
}

/** Without the beginning of a character that a cut at a fixed length left at the end. */
function wholeCharacters(bytes: Buffer): Buffer {
  for (let missing = 0; missing < 4; missing++) {
    const whole = bytes.subarray(0, bytes.length - missing);
    if (isUtf8(whole)) return whole;
  }
  return bytes;
}
