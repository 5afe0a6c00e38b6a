/** Reads dead letters to count them. */

import { startRun } from '../../functions/core/run.ts';
import type { LetterFile } from './letter-files.ts';
import { type Letter, readLines } from './letters.ts';
import { Tally } from './tally.ts';

/** What was read. */
export interface Survey {
  tally: Tally;
  /** Lines that are no dead letters. */
  unreadable: number;
  /** Files that could not be read. */
  failed: number;
}

/**
 * @param onProblem told of lines that are not dead letters and of files that cannot be read
 * @param isMeant   which letters are counted
 */
export async function surveyLetters(
  files: readonly LetterFile[],
  onProblem: (place: string, problem: string) => void,
  isMeant: (letter: Letter) => boolean = () => true,
): Promise<Survey> {
  const survey = { tally: new Tally(), unreadable: 0, failed: 0 };
  for (const file of files) {
    const run = startRun();
    try {
      for await (const { number, letter, problem } of readLines(file.read(run))) {
        if (letter !== undefined) {
          if (isMeant(letter)) survey.tally.add(letter);
        } else {
          survey.unreadable++;
          onProblem(`${file.name}:${number}`, `not a dead letter: ${problem}`);
        }
      }
    } catch (error) {
      survey.failed++;
      onProblem(file.name, error instanceof Error ? error.message : String(error));
    } finally {
      run.end();
    }
  }
  return survey;
}
