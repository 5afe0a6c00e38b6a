/** Decides whether content holds JSON objects at all. An image or a log costs one rejection, not one for each line. */

import type { Block, Reason } from '../../block.ts';
import { MAX_KEPT_BYTES } from '../../rejections.ts';
import { unreadable } from '../signatures.ts';
import { lookOfLines, lookOfText } from './known-records.ts';
import { blankWidth } from './position.ts';
import { noObject } from './reasons.ts';
import { IS_SEPARATOR } from './separators.ts';

/** Records after which content without an object among them is given up. */
const MAX_RECORDS_WITHOUT_OBJECT = 1_000;
/** Bytes of rejections that wait for the decision; beyond, records are rejected one by one. */
const MAX_UNDECIDED_BYTES = 8_388_608;
/** The same for a message: more than one has, unless it is decompressed piece by piece. It must not be torn. */
const MAX_UNDECIDED_MESSAGE_BYTES = 16_000_000;

/** What is known after another block. */
export interface Decision {
  /** Blocks that can be emitted now; none while nothing is decided. */
  blocks: Block[];
  /** Set if all of the content is one rejection: why. */
  rejectAll?: Reason;
}

/**
 * Whether content begins with a bracket, as far as is known: then there is no more to recognize. Else the decision needs
 * {@link SIGNATURE_BYTES}, so that it does not depend on how the content arrives.
 */
export function beginsLikeJson(head: Buffer): boolean {
  let at = 0;
  while (at < head.length && (IS_SEPARATOR[head[at]!] === 1 || blankWidth(head[at]!) >= 0)) at++;
  // A zero after it means UTF-16.
  return (head[at] === 0x7b || head[at] === 0x5b) && at + 1 < head.length && head[at + 1] !== 0;
}

/** Holds blocks back until an object has been seen. */
export class ObjectCheck {
  /** The beginning of the content, while nothing is decided. */
  head: Buffer = Buffer.alloc(0);
  /** The beginning of text. */
  #text: Buffer | undefined;
  #undecided: Block[] | undefined = [];
  #recordsBeforeObject: number | undefined;
  readonly #isMessage: boolean;

  /** @param isMessage whether even a single record that is not an object is rejected as the whole content */
  constructor(isMessage: boolean) {
    this.#isMessage = isMessage;
  }

  /** Takes the next bytes of the content. */
  see(chunk: Buffer): void {
    if (this.#undecided === undefined || this.#isMessage || this.head.length === MAX_KEPT_BYTES) return;
    this.head = Buffer.concat([this.head, chunk.subarray(0, MAX_KEPT_BYTES - this.head.length)]);
  }

  /**
   * Takes the beginning of the content, before any block of it.
   *
   * @returns why all of the content is rejected, if it is known by that beginning
   */
  begin(beginning: Buffer): Reason | undefined {
    if (beginsLikeJson(beginning)) return undefined;
    const message = unreadable(beginning) ?? lookOfLines(beginning);
    if (message !== undefined) this.release();
    else this.#text = Buffer.from(beginning);
    return message === undefined ? undefined : { field: 'record', message };
  }

  /** @param records records before the object, be it an event or not */
  noteObject(records: number): void {
    this.#recordsBeforeObject ??= records;
  }

  /** @param isLast whether the content ends with the block */
  add(block: Block, isLast: boolean): Decision {
    if (this.#undecided === undefined) return { blocks: [block] };
    this.#undecided.push(block);
    const rejections = this.#undecided.flatMap((undecided) => undecided.rejections);
    const holdsObjects = this.#holdsObjects(rejections);
    if (holdsObjects === undefined && !isLast) return { blocks: [] };
    const blocks = this.release();
    const records = Math.min(MAX_RECORDS_WITHOUT_OBJECT, rejections.length);
    const [first] = rejections;
    if (holdsObjects === true || first === undefined || (records < 2 && !this.#isMessage)) return { blocks };
    const look = this.#text && lookOfText(this.#text);
    if (look !== undefined) return { blocks: [], rejectAll: { field: 'record', message: look } };
    return { blocks: [], rejectAll: records === 1 ? first.reason : noObject(first.reason) };
  }

  /** Decides that blocks are emitted from now on; returns those held back. */
  release(): Block[] {
    const blocks = this.#undecided ?? [];
    this.#undecided = undefined;
    return blocks;
  }

  /** Undefined as long as more records may tell. */
  #holdsObjects(rejections: Block['rejections']): boolean | undefined {
    const before = this.#recordsBeforeObject;
    // Before the first object there are rejections only.
    const first = rejections.slice(0, Math.min(before ?? MAX_RECORDS_WITHOUT_OBJECT, MAX_RECORDS_WITHOUT_OBJECT));
    let bytes = 0;
    for (const { record } of first) bytes += record.length;
    if (bytes > (this.#isMessage ? MAX_UNDECIDED_MESSAGE_BYTES : MAX_UNDECIDED_BYTES)) return true;
    if (first.length === MAX_RECORDS_WITHOUT_OBJECT) return false;
    return before === undefined ? undefined : true;
  }
}
