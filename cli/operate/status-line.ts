/** Shows one line that changes: drawn in place on a terminal, else printed every few seconds. */

const LINE_INTERVAL_MS = 3_000;

/** A line that changes. */
export interface StatusLine {
  show(text: string): void;
  /** Prints a line that stays. */
  print(text: string): void;
  /** What was shown last stays. */
  close(): void;
}

/** @param stream standard error */
export function createStatusLine(stream: NodeJS.WriteStream): StatusLine {
  const isTerminal = stream.isTTY && process.env.TERM !== 'dumb';
  let shown = '';
  let waiting = '';
  let shownAt = Number.NEGATIVE_INFINITY;
  const print = (text: string) => void stream.write(isTerminal ? `\r\x1b[K${text}\n${shown}` : `${text}\n`);
  return {
    print,
    show(text) {
      if (isTerminal) {
        shown = text.slice(0, (stream.columns || 80) - 1);
        stream.write(`\r${shown}\x1b[K`);
        return;
      }
      waiting = text === shown ? '' : text;
      if (waiting === '' || performance.now() - shownAt < LINE_INTERVAL_MS) return;
      shownAt = performance.now();
      shown = waiting;
      waiting = '';
      print(shown);
    },
    close() {
      if (isTerminal && shown !== '') stream.write('\n');
      if (waiting !== '') print(waiting);
    },
  };
}
