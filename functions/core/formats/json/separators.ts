/** Bytes that may separate two values, as lookup tables. */

/** White space, commas, and RS (https://www.rfc-editor.org/rfc/rfc7464). */
export const IS_SEPARATOR = tableOf(0x20, 0x09, 0x0a, 0x0d, 0x2c, 0x1e);
/** White space as JSON has it. */
export const IS_WHITE_SPACE = tableOf(0x20, 0x09, 0x0a, 0x0d);

function tableOf(...bytes: number[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of bytes) table[byte] = 1;
  return table;
}
