/** Makes texts and rows of what the scanner found. */

import { setMember } from '../values.ts';
import type { RowScanner } from './row-scanner.ts';

/**
 * The texts of the row that was scanned last.
 *
 * @param from where the row begins
 */
export function fieldsOf(bytes: Buffer, from: number, scanner: RowScanner, quote: string | null): string[] {
  const { fields, starts, ends, doubled, isAscii } = scanner;
  const texts = new Array<string>(fields);
  // One text for all of the row: parts of it are cheap.
  const row = isAscii ? bytes.toString('latin1', from, ends[fields - 1]) : '';
  for (let field = 0; field < fields; field++) {
    const text = isAscii
      ? row.slice(starts[field]! - from, ends[field]! - from)
      : bytes.toString('utf8', starts[field]!, ends[field]!);
    texts[field] = doubled[field] === 0 ? text : text.replaceAll(`${quote}${quote}`, quote!);
  }
  return texts;
}

/** A row with its texts by name; those in `nothing` become null. */
export function rowOf(names: readonly string[], texts: readonly string[], nothing: readonly string[]): object {
  const row: Record<string, unknown> = {};
  for (let index = 0; index < names.length; index++) {
    const text = texts[index]!;
    setMember(row, names[index]!, nothing.includes(text) ? null : text);
  }
  return row;
}

/** A row of texts as a mapping is handed it: those in `nothing` become null. */
export function withNulls(row: object, nothing: readonly string[]): object {
  const entries = Object.entries(row);
  if (!entries.some(([, text]) => nothing.includes(text))) return row;
  const result: Record<string, unknown> = {};
  for (const [name, text] of entries) setMember(result, name, nothing.includes(text) ? null : text);
  return result;
}
