/** Content on its way into the local Cloud Storage: a temporary file with its checksums. */
import { createHash, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';

/** A file that grows by appending, with CRC32C and MD5 kept up to date. No descriptor is open between two appends. */
export class StagedContent {
  readonly path: string;
  /** Bytes so far. */
  size = 0;
  #crc32c = 0;
  readonly #md5 = createHash('md5');

  /** @param folder - Where the file is made, under a name of its own. */
  constructor(folder: string) {
    this.path = join(folder, randomUUID());
  }

  /**
   * Appends all chunks. Those before an error are kept and counted.
   *
   * @param chunks - The bytes; pulled one chunk at a time.
   */
  async append(chunks: AsyncIterable<Buffer>): Promise<void> {
    const file = await open(this.path, 'a');
    try {
      for await (const chunk of chunks) {
        await file.appendFile(chunk);
        this.#crc32c = crc32c(chunk, this.#crc32c);
        this.#md5.update(chunk);
        this.size += chunk.length;
      }
    } finally {
      await file.close();
    }
  }

  /** @returns CRC32C as Cloud Storage writes it: base64 of four bytes, most significant first. */
  crc32c(): string {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(this.#crc32c);
    return bytes.toString('base64');
  }

  /** @returns MD5 in base64. */
  md5Hash(): string {
    return this.#md5.copy().digest('base64');
  }

  /** Removes the file, if it is still there. */
  discard(): void {
    rmSync(this.path, { force: true });
  }
}
