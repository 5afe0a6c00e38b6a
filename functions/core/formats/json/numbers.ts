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

/** Numbers that a double may not carry, after what stands before a value; text can look like one. */
const MAYBE_LONG = /(?:[:,[\s]|^)(-?(?=\d[\d.]{15}|\d[\d.]*[eE])\d[\d.]*(?:[eE][+-]?\d+)?)/g;

/** Parses JSON so that no digit is lost, in the fast way where a double carries every number. */
export function parseText(text: string): unknown {
  MAYBE_LONG.lastIndex = 0;
  for (let match = MAYBE_LONG.exec(text); match !== null; match = MAYBE_LONG.exec(text)) {
    if (!isCarried(Number(match[1]), match[1]!)) return parseKeepingDigits(text);
  }
  return JSON.parse(text);
}

/** The number that a text is, such as `+1.50` or `.5`: a plain one, or one that keeps its digits where a double would not. */
export function numberFrom(text: string): unknown {
  const value = Number(text);
  const [, sign = '', whole = '', fraction = '', exponent = ''] =
    /^([+-]?)0*(\d*)(?:\.(\d*))?([eE][+-]?\d+)?$/.exec(text) ?? [];
  const source = `${sign === '-' ? '-' : ''}${whole === '' ? '0' : whole}${fraction === '' ? '' : `.${fraction}`}${exponent}`;
  return isCarried(value, source) ? value : rawJSON(source);
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
