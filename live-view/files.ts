/** Follows each file of the import bucket: by its checkpoint, and by what the function says of it. */

import { addCounts, type Counts, isAllRejected, noCounts } from '../functions/core/block.ts';
import type { Checkpoint } from '../functions/storage/checkpoint.ts';
import { checkpointName } from '../functions/storage/names.ts';
import type { ObjectResource } from '../local-cloud/storage/server.ts';
import { FILES_PER_PAGE, type FilePage, type FileRow, type FilesShown, type State } from './page/frames.ts';

/** Files that are kept once they are over. */
const MAX_OVER = 5_000;
/** Files that are imported now and are told apart. */
const MAX_CURRENT = 20;

/** A line of a function's log, as far as it tells of a file. */
export interface FileLine {
  bucket?: string;
  object?: string;
  generation?: string;
  message?: string;
  reason?: string;
  code?: string;
}

/** The files since the start. */
export class Files {
  /** The counts of all files. */
  readonly counts: Counts = noCounts();
  readonly #byCheckpoint = new Map<string, FileRow>();
  #uploaded = 0;
  #version = 0;
  /** Those that are over and are not kept any more. */
  readonly #forgotten = { done: 0, lost: 0, skipped: 0 };

  /** A file was uploaded. */
  add({ bucket, name, generation, size }: ObjectResource): void {
    this.#uploaded++;
    this.#version++;
    const row: FileRow = {
      name,
      generation,
      size: Number(size),
      state: 'waiting',
      detail: '',
      offset: 0,
      isCompressed: false,
      counts: noCounts(),
      isAllRejected: false,
    };
    this.#byCheckpoint.set(checkpointName({ bucket, object: name, generation }), row);
    if (this.#byCheckpoint.size > MAX_OVER) this.#forget();
  }

  /** A checkpoint was written; `name` is its own. */
  update(name: string, checkpoint: Checkpoint): void {
    const row = this.#byCheckpoint.get(name);
    if (row === undefined) return;
    this.#version++;
    for (const key of Object.keys(this.counts) as (keyof Counts)[]) {
      this.counts[key] += checkpoint.counts[key] - row.counts[key];
    }
    row.counts = checkpoint.counts;
    row.offset = checkpoint.position.offset;
    row.isAllRejected = checkpoint.state === 'done' && isAllRejected(checkpoint.counts);
    row.isCompressed = (checkpoint.compression ?? []).length > 0;
    if (checkpoint.state === 'stalled') setState(row, 'deferred', 'stalled');
    else if (checkpoint.state !== 'running') setState(row, checkpoint.state);
    else if (checkpoint.leaseExpiresAt !== null) setState(row, 'running');
    else if (row.state === 'running') setState(row, 'waiting');
  }

  /** The function has said something. */
  tell({ bucket = '', object = '', generation = '', message = '', reason, code }: FileLine): void {
    const row = this.#byCheckpoint.get(checkpointName({ bucket, object, generation }));
    if (row === undefined || isOver(row)) return;
    this.#version++;
    if (message === 'object skipped' && (reason === 'prefix' || reason === 'excluded'))
      setState(row, 'skipped', reason);
    else if (message === 'object failed') setState(row, 'deferred', code);
    else if (message === 'object refused' && row.state !== 'running') setState(row, 'deferred', reason);
    else if (message === 'object refused' && reason !== 'lease') setState(row, 'deferred', reason);
  }

  /** The process of the function is gone: what it had under way comes again. */
  interrupt(): void {
    this.#version++;
    for (const row of this.#byCheckpoint.values()) {
      if (row.state === 'running') setState(row, 'deferred', 'killed, its lease runs out');
    }
  }

  /** The numbers, and the files that are imported now. */
  state(): State['files'] {
    const { done, lost, skipped } = this.#forgotten;
    const state = { uploaded: this.#uploaded, waiting: 0, running: 0, deferred: 0, done, lost, skipped };
    const current: FileRow[] = [];
    for (const row of this.#byCheckpoint.values()) {
      if (row.state === 'gone') state.lost++;
      else state[row.state]++;
      if (row.state === 'running') current.push(row);
    }
    return { ...state, current: current.slice(-MAX_CURRENT).reverse(), version: this.#version };
  }

  /**
   * A page of the list.
   *
   * @param from number of files that pass the filter and stand before it
   */
  page({ name, show, from }: { name: string; show: FilesShown; from: number }): FilePage {
    const words = name.toLowerCase();
    const rows = [...this.#byCheckpoint.values()].reverse().filter((row) => {
      if (show === 'open' && isOver(row)) return false;
      if (show === 'rejected' && row.counts.rejected === 0) return false;
      return row.name.toLowerCase().includes(words);
    });
    const ordered = [...rows.filter((row) => !isOver(row)), ...rows.filter(isOver)];
    return { total: rows.length, rows: ordered.slice(from, from + FILES_PER_PAGE) };
  }

  #forget(): void {
    for (const [name, row] of this.#byCheckpoint) {
      if (this.#byCheckpoint.size <= MAX_OVER) return;
      if (!isOver(row)) continue;
      this.#byCheckpoint.delete(name);
      this.#forgotten[row.state === 'gone' ? 'lost' : (row.state as 'done' | 'skipped')]++;
    }
  }
}

function isOver({ state }: FileRow): boolean {
  return state === 'done' || state === 'gone' || state === 'skipped';
}

function setState(row: FileRow, state: FileRow['state'], detail = ''): void {
  row.state = state;
  row.detail = detail;
}

/** Both together. */
export function sumOf(...parts: readonly Counts[]): Counts {
  const sum = noCounts();
  for (const part of parts) addCounts(sum, part);
  return sum;
}
