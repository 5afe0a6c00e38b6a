/** Positions in JSON content: what has to be known to resume in the middle of it. */

/** The `state` of a position, as it is stored in checkpoints. */
export interface JsonState {
  /** Whether an array is open, and whether a value in it was not JSON. */
  array?: true | 'broken';
  /** Blanks since the beginning of the line, if the position is among or right after them. */
  blanks?: number;
  /** Indentation of the line, if the position is in the middle of one. */
  indent?: number;
}

/** Indentation of the line that a place is on. */
export interface Indent {
  /** Blanks at the beginning of the line. */
  width: number;
  /** Whether there is nothing but blanks before the place. */
  isOpen: boolean;
}

const NEWLINE = 0x0a;

/**
 * The indentation of the line that `bytes[at]` is on.
 *
 * @param before the indentation of the line that `bytes[0]` is on
 */
export function indentAt(bytes: Buffer, at: number, before: Indent): Indent {
  const newline = at === 0 ? -1 : bytes.lastIndexOf(NEWLINE, at - 1);
  if (newline === -1 && !before.isOpen) return before;
  let width = newline === -1 ? before.width : 0;
  for (let index = newline + 1; index < at; index++) {
    const columns = blankWidth(bytes[index]!);
    if (columns < 0) return { width, isOpen: false };
    width += columns;
  }
  return { width, isOpen: true };
}

/** The `state` of a position, as a part of it: nothing at the beginning of a line outside of an array. */
export function stateAt(array: JsonState['array'], { width, isOpen }: Indent): { state?: JsonState } {
  const inArray = array === undefined ? {} : { array };
  if (!isOpen) return { state: { ...inArray, indent: width } };
  if (width > 0) return { state: { ...inArray, blanks: width } };
  return array === undefined ? {} : { state: inArray };
}

/** The indentation at a position with that `state`. */
export function indentOf({ blanks = 0, indent }: JsonState): Indent {
  return indent === undefined ? { width: blanks, isOpen: true } : { width: indent, isOpen: false };
}

/** Columns that a byte adds to the indentation of a line: none for those of a byte order mark; -1 if it is not blank. */
export function blankWidth(byte: number): number {
  if (byte === 0x20 || byte === 0x09 || byte === 0x0d) return 1;
  return byte === 0xef || byte === 0xbb || byte === 0xbf ? 0 : -1;
}
