/** Finds the records of newline-delimited JSON: one a line, blank lines are none. */

import { isUtf8 } from 'node:buffer';
import { type BlockBuilder, type Cut, extendCut, MAX_RECORD_BYTES } from './block-builder.ts';
import { scan } from './scan.ts';

const NEWLINE = 0x0a;

/** Splits a source at its newlines, buffer by buffer. */
export class LineSplitter {
  /** The line that is too long to be held, while its end has not come. */
  #cut: Cut | undefined;

  /**
   * @param bytes  what has not been consumed yet
   * @param isLast whether nothing comes behind them
   * @param out    receives the records
   * @returns how many bytes were consumed; the others are to be handed in again with what follows
   */
  split(bytes: Buffer, isLast: boolean, out: BlockBuilder): number {
    let at = this.#cut === undefined ? 0 : this.#continueCut(this.#cut, bytes, isLast, out);
    const whole = isLast ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1;
    const isValidUtf8 = isUtf8(bytes.subarray(at, Math.max(at, whole)));
    while (at < whole) {
      let end = bytes.indexOf(NEWLINE, at);
      if (end === -1) end = bytes.length;
      takeLine(bytes, at, end, isValidUtf8, out);
      if (end < bytes.length) out.line++;
      at = Math.min(end + 1, bytes.length);
    }
    if (bytes.length - at > MAX_RECORD_BYTES) {
      const start = skipBlanks(bytes, at, bytes.length);
      if (bytes.length - start > MAX_RECORD_BYTES) {
        this.#cut = out.cut(start, `larger than ${MAX_RECORD_BYTES} bytes`);
        at = bytes.length;
      } else {
        at = start;
      }
    }
    return at;
  }

  #continueCut(cut: Cut, bytes: Buffer, isLast: boolean, out: BlockBuilder): number {
    const newline = bytes.indexOf(NEWLINE);
    const end = newline === -1 ? bytes.length : newline;
    extendCut(cut, bytes.subarray(0, end));
    if (newline === -1 && !isLast) return end;
    out.rejectCut(cut);
    this.#cut = undefined;
    if (newline === -1) return end;
    out.line++;
    return newline + 1;
  }
}

function takeLine(bytes: Buffer, lineStart: number, lineEnd: number, isValidUtf8: boolean, out: BlockBuilder): void {
  const from = skipBlanks(bytes, lineStart, lineEnd);
  let to = lineEnd;
  while (to > from && isBlank(bytes[to - 1]!)) to--;
  if (from === to) return;
  let status = scan(bytes, from, to, out.scan);
  if (status === 'value' && out.scan.end < to) status = 'invalid';
  out.add(from, to, status, isValidUtf8);
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
