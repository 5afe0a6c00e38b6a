/** Reads content that is one JSON object, as almost every message is, with less work than the parser takes. */

import { isUtf8 } from 'node:buffer';
import { type Block, noCounts, type Source } from '../../block.ts';
import { flagsOf, spliceOf } from './block-builder.ts';
import { MAX_RECORD_BYTES, reasonAgainst } from './reasons.ts';
import type { Scanner } from './scanner.ts';
import { IS_SEPARATOR } from './separators.ts';

const NO_SPLICE = new Uint32Array(1);
const FIRST = new Float64Array(1);

/**
 * Returns a block with the only record of `bytes`; undefined if they are anything else than one usable object, which the
 * parser is to read then.
 */
export function readOneObject(bytes: Buffer, source: Source, scanner: Scanner): Block | undefined {
  const { length } = bytes;
  if (length > MAX_RECORD_BYTES) return undefined;
  let start = 0;
  while (start < length && IS_SEPARATOR[bytes[start]!] === 1) start++;
  if (bytes[start] !== 0x7b || scanner.scan(bytes, start, length) !== 'value') return undefined;
  const { end } = scanner;
  for (let at = end; at < length; at++) if (IS_SEPARATOR[bytes[at]!] === 0) return undefined;
  const isMapped = source.mapping.kind === 'mapped';
  if (reasonAgainst(scanner, isUtf8(bytes), isMapped) !== undefined) return undefined;
  if (source.limit !== undefined) source.limit.read++;
  const splice = spliceOf(scanner, start);
  return {
    source,
    records: {
      form: 'json',
      bytes: isMapped ? Buffer.from(bytes) : bytes,
      ownsBytes: isMapped,
      offset: 0,
      starts: Uint32Array.of(start),
      ends: Uint32Array.of(end),
      ordinals: FIRST,
      flags: Uint8Array.of(flagsOf(scanner)),
      splices: splice === 0 ? NO_SPLICE : Uint32Array.of(splice),
    },
    end: { offset: length, line: 1, checksum: 0 },
    weight: length,
    rejections: [],
    foundRejections: 0,
    counts: { ...noCounts(), read: 1 },
    settledRecords: 0,
    pending: 1,
    cutAway: 0,
  };
}
