/**
 * Finds options that npm took for itself: `npm run import --dry-run FILE`, without `--` before the options, starts the
 * command with FILE alone, and with the environment variable `npm_config_dry_run`.
 */

import type { Environment } from '../functions/config.ts';
import { UsageError } from './import/arguments.ts';
import { optionsOf, type Subcommand } from './options.ts';

/** What npm makes of `--quiet`: a level of its own log. */
const QUIET_LEVEL = 'warn';

/**
 * @returns the switches that npm took, by name
 * @throws {@link UsageError} with the right command line if it took one with a value: what the value was is lost, or among
 *   the arguments
 */
export function findTakenByNpm(name: Subcommand, env: Environment): string[] {
  if (env.npm_lifecycle_event !== name && env.npm_lifecycle_event !== 'npx') return [];
  const options = Object.entries(optionsOf(name));
  const taken = options.filter(([option]) => isTaken(option, env));
  const valued = taken.filter(([, { type }]) => type === 'string');
  if (valued.length > 0) {
    const written = taken.map(([option, { type }]) => (type === 'string' ? write(option, env) : `--${option}`));
    const names = valued.map(([option]) => `--${option}`).join(' and ');
    throw new UsageError(
      `npm took ${names} for itself, so nothing was done. Put -- before the options: npm run ${name} -- ${written.join(' ')} …`,
    );
  }
  return taken.map(([option]) => option);
}

function isTaken(option: string, env: Environment): boolean {
  if (option === 'quiet') return env.npm_config_loglevel === QUIET_LEVEL;
  const value = npmValueOf(option, env);
  return value !== undefined && value !== '' && value !== 'false';
}

function write(option: string, env: Environment): string {
  const value = npmValueOf(option, env)!;
  return `--${option} ${value === 'true' ? 'VALUE' : value}`;
}

function npmValueOf(option: string, env: Environment): string | undefined {
  return env[`npm_config_${option.replaceAll('-', '_')}`] ?? env[`npm_config_${option}`];
}
