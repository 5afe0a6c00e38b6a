/** Finds out what the arguments name: files, what a glob matches, standard input, objects in Cloud Storage and Amazon S3. */

import { constants, createReadStream, type Stats } from 'node:fs';
import { access, glob, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { Source } from '../../functions/core/block.ts';
import type { RangeReader } from '../../functions/core/formats/format.ts';
import type { Run } from '../../functions/core/run.ts';
import { UsageError } from './arguments.ts';
import { fileRanges, readFile } from './read-file.ts';

/** Something to import. */
export interface Input {
  /** As it was given, or as a glob found it. */
  readonly name: string;
  /** Bytes as stored; undefined where that is not known beforehand. */
  readonly size: number | undefined;
  /** Changes when the content does: size and time, or generation; undefined of what cannot be read twice. */
  readonly version: string | undefined;
  /** The file that its dead letters go to. */
  readonly deadLetterPath: string;
  /** What its records are read from; the mapping is decided by the command. */
  readonly source: Omit<Source, 'mapping'>;
  /** The bytes as stored. */
  read(run: Run): AsyncIterable<Buffer>;
  /** The bytes as stored, by their ranges; absent where they can only be read as a stream. */
  ranges?(run: Run): RangeReader;
  /** Where it can be told: makes sure that the stored bytes are what was uploaded; throws where they are not. */
  verifyStored?(run: Run): Promise<void>;
}

/** An input before it is decided where its dead letters go. */
export type FoundInput = Omit<Input, 'deadLetterPath' | 'version'> & {
  /** Of a file; an object has its generation. */
  version?: string;
  /** What it is told apart by: what is named twice is imported once. */
  key: string;
  /** Path of that file, without what {@link DEAD_LETTERS} adds. */
  deadLetterStem: string;
};

/** What was found, and what was left out. */
export interface Inputs {
  inputs: Input[];
  /** Files with dead letters of earlier runs, which a glob finds beside what they came from. */
  skipped: string[];
}

/** What standard input is called. */
const STDIN = 'stdin';
const DEAD_LETTERS = '.dead-letters.ndjson';
const DEAD_LETTER_FILE = /\.dead-letters\.ndjson(\.partial)?$/;

/**
 * @param args            what the command names, in its order
 * @param storageEndpoint base URL of another Cloud Storage; default: Google's
 * @throws {@link UsageError} that names everything that is not there
 */
export async function findInputs(args: readonly string[], storageEndpoint: string | undefined): Promise<Inputs> {
  const found: FoundInput[] = [];
  const skipped: string[] = [];
  const problems: string[] = [];
  for (const arg of args) {
    try {
      // One by one: a prefix can have more objects than a call can have arguments.
      for (const input of await findAll(arg, storageEndpoint, skipped)) found.push(input);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length === 0 && found.length === 0) {
    problems.push(
      `${skipped.join(', ')}: dead letters of an earlier run, no events. Name the files that they came from`,
    );
  }
  if (problems.length > 0) throw new UsageError(...problems);
  return { inputs: withDeadLetterPaths(found), skipped };
}

async function findAll(arg: string, storageEndpoint: string | undefined, skipped: string[]): Promise<FoundInput[]> {
  if (arg === '-') return [standardInput()];
  if (arg.startsWith('gs://')) return findObjects(arg, storageEndpoint);
  if (arg.startsWith('s3://')) return findS3(arg);
  return findFiles(arg, skipped);
}

/** Google's client is loaded here and nowhere else, so that a file on disk needs neither it nor credentials. */
async function findObjects(url: string, storageEndpoint: string | undefined): Promise<FoundInput[]> {
  const objects = await import('./objects.ts');
  return objects.findObjects(url, storageEndpoint);
}

/** Amazon's client is loaded here and nowhere else. */
async function findS3(url: string): Promise<FoundInput[]> {
  const { findS3Objects } = await import('./s3-objects.ts');
  return findS3Objects(url);
}

async function findFiles(arg: string, skipped: string[]): Promise<FoundInput[]> {
  const stats = await stat(arg).catch(() => undefined);
  const names = stats === undefined ? await matches(arg) : [arg];
  const found: FoundInput[] = [];
  for (const name of names) {
    if (DEAD_LETTER_FILE.test(name)) skipped.push(name);
    else found.push(localFile(name, await readable(name)));
  }
  return found;
}

async function matches(pattern: string): Promise<string[]> {
  if (!/[*?[{]/.test(pattern)) {
    throw new UsageError(`${pattern}: no such file, seen from ${process.cwd()}. Check the path`);
  }
  const names: string[] = [];
  for await (const name of glob(pattern)) if (!(await stat(name)).isDirectory()) names.push(name);
  if (names.length === 0) throw new UsageError(`${pattern}: no file matches, seen from ${process.cwd()}`);
  return names.sort();
}

async function readable(name: string): Promise<Stats> {
  const stats = await stat(name);
  if (stats.isDirectory())
    throw new UsageError(`${name}: a directory. Name the files in it: '${name.replace(/\/+$/, '')}/*'`);
  await access(name, constants.R_OK).catch(() => {
    throw new UsageError(`${name}: not readable by this user. Check its permissions`);
  });
  return stats;
}

function localFile(name: string, stats: Stats): FoundInput {
  const isRegular = stats.isFile();
  return {
    name,
    key: resolve(name),
    size: isRegular ? stats.size : undefined,
    ...(isRegular ? { version: `${stats.size} bytes, ${stats.mtimeMs}` } : {}),
    // Beside a pipe such as /dev/fd/63 nothing can be written.
    deadLetterStem: isRegular ? name : basename(name),
    source: fileSource(name),
    // A pipe may have nothing to read for as long as it likes.
    read: (run) => (isRegular ? readFile(name, run) : readStream(createReadStream(name), run)),
    ...(isRegular ? { ranges: (run: Run) => fileRanges(name, stats.size, run) } : {}),
  };
}

function standardInput(): FoundInput {
  return {
    name: STDIN,
    key: '-',
    size: undefined,
    deadLetterStem: STDIN,
    source: fileSource(STDIN),
    read: (run) => readStream(process.stdin, run),
  };
}

function fileSource(path: string): Input['source'] {
  return { context: { kind: 'file', path }, locate: (offset, line) => ({ file: path, line, offset }) };
}

/** The bytes of a stream, which is not waited for any longer when the run winds down. */
async function* readStream(stream: Readable, run: Run): AsyncGenerator<Buffer> {
  const stop = () => stream.destroy();
  run.stopping.throwIfAborted();
  run.stopping.addEventListener('abort', stop, { once: true });
  yield* stream;
}

/** Each input once, and no two with the same file for their dead letters. */
function withDeadLetterPaths(found: readonly FoundInput[]): Input[] {
  const inputs = new Map<string, Input>();
  const paths = new Set<string>();
  for (const { key, deadLetterStem, ...input } of found) {
    if (inputs.has(key)) continue;
    let deadLetterPath = `${deadLetterStem}${DEAD_LETTERS}`;
    for (let number = 2; paths.has(resolve(deadLetterPath)); number++) {
      deadLetterPath = `${deadLetterStem}.${number}${DEAD_LETTERS}`;
    }
    paths.add(resolve(deadLetterPath));
    const location = input.source.locate(0, 1);
    const version = 'generation' in location ? location.generation : input.version;
    inputs.set(key, { ...input, version, deadLetterPath });
  }
  return [...inputs.values()];
}
