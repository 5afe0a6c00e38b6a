/** Texts of an answer, which may be as long as the answer. */

/** Characters that are kept of one. */
const MAX_TEXT = 1_000;

/** The beginning of a text; empty if it is not one. */
export function textOf(value: unknown): string {
  if (typeof value !== 'string') return '';
  // Through bytes, as a slice of a string keeps all of it in memory.
  return value.length <= MAX_TEXT ? value : Buffer.from(value.slice(0, MAX_TEXT)).toString();
}
