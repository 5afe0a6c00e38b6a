/** Finds the records of one JSON array: its elements, on as many lines as they like. */

import { type BlockBuilder, type Cut, extendCut, MAX_RECORD_BYTES } from './block-builder.ts';
import { scan } from './scan.ts';

const NEWLINE = 0x0a;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** What is expected next: the opening bracket; an element or the closing one; a comma or the closing one; white space. */
type State = 'open' | 'first' | 'after' | 'closed';

/** Splits an array into its elements, buffer by buffer. */
export class ArraySplitter {
  /** Why the data break off behind what was consumed, once they do: nothing behind it can be told apart. */
  broken: string | undefined;
  #state: State;
  #cut: { part: Cut; end: ElementEnd } | undefined;
  /** The first newline that is not counted yet, in the buffer at hand. */
  #nextNewline = -1;

  /** @param isResumed whether the source is read from behind an element on */
  constructor(isResumed = false) {
    this.#state = isResumed ? 'after' : 'open';
  }

  /** As {@link LineSplitter.split}. */
  split(bytes: Buffer, isLast: boolean, out: BlockBuilder): number {
    this.#nextNewline = bytes.indexOf(NEWLINE);
    let done = this.#cut === undefined ? 0 : this.#continueCut(bytes, isLast, out);
    let at = done;
    let isElementDue = false;
    while (this.#cut === undefined && this.broken === undefined) {
      const start = skipWhiteSpace(bytes, at);
      if (start === bytes.length) {
        if (isLast && this.#state !== 'closed') this.broken = 'the array is not closed: the data may be cut short';
        if (isLast) done = this.#moveTo(bytes, start, out);
        break;
      }
      const byte = bytes[start]!;
      if (this.#state === 'open' && byte === OPEN_ARRAY) {
        this.#state = 'first';
      } else if (this.#state === 'after' && !isElementDue && byte === COMMA) {
        isElementDue = true;
        at = start + 1;
        continue;
      } else if (byte === CLOSE_ARRAY && !isElementDue && (this.#state === 'first' || this.#state === 'after')) {
        this.#state = 'closed';
      } else if (this.#state === 'first' || isElementDue) {
        const end = this.#takeElement(bytes, start, isLast, out);
        if (end === undefined) break;
        if (this.broken !== undefined || this.#cut !== undefined) return end;
        this.#state = 'after';
        isElementDue = false;
        at = done = end;
        continue;
      } else {
        this.broken = `not JSON: unexpected character ${this.#state === 'closed' ? 'behind' : 'in'} the array`;
        return this.#moveTo(bytes, start, out);
      }
      at = done = this.#moveTo(bytes, start + 1, out);
    }
    return done;
  }

  /** Returns the index behind the element, or undefined where more bytes are needed. */
  #takeElement(bytes: Buffer, start: number, isLast: boolean, out: BlockBuilder): number | undefined {
    const status = scan(bytes, start, bytes.length, out.scan);
    let end = out.scan.end;
    let isComplete = status === 'value' && (end < bytes.length || isLast);
    if (status === 'too-deep') {
      end = new ElementEnd().find(bytes.subarray(start)) + start;
      isComplete = end >= start;
    }
    if (isComplete) {
      this.#moveTo(bytes, start, out);
      out.add(start, end, status, false);
      return this.#moveTo(bytes, end, out);
    }
    if (status === 'invalid' || isLast) {
      this.broken =
        status === 'invalid'
          ? 'not JSON: unexpected character in an element of the array'
          : 'not JSON: it ends in the middle of an element of the array';
      return this.#moveTo(bytes, start, out);
    }
    if (bytes.length - start <= MAX_RECORD_BYTES) return undefined;
    this.#moveTo(bytes, start, out);
    const elementEnd = new ElementEnd();
    elementEnd.find(bytes.subarray(start));
    this.#cut = { part: out.cut(start, `larger than ${MAX_RECORD_BYTES} bytes`), end: elementEnd };
    return this.#moveTo(bytes, bytes.length, out);
  }

  #continueCut(bytes: Buffer, isLast: boolean, out: BlockBuilder): number {
    const { part, end: elementEnd } = this.#cut!;
    const found = elementEnd.find(bytes);
    const end = found === -1 ? bytes.length : found;
    extendCut(part, bytes.subarray(0, end));
    this.#moveTo(bytes, end, out);
    if (found !== -1 || isLast) {
      out.rejectCut(part);
      this.#cut = undefined;
      this.#state = 'after';
    }
    return end;
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

/** Finds where an element ends that is too large or too deep to be scanned; of its syntax it knows strings and brackets. */
class ElementEnd {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #hasBegun = false;

  /** Returns the index behind the element, or -1 while it goes on behind `bytes`. */
  find(bytes: Buffer): number {
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
