/** Tells the dead letters of one person, or of one kind, from the others: `--where FIELD=VALUE`. */

import { UsageError } from '../import/arguments.ts';
import type { Letter } from './letters.ts';

/** Whether a letter is meant: `unclear` if its record is not whole, or is not JSON and has the value somewhere. */
type Meant = 'yes' | 'no' | 'unclear';

/** What `--where` asks for. */
export interface Where {
  isMeant(letter: Letter): Meant;
  /** Whether a line that is not a dead letter has the value in it. */
  isIn(line: Buffer): boolean;
}

/**
 * @param text `FIELD=VALUE`: a member of the record, or of its `properties`; names of nested ones are joined by dots. A
 *   number is compared as it is written. An attribute of a message counts too
 * @throws {@link UsageError}
 */
export function parseWhere(text: string): Where {
  const [, field, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (field === undefined || value === undefined) {
    throw new UsageError(`--where ${text}: must be FIELD=VALUE, such as distinct_id=user-1`);
  }
  const path = field.split('.');
  return {
    isMeant({ record, range, source, isTruncated }) {
      const isWhole = !isTruncated && (range === undefined || 'messageId' in source);
      const parsed = isWhole ? parse(record) : undefined;
      if (!isObject(parsed)) return isWhole && !record.includes(value) ? 'no' : 'unclear';
      const places = [parsed, parsed.properties, 'attributes' in source ? source.attributes : undefined];
      const found = places.flatMap((place) => [member(place, [field]), member(place, path)]);
      return found.includes(value) ? 'yes' : 'no';
    },
    isIn: (line) => line.includes(value),
  };
}

/** The value, with numbers as the texts that stand there. */
function parse(record: Buffer): unknown {
  try {
    return JSON.parse(record.toString(), (_key, value, { source }: { source?: string } = {}) =>
      typeof value === 'number' || typeof value === 'boolean' ? (source ?? String(value)) : value,
    );
  } catch {
    return undefined;
  }
}

function member(place: unknown, path: readonly string[]): unknown {
  return path.reduce((value, name) => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined), place);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
