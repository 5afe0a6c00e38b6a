/**
 * Scans one JSON value in a buffer: is it valid, is it an event, and where would a `$insert_id` go.
 * One iterative pass, no allocation; the grammar is RFC 8259's (https://www.rfc-editor.org/rfc/rfc8259).
 */

/** Levels of nesting that a record may have. */
export const MAX_DEPTH = 100;

/** `value`: complete and valid; `incomplete`: valid so far; `too-deep`: nested deeper than {@link MAX_DEPTH}. */
export type ScanStatus = 'value' | 'incomplete' | 'invalid' | 'too-deep';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

const LITERALS = new Map(['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]));
const EVENT = Buffer.from('event');
const PROPERTIES = Buffer.from('properties');
const INSERT_ID = Buffer.from('$insert_id');

/** Scans values one after the other. Its fields describe the last value; most are meaningful only after `value`. */
export class Scanner {
  /** Index after the value, or of the byte at which the scan stopped. */
  end = 0;
  isObject = false;
  hasEvent = false;
  /** The last top-level `properties`: absent, an object, or another value. */
  properties: 'absent' | 'other' | 'object' = 'absent';
  /** The last `$insert_id` in it: absent, null or `""`, or another value. */
  insertId: 'absent' | 'empty' | 'present' = 'absent';
  /** Index after the opening brace of `properties`. */
  spliceAt = 0;
  propertiesEmpty = false;
  /** It contains a number that a double may not carry: more than 15 significant digits, or an exponent. */
  longNumber = false;
  /** It contains CR or LF between tokens. */
  lineBreak = false;
  /** Containers that were open where the scan stopped. */
  depth = 0;
  /** Index at which the container of each depth was opened, from depth 1 to {@link depth}. */
  readonly openedAt = new Uint32Array(MAX_DEPTH + 1);
  /** Index of the opening quote if the scan stopped inside a string, else -1. */
  stringAt = -1;
  /** Bytes of all scans so far. */
  bytesScanned = 0;
  readonly #isObjectAt = new Uint8Array(MAX_DEPTH + 1);

  /**
   * Scans the value that begins at `from`, or after white space that begins there.
   *
   * @param bytes the buffer
   * @param to    index to end before; if `bytes[to]` is a control character, strings are cheaper to scan
   */
  scan(bytes: Buffer, from: number, to: number): ScanStatus {
    const status = this.#scan(bytes, from, to);
    this.bytesScanned += this.end - from;
    return status;
  }

  #scan(bytes: Buffer, from: number, to: number): ScanStatus {
    this.isObject = this.hasEvent = this.propertiesEmpty = this.longNumber = this.lineBreak = false;
    this.properties = this.insertId = 'absent';
    this.stringAt = -1;
    const isObjectAt = this.#isObjectAt;
    let depth = 0;
    let at = from;
    let inProperties = false;
    let isPropertiesValue = false;
    let isInsertIdValue = false;

    for (;;) {
      // A value begins here.
      at = skipWhiteSpace(bytes, at, to, this);
      if (at >= to) return this.#stop(at, depth, 'incomplete');
      let byte = bytes[at]!;
      if (isPropertiesValue) {
        isPropertiesValue = false;
        this.properties = byte === OPEN_OBJECT ? 'object' : 'other';
        this.insertId = 'absent';
        if (byte === OPEN_OBJECT) {
          inProperties = true;
          this.spliceAt = at + 1;
        }
      } else if (isInsertIdValue) {
        isInsertIdValue = false;
        const isEmpty = byte === 0x6e || (byte === QUOTE && at + 1 < to && bytes[at + 1] === QUOTE);
        this.insertId = isEmpty ? 'empty' : 'present';
      }

      let needsKey = false;
      if (byte === QUOTE) {
        const end = skipString(bytes, at, to);
        if (end < 0) return this.#stopInString(at, ~end, to, depth);
        at = end;
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (depth === MAX_DEPTH) return this.#stop(at, depth, 'too-deep');
        const isObject = byte === OPEN_OBJECT;
        isObjectAt[++depth] = isObject ? 1 : 0;
        this.openedAt[depth] = at;
        if (depth === 1) this.isObject = isObject;
        at = skipWhiteSpace(bytes, at + 1, to, this);
        if (at >= to) return this.#stop(at, depth, 'incomplete');
        byte = bytes[at]!;
        const isEmpty = byte === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY);
        if (depth === 2 && inProperties) this.propertiesEmpty = isEmpty;
        if (!isEmpty) {
          if (!isObject) continue;
          needsKey = true;
        }
      } else {
        const isNumber = byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
        at = isNumber ? skipNumber(bytes, at, to, this) : skipLiteral(bytes, at, to);
        if (at < 0) return this.#stop(~at, depth, ~at >= to ? 'incomplete' : 'invalid');
      }

      // After a value, or at the first key or the closing bracket of a container.
      while (!needsKey) {
        if (depth === 0) return this.#stop(at, depth, 'value');
        at = skipWhiteSpace(bytes, at, to, this);
        if (at >= to) return this.#stop(at, depth, 'incomplete');
        byte = bytes[at]!;
        if (byte === COMMA) {
          at++;
          if (isObjectAt[depth] === 0) break;
          at = skipWhiteSpace(bytes, at, to, this);
          needsKey = true;
        } else if (byte === (isObjectAt[depth] === 1 ? CLOSE_OBJECT : CLOSE_ARRAY)) {
          at++;
          if (depth-- === 2) inProperties = false;
        } else {
          return this.#stop(at, depth, 'invalid');
        }
      }
      if (!needsKey) continue;

      if (at >= to) return this.#stop(at, depth, 'incomplete');
      if (bytes[at] !== QUOTE) return this.#stop(at, depth, 'invalid');
      const key = at;
      const end = skipString(bytes, at, to);
      if (end < 0) return this.#stopInString(key, ~end, to, depth);
      at = end;
      if (depth === 1) {
        if (isKey(bytes, key, at, EVENT)) this.hasEvent = true;
        else isPropertiesValue = isKey(bytes, key, at, PROPERTIES);
      } else if (depth === 2 && inProperties) {
        isInsertIdValue = isKey(bytes, key, at, INSERT_ID);
      }
      at = skipWhiteSpace(bytes, at, to, this);
      if (at >= to) return this.#stop(at, depth, 'incomplete');
      if (bytes[at] !== COLON) return this.#stop(at, depth, 'invalid');
      at++;
    }
  }

  #stop(at: number, depth: number, status: ScanStatus): ScanStatus {
    this.end = at;
    this.depth = depth;
    return status;
  }

  #stopInString(quote: number, at: number, to: number, depth: number): ScanStatus {
    this.stringAt = quote;
    return this.#stop(at, depth, at >= to ? 'incomplete' : 'invalid');
  }
}

// A helper that stops before its token is complete returns the complement of the index: a negative number.

function skipWhiteSpace(bytes: Buffer, at: number, to: number, scanner: Scanner): number {
  return at < to && bytes[at]! > 0x20 ? at : skipSomeWhiteSpace(bytes, at, to, scanner);
}

/** A function of its own, so that the caller is small enough to be inlined: white space is rare. */
function skipSomeWhiteSpace(bytes: Buffer, from: number, to: number, scanner: Scanner): number {
  let at = from;
  while (at < to) {
    const byte = bytes[at]!;
    if (byte > 0x20) break;
    if (byte === 0x0a || byte === 0x0d) scanner.lineBreak = true;
    else if (byte !== 0x20 && byte !== 0x09) break;
    at++;
  }
  return at;
}

/** From the opening quote to the index after the closing one. */
function skipString(bytes: Buffer, from: number, to: number): number {
  // A control character at `to` stops the inner loop, so it needs no bounds check per byte.
  const hasStop = to < bytes.length && bytes[to]! < 0x20;
  let at = from + 1;
  for (;;) {
    if (hasStop) {
      let byte = bytes[at]!;
      while (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) byte = bytes[++at]!;
    } else {
      while (at < to && isPlain(bytes[at]!)) at++;
    }
    if (at >= to) return ~to;
    if (bytes[at] === QUOTE) return at + 1;
    if (bytes[at] !== BACKSLASH) return ~at;
    at = skipEscape(bytes, at + 1, to);
    if (at < 0) return at;
  }
}

/** Whether a byte stands for itself in a string. */
function isPlain(byte: number): boolean {
  return byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH;
}

function skipEscape(bytes: Buffer, from: number, to: number): number {
  if (from >= to) return ~from;
  switch (bytes[from]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return from + 1;
    case 0x75: // u
      for (let at = from + 1; at < from + 5; at++) {
        if (at >= to || !isHexDigit(bytes[at]!)) return ~at;
      }
      return from + 5;
    default:
      return ~from;
  }
}

function isHexDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function skipNumber(bytes: Buffer, from: number, to: number, scanner: Scanner): number {
  let at = from;
  if (bytes[at] === 0x2d) at++;
  if (at >= to || !isDigit(bytes[at])) return ~at;
  const mantissa = at;
  if (bytes[at] === 0x30) at++;
  else while (at < to && isDigit(bytes[at])) at++;
  if (at < to && bytes[at] === 0x2e) {
    at++;
    if (at >= to || !isDigit(bytes[at])) return ~at;
    while (at < to && isDigit(bytes[at])) at++;
  }
  if (at - mantissa > 15) scanner.longNumber = true;
  if (at < to && (bytes[at]! | 0x20) === 0x65) {
    scanner.longNumber = true;
    at++;
    if (at < to && (bytes[at] === 0x2b || bytes[at] === 0x2d)) at++;
    if (at >= to || !isDigit(bytes[at])) return ~at;
    while (at < to && isDigit(bytes[at])) at++;
  }
  return at;
}

function skipLiteral(bytes: Buffer, from: number, to: number): number {
  const word = LITERALS.get(bytes[from]!);
  if (word === undefined) return ~from;
  for (let index = 1; index < word.length; index++) {
    const at = from + index;
    if (at >= to || bytes[at] !== word[index]) return ~at;
  }
  return from + word.length;
}

/**
 * Whether the string literal in `bytes[from, to)`, quotes included, means `name`. A letter of these names can only be
 * escaped as `\uXXXX`, so an escaped one is longer by a multiple of five.
 */
function isKey(bytes: Buffer, from: number, to: number, name: Buffer): boolean {
  const excess = to - from - 2 - name.length;
  if (excess < 0 || excess % 5 !== 0) return false;
  // Names are short: a loop costs less than a call out of JavaScript.
  for (let index = 0; index < name.length; index++) {
    const byte = bytes[from + 1 + index];
    if (byte === BACKSLASH) return JSON.parse(bytes.toString('utf8', from, to)) === name.toString();
    if (byte !== name[index]) return false;
  }
  return excess === 0;
}
