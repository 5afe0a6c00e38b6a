/** Deletes some of the dead letters, and leaves the others as they are. */

import { startRun } from '../../functions/core/run.ts';
import type { LetterFile } from './letter-files.ts';
import { readLines } from './letters.ts';
import type { Where } from './where.ts';

/** Bytes of lines that are written together. */
const WRITE_BYTES = 1_048_576;
const NEWLINE = Buffer.from('\n');

/** What was deleted. */
export interface Deleted {
  deleted: number;
  /** Files that were written anew, or removed as nothing was left of them. */
  filesChanged: number;
  /** Letters and lines that could be meant, but need not be; they stay. */
  unclear: number;
  /** Files that could not be read or written; they are as they were. */
  failed: number;
}

/** @param onProblem told of what stays although it may be meant */
export async function deleteLetters(
  files: readonly LetterFile[],
  where: Where,
  onProblem: (place: string, problem: string) => void,
): Promise<Deleted> {
  const result: Deleted = { deleted: 0, filesChanged: 0, unclear: 0, failed: 0 };
  for (const file of files) {
    try {
      const { deleted, unclear } = await deleteIn(file, where, onProblem);
      result.deleted += deleted;
      result.unclear += unclear;
      if (deleted > 0) result.filesChanged++;
    } catch (error) {
      result.failed++;
      onProblem(file.name, error instanceof Error ? error.message : String(error));
    }
  }
  return result;
}

async function deleteIn(file: LetterFile, where: Where, onProblem: (place: string, problem: string) => void) {
  const counts = { deleted: 0, unclear: 0 };
  const run = startRun();
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const write = async () => {
    await file.keep(Buffer.concat(waiting));
    waiting = [];
    waitingBytes = 0;
  };
  try {
    for await (const { number, raw, letter } of readLines(file.read(run))) {
      const meant = letter === undefined ? (where.isIn(raw) ? 'unclear' : 'no') : where.isMeant(letter);
      if (meant === 'yes') {
        counts.deleted++;
        continue;
      }
      if (meant === 'unclear') {
        counts.unclear++;
        onProblem(`${file.name}:${number}`, 'left, as its record is not whole or not JSON: look at it yourself');
      }
      waiting.push(raw, NEWLINE);
      waitingBytes += raw.length + 1;
      if (waitingBytes >= WRITE_BYTES) await write();
    }
    if (counts.deleted > 0 && waitingBytes > 0) await write();
    if (counts.deleted > 0) await file.replace();
    return counts;
  } finally {
    run.end();
    await file.leave();
  }
}
