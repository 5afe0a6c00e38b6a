/** The checkpoint of one input: how much of it is settled, so that a later run continues from there. */

import { hash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CoreConfig } from '../../functions/config.ts';
import { type Counts, isBalanced, type Position } from '../../functions/core/block.ts';
import type { Transform } from '../../functions/core/event.ts';
import { UsageError } from './arguments.ts';
import type { Input } from './inputs.ts';

const VERSION = 1;

/** How far an import has come. */
export interface FileProgress {
  format: string;
  compression: readonly string[];
  position: Position;
  counts: Counts;
}

/** What must be the same in the run that continues. The user is told the names of the differences. */
export type Conditions = Readonly<Record<string, string>>;

/** What all inputs of a command have in common: where events go, and what is made of records. */
export function conditionsOf(config: CoreConfig, transform: Transform): Conditions {
  const { mixpanel, mapping = '', hashKey = '', insertIdOf } = config;
  return {
    'the project': digest(mixpanel.projectId ?? mixpanel.username),
    'the address of Mixpanel': mixpanel.url,
    'the mapping': digest(mapping),
    IMPORT_HASH_KEY: digest(hashKey),
    INSERT_ID: insertIdOf.name,
    'the transform': digest(transform.toString()),
  };
}

/** A file beside the input, or in a folder for them. */
export class CheckpointFile {
  readonly path: string;
  readonly #conditions: Conditions;

  /** @param folder of `--state`; default: beside the input, and in the current directory for what is not a file */
  constructor(input: Input, conditions: Conditions, folder: string | undefined) {
    const path = input.deadLetterPath.replace(/\.dead-letters\.ndjson$/, '.checkpoint.json');
    const name = `${basename(path, '.checkpoint.json')}.${digest(input.name)}.checkpoint.json`;
    this.path = folder === undefined ? path : join(folder, name);
    this.#conditions = { ...conditions, [`the content of ${input.name}`]: input.version ?? '' };
  }

  /**
   * What an earlier run settled; undefined if there is no checkpoint.
   *
   * @throws {@link UsageError} if it cannot be used, or is of something else than what is imported now
   */
  async read(): Promise<FileProgress | undefined> {
    const text = await readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new UsageError(`${this.path}: the checkpoint cannot be read (${error.code}). Check its permissions`);
    });
    if (text === undefined) return undefined;
    const checkpoint = parse(text);
    if (checkpoint === undefined) {
      throw new UsageError(
        `${this.path}: not a checkpoint of this version. Import without --resume, from the beginning`,
      );
    }
    const others = Object.keys(this.#conditions).filter(
      (name) => this.#conditions[name] !== checkpoint.conditions[name],
    );
    if (others.length > 0) {
      throw new UsageError(
        `${this.path}: ${others.join(', ')} changed since. Restore that, or import without --resume, from the beginning`,
      );
    }
    return checkpoint.progress;
  }

  /** Writes it whole or not at all. */
  async write(progress: FileProgress): Promise<void> {
    const text = JSON.stringify({ version: VERSION, conditions: this.#conditions, progress }, undefined, 2);
    await writeFile(`${this.path}.new`, `${text}\n`);
    await rename(`${this.path}.new`, this.path);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

function parse(text: string): { conditions: Conditions; progress: FileProgress } | undefined {
  try {
    const { version, conditions, progress } = JSON.parse(text);
    const { format, compression, position, counts } = progress;
    const isUsable =
      version === VERSION &&
      typeof format === 'string' &&
      Array.isArray(compression) &&
      Number.isSafeInteger(position.offset) &&
      Number.isSafeInteger(position.checksum) &&
      isBalanced(counts);
    return isUsable ? { conditions, progress } : undefined;
  } catch {
    return undefined;
  }
}

function digest(text: string): string {
  return hash('sha256', text).slice(0, 16);
}
