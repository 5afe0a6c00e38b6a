/** Parses records for a transform. Lines come here unscanned: what was parsed tells enough of nearly all of them. */

import { type Block, LONG_NUMBER, type Reason, UNSCANNED } from '../../block.ts';
import { isEvent, type MixpanelEvent } from '../../event.ts';
import { faultOf } from './block-builder.ts';
import { mayHoldLongNumber, newScan } from './scanner.ts';
import { scanLine } from './split-lines.ts';

/** Levels of a record that are looked at here; one that has more is scanned. Far fewer than it may have. */
const MAX_LEVELS = 10;
/** A number so close to 0 that it is parsed as 0 has such an exponent, or very many digits. */
const NEGATIVE_EXPONENT = /e-/i;
const NO_DOUBT = 0;
const ZERO = 1;
const MUST_SCAN = 2;

const lineScan = newScan();

/**
 * @param onFault told why the record is no event, which can only be where it was not scanned
 * @returns the record with numbers that keep all their digits; undefined where it is no event
 */
export function parseRecord(
  block: Block,
  record: number,
  onFault?: (record: number, reason: Reason) => void,
): MixpanelEvent | undefined {
  const from = block.starts[record]!;
  const to = block.ends[record]!;
  const flags = block.flags[record]!;
  const text = block.bytes.toString('utf8', from, to);
  let isLong = (flags & LONG_NUMBER) !== 0;
  if ((flags & UNSCANNED) !== 0) {
    const plain = parsePlain(text);
    if (plain !== undefined && !mayHoldLongNumber(block.bytes, from, to)) return plain;
    const fault = faultOf(lineScan, scanLine(block.bytes, from, to, lineScan), from, to, true);
    if (fault !== undefined) {
      onFault?.(record, fault);
      return undefined;
    }
    isLong = lineScan.longNumber;
  }
  return (isLong ? parseKeepingDigits(text) : JSON.parse(text)) as MixpanelEvent;
}

/** The event, where it is one beyond doubt but for numbers of many digits. */
function parsePlain(text: string): MixpanelEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isEvent(value) || !Object.hasOwn(value, 'event')) return undefined;
  const doubt = doubtIn(value, MAX_LEVELS);
  return doubt === NO_DOUBT || (doubt === ZERO && !NEGATIVE_EXPONENT.test(text)) ? value : undefined;
}

/** What is doubtful in a value, as flags: a number beyond the range of a double or a level too deep to tell; a number parsed as 0. */
function doubtOf(value: unknown, levels: number): number {
  if (typeof value === 'number') return value === 0 ? ZERO : Number.isFinite(value) ? NO_DOUBT : MUST_SCAN;
  if (typeof value !== 'object' || value === null) return NO_DOUBT;
  return levels === 0 ? MUST_SCAN : doubtIn(value, levels - 1);
}

function doubtIn(container: object, levels: number): number {
  let doubt = NO_DOUBT;
  if (Array.isArray(container)) for (const value of container) doubt |= doubtOf(value, levels);
  else for (const key in container) doubt |= doubtOf((container as Record<string, unknown>)[key], levels);
  return doubt;
}

/** With the source text of a primitive, which TypeScript's library does not declare yet (https://github.com/tc39/proposal-json-parse-with-source). */
const { parse, rawJSON } = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): object;
};

/** Parses a record so that numbers which a double cannot carry keep all their digits when it is serialised again. */
export function parseKeepingDigits(text: string): unknown {
  return parse(text, (_key, value, { source }) => {
    if (typeof value !== 'number' || source === undefined) return value;
    const digits = source
      .replace(/[eE].*$/, '')
      .replace(/[-.]/g, '')
      .replace(/^0+/, '');
    const isKept = digits.length <= 15 && Number.isFinite(value) && (value !== 0 || digits === '');
    return isKept ? value : rawJSON(source);
  });
}
