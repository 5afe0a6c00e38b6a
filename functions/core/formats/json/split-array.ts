/** Finds the records of one JSON array: its elements, on as many lines as they like. */

import { type BlockBuilder, MAX_RECORD_BYTES } from './block-builder.ts';
import { scan } from './scanner.ts';

const NEWLINE = 0x0a;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/**
 * What is expected next. `open`: the opening bracket; `first`: an element or the closing bracket; `element`: an element;
 * `after`: a comma or the closing bracket; `resumed`: the same, or nothing; `closed`: white space; `broken`: nothing
 * that could be told apart.
 */
type State = 'open' | 'first' | 'element' | 'after' | 'resumed' | 'closed' | 'broken';

/** Splits an array into its elements, buffer by buffer. A block ends behind an element, or with the content. */
export class ArraySplitter {
  #state: State;
  /** The first newline that is not counted yet, in the buffer at hand. */
  #nextNewline = -1;

  /** @param isResumed whether the source is read from the end of a block on */
  constructor(isResumed = false) {
    this.#state = isResumed ? 'resumed' : 'open';
  }

  /** Whether the data are no array: what stands behind the last element cannot be told apart, or is missing. */
  get isBroken(): boolean {
    return this.#state === 'broken';
  }

  /** As {@link LineSplitter.split}. */
  split(bytes: Buffer, isLast: boolean, out: BlockBuilder): number {
    this.#nextNewline = bytes.indexOf(NEWLINE);
    // A block that is not the last ends before the last byte, so that only behind a whole array nothing comes.
    if (this.#state === 'resumed' && bytes.length > 0) this.#state = 'after';
    let at = 0;
    while (!this.isBroken) {
      at = this.#moveTo(bytes, skipWhiteSpace(bytes, at), out);
      if (at === bytes.length) {
        if (isLast) this.#end(at, out);
        break;
      }
      const state = this.#state;
      const byte = bytes[at]!;
      if (state === 'open' && byte === OPEN_ARRAY) {
        this.#state = 'first';
        at++;
      } else if (state === 'after' && byte === COMMA) {
        this.#state = 'element';
        at++;
      } else if ((state === 'after' || state === 'first') && byte === CLOSE_ARRAY) {
        this.#state = 'closed';
        at++;
      } else if (state === 'element' || state === 'first') {
        const end = this.#takeElement(bytes, at, isLast, out);
        if (end === -1) break;
        this.#state = 'after';
        at = this.#moveTo(bytes, end, out);
        out.mark(at);
      } else {
        this.#breakOff(at, `unexpected character ${state === 'closed' ? 'behind' : 'in'} the array`, out);
      }
    }
    return at;
  }

  /** Returns the index behind the element, or -1 where more bytes are needed or a part begins that is not held. */
  #takeElement(bytes: Buffer, start: number, isLast: boolean, out: BlockBuilder): number {
    // What stands behind the largest size is not looked at: whether it has come already must not matter.
    const limit = Math.min(bytes.length, start + MAX_RECORD_BYTES + 1);
    const isOverLimit = limit - start > MAX_RECORD_BYTES;
    const status = scan(bytes, start, limit, out.scan);
    let { end } = out.scan;
    if (status === 'invalid') return this.#breakOff(start, 'unexpected character in an element of the array', out);
    let isComplete = status === 'value' && (end < limit || (isLast && !isOverLimit));
    if (status === 'too-deep' || (isOverLimit && !isComplete)) {
      const length = new ElementEnd().find(bytes.subarray(start));
      end = length === -1 ? bytes.length : start + length;
      isComplete = end < bytes.length || (isLast && (length !== -1 || isOverLimit));
    }
    if (isComplete) {
      out.add(start, end, status, false);
      return end;
    }
    if (isLast) return this.#breakOff(start, 'it ends in the middle of an element of the array', out);
    if (isOverLimit) {
      const elementEnd = new ElementEnd();
      out.beginCut(start, `larger than ${MAX_RECORD_BYTES} bytes`, (next) => elementEnd.find(next));
      this.#state = 'after';
    }
    return -1;
  }

  #breakOff(at: number, message: string, out: BlockBuilder): -1 {
    this.#state = 'broken';
    out.beginCut(at, `not JSON: ${message}`);
    return -1;
  }

  #end(at: number, out: BlockBuilder): void {
    if (this.#state !== 'closed' && this.#state !== 'resumed') {
      this.#state = 'broken';
      out.reject(at, at, 'record', 'the array is not closed: the data may be cut short');
    }
    out.mark(at);
  }

  /** Counts the lines that end before `to`, and returns it. */
  #moveTo(bytes: Buffer, to: number, out: BlockBuilder): number {
    while (this.#nextNewline !== -1 && this.#nextNewline < to) {
      out.line++;
      this.#nextNewline = bytes.indexOf(NEWLINE, this.#nextNewline + 1);
    }
    return to;
  }
}

/** Finds where a value ends that is too large or too deep to be scanned; of its syntax it knows strings and brackets. */
export class ElementEnd {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #hasBegun = false;
  #isOver = false;

  /** Returns the index behind the value, or -1 while it goes on behind `bytes`, which come next. */
  find(bytes: Buffer): number {
    if (this.#isOver) return 0;
    const end = this.#find(bytes);
    this.#isOver = end !== -1;
    return end;
  }

  #find(bytes: Buffer): number {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === 0x5c) this.#isEscaped = true;
        else if (byte === 0x22) {
          this.#isInString = false;
          if (this.#depth === 0) return at + 1;
        }
      } else if (byte === 0x22) {
        this.#isInString = true;
      } else if (byte === 0x7b || byte === OPEN_ARRAY) {
        this.#depth++;
      } else if (byte === 0x7d || byte === CLOSE_ARRAY) {
        if (this.#depth === 0) return at;
        if (--this.#depth === 0) return at + 1;
      } else if (this.#depth === 0 && this.#hasBegun && (byte === COMMA || byte <= 0x20)) {
        return at;
      }
      this.#hasBegun = true;
    }
    return -1;
  }
}

function skipWhiteSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length) {
    const byte = bytes[at]!;
    if (byte !== 0x20 && byte !== NEWLINE && byte !== 0x0d && byte !== 0x09) break;
    at++;
  }
  return at;
}
