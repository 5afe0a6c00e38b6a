/** `--resume`: where each input continues, and the command that resumes an interrupted import. */

import { UsageError } from './arguments.ts';
import { CheckpointFile, type Conditions, type FileProgress } from './checkpoint-file.ts';
import type { FileResult } from './import-file.ts';
import type { Input } from './inputs.ts';

/** The options that matter here, as they were given. */
interface ResumeOptions {
  resume?: boolean;
  state?: string;
  mapping?: string;
  concurrency?: string;
  'give-up-after'?: string;
  'env-file'?: string;
}

const REPEATED = ['state', 'mapping', 'concurrency', 'give-up-after', 'env-file'] as const;

/**
 * @returns for each input its checkpoint, if it can have one, and where it begins
 * @throws {@link UsageError} with everything that does not fit
 */
export async function findResumables(
  inputs: readonly Input[],
  conditions: Conditions,
  { resume, state }: ResumeOptions,
): Promise<{ checkpoint?: CheckpointFile; begin?: FileProgress | undefined }[]> {
  const problems: string[] = [];
  const found = inputs.map(async (input) => {
    if (input.version === undefined) {
      if (resume) problems.push(`${input.name}: --resume needs a file that can be read again. Leave it out`);
      return {};
    }
    const checkpoint = new CheckpointFile(input, conditions, state);
    if (!resume) return { checkpoint };
    try {
      return { checkpoint, begin: await checkpoint.read() };
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      problems.push(...error.problems);
      return {};
    }
  });
  const resumables = await Promise.all(found);
  if (problems.length > 0) throw new UsageError(...problems);
  return resumables;
}

/** @returns undefined if no input can be resumed */
export function resumeCommand(
  results: readonly FileResult[],
  left: readonly string[],
  options: ResumeOptions,
): string | undefined {
  const stopped = results.filter(({ state }) => state !== 'done');
  if (!stopped.some(({ resumesFrom }) => resumesFrom !== undefined)) return undefined;
  const repeated = REPEATED.flatMap((name) => (options[name] === undefined ? [] : [`--${name}`, quote(options[name])]));
  const names = [...stopped.map(({ name }) => name), ...left].map(quote);
  return ['npm run import -- --resume', ...repeated, ...names].join(' ');
}

/** As a shell takes it for one word. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
