/** What all operators' commands have in common: options, exit codes, and what is said where something fails. */

import { parseArgs } from 'node:util';
import type { Environment } from '../../functions/config.ts';
import { ConfigError, ImportError } from '../../functions/core/errors.ts';
import { UsageError } from '../import/arguments.ts';
import { printable, printableLines } from '../import/printable.ts';

/** Exit codes, those of `npm run import`. */
export const EXIT = { done: 0, incomplete: 1, usage: 2, interrupted: 130 } as const;

/** Options by name; each is a flag or takes a value. */
type Options = Record<string, { type: 'boolean' | 'string' }>;

/** What stands on the command line. */
export interface CommandLine<Of extends Options> {
  /** What was given, by the option's name. */
  options: { [Name in keyof Of]?: Of[Name]['type'] extends 'string' ? string : boolean };
  args: string[];
  env: Environment;
}

/** A command. */
export interface Command<Of extends Options> {
  /** Its name in package.json. */
  name: string;
  /** What `--help` prints. */
  help: string;
  options: Of;
  /** Does the work and resolves with the exit code. */
  run(line: CommandLine<Of>): Promise<number>;
}

/** Runs the command that this process was started for, and ends the process. */
export async function runCommand<Of extends Options>(command: Command<Of>): Promise<void> {
  const { env } = process;
  // npm starts a script in the project's folder; paths are meant from where npm was started.
  if (env.npm_lifecycle_event === command.name && env.INIT_CWD !== undefined) process.chdir(env.INIT_CWD);
  const exitCode = await start(command, env).catch((error) => {
    process.stderr.write(`${explain(error)}\n`);
    return error instanceof UsageError || error instanceof ConfigError ? EXIT.usage : EXIT.incomplete;
  });
  // Connections may be open still.
  process.stdout.write('', () => process.exit(exitCode));
}

async function start<Of extends Options>(command: Command<Of>, env: Environment): Promise<number> {
  const { help, ...line } = parse(command, process.argv.slice(2));
  if (help) {
    process.stdout.write(command.help);
    return EXIT.done;
  }
  return command.run({ ...line, env });
}

function parse<Of extends Options>({ options }: Command<Of>, args: string[]) {
  try {
    const all = { ...options, help: { type: 'boolean', short: 'h' } } as const;
    const { values, positionals } = parseArgs({ args, options: all, allowPositionals: true });
    return { options: values as CommandLine<Of>['options'], args: positionals, help: 'help' in values };
  } catch (error) {
    const [problem] = (error as Error).message.split('. ');
    const names = [...Object.keys(options), 'help'].map((name) => `--${name}`);
    throw new UsageError(`${problem}. Options are ${names.join(', ')}`);
  }
}

/** The message alone, printable: what else an error carries may hold credentials. A defect shows where it is. */
export function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof UsageError) return error.problems.map(printable).join('\n');
  if (!(error instanceof Error)) return printable(String(error));
  if (error instanceof ImportError) return printable(error.message);
  const { code, message, stack } = error as NodeJS.ErrnoException;
  if (code === undefined) return printableLines(stack ?? message);
  const [text] = message.split('\n');
  const isRefusal = /^(401|403|7|16)$/.test(String(code));
  return `${printable(text!)}. Check ${isRefusal ? 'what this account may do there' : 'the network, and the credentials: gcloud auth application-default login'}`;
}
