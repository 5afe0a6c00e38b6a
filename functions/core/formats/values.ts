/** The canonical rendering of values that JSON has no form for. Ids by content hash it: it must never change. */

import { isCarried, rawJSON } from './json/numbers.ts';

/** Fractions of a second in a timestamp or a time of day, by unit. */
const UNITS = { millis: 1_000, micros: 1_000_000, nanos: 1_000_000_000 } as const;
export type Unit = keyof typeof UNITS;

const DIGITS = { millis: 3, micros: 6, nanos: 9 } as const;
const DAY_MS = 86_400_000;
/** The range of JavaScript's dates, in milliseconds. */
const MAX_DATE_MS = 8_640_000_000_000_000;

/** An integer of any size: a number if the double prints all its digits. */
export function integer(value: bigint | number): unknown {
  if (typeof value === 'number') return value;
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  const text = String(value);
  return String(number) === text ? number : rawJSON(text);
}

/**
 * A decimal number.
 *
 * @param isExact whether zeros at the end of the fraction are kept, as the rendering of a record has them
 */
export function decimal(unscaled: bigint, scale: number, isExact: boolean): unknown {
  if (scale <= 0) return integer(unscaled * 10n ** BigInt(-scale));
  const sign = unscaled < 0n ? '-' : '';
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const text = `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  const number = Number(text);
  if (String(number) === text) return number;
  return !isExact && isCarried(number, text) ? number : rawJSON(text);
}

/** A two's complement integer, big-endian. */
export function signedInteger(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`));
}

/** A double; what is not finite is text. */
export function double(value: number): unknown {
  return Number.isFinite(value) ? value : String(value);
}

/** A single-precision number, as the shortest text that reads back. */
export function float(value: number): unknown {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) <= 16_777_216) return value;
  for (let precision = 6; precision < 9; precision++) {
    const shorter = Number(value.toPrecision(precision));
    if (Math.fround(shorter) === value) return shorter;
  }
  return Number(value.toPrecision(9));
}

/** Bytes that no annotation declares to be text. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** 16 bytes as a UUID. */
export function uuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** `YYYY-MM-DD`; an integer if it is out of the range of dates. */
export function date(days: number): unknown {
  const ms = days * DAY_MS;
  return Math.abs(ms) > MAX_DATE_MS ? days : dayOf(new Date(ms).toISOString());
}

/**
 * RFC 3339, with 3, 6 or 9 digits of a second; an integer if it is out of the range of dates.
 *
 * @param hasZone whether it is an instant, which ends with `Z`, or a local time
 */
export function timestamp(value: bigint | number, unit: Unit, hasZone: boolean): unknown {
  const perMs = UNITS[unit] / 1_000;
  let ms: number;
  let rest: number;
  if (typeof value === 'number') {
    ms = Math.floor(value / perMs);
    rest = value - ms * perMs;
  } else {
    const divisor = BigInt(perMs);
    rest = Number(((value % divisor) + divisor) % divisor);
    ms = Number((value - BigInt(rest)) / divisor);
  }
  if (Math.abs(ms) > MAX_DATE_MS) return integer(value);
  const text = new Date(ms).toISOString().slice(0, -1);
  const fraction = unit === 'millis' ? '' : String(rest).padStart(DIGITS[unit] - 3, '0');
  return `${text}${fraction}${hasZone ? 'Z' : ''}`;
}

/** `HH:MM:SS` with 3, 6 or 9 digits of a second; an integer if it is not within a day. */
export function timeOfDay(value: bigint | number, unit: Unit): unknown {
  const units = Number(value);
  const perSecond = UNITS[unit];
  if (units < 0 || units >= 86_400 * perSecond) return integer(value);
  const seconds = Math.floor(units / perSecond);
  const two = (number: number) => String(number).padStart(2, '0');
  const fraction = String(units - seconds * perSecond).padStart(DIGITS[unit], '0');
  return `${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${fraction}`;
}

/** Sets a member whatever its name: `__proto__` is one, too. */
export function setMember(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

function dayOf(iso: string): string {
  return iso.slice(0, iso.indexOf('T'));
}
