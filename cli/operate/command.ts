/** What all commands have in common: options, exit codes, and what is said where something fails. */

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Environment } from '../../functions/config.ts';
import { ConfigError, ImportError } from '../../functions/core/errors.ts';
import { VERSION } from '../../functions/version.ts';
import { setFromFiles } from '../env-file.ts';
import { UnreachableError } from '../give-up.ts';
import { UsageError } from '../import/arguments.ts';
import { printable, printableLines } from '../import/printable.ts';
import { asInvoked } from '../invocation.ts';
import { nearest } from '../nearest.ts';
import { findTakenByNpm } from '../npm-options.ts';
import { type COMMON_OPTIONS, optionsOf, type SUBCOMMANDS, type Subcommand } from '../options.ts';

/** Exit codes of all commands. */
export const EXIT = { done: 0, incomplete: 1, usage: 2, interrupted: 130 } as const;

type OptionsOf<Name extends Subcommand> = (typeof SUBCOMMANDS)[Name]['options'] & typeof COMMON_OPTIONS;

/** What was given, by the option's name. */
type Given<Name extends Subcommand> = {
  [Option in keyof OptionsOf<Name>]?: OptionsOf<Name>[Option] extends { type: 'string' } ? string : boolean;
};

/** Parsed command line. */
export interface CommandLine<Name extends Subcommand> {
  options: Given<Name>;
  args: string[];
  env: Environment;
}

/** A command. */
export interface Command<Name extends Subcommand> {
  name: Name;
  /** What `--help` prints. */
  help: string;
  /** Does the work and resolves with the exit code. */
  run(line: CommandLine<Name>): Promise<number>;
}

/** Runs the command that this process was started for, and ends the process. */
export async function runCommand<Name extends Subcommand>(command: Command<Name>): Promise<void> {
  const { env } = process;
  // npm starts a script in the project's folder; paths are meant from where npm was started.
  if (env.npm_lifecycle_event === command.name && env.INIT_CWD !== undefined) process.chdir(env.INIT_CWD);
  const exitCode = await start(command, env).catch((error) => {
    process.stderr.write(`${asInvoked(explain(error))}\n`);
    return error instanceof UsageError || error instanceof ConfigError ? EXIT.usage : EXIT.incomplete;
  });
  // Connections may be open still, and standard input.
  process.stdout.write('', () => process.exit(exitCode));
}

async function start<Name extends Subcommand>(command: Command<Name>, env: Environment): Promise<number> {
  const { options, args } = parse(command.name, process.argv.slice(2), env);
  if (options.help || options.version) {
    process.stdout.write(options.version ? `${VERSION}\n` : asInvoked(command.help));
    return EXIT.done;
  }
  const notes = setFromFiles(env, { file: options['env-file'], clone: envFileOfClone() });
  for (const note of options.quiet ? [] : notes) process.stderr.write(`${printable(note)}\n`);
  return command.run({ options, args, env });
}

/** In a clone the sources run as they are. */
function envFileOfClone(): string | undefined {
  return import.meta.url.endsWith('.ts') ? fileURLToPath(new URL('../../.env', import.meta.url)) : undefined;
}

function parse<Name extends Subcommand>(name: Name, args: string[], env: Environment) {
  const options = optionsOf(name);
  const taken = findTakenByNpm(name, env);
  const { tokens } = parseArgs({ args, options, allowPositionals: true, strict: false, tokens: true });
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind === 'option' && !(token.name in options)) throw unknownOption(token.rawName, Object.keys(options));
    if (token.kind !== 'option' || options[token.name]!.type === 'boolean') continue;
    // The last one alone would count.
    if (seen.has(token.name)) throw new UsageError(`${token.rawName} is given twice. Give it once`);
    seen.add(token.name);
  }
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const given = { ...values, ...Object.fromEntries(taken.map((option) => [option, true])) };
    return { options: given as Given<Name> & Given<'status'>, args: positionals };
  } catch (error) {
    const [problem] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(`${problem}. Options are ${listOf(Object.keys(options))}`);
  }
}

function unknownOption(given: string, known: readonly string[]): UsageError {
  const meant = nearest(given.replace(/^-+/, ''), known);
  const hint = meant === undefined ? '' : `. Did you mean --${meant}?`;
  return new UsageError(
    `Unknown option '${given}'${hint || '.'} Options are ${listOf(known)}; a file whose name begins with - comes after --`,
  );
}

function listOf(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join(', ');
}

/** The message alone, printable: what else an error carries may hold credentials. A defect shows where it is. */
export function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof UsageError) return error.problems.map(printable).join('\n');
  if (!(error instanceof Error)) return printable(String(error));
  if (error instanceof ImportError || error instanceof UnreachableError) return printable(error.message);
  const { code, message, stack } = error as NodeJS.ErrnoException;
  if (code === undefined) return printableLines(stack ?? message);
  const [text] = message.split('\n');
  const isRefusal = /^(401|403|7|16)$/.test(String(code));
  return `${printable(text!)}. Check ${isRefusal ? 'what this account may do there' : 'the network, and the credentials: gcloud auth application-default login'}`;
}
