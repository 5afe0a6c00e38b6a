/** Finds the records of newline-delimited JSON: one a line, blank lines are none. */

import { isUtf8 } from 'node:buffer';
import { type BlockBuilder, MAX_RECORD_BYTES } from './block-builder.ts';
import { type Scan, type ScanStatus, scan } from './scanner.ts';

/** Bytes after which no end of a line is waited for: a record as large as it may be, and white space behind it. */
const MAX_LINE_BYTES = 1_048_576;
const NEWLINE = 0x0a;

/** Splits a source at its newlines, buffer by buffer. */
export class LineSplitter {
  /**
   * @param bytes  what has not been consumed yet
   * @param isLast whether nothing comes behind them
   * @param out    receives the records, and the beginning of a line that is too long to be held
   * @returns how many bytes were consumed; the others are to be handed in again with what follows
   */
  split(bytes: Buffer, isLast: boolean, out: BlockBuilder): number {
    const whole = isLast ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1;
    const isValidUtf8 = isUtf8(bytes.subarray(0, whole));
    let at = 0;
    while (at < whole) {
      let end = bytes.indexOf(NEWLINE, at);
      if (end === -1) end = bytes.length;
      takeLine(bytes, at, end, isValidUtf8, out);
      if (end < bytes.length) out.line++;
      at = Math.min(end + 1, bytes.length);
    }
    at = skipBlanks(bytes, at, bytes.length);
    out.mark(at);
    if (bytes.length - at > MAX_LINE_BYTES) {
      out.beginCut(at, `larger than ${MAX_RECORD_BYTES} bytes`, (next) => next.indexOf(NEWLINE));
    }
    return at;
  }
}

function takeLine(bytes: Buffer, lineStart: number, lineEnd: number, isValidUtf8: boolean, out: BlockBuilder): void {
  const from = skipBlanks(bytes, lineStart, lineEnd);
  let to = lineEnd;
  // White space at the end of a longer line counts, as it does where the line comes in pieces.
  if (to - from <= MAX_LINE_BYTES) while (to > from && isBlank(bytes[to - 1]!)) to--;
  if (from === to) return;
  if (isValidUtf8 && out.addUnscanned(from, to)) return;
  out.add(from, to, scanLine(bytes, from, to, out.scan), isValidUtf8);
}

/** Scans the record `bytes[from, to)`, which is all that stands on its line. */
export function scanLine(bytes: Buffer, from: number, to: number, out: Scan): ScanStatus {
  const status = scan(bytes, from, to, out);
  if (status !== 'value' || out.end === to) return status;
  out.end = skipBlanks(bytes, out.end, to);
  return 'invalid';
}

function skipBlanks(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && isBlank(bytes[at]!)) at++;
  return at;
}

/** White space in JSON's sense, but for the newline. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0d || byte === 0x09;
}
