/** How text is told into rows: what a mapping's `format` says, and what its first line shows. */

/** How text is told into rows. */
export interface TextFormat {
  /** One ASCII character; undefined: the one of `,` `;` tab `|` that is most frequent in the first line. */
  delimiter?: string | undefined;
  /** Whether the first row holds the names, or the names. */
  header: true | readonly string[];
  /** What encloses a field that holds delimiters or line breaks; null if nothing does. */
  quote: string | null;
  /** Texts that stand for nothing. */
  null: readonly string[];
}

/** A {@link TextFormat} with all that is known once the header is read: the `state` of a position. */
export interface Dialect {
  delimiter: string;
  header: readonly string[];
  quote: string | null;
  null: readonly string[];
}

const DELIMITERS = [',', ';', '\t', '|'] as const;

/** The delimiter of a line: the most frequent one outside of quotes, a comma if there is none. */
export function sniffDelimiter(line: Buffer, quote: number): string {
  const counts = new Map<number, number>(DELIMITERS.map((delimiter) => [delimiter.charCodeAt(0), 0]));
  let isQuoted = false;
  for (const byte of line) {
    if (byte === quote) isQuoted = !isQuoted;
    else if (!isQuoted && counts.has(byte)) counts.set(byte, counts.get(byte)! + 1);
  }
  let best: string = DELIMITERS[0];
  for (const delimiter of DELIMITERS) {
    if (counts.get(delimiter.charCodeAt(0))! > counts.get(best.charCodeAt(0))!) best = delimiter;
  }
  return best;
}

/** A name that is there twice; undefined if all are different. */
export function repeatedName(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}
