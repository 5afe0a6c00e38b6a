/** Parses JSON so that no digit is lost: numbers are plain numbers wherever a double carries them. */

/** With the source text of a primitive, which TypeScript's library does not declare yet (https://github.com/tc39/proposal-json-parse-with-source). */
const { parse, rawJSON: toRaw } = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): object;
};

/** A number that `JSON.stringify` writes with all its digits. */
export const rawJSON = toRaw;

/**
 * Parses `text` with a plain number wherever the double prints back to the same value. Any other number becomes an object
 * made by `JSON.rawJSON`, which `JSON.stringify` writes with all its digits.
 */
export function parseKeepingDigits(text: string): unknown {
  return parse(text, (_key, value, { source }) => {
    if (typeof value !== 'number' || source === undefined) return value;
    return isCarried(value, source) ? value : rawJSON(source);
  });
}

/** Whether a double prints back to the value of the number that it was read from. */
export function isCarried(value: number, source: string): boolean {
  if (!Number.isFinite(value)) return false;
  const printed = String(value);
  return printed === source || normalized(printed) === normalized(source);
}

/** The decimal value in one spelling: its digits without zeros around them, and the exponent of the last one. */
function normalized(number: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  // Not a regular expression: searching for zeros at the end would start anew at every zero.
  let length = digits.length;
  while (length > 0 && digits[length - 1] === '0') length--;
  if (length === 0) return '0';
  const exponentOfLast = Number(exponent) - fraction.length + digits.length - length;
  return `${sign}${digits.slice(0, length)}e${exponentOfLast}`;
}
