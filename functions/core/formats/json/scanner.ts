/**
 * Scans one JSON value in a buffer: is it valid, is it an event, and where would a `$insert_id` go.
 * One iterative pass, no allocation; the grammar is RFC 8259's (https://www.rfc-editor.org/rfc/rfc8259).
 */

/** Levels of nesting that a record may have. */
export const MAX_DEPTH = 100;

/** What {@link scan} found; one object serves any number of scans. */
export interface Scan {
  /** Index behind the value, or of the byte at which the scan stopped. */
  end: number;
  isObject: boolean;
  hasEvent: boolean;
  /** The last top-level `properties`: not there, something else, or an object. */
  properties: 'absent' | 'other' | 'object';
  /** `$insert_id` in those: not there, null or `""`, or something. */
  insertId: 'absent' | 'empty' | 'present';
  /** Index behind the opening brace of those properties. */
  spliceAt: number;
  propertiesEmpty: boolean;
  /** A number stands in it that a double may not carry: more than 15 significant digits, or an exponent. */
  longNumber: boolean;
  /** CR or LF stands in it. */
  lineBreak: boolean;
}

/** `value`: complete and valid; `incomplete`: valid so far; `too-deep`: nested deeper than allowed. */
export type ScanStatus = 'value' | 'incomplete' | 'invalid' | 'too-deep';

/** A {@link Scan} to hand to {@link scan}. */
export function newScan(): Scan {
  return {
    end: 0,
    isObject: false,
    hasEvent: false,
    properties: 'absent',
    insertId: 'absent',
    spliceAt: 0,
    propertiesEmpty: false,
    longNumber: false,
    lineBreak: false,
  };
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

const INCOMPLETE = -1;
const INVALID = -2;

const DIGIT_OR_POINT = Uint8Array.from({ length: 256 }, (_, byte) => (isDigit(byte) || byte === 0x2e ? 1 : 0));
const LITERALS = new Map(['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]));
const EVENT = Buffer.from('event');
const PROPERTIES = Buffer.from('properties');
const INSERT_ID = Buffer.from('$insert_id');

const isObjectAt = new Uint8Array(MAX_DEPTH + 1);

/**
 * Scans the value that begins at or, behind white space, after `from`.
 *
 * @param bytes the buffer
 * @param from  index to begin at
 * @param to    index to end before
 * @param out   receives what was found; of use only after `value`
 */
export function scan(bytes: Buffer, from: number, to: number, out: Scan): ScanStatus {
  out.isObject = out.hasEvent = out.propertiesEmpty = out.longNumber = out.lineBreak = false;
  out.properties = out.insertId = 'absent';
  let depth = 0;
  let at = from;
  let inProperties = false;
  let isPropertiesValue = false;
  let isInsertIdValue = false;

  for (;;) {
    // A value begins here.
    at = skipWhiteSpace(bytes, at, to, out);
    if (at >= to) return stop(out, at, 'incomplete');
    let byte = bytes[at]!;
    if (isPropertiesValue) {
      isPropertiesValue = false;
      out.properties = byte === OPEN_OBJECT ? 'object' : 'other';
      out.insertId = 'absent';
      if (byte === OPEN_OBJECT) {
        inProperties = true;
        out.spliceAt = at + 1;
      }
    } else if (isInsertIdValue) {
      isInsertIdValue = false;
      const isEmpty = byte === 0x6e || (byte === QUOTE && at + 1 < to && bytes[at + 1] === QUOTE);
      out.insertId = isEmpty ? 'empty' : 'present';
    }

    let needsKey = false;
    if (byte === QUOTE) {
      at = skipString(bytes, at, to);
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (depth === MAX_DEPTH) return stop(out, at, 'too-deep');
      const isObject = byte === OPEN_OBJECT;
      isObjectAt[++depth] = isObject ? 1 : 0;
      if (depth === 1) out.isObject = isObject;
      at = skipWhiteSpace(bytes, at + 1, to, out);
      if (at >= to) return stop(out, at, 'incomplete');
      byte = bytes[at]!;
      const isEmpty = byte === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY);
      if (depth === 2 && inProperties) out.propertiesEmpty = isEmpty;
      if (!isEmpty) {
        if (!isObject) continue;
        needsKey = true;
      }
    } else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
      at = skipNumber(bytes, at, to, out);
    } else {
      at = skipLiteral(bytes, at, to);
    }
    if (at < 0) return stop(out, stoppedAt, at === INCOMPLETE ? 'incomplete' : 'invalid');

    // Behind a value, or at the first key or the closing bracket of a container.
    while (!needsKey) {
      if (depth === 0) return stop(out, at, 'value');
      at = skipWhiteSpace(bytes, at, to, out);
      if (at >= to) return stop(out, at, 'incomplete');
      byte = bytes[at]!;
      if (byte === COMMA) {
        at++;
        if (isObjectAt[depth] === 0) break;
        at = skipWhiteSpace(bytes, at, to, out);
        needsKey = true;
      } else if (byte === (isObjectAt[depth] === 1 ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        at++;
        if (depth-- === 2) inProperties = false;
      } else {
        return stop(out, at, 'invalid');
      }
    }
    if (!needsKey) continue;

    if (at >= to) return stop(out, at, 'incomplete');
    if (bytes[at] !== QUOTE) return stop(out, at, 'invalid');
    const key = at;
    at = skipString(bytes, at, to);
    if (at < 0) return stop(out, stoppedAt, at === INCOMPLETE ? 'incomplete' : 'invalid');
    if (depth === 1) {
      if (isKey(bytes, key, at, EVENT)) out.hasEvent = true;
      else isPropertiesValue = isKey(bytes, key, at, PROPERTIES);
    } else if (depth === 2 && inProperties) {
      isInsertIdValue = isKey(bytes, key, at, INSERT_ID);
    }
    at = skipWhiteSpace(bytes, at, to, out);
    if (at >= to) return stop(out, at, 'incomplete');
    if (bytes[at] !== COLON) return stop(out, at, 'invalid');
    at++;
  }
}

function stop(out: Scan, at: number, status: ScanStatus): ScanStatus {
  out.end = at;
  return status;
}

/** Where a helper stopped that returned {@link INCOMPLETE} or {@link INVALID}. */
let stoppedAt = 0;

function fail(at: number, to: number): number {
  stoppedAt = at;
  return at >= to ? INCOMPLETE : INVALID;
}

function skipWhiteSpace(bytes: Buffer, at: number, to: number, out: Scan): number {
  return at < to && bytes[at]! > 0x20 ? at : skipSomeWhiteSpace(bytes, at, to, out);
}

/** By itself, so that the above is small enough to be inlined: hardly ever there is any. */
function skipSomeWhiteSpace(bytes: Buffer, from: number, to: number, out: Scan): number {
  let at = from;
  while (at < to) {
    const byte = bytes[at]!;
    if (byte > 0x20) break;
    if (byte === 0x0a || byte === 0x0d) out.lineBreak = true;
    else if (byte !== 0x20 && byte !== 0x09) break;
    at++;
  }
  return at;
}

/** From the opening quote to behind the closing one. */
function skipString(bytes: Buffer, from: number, to: number): number {
  // What stands behind a line ends every string; then it need not be asked at each byte whether it is the last.
  const hasStop = to < bytes.length && bytes[to]! < 0x20;
  let at = from + 1;
  for (;;) {
    if (hasStop) {
      let byte = bytes[at]!;
      while (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) byte = bytes[++at]!;
    } else {
      while (at < to && isPlain(bytes[at]!)) at++;
    }
    if (at >= to) return fail(to, to);
    if (bytes[at] === QUOTE) return at + 1;
    if (bytes[at] !== BACKSLASH) return fail(at, to);
    at = skipEscape(bytes, at + 1, to);
    if (at < 0) return at;
  }
}

/** Whether a byte stands for itself in a string. */
function isPlain(byte: number): boolean {
  return byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH;
}

function skipEscape(bytes: Buffer, from: number, to: number): number {
  if (from >= to) return fail(from, to);
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
        if (at >= to || !isHexDigit(bytes[at]!)) return fail(at, to);
      }
      return from + 5;
    default:
      return fail(from, to);
  }
}

function isHexDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function skipNumber(bytes: Buffer, from: number, to: number, out: Scan): number {
  let at = from;
  if (bytes[at] === 0x2d) at++;
  if (at >= to || !isDigit(bytes[at])) return fail(at, to);
  const mantissa = at;
  if (bytes[at] === 0x30) at++;
  else while (at < to && isDigit(bytes[at])) at++;
  if (at < to && bytes[at] === 0x2e) {
    at++;
    if (at >= to || !isDigit(bytes[at])) return fail(at, to);
    while (at < to && isDigit(bytes[at])) at++;
  }
  if (at - mantissa > 15) out.longNumber = true;
  if (at < to && (bytes[at]! | 0x20) === 0x65) {
    out.longNumber = true;
    at++;
    if (at < to && (bytes[at] === 0x2b || bytes[at] === 0x2d)) at++;
    if (at >= to || !isDigit(bytes[at])) return fail(at, to);
    while (at < to && isDigit(bytes[at])) at++;
  }
  return at;
}

function skipLiteral(bytes: Buffer, from: number, to: number): number {
  const word = LITERALS.get(bytes[from]!);
  if (word === undefined) return fail(from, to);
  for (let index = 1; index < word.length; index++) {
    const at = from + index;
    if (at >= to || bytes[at] !== word[index]) return fail(at, to);
  }
  return from + word.length;
}

/**
 * Whether a number of more than 15 digits may stand in `bytes[from, to)`: at least 16 digits and points in a row, also
 * such in a string. Of as many one always stands at a multiple of 16, so the others are hardly looked at.
 */
export function mayHoldLongNumber(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += 16) {
    if (DIGIT_OR_POINT[bytes[at]!] === 0) continue;
    let first = at;
    while (first > from && DIGIT_OR_POINT[bytes[first - 1]!] === 1) first--;
    let behind = at + 1;
    while (behind < to && DIGIT_OR_POINT[bytes[behind]!] === 1) behind++;
    if (behind - first > 15) return true;
  }
  return false;
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
