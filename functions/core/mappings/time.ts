/** Times: numbers by their size, text by its form, in milliseconds since 1970. */

import { isRawNumber } from './path.ts';
import { localToUtc } from './zone.ts';

/** Units of numbers. */
export const UNITS = ['s', 'ms', 'us', 'ns'] as const;
/** A unit of numbers. */
export type Unit = (typeof UNITS)[number];

/** How times are read. */
export interface TimeOptions {
  /** Of numbers; default: by their size. */
  unit?: Unit | undefined;
  /** IANA name of the zone of text that names none; default: UTC. */
  zone?: string | undefined;
  /** Whether numbers are meant on the zone's clock. */
  numbersAreLocal?: boolean | undefined;
}

/** Milliseconds in a unit. */
const FACTORS: Record<Unit, number> = { s: 1_000, ms: 1, us: 1e-3, ns: 1e-6 };
/** 1971 and 2100 in seconds: in no two units do the numbers between them overlap. */
const MIN_SECONDS = 31_536_000;
const MAX_SECONDS = 4_102_444_800;
/** 1990 in milliseconds: earlier ones of twelve digits may be `YYYYMMDDHHMM`. */
const MIN_TEXT_MS = 631_152_000_000;
const DIGITS = /^(\d{9,19})(\.\d+)?$/;
const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
/** What follows the date of RFC 3339, also with a blank, without a zone, and with BigQuery's `UTC`. */
const CLOCK = /^[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:([Zz]| ?UTC)| ?([+-])(\d\d):?(\d\d)?)?$/;

/** Makes a function that reads times; what is none is undefined. */
export function timeReader(options: TimeOptions): (value: unknown) => number | undefined {
  const { unit, zone, numbersAreLocal = false } = options;
  const toUtc = zone === undefined || zone === 'UTC' ? undefined : localToUtc(zone);
  const ofNumber = (value: number) => {
    const ms = Math.floor(unit === undefined ? bySize(value) : inMs(value, unit));
    if (!Number.isSafeInteger(ms)) return undefined;
    return numbersAreLocal && toUtc !== undefined ? toUtc(ms) : ms;
  };
  const ofText = (text: string) => {
    if (unit !== undefined && NUMBER.test(text)) return ofNumber(Number(text));
    const digits = DIGITS.exec(text);
    if (digits === null) return ofForm(text, toUtc);
    const found = unitOfDigits(digits[1]!);
    if (found === undefined) return undefined;
    const ms = Math.floor(inMs(Number(text), found));
    return numbersAreLocal && toUtc !== undefined ? toUtc(ms) : ms;
  };
  return (value) => {
    if (typeof value === 'number') return ofNumber(value);
    if (typeof value === 'string') return ofText(value.trim());
    if (typeof value === 'bigint') return ofNumber(Number(value));
    if (value instanceof Date) return ofNumber(value.getTime());
    return typeof value === 'object' && value !== null && isRawNumber(value)
      ? ofNumber(Number(value.rawJSON))
      : undefined;
  };
}

function inMs(value: number, unit: Unit): number {
  // Division is exact where multiplication with a fraction is not.
  if (unit === 'us') return value / 1_000;
  if (unit === 'ns') return value / 1_000_000;
  return value * FACTORS[unit];
}

function bySize(value: number): number {
  if (value < MIN_SECONDS) return Number.NaN;
  if (value <= MAX_SECONDS) return value * 1_000;
  for (const [index, unit] of (['ms', 'us', 'ns'] as const).entries()) {
    const factor = 1_000 ** (index + 1);
    if (value < MIN_SECONDS * factor) return Number.NaN;
    if (value <= MAX_SECONDS * factor) return inMs(value, unit);
  }
  return Number.NaN;
}

function unitOfDigits(digits: string): Unit | undefined {
  switch (digits.length) {
    case 9:
    case 10:
      return 's';
    case 12:
    case 13:
      return Number(digits) >= MIN_TEXT_MS ? 'ms' : undefined;
    case 15:
    case 16:
      return 'us';
    case 18:
    case 19:
      return 'ns';
    default:
      return undefined;
  }
}

function ofForm(text: string, toUtc: ((localMs: number) => number) | undefined): number | undefined {
  if (text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d) return undefined;
  const year = digitsAt(text, 0, 4);
  const month = digitsAt(text, 5, 2);
  const day = digitsAt(text, 8, 2);
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month))) return undefined;
  const date = Date.UTC(year, month - 1, day);
  if (text.length === 10) return toUtc === undefined ? date : toUtc(date);
  const time = ofUtc(text);
  if (time !== undefined) return date + time;
  const clock = CLOCK.exec(text.slice(10));
  if (clock === null) return undefined;
  const [, hours, minutes, seconds = '0', fraction = '', utc, sign, offsetHours, offsetMinutes = '0'] = clock;
  // 60 is a leap second.
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 60) return undefined;
  const ms = fraction === '' ? 0 : Number(fraction.slice(0, 3).padEnd(3, '0'));
  const local = date + Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1_000 + ms;
  if (utc !== undefined) return local;
  if (sign === undefined) return toUtc === undefined ? local : toUtc(local);
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined;
  const offset = Number(offsetHours) * 3_600_000 + Number(offsetMinutes) * 60_000;
  return sign === '+' ? local - offset : local + offset;
}

/** The time of day in `…T10:00:00.500Z`, the commonest form; undefined if it has another. */
function ofUtc(text: string): number | undefined {
  if (text.length !== 24 || text.charCodeAt(10) !== 0x54 || text.charCodeAt(23) !== 0x5a) return undefined;
  if (text.charCodeAt(13) !== 0x3a || text.charCodeAt(16) !== 0x3a || text.charCodeAt(19) !== 0x2e) return undefined;
  const hours = digitsAt(text, 11, 2);
  const minutes = digitsAt(text, 14, 2);
  const seconds = digitsAt(text, 17, 2);
  if (!(hours < 24 && minutes < 60 && seconds < 60)) return undefined;
  const ms = digitsAt(text, 20, 3);
  return Number.isNaN(ms) ? undefined : hours * 3_600_000 + minutes * 60_000 + seconds * 1_000 + ms;
}

/** The number that stands there; NaN if there are other characters. */
function digitsAt(text: string, from: number, length: number): number {
  let value = 0;
  for (let at = from; at < from + length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = 10 * value + digit;
  }
  return value;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
