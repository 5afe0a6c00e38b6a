/** Shows progress while the command runs: a bar that is drawn in place on a terminal, else a line every few seconds. */

import { styleText } from 'node:util';
import type { SenderNotice } from '../../functions/core/mixpanel/sender.ts';
import type { Meter } from './meter.ts';
import { type Part, renderBar, renderLine } from './progress.ts';
import { countOf } from './quantities.ts';

/** Milliseconds between two bars, and between two lines. */
const BAR_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 3_000;
const STYLES = { done: 'green', left: 'dim', waiting: 'yellow' } as const;

/** What the command shows. */
export interface Display {
  /** Prints a line that stays, in red where it tells of a failure. */
  print(text: string, isFailure?: boolean): void;
  /** Tells of what a sender has to tell. */
  notice(notice: SenderNotice): void;
  /** A file is over. */
  endFile(): void;
  /** Nothing is shown any more. */
  close(): void;
}

/**
 * Shows what `meter` measures on `stream`, standard error.
 *
 * @param isQuiet whether nothing is shown but what tells of a failure
 */
export function showProgress(stream: NodeJS.WriteStream, meter: Meter, isQuiet = false): Display {
  if (isQuiet) return showFailures(stream);
  return stream.isTTY && process.env.TERM !== 'dumb' ? showBar(stream, meter) : showLines(stream, meter);
}

function showBar(stream: NodeJS.WriteStream, meter: Meter): Display {
  const paint = (part: Part, text: string) => (part === 'plain' ? text : styleText(STYLES[part], text, { stream }));
  const clear = () => stream.write('\r\x1b[K');
  // A full last column would make some terminals go on to the next line.
  const draw = () => stream.write(`\r${renderBar(meter.progress(), (stream.columns || 80) - 1, paint)}\x1b[K`);
  const timer = setInterval(draw, BAR_INTERVAL_MS);
  const print = (text: string, isFailure = false) => {
    clear();
    stream.write(`${isFailure ? styleText('red', text, { stream }) : text}\n`);
  };
  return {
    print,
    notice(notice) {
      if (notice.kind === 'retry') meter.wait(notice.what, notice.delayMs);
      else if (notice.kind === 'miscounted') print(miscounted(notice));
    },
    endFile() {},
    close() {
      clearInterval(timer);
      clear();
    },
  };
}

function showLines(stream: NodeJS.WriteStream, meter: Meter): Display {
  const print = (text: string) => void stream.write(`${text}\n`);
  let lastNoticeAt = Number.NEGATIVE_INFINITY;
  meter.progress();
  const timer = setInterval(() => print(renderLine(meter.progress())), LINE_INTERVAL_MS);
  return {
    print,
    notice(notice) {
      if (notice.kind === 'miscounted') return print(miscounted(notice));
      if (notice.kind === 'throttled') return;
      meter.wait(notice.what, notice.delayMs);
      const now = performance.now();
      if (now - lastNoticeAt < LINE_INTERVAL_MS) return;
      lastNoticeAt = now;
      print(renderLine(meter.progress()));
    },
    endFile: () => print(renderLine(meter.progress())),
    close: () => clearInterval(timer),
  };
}

function showFailures(stream: NodeJS.WriteStream): Display {
  const print = (text: string) => void stream.write(`${text}\n`);
  return {
    print: (text, isFailure = false) => (isFailure ? print(text) : undefined),
    notice: (notice) => (notice.kind === 'miscounted' ? print(miscounted(notice)) : undefined),
    endFile() {},
    close() {},
  };
}

function miscounted({ sent, imported }: SenderNotice & { kind: 'miscounted' }): string {
  return `Mixpanel answered repeatedly that it took ${imported ?? 'an unknown number'} of ${countOf(sent, 'event')}, and did not say why: a rejection`;
}
