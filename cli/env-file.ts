/** Reads environment variables from files: the one of `--env-file`, and `.env` in a clone of the project. */

import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { Environment } from '../functions/config.ts';
import { UsageError } from './import/arguments.ts';

/**
 * What decides where credentials go, or whom a connection trusts. A file that is read without being asked for does not set
 * it: it can come with a folder that somebody else made.
 */
const ADDRESS = /URL|ENDPOINT|HOST|PROXY|UNIVERSE|CA_BUNDLE|CONFIG_FILE|CREDENTIALS_FILE|^NODE_|^SSL_/i;

/** Where variables are read from. */
export interface EnvFiles {
  /** The file of `--env-file`. */
  file: string | undefined;
  /** `.env` of the clone that the command runs in; undefined if it is installed. */
  clone: string | undefined;
}

/**
 * Sets the variables of these files, and never one that is set already.
 *
 * @returns what was left out, and why
 * @throws {@link UsageError} if the file of `--env-file` cannot be read
 */
export function setFromFiles(env: Environment, { file, clone }: EnvFiles): string[] {
  if (file !== undefined) set(env, parseEnv(readAsked(file)));
  if (clone === undefined) return [];
  const variables = Object.entries(parseEnv(readIfThere(clone)));
  const isAddress = ([name]: [string, unknown]) => ADDRESS.test(name);
  set(env, Object.fromEntries(variables.filter((variable) => !isAddress(variable))));
  return variables
    .filter(isAddress)
    .filter(([name, value]) => env[name] !== value)
    .map(([name]) => `${name} in .env is not read, as it decides where data go: use --env-file .env`);
}

function set(env: Environment, variables: Environment): void {
  for (const [name, value] of Object.entries(variables)) if (!(name in env)) env[name] = value;
}

function readAsked(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`${path}: the file of --env-file cannot be read (${code}). Check the path`);
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
