/** Samples of other tools, and what the presets make of them. */

import { readFileSync } from 'node:fs';

/** The values of a file in `test/data/`, one per line. */
export function sampleOf<Value = Record<string, unknown>>(name: string): Value[] {
  return readFileSync(new URL(`../data/${name}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Value);
}

/** Events as they are sent and read again. */
export function sent(made: unknown): unknown {
  return JSON.parse(JSON.stringify(made));
}
