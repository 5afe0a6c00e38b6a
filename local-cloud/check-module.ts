/** Tells in one message why a module cannot be loaded: file, line and column, and the reason. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A module that takes longer is not broken, as far as can be told. */
const TIMEOUT_MS = 10_000;
const LOAD = 'await import(process.argv[1]); process.exit(0);';
/** How Node begins the report of an error: a place, the line itself, and carets under what is wrong. */
const PLACE = /^(?:file:\/\/)?(\/.+\.[cm]?[jt]s):(\d+)$/;
const REASON = /^(\w*Error)(?: \[\w+\])?: (.+)$/;
/** Lines from the place to the carets, at most. */
const EXCERPT_LINES = 8;

/**
 * Loads the module in a process of its own, which ends at once.
 *
 * @param env variables that the module may read
 * @returns why it cannot be loaded, as `FILE:LINE:COLUMN: reason`; undefined if it can
 */
export async function problemOf(module: URL, env: Readonly<Record<string, string>>): Promise<string | undefined> {
  const printed = await new Promise<string | undefined>((resolve) => {
    const args = ['--input-type=module', '--eval', LOAD, '--', module.href];
    execFile(
      process.execPath,
      args,
      { env: { PATH: process.env.PATH, ...env }, timeout: TIMEOUT_MS },
      (error, _, err) => resolve(error === null || error.killed ? undefined : err),
    );
  });
  return printed === undefined ? undefined : describeError(printed, fileURLToPath(module));
}

/** What Node printed, in one line. */
function describeError(printed: string, file: string): string {
  const lines = printed.split('\n');
  const reason = lines.map((line) => REASON.exec(line)).find((match) => match !== null);
  const text = reason === undefined ? 'it cannot be loaded' : `${reason[1]}: ${reason[2]}`;
  const at = lines.findIndex((line) => PLACE.test(line));
  if (at === -1) return `${file}: ${text}`;
  const [, path, line] = PLACE.exec(lines[at]!)!;
  const carets = lines.slice(at + 1, at + EXCERPT_LINES).find((excerpt) => /^\s*\^+\s*$/.test(excerpt));
  return `${path}:${line}:${carets === undefined ? 1 : carets.indexOf('^') + 1}: ${text}`;
}
