/** Scans rows of delimited text (https://www.rfc-editor.org/rfc/rfc4180), byte by byte: no byte of UTF-8 is mistaken for another. */

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * What was found at a row: `row`; `broken`: text follows a closing quote; `unclosed`: a quote does not close within the limit,
 * or in all of the content; `incomplete`: more bytes are needed.
 */
export type RowStatus = 'row' | 'broken' | 'unclosed' | 'incomplete';

/** Scans one row after the other. What was found is valid until the next scan. */
export class RowScanner {
  /** After the row and its line end. */
  end = 0;
  /** Newlines within the row. */
  newlines = 0;
  /** Fields; each has a place in the columns below. */
  fields = 0;
  /** Begin and end of each field, without its quotes. */
  starts = new Uint32Array(64);
  ends = new Uint32Array(64);
  /** 1 if quotes are doubled in the field. */
  doubled = new Uint8Array(64);
  /** Whether all bytes are ASCII. */
  isAscii = true;
  /** Where the line ends on which the unclosed quote is; -1 if that is not known. */
  lineEnd = 0;
  /** One character. */
  readonly delimiter: string;
  readonly #quote: number;

  /** @param quote a character code; -1 if nothing is quoted */
  constructor(delimiter: string, quote: number) {
    this.delimiter = delimiter;
    this.#quote = quote;
  }

  /**
   * Scans the row at `from`.
   *
   * @param limit  where a quote must have closed
   * @param isLast whether the content ends with the bytes
   */
  scan(bytes: Buffer, from: number, limit: number, isLast: boolean): RowStatus {
    const to = bytes.length;
    const delimiter = this.delimiter.charCodeAt(0);
    const quote = this.#quote;
    this.fields = this.newlines = 0;
    let high = 0;
    let isBroken = false;
    let at = from;
    for (;;) {
      let start = at;
      let end = -1;
      let isDoubled = 0;
      if (at < to && bytes[at] === quote) {
        start = at + 1;
        const openedOn = this.newlines;
        const closed = this.#closingQuote(bytes, start, Math.min(to, limit));
        if (closed === -1) return this.#unclosed(bytes, at, limit, openedOn, isLast);
        for (let index = start; index < closed; index++) {
          const byte = bytes[index]!;
          high |= byte;
          if (byte === NEWLINE) this.newlines++;
          else if (byte === quote) isDoubled = 1;
        }
        end = closed;
        at = closed + 1;
        if (at === to && !isLast) return 'incomplete';
      }
      const rest = at;
      let byte = 0;
      for (; at < to; at++) {
        byte = bytes[at]!;
        if (byte === delimiter || byte === NEWLINE) break;
        high |= byte;
      }
      if (at === to && !isLast) return 'incomplete';
      const isEnd = at === to || byte === NEWLINE;
      const restEnd = isEnd && at > rest && bytes[at - 1] === CARRIAGE_RETURN ? at - 1 : at;
      if (end === -1) end = restEnd;
      else if (restEnd > rest) isBroken = true;
      this.#add(start, end, isDoubled);
      at++;
      if (!isEnd) continue;
      this.end = Math.min(at, to);
      if (byte === NEWLINE && at <= to) this.newlines++;
      this.isAscii = high < 0x80;
      return isBroken ? 'broken' : 'row';
    }
  }

  #add(start: number, end: number, isDoubled: number): void {
    if (this.fields === this.starts.length) this.#grow();
    this.starts[this.fields] = start;
    this.ends[this.fields] = end;
    this.doubled[this.fields++] = isDoubled;
  }

  /** Index of the quote that closes; -1 if there is none before `to`. */
  #closingQuote(bytes: Buffer, from: number, to: number): number {
    const quote = this.#quote;
    for (let at = from; at < to; at++) {
      if (bytes[at] !== quote) continue;
      if (bytes[at + 1] !== quote) return at;
      at++;
    }
    return -1;
  }

  #unclosed(bytes: Buffer, opened: number, limit: number, openedOn: number, isLast: boolean): RowStatus {
    if (!isLast && bytes.length < limit) return 'incomplete';
    const newline = bytes.indexOf(NEWLINE, opened);
    this.newlines = openedOn + (newline === -1 ? 0 : 1);
    this.lineEnd = newline === -1 ? -1 : newline + 1;
    return 'unclosed';
  }

  #grow(): void {
    const length = 2 * this.starts.length;
    const grown = <Column extends Uint32Array | Uint8Array>(column: Column, larger: Column): Column => {
      larger.set(column);
      return larger;
    };
    this.starts = grown(this.starts, new Uint32Array(length));
    this.ends = grown(this.ends, new Uint32Array(length));
    this.doubled = grown(this.doubled, new Uint8Array(length));
  }
}
