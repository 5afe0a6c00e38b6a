/** Writes the dead letters of one file beside it. */

import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { Rejection } from '../../functions/import/block.ts';
import { formatDeadLetter } from '../../functions/import/dead-letter.ts';

/**
 * The dead letters of a run. Until the run is complete they stand in `PATH.partial`, and those of an earlier run stay
 * where they are; a run that is interrupted leaves both.
 */
export class DeadLetterFile {
  /** Where they stand while the run goes on. */
  readonly partialPath: string;
  readonly #path: string;
  #handle: FileHandle | undefined;
  #waiting = '';
  #written: Promise<void> = Promise.resolve();

  /** @param path where they stand at the end */
  constructor(path: string) {
    this.#path = path;
    this.partialPath = `${path}.partial`;
  }

  /** Whether there are any. */
  get hasLetters(): boolean {
    return this.#handle !== undefined;
  }

  /**
   * Resolves when the rejections are on disk.
   *
   * @throws where they cannot be written
   */
  write(rejections: readonly Rejection[]): Promise<void> {
    const now = new Date();
    for (const rejection of rejections) this.#waiting += formatDeadLetter(rejection, now);
    this.#written = this.#written.then(() => this.#flush());
    return this.#written;
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
    await this.#handle?.close();
  }

  /** Writes what has come together while the rejections before it were written. */
  async #flush(): Promise<void> {
    const text = this.#waiting;
    if (text === '') return;
    this.#waiting = '';
    this.#handle ??= await open(this.partialPath, 'w');
    await this.#handle.writeFile(text);
    await this.#handle.datasync();
  }
}
