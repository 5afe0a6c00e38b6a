/** Prints what happens in the local cloud, a line each, with the station where it happens in front. */

import { styleText } from 'node:util';
import { printable } from '../cli/import/printable.ts';

type Style = Parameters<typeof styleText>[0];

const STYLES: Record<string, Style> = {
  bucket: 'cyan',
  topic: 'cyan',
  importObject: 'magenta',
  drainSubscription: 'magenta',
  mixpanel: 'green',
  'dead letters': 'yellow',
};
/** What the functions framework prints when it starts. */
const GREETING = /^(Serving function\.\.\.|Function: |Signature type: |URL: )/;
const WIDTH = Math.max(...Object.keys(STYLES).map((name) => name.length));

/** A line of a function's log, as far as it is of interest here. */
interface LogLine {
  severity?: string;
  message?: string;
  error?: string;
  reason?: string;
  read?: number;
  imported?: number;
  rejected?: number;
  batches?: number;
  durationMs?: number;
}

/** Prints in colours where the stream is a terminal; texts without control characters. */
export function createTerminal(stream: NodeJS.WriteStream) {
  const style = (styles: Style, text: string) => styleText(styles, text, { stream });
  const print = (text: string) => stream.write(`${text}\n`);

  return {
    heading: (text: string) => print(`\n${style('bold', printable(text))}`),

    /** A line to be copied. */
    plain: (text: string) => print(printable(text)),

    /** What happened at a station of {@link STYLES}. */
    line(station: string, text: string, textStyle?: Style): void {
      const shown = textStyle === undefined ? printable(text) : style(textStyle, printable(text));
      print(`  ${style(STYLES[station] ?? 'white', station.padEnd(WIDTH))}  ${shown}`);
    },

    /** A line that a function printed: log lines in short, all others as they are, except greetings. */
    functionLine(target: string, line: string): void {
      const log = parse(line);
      if (log === undefined) {
        if (!GREETING.test(line)) this.line(target, line);
        return;
      }
      if (log.message === 'function started') return;
      const { severity, message, error, reason, read, imported, rejected, batches, durationMs } = log;
      const details =
        read === undefined
          ? ''
          : `: ${read} read, ${imported} imported, ${rejected} rejected, in ${batches} ${batches === 1 ? 'batch' : 'batches'} and ${durationMs} ms`;
      const text = [`${message}${details}`, reason, error].filter(Boolean).join('; ');
      this.line(target, text, severity === 'ERROR' ? 'red' : undefined);
    },

    /** A table; the first row is its head. Columns after the first stand to the right. */
    table(rows: readonly (readonly (string | number)[])[]): void {
      const texts = rows.map((row) => row.map((cell) => printable(String(cell))));
      const widths = texts[0]!.map((_, column) => Math.max(...texts.map((row) => row[column]!.length)));
      for (const [index, row] of texts.entries()) {
        const cells = row.map((text, column) =>
          column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!),
        );
        print(`  ${index === 0 ? style('bold', cells.join('   ')) : cells.join('   ')}`);
      }
    },

    success: (text: string) => print(`\n${style(['bold', 'green'], printable(text))}`),
    failure: (text: string) => print(`\n${style(['bold', 'red'], printable(text))}`),
  };
}

/** A structured log line; undefined for anything else. */
function parse(line: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
