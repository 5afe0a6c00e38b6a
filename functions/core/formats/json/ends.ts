/** Finds where a rejection ends: what is not JSON still has to be told apart from what follows. */

import { blankWidth } from './position.ts';

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** Looks for an end in one piece of bytes after the other. */
export interface RejectionEnd {
  /** @returns the index of the first byte after the rejection, or -1 if it continues after `to` */
  find(bytes: Buffer, from: number, to: number): number;
  /** Whether it looks at each byte by itself, rather than searching natively. */
  readonly isByteByByte: boolean;
  /** Whether the rejection took no bracket but its own, as far as can be told. */
  readonly isClean: boolean;
}

/**
 * The end of a container that failed: where its brackets balance (quotes respected, other errors ignored), or at a line
 * that begins with `{` or `[` and is indented no more than the container's own.
 */
export class BracketEnd implements RejectionEnd {
  readonly isByteByByte = true;
  isClean: boolean;
  #depth: number;
  readonly #closing: number;
  readonly #maxIndent: number;
  /** Blanks at the beginning of the line, while nothing else was on it; else -1. */
  #indent: number;
  #isInString = false;
  #isEscaped = false;

  /**
   * @param opening   the bracket that opens the container
   * @param depth     containers that are open
   * @param maxIndent indentation of the line on which the container begins
   * @param indent    blanks since the beginning of the line, if there is nothing else; else -1
   */
  constructor(opening: number, depth: number, maxIndent: number, indent: number) {
    this.#closing = opening === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY;
    this.isClean = depth === 0;
    this.#depth = depth;
    this.#maxIndent = maxIndent;
    this.#indent = indent;
  }

  find(bytes: Buffer, from: number, to: number): number {
    if (this.#depth === 0) return from;
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (byte === NEWLINE) {
        this.#indent = 0;
        this.#isEscaped = false;
        continue;
      }
      if (this.#indent >= 0) {
        const width = blankWidth(byte);
        if (width >= 0) {
          this.#indent += width;
          continue;
        }
        if ((byte === OPEN_OBJECT || byte === OPEN_ARRAY) && this.#indent <= this.#maxIndent) return at;
        this.#indent = -1;
      }
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#isInString = false;
      } else if (byte === QUOTE) {
        this.#isInString = true;
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        this.#depth++;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        if (--this.#depth > 0) continue;
        this.isClean = byte === this.#closing;
        return at + 1;
      }
    }
    return -1;
  }
}

/**
 * The end of text that does not begin with a bracket: the end of its line; before that, unless a quote occurs, a `{` or
 * `[`, and inside an array the end of the element.
 */
export class TextEnd implements RejectionEnd {
  readonly #isInArray: boolean;
  #takesLine: boolean;

  /** @param takesLine whether the text extends to the end of the line, whatever it contains */
  constructor(isInArray: boolean, takesLine: boolean) {
    this.#isInArray = isInArray;
    this.#takesLine = takesLine;
  }

  get isByteByByte(): boolean {
    return !this.#takesLine;
  }

  get isClean(): boolean {
    return !this.#takesLine;
  }

  find(bytes: Buffer, from: number, to: number): number {
    if (this.#takesLine) return this.#findLineEnd(bytes, from, to);
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (byte === NEWLINE) return at;
      if (byte === QUOTE) return this.#findLineEnd(bytes, at, to);
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) return at;
      else if (this.#isInArray && (byte === COMMA || byte === CLOSE_ARRAY)) return at;
    }
    return -1;
  }

  #findLineEnd(bytes: Buffer, from: number, to: number): number {
    this.#takesLine = true;
    return bytes.subarray(0, to).indexOf(NEWLINE, from);
  }
}

/** The end of a string that is too large to be scanned: after its closing quote, or at the end of its line. */
export class StringEnd implements RejectionEnd {
  readonly isByteByByte = true;
  isClean = false;
  #hasBegun = false;
  #isEscaped = false;

  find(bytes: Buffer, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (byte === NEWLINE) return at;
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE && this.#hasBegun) {
        this.isClean = true;
        return at + 1;
      }
      this.#hasBegun = true;
    }
    return -1;
  }
}
