/** Makes text from outside safe to print: names, reasons and answers can hold what a terminal or a browser obeys. */

/**
 * Control characters, what changes the direction of the text after it
 * (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters), separators of lines, and halves of characters.
 */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\p{Cs}]/gu;

/** The text on one line, with visible escapes such as `\u001b` in place of what would not be seen. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same for text of several lines: its line feeds stay. In JSON the escapes mean what they replace. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
