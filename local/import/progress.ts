/** Writes progress as text: a bar for a terminal, a line for everything else. */

import type { Progress } from './meter.ts';
import { countOf, formatBytes, formatCount, formatDuration } from './quantities.ts';

/** The parts of a bar that a terminal shows in colours of their own. */
export type Part = 'done' | 'left' | 'plain' | 'waiting';
/** Colours a part. */
export type Paint = (part: Part, text: string) => string;

/** Columns of the bar itself, and with how many it makes do before anything else is left out. */
const MAX_BAR = 30;
const MIN_BAR = 8;
/** Columns of a file's name with which it is left out rather than shortened. */
const MIN_NAME = 8;

/**
 * One line for a terminal. Where it is narrow, first the bar shrinks, then what matters least is left out.
 *
 * @param width columns that it may take
 */
export function renderBar(progress: Progress, width: number, paint: Paint = (_, text) => text): string {
  const fraction = fractionOf(progress);
  const { eventsPerSecond, bytesPerSecond, msLeft } = progress;
  // In the order of the line; the last number says what is left out first.
  const cells = [
    [fraction === undefined ? formatBytes(progress.bytes) : `${Math.floor(100 * fraction)}%`.padStart(4), 0],
    [countOf(progress.events, 'event'), 1],
    [eventsPerSecond === undefined ? '' : `${formatCount(eventsPerSecond)}/s`, 3],
    [bytesPerSecond === undefined ? '' : `${formatBytes(bytesPerSecond)}/s`, 5],
    [msLeft === undefined || progress.waiting ? '' : `${formatDuration(msLeft)} left`, 2],
    [progress.waiting ?? '', 1],
  ] as const;
  const barWidth = (least: number) => (fraction === undefined ? 0 : least + 1);
  let shown = cells.filter(([text]) => text !== '');
  const textWidth = () => shown.reduce((sum, [text]) => sum + columnsOf(text) + 2, -2);
  for (let rank = 5; rank > 0 && textWidth() + barWidth(MIN_BAR) > width; rank--) {
    shown = shown.filter(([, dispensable]) => dispensable < rank);
  }
  const spare = width - textWidth();
  const bar = fraction === undefined ? 0 : Math.max(0, Math.min(MAX_BAR, spare - 1));
  const name = nameWithin(progress, spare - (bar > 0 ? bar + 1 : 0) - 2);
  const done = Math.round(bar * (fraction ?? 0));
  const texts = shown.map(([text]) => paint(text === progress.waiting ? 'waiting' : 'plain', text));
  return [
    name && `${name}  `,
    bar > 0 ? `${paint('done', '━'.repeat(done))}${paint('left', '─'.repeat(bar - done))} ` : '',
    texts.join('  '),
  ].join('');
}

/** One line for a file or a log: everything, whatever its length. */
export function renderLine(progress: Progress): string {
  const { file, place, bytes, totalBytes, events, eventsPerSecond, bytesPerSecond, msLeft, waiting } = progress;
  const fraction = fractionOf(progress);
  const cells = [
    fraction === undefined ? formatBytes(bytes) : `${Math.floor(100 * fraction)}% of ${formatBytes(totalBytes ?? 0)}`,
    countOf(events, 'event'),
    eventsPerSecond === undefined ? '' : `${formatCount(eventsPerSecond)}/s`,
    bytesPerSecond === undefined ? '' : `${formatBytes(bytesPerSecond)}/s`,
    msLeft === undefined || waiting ? '' : `${formatDuration(msLeft)} left`,
    waiting ?? '',
  ];
  return `${place === undefined ? '' : `${place} `}${file}: ${cells.filter(Boolean).join(', ')}`;
}

function fractionOf({ bytes, totalBytes }: Progress): number | undefined {
  if (totalBytes === undefined) return undefined;
  return totalBytes === 0 ? 1 : Math.min(1, bytes / totalBytes);
}

/** The file with its place, its beginning left out where it is too long; nothing where hardly any room is left. */
function nameWithin({ file, place }: Progress, width: number): string {
  const lead = place === undefined ? '' : `${place} `;
  const name = file.replace(/\p{Cc}/gu, '?');
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
