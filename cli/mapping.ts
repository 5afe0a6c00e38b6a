/** The mapping of a command: a file, or the variable IMPORT_MAPPING. */

import { readFile } from 'node:fs/promises';
import type { Environment } from '../functions/config.ts';
import { mappingProblems } from '../functions/core/mappings/mappings.ts';
import { UsageError } from './import/arguments.ts';

/**
 * The environment with the mapping of `--mapping` in it.
 *
 * @param path of the file; undefined leaves the environment as it is
 * @throws {@link UsageError} with everything that is wrong with the mapping
 */
export async function withMapping(env: Environment, path: string | undefined): Promise<Environment> {
  if (path === undefined) return env;
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${path}: the mapping cannot be read (${error.code}). Check the path`);
  });
  const problems = mappingProblems(text, env.IMPORT_HASH_KEY?.trim() || undefined);
  if (problems.length > 0) throw new UsageError(...problems.map((problem) => `${path}: ${problem}`));
  return { ...env, IMPORT_MAPPING: text };
}
