/** Writes progress as text: a bar for a terminal, a line for everything else. */

import type { Progress } from './meter.ts';
import { printable } from './printable.ts';
import { countOf, formatBytes, formatCount, formatTimeLeft } from './quantities.ts';

/** The parts of a bar that a terminal shows in colours of their own. */
export type Part = 'done' | 'left' | 'plain' | 'waiting';
/** Colours a part. */
export type Paint = (part: Part, text: string) => string;

/** Columns that the bar itself may have; steps, so that it does not change with every digit that comes or goes. */
const BARS = [30, 20, 10] as const;
/** Columns with which a file's name is left out rather than shortened further. */
const MIN_NAME = 8;

/**
 * One line for a terminal. Where that is narrow, what matters least is left out.
 *
 * @param width columns that it may take
 */
export function renderBar(progress: Progress, width: number, paint: Paint = (_, text) => text): string {
  const fraction = fractionOf(progress);
  const least = fraction === undefined ? 0 : BARS.at(-1)! + 1;
  let cells = cellsOf(progress);
  const textWidth = () => cells.reduce((sum, { text }) => sum + columnsOf(text) + 2, -2);
  for (let rank = 5; rank > 0 && textWidth() + least > width; rank--) {
    cells = cells.filter((cell) => cell.rank !== rank);
  }
  const spare = width - textWidth();
  const name = nameWithin(progress, spare - least - 2);
  const room = spare - (name === '' ? 0 : columnsOf(name) + 2);
  const bar = fraction === undefined ? 0 : (BARS.find((columns) => columns < room) ?? 0);
  const done = Math.round(bar * (fraction ?? 0));
  return [
    name && `${name}  `,
    bar > 0 ? `${paint('done', '━'.repeat(done))}${paint('left', '─'.repeat(bar - done))} ` : '',
    cells.map(({ text, part }) => paint(part ?? 'plain', text)).join('  '),
  ].join('');
}

/** One line for a file or a log: everything, whatever its length. */
export function renderLine(progress: Progress): string {
  const { file, place, totalBytes } = progress;
  const [first, ...others] = cellsOf(progress).map(({ text }) => text.trimStart());
  const size = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`;
  return `${place === undefined ? '' : `${place} `}${printable(file)}: ${[`${first}${size}`, ...others].join(', ')}`;
}

/** A piece of text; the higher its rank, the sooner it is left out. */
interface Cell {
  text: string;
  rank: number;
  part?: Part;
}

function cellsOf(progress: Progress): Cell[] {
  const { bytes, events, eventsPerSecond = 0, bytesPerSecond = 0, msLeft, waiting } = progress;
  const fraction = fractionOf(progress);
  const cells: Cell[] = [
    { text: fraction === undefined ? formatBytes(bytes) : `${Math.floor(100 * fraction)}%`.padStart(4), rank: 0 },
    { text: countOf(events, 'event'), rank: 2 },
    { text: eventsPerSecond >= 0.5 ? `${formatCount(eventsPerSecond)}/s` : '', rank: 4 },
    { text: bytesPerSecond >= 0.5 ? `${formatBytes(bytesPerSecond)}/s` : '', rank: 5 },
    { text: msLeft === undefined || waiting ? '' : `${formatTimeLeft(msLeft)} left`, rank: 3 },
    { text: printable(waiting ?? ''), rank: 1, part: 'waiting' },
  ];
  return cells.filter(({ text }) => text !== '');
}

function fractionOf({ bytes, totalBytes }: Progress): number | undefined {
  if (totalBytes === undefined) return undefined;
  return totalBytes === 0 ? 1 : Math.min(1, bytes / totalBytes);
}

/** The file with its place, its beginning left out where it is too long; nothing where hardly any room is left. */
function nameWithin({ file, place }: Progress, width: number): string {
  const lead = place === undefined ? '' : `${place} `;
  const name = printable(file);
  const room = width - lead.length;
  if (columnsOf(name) <= room) return lead + name;
  if (room < MIN_NAME) return place !== undefined && width >= place.length ? place : '';
  let tail = '';
  for (const character of [...name].reverse()) {
    if (columnsOf(character + tail) > room - 1) break;
    tail = character + tail;
  }
  return `${lead}…${tail}`;
}

/** Columns that a text takes on a terminal: two for East Asian characters and emoji. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text.normalize()) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(character)) continue;
    columns +=
      /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u3000-\u303f\uff01-\uff60]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return columns;
}
