/** Shows records and what becomes of them, side by side where a terminal is wide enough. */

import { styleText } from 'node:util';
import type { Location } from '../../functions/core/block.ts';
import { ManyEvents, type Mapped } from '../../functions/core/events.ts';
import type { Mapping } from '../../functions/core/mappings/mapping.ts';
import { isFields } from '../../functions/core/mappings/path.ts';
import { timeReader } from '../../functions/core/mappings/time.ts';
import { printable, printableLines } from './printable.ts';
import { columnsOf } from './progress.ts';

/** Shows the first records of all inputs. */
export interface Preview {
  /** Whether more are to be shown. */
  readonly wants: boolean;
  /** @param readRecord gives the record, parsed */
  show(location: Location, readRecord: () => unknown, mapped: Mapped, mapping: Mapping): void;
}

/** Columns that two columns of text need at least. */
const MIN_WIDTH = 100;
const GAP = '  │ ';
const MASK = '•••';
/** Lines that are shown of a record, or of what becomes of it. */
const MAX_LINES = 120;
/** Events that are shown of very many. */
const MAX_EVENTS = 10;
const parseTime = timeReader({});

/**
 * @param stream where it is shown, in colours if it is a terminal
 * @param count  records to show
 * @param isRaw  whether what a mapping hashes or drops is shown too
 */
export function createPreview(stream: NodeJS.WriteStream, count: number, isRaw: boolean): Preview {
  let left = count;
  return {
    get wants() {
      return left > 0;
    },
    show(location, readRecord, mapped, mapping) {
      left--;
      const hides = mapping.kind === 'mapped' && mapping.hides === true && !isRaw;
      const result = describe(mapped);
      const value = hides ? masked(readRecord(), result.sent) : readRecord();
      const record = linesOf(JSON.stringify(value, null, 2));
      stream.write(`${styleText('bold', placeOf(location), { stream })}\n`);
      stream.write(`${layOut(record, result, stream)}\n\n`);
    },
  };
}

interface Result {
  lines: string[];
  style: 'green' | 'red' | 'yellow';
  /** The events that are sent. */
  sent: unknown[];
}

function describe(mapped: Mapped): Result {
  if (typeof mapped === 'string') return describeEvents([mapped]);
  if (mapped instanceof ManyEvents) {
    const { lines, ...result } = describe(mapped.first(MAX_EVENTS));
    return { lines: [`${mapped.length} events. The first of them:`, ...lines], ...result };
  }
  if (mapped.expanded === -1) return { lines: ['left out'], style: 'yellow', sent: [] };
  if (mapped.rejections.length === 0) return describeEvents(mapped.texts);
  const reasons = mapped.rejections.map(({ reason }) => printable(`rejected: ${reason.field}: ${reason.message}`));
  const { lines, sent } = describeEvents(mapped.texts);
  return { lines: [...lines, ...reasons], style: 'red', sent };
}

function describeEvents(texts: readonly string[]): Result {
  const sent = texts.map((text) => JSON.parse(text) as unknown);
  return { lines: sent.flatMap((event) => linesOf(JSON.stringify(event, null, 2))), style: 'green', sent };
}

function linesOf(json: string): string[] {
  const lines = printableLines(json).split('\n');
  return lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES), `… ${lines.length - MAX_LINES} more lines`] : lines;
}

function layOut(record: readonly string[], { lines, style }: Result, stream: NodeJS.WriteStream): string {
  const paint = (line: string) => styleText(style, line, { stream });
  const width = stream.isTTY ? stream.columns : 0;
  if (width < MIN_WIDTH) return [...record, styleText('dim', '→', { stream }), ...lines.map(paint)].join('\n');
  const column = Math.floor((width - GAP.length - 1) / 2);
  const [left, right] = [record, lines].map((side) => side.flatMap((line) => wrap(line, column))) as [
    string[],
    string[],
  ];
  const rows: string[] = [];
  for (let row = 0; row < Math.max(left.length, right.length); row++) {
    const text = left[row] ?? '';
    rows.push(
      `${text}${' '.repeat(column - columnsOf(text))}${styleText('dim', GAP, { stream })}${paint(right[row] ?? '')}`,
    );
  }
  return rows.join('\n');
}

/** Cuts a line into pieces that fit. */
function wrap(line: string, columns: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  let width = 0;
  for (const character of line) {
    const more = columnsOf(character);
    if (width + more > columns) {
      pieces.push(piece);
      piece = '';
      width = 0;
    }
    piece += character;
    width += more;
  }
  return [...pieces, piece];
}

/** The record with a mask for every text and number that is not sent in clear: a mapping may have hashed or dropped it. */
function masked(record: unknown, sent: readonly unknown[]): unknown {
  const clear = new Set<string>();
  const collect = (value: unknown): void => {
    if (typeof value === 'string' || typeof value === 'number') clear.add(String(value));
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
  };
  sent.forEach(collect);
  const mask = (value: unknown): unknown => {
    if (typeof value === 'boolean' || value === null || value === undefined || value === '') return value;
    if (Array.isArray(value)) return value.map(mask);
    if (isFields(value)) return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, mask(part)]));
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const time = parseTime(value);
    return clear.has(text.trim()) || (time !== undefined && clear.has(String(time))) ? value : MASK;
  };
  return mask(record);
}

function placeOf(location: Location): string {
  if ('messageId' in location) return `message ${printable(location.messageId)}, record ${location.index}`;
  const name = 'file' in location ? location.file : `gs://${location.bucket}/${location.object}`;
  return `${printable(name)}${'row' in location ? `, row ${location.row}` : `:${location.line}`}`;
}
