#!/usr/bin/env node
/** The command `mixpanel-cloud-ingestion`: starts the subcommand that its first argument names. */

import { VERSION } from '../functions/version.ts';
import { renderCompletion, SHELLS } from './completion.ts';
import { printable } from './import/printable.ts';
import { COMMAND, nameInstalledCommand } from './invocation.ts';
import { nearest } from './nearest.ts';
import { SUBCOMMANDS, type Subcommand } from './options.ts';

const HELP = `Brings events into Mixpanel, and tells what became of them.

Usage: ${COMMAND} SUBCOMMAND [options] …

${Object.entries(SUBCOMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(14)}${summary}`)
  .join('\n')}
  completion    prints what makes bash or zsh complete all of this: source <(${COMMAND} completion bash)

Examples
  ${COMMAND} import --dry-run events.ndjson
  ${COMMAND} import --help
  ${COMMAND} --version
`;

/** Each subcommand reads the arguments behind its name, and ends the process. */
const MODULES: Record<Subcommand, () => Promise<unknown>> = {
  import: () => import('./import.ts'),
  status: () => import('./status.ts'),
  'dead-letters': () => import('./dead-letters.ts'),
  replay: () => import('./replay.ts'),
  backfill: () => import('./backfill.ts'),
};

nameInstalledCommand();
await main(process.argv.slice(2));

async function main([name, ...args]: string[]): Promise<void> {
  if (name === '--version') process.stdout.write(`${VERSION}\n`);
  else if (name === '--help' || name === '-h' || name === 'help') process.stdout.write(HELP);
  else if (name === 'completion') printCompletion(args[0]);
  else if (name !== undefined && Object.hasOwn(MODULES, name)) {
    process.argv.splice(2, 1);
    await MODULES[name as Subcommand]();
  } else fail(name === undefined ? HELP : unknown(name));
}

function printCompletion(given: string | undefined): void {
  const shell = SHELLS.find((name) => name === given);
  if (shell === undefined) fail(`Name the shell: ${COMMAND} completion ${SHELLS.join('|')}\n`);
  else process.stdout.write(renderCompletion(shell));
}

function unknown(name: string): string {
  const known = [...Object.keys(SUBCOMMANDS), 'completion'];
  const meant = nearest(name, known);
  const hint = meant === undefined ? `Subcommands are ${known.join(', ')}` : `Did you mean ${meant}?`;
  return `Unknown subcommand '${printable(name)}'. ${hint}\n`;
}

function fail(text: string): void {
  process.stderr.write(text);
  process.exitCode = 2;
}
