/** Prints problems as they are met, but not without end. */

import { printable } from '../import/printable.ts';
import { formatCount } from '../import/quantities.ts';

/** Problems that are printed. */
const MAX_PRINTED = 100;

/** Counts problems. */
export interface Problems {
  readonly total: number;
  add(place: string, problem: string): void;
  /** Says how many were not printed. */
  close(): void;
}

/** @param print prints one line */
export function printProblems(print: (text: string) => void): Problems {
  let total = 0;
  return {
    get total() {
      return total;
    },
    add(place, problem) {
      total++;
      if (total <= MAX_PRINTED) print(printable(`${place}: ${problem}`));
    },
    close() {
      if (total > MAX_PRINTED) print(`and ${formatCount(total - MAX_PRINTED)} more`);
    },
  };
}
