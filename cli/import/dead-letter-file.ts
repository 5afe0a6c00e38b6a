/** Writes the dead letters of one file beside it. */

import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { Rejection } from '../../functions/core/block.ts';
import { formatDeadLetter } from '../../functions/core/dead-letter.ts';
import { GrowingFile } from './growing-file.ts';

/**
 * The dead letters of a run. Until the run is complete they stand in `PATH.partial`, and those of an earlier run stay
 * where they are; a run that is interrupted leaves both.
 */
export class DeadLetterFile {
  readonly #path: string;
  readonly #partial: GrowingFile;
  readonly #isContinued: boolean;

  /**
   * @param path        where they stand at the end
   * @param isContinued whether those of the run that this one continues stay
   */
  constructor(path: string, isContinued = false) {
    this.#path = path;
    this.#partial = new GrowingFile(`${path}.partial`, isContinued);
    this.#isContinued = isContinued;
  }

  /** Where they are written while the run continues. */
  get partialPath(): string {
    return this.#partial.path;
  }

  /** Whether there are any. */
  get hasLetters(): boolean {
    return this.#partial.isThere || (this.#isContinued && existsSync(this.partialPath));
  }

  /**
   * Resolves when the rejections are on disk.
   *
   * @throws where they cannot be written
   */
  write(rejections: readonly Rejection[]): Promise<void> {
    const now = new Date();
    return this.#partial.append(rejections.map((rejection) => formatDeadLetter(rejection, now)).join(''));
  }

  /** The run is complete: puts them in the place of those of an earlier run. */
  async complete(): Promise<void> {
    await this.close();
    if (this.hasLetters) return rename(this.partialPath, this.#path);
    await rm(this.#path, { force: true });
    await rm(this.partialPath, { force: true });
  }

  /** The run is not complete: leaves them where they are. */
  async close(): Promise<void> {
    await this.#partial.close();
  }
}
