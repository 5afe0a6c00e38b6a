/** Writes measurements as tables, and picks the middle ones. */

/** A line of the table, and of the JSON. */
export interface Row {
  name: string;
  events: number;
  wallSeconds: number;
  cpuSeconds: number;
  peakMemoryBytes: number;
}

/** The medians of several runs, each column by itself. */
export function medianRow(name: string, runs: readonly Omit<Row, 'name'>[]): Row {
  const of = (column: keyof Omit<Row, 'name'>) => median(runs.map((run) => run[column]));
  return {
    name,
    events: of('events'),
    wallSeconds: of('wallSeconds'),
    cpuSeconds: of('cpuSeconds'),
    peakMemoryBytes: of('peakMemoryBytes'),
  };
}

/** The one in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Rows as a table; CPU per event is compared with the row `floor`, where there is one. */
export function renderRows(rows: readonly Row[]): string {
  const perEvent = ({ cpuSeconds, events }: Row) => cpuSeconds / events;
  const floor = rows.find(({ name }) => name === 'floor');
  return renderTable(
    ['', 'events', 'wall s', 'CPU s', 'peak MB', 'events/s', 'events/CPU s', 'CPU : floor'],
    rows.map((row) => [
      row.name,
      thousands(row.events),
      row.wallSeconds.toFixed(2),
      row.cpuSeconds.toFixed(2),
      megabytes(row.peakMemoryBytes),
      thousands(row.events / row.wallSeconds),
      thousands(1 / perEvent(row)),
      floor === undefined ? '' : (perEvent(row) / perEvent(floor)).toFixed(2),
    ]),
  );
}

/** A Markdown table, the first column to the left and the others to the right. */
export function renderTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, 3, ...lines.map((line) => line[column]!.length)));
  const render = (line: readonly string[]) =>
    `| ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return `${[render(head), rule, ...lines.map(render)].join('\n')}\n`;
}

/** With commas, without decimals. */
function thousands(number: number): string {
  return Math.round(number).toLocaleString('en');
}

/** Millions of bytes. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
