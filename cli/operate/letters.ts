/** Reads dead letters back: lines of newline-delimited JSON, which may have been edited by hand. */

import type { Location, Rejection } from '../../functions/core/block.ts';

/** A dead letter as it was read. */
export interface Letter {
  reason: Rejection['reason'];
  source: Location;
  insertId: string | undefined;
  /** In UTC, as ISO 8601; empty where it is not there. */
  rejectedAt: string;
  /** What the record passed before it was sent; empty if it was sent as it arrived. */
  through: readonly string[];
  record: Buffer;
  /** Only the beginning of the record is there, and it cannot be read again from where it was. */
  isTruncated: boolean;
  /**
   * Where the records are that the letter stands for: offsets in the decoded content of an object, indexes of records in a
   * message; undefined if it stands for one.
   */
  range: { from: number; to: number } | undefined;
  /** How many records and events it stands for. */
  rejected: number;
}

/** A line: a dead letter, or why it is none. */
export type Line = { number: number; raw: Buffer } & (
  | { letter: Letter; problem?: undefined }
  | { letter?: undefined; problem: string }
);

/** A dead letter has a message of at most 10 MB, which JSON can make six times as long: no line of a dead-letter file is near this. */
const MAX_LINE_BYTES = 100_000_000;
const NEWLINE = 0x0a;

/**
 * Yields the lines that are not blank.
 *
 * @throws where a line is so long that this is no dead-letter file; whatever `chunks` throws
 */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let number = 0;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  for await (const chunk of chunks) {
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, at)) {
      const raw = Buffer.concat([...waiting, chunk.subarray(at, end)]);
      waiting = [];
      waitingBytes = 0;
      at = end + 1;
      number++;
      if (!isBlank(raw)) yield toLine(raw, number);
    }
    waiting.push(chunk.subarray(at));
    waitingBytes += chunk.length - at;
    if (waitingBytes > MAX_LINE_BYTES) {
      throw new Error(`line ${number + 1} is longer than ${MAX_LINE_BYTES} bytes: this is not a file of dead letters`);
    }
  }
  const raw = Buffer.concat(waiting);
  if (!isBlank(raw)) yield toLine(raw, number + 1);
}

function toLine(raw: Buffer, number: number): Line {
  const parsed = parse(raw.toString().replace(/^\ufeff/, ''));
  return typeof parsed === 'string' ? { number, raw, problem: parsed } : { number, raw, letter: parsed };
}

/** The dead letter, or why it is none; never with anything of what stands there. */
function parse(text: string): Letter | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  if (!isObject(value)) return 'it is not a JSON object';
  const { reason, source, through, insertId, rejectedAt, record, recordBase64, truncated, range, rejected } = value;
  if (!isObject(reason) || typeof reason.field !== 'string' || typeof reason.message !== 'string') {
    return '`reason` with `field` and `message` is missing';
  }
  if (!isLocation(source)) return '`source` is missing, or does not say where the record is';
  if (through !== undefined && !isTexts(through)) return '`through` is not a list of texts';
  if (range !== undefined && !isRange(range)) return '`range` is not two numbers, `from` and `to`';
  if (typeof record !== 'string' && typeof recordBase64 !== 'string') {
    return '`record` is missing, or is not text';
  }
  return {
    reason: { field: reason.field, message: reason.message },
    source,
    insertId: typeof insertId === 'string' ? insertId : undefined,
    rejectedAt: typeof rejectedAt === 'string' ? rejectedAt : '',
    through: through ?? [],
    record: typeof record === 'string' ? Buffer.from(record) : Buffer.from(String(recordBase64), 'base64'),
    isTruncated: truncated === true && (range === undefined || !('bucket' in source)),
    range,
    rejected: range !== undefined && typeof rejected === 'number' ? rejected : 1,
  };
}

/** What tells rejections apart: after a crash one may stand in two files. */
export function letterKey({ source, range }: Pick<Letter, 'source' | 'range'>): string {
  return range === undefined ? sourceKey(source) : `${sourceKey(source)} ${range.from}-${range.to}`;
}

function sourceKey(source: Location): string {
  const { event } = source;
  if ('messageId' in source) return JSON.stringify([source.subscription, source.messageId, source.index, event]);
  const place = 'row' in source ? [source.offset, source.row] : [source.offset];
  if ('bucket' in source) return JSON.stringify([source.bucket, source.object, source.generation, ...place, event]);
  return JSON.stringify([source.file, ...place, event]);
}

/** Where the record stands, for people. */
export function placeOf(source: Location): string {
  const event = source.event === undefined ? '' : `, event ${source.event}`;
  if ('messageId' in source) {
    return `message ${source.messageId} of ${source.subscription}, record ${source.index}${event}`;
  }
  const file = 'bucket' in source ? `${addressOf(source.bucket)}/${source.object}#${source.generation}` : source.file;
  const place = 'row' in source ? `row ${source.row}, byte` : `line ${source.line}, byte`;
  return `${file} ${place} ${source.offset}${event}`;
}

/** A bucket elsewhere than in Cloud Storage has its scheme in its name. */
function addressOf(bucket: string): string {
  return bucket.includes('://') ? bucket : `gs://${bucket}`;
}

function isLocation(value: unknown): value is Location {
  if (!isObject(value)) return false;
  const has = (type: 'string' | 'number', ...names: string[]) => names.every((name) => typeof value[name] === type);
  if (value.event !== undefined && !Number.isSafeInteger(value.event)) return false;
  if (has('string', 'subscription', 'messageId', 'publishTime')) return has('number', 'index');
  if (!has('number', 'offset', 'line') && !has('number', 'offset', 'row')) return false;
  return has('string', 'file') || has('string', 'bucket', 'object', 'generation');
}

function isRange(value: unknown): value is { from: number; to: number } {
  return isObject(value) && Number.isSafeInteger(value.from) && Number.isSafeInteger(value.to);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte <= 0x20);
}
