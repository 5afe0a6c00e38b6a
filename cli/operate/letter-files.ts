/** Finds files of dead letters: in the state bucket, in folders, or by name. */

import { createReadStream, type Stats } from 'node:fs';
import { readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from '../../functions/core/run.ts';
import { UsageError } from '../import/arguments.ts';
import { GrowingFile } from '../import/growing-file.ts';

/** A file of dead letters, on disk or in Cloud Storage. */
export interface LetterFile {
  readonly name: string;
  /** What it is told apart by: what is named twice is read once. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  read(run: Run): AsyncIterable<Buffer>;
  /** Adds lines, with their line ends, to what will be left of it. */
  keep(lines: string | Buffer): Promise<void>;
  /**
   * Leaves of it what was kept, or nothing; at every moment all that is not done with is there.
   *
   * @throws where it was changed by somebody else meanwhile; then it stays as it is
   */
  replace(): Promise<void>;
  /** Leaves it as it is. */
  leave(): Promise<void>;
}

/** How the files are named that the functions and `npm run import` write: the others in a folder are left alone. */
const LETTER_FILE = /(\.dead-letters|(^|[-/])[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\.ndjson$/;
const READ_BYTES = 1_048_576;

/** Whether that is what a file of dead letters is called. */
export function isLetterFile(name: string): boolean {
  return LETTER_FILE.test(name);
}

/**
 * @param args            `gs://STATE`, `gs://STATE/prefix`, folders and files
 * @param storageEndpoint base URL of another Cloud Storage; default: Google's
 * @returns each file once
 * @throws {@link UsageError} that names everything that is not there
 */
export async function findLetterFiles(
  args: readonly string[],
  storageEndpoint: string | undefined,
): Promise<LetterFile[]> {
  const found = new Map<string, LetterFile>();
  const problems: string[] = [];
  for (const arg of args) {
    try {
      const files = arg.startsWith('gs://') ? await findObjects(arg, storageEndpoint) : await findOnDisk(arg);
      for (const file of files) if (!found.has(file.key)) found.set(file.key, file);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new UsageError(...problems);
  return [...found.values()];
}

/** Google's client is loaded only where it is needed. */
async function findObjects(url: string, storageEndpoint: string | undefined): Promise<LetterFile[]> {
  const { findLetterObjects } = await import('./letter-objects.ts');
  return findLetterObjects(url, storageEndpoint);
}

async function findOnDisk(path: string): Promise<LetterFile[]> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) {
    throw new UsageError(`${path}: no such file or folder, seen from ${process.cwd()}. Check the path`);
  }
  if (stats.isFile()) return [await localFile(path, stats)];
  if (!stats.isDirectory()) throw new UsageError(`${path}: neither a file nor a folder`);
  const names = (await readdir(path, { recursive: true })).filter(isLetterFile).sort();
  return Promise.all(
    names.map(async (name) => {
      const file = join(path, name);
      return localFile(file, await stat(file));
    }),
  );
}

async function localFile(name: string, found: Stats): Promise<LetterFile> {
  const path = await realpath(name);
  // Another process may be at the same file: the slower one finds it changed.
  const kept = new GrowingFile(`${path}.${process.pid}.replaying`);
  const leave = async () => {
    await kept.close();
    await rm(kept.path, { force: true });
  };
  return {
    name,
    key: path,
    size: found.size,
    read: () => createReadStream(path, { highWaterMark: READ_BYTES }),
    keep: (lines) => kept.append(lines),
    async replace() {
      const now = await stat(path).catch(() => undefined);
      if (now?.ino !== found.ino || now.size !== found.size || now.mtimeMs !== found.mtimeMs) {
        throw new Error('it was changed meanwhile: it stays as it is now. Run this again');
      }
      await kept.close();
      if (kept.isThere) await rename(kept.path, path);
      else await rm(path);
    },
    leave,
  };
}
