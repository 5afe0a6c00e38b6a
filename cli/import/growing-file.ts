/** Appends text to a file that is created with the first of it. */

import { type FileHandle, open } from 'node:fs/promises';

/** A file that grows. */
export class GrowingFile {
  readonly path: string;
  readonly #isContinued: boolean;
  #handle: FileHandle | undefined;
  #waiting: Buffer[] = [];
  #written: Promise<void> = Promise.resolve();

  /** @param isContinued whether what is there already stays; else it is gone with the first text */
  constructor(path: string, isContinued = false) {
    this.path = path;
    this.#isContinued = isContinued;
  }

  /** Whether anything was appended. */
  get isThere(): boolean {
    return this.#handle !== undefined;
  }

  /**
   * Resolves when the text is on disk.
   *
   * @throws where it cannot be written
   */
  append(text: string | Buffer): Promise<void> {
    this.#waiting.push(Buffer.from(text));
    this.#written = this.#written.then(() => this.#flush());
    return this.#written;
  }

  /** No more is appended. */
  async close(): Promise<void> {
    // Whoever appended has heard of what went wrong.
    await this.#written.catch(() => {});
    await this.#handle?.close();
  }

  /** Writes what has come together while the text before it was written. */
  async #flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const text = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#handle ??= await open(this.path, this.#isContinued ? 'a' : 'w');
    await this.#handle.writeFile(text);
    await this.#handle.datasync();
  }
}
