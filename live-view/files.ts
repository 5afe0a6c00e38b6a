/** Follows each file of the import bucket: by its checkpoint, and by what the function says of it. */

import { addCounts, type Counts, isAllRejected, noCounts } from '../functions/core/block.ts';
import type { Checkpoint } from '../functions/storage/checkpoint.ts';
import { checkpointName } from '../functions/storage/names.ts';
import type { ObjectResource } from '../local-cloud/storage/server.ts';
import type { FileRow, State } from './page/frames.ts';

/** Files that are shown, and those that are kept once they are over. */
const MAX_ROWS = 100;
const MAX_OVER = 5_000;

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
  /** Those that are over and are not kept any more. */
  readonly #forgotten = { done: 0, lost: 0, skipped: 0 };

  /** A file was uploaded. */
  add({ bucket, name, generation, size }: ObjectResource): void {
    this.#uploaded++;
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
    for (const key of Object.keys(this.counts) as (keyof Counts)[]) {
      this.counts[key] += checkpoint.counts[key] - row.counts[key];
    }
    row.counts = checkpoint.counts;
    row.offset = checkpoint.position.offset;
    row.isAllRejected = checkpoint.state === 'done' && isAllRejected(checkpoint.counts);
    row.isCompressed = (checkpoint.compression ?? []).length > 0;
    if (checkpoint.state === 'stalled') setState(row, 'put off', 'stalled');
    else if (checkpoint.state !== 'running') setState(row, checkpoint.state);
    else if (checkpoint.leaseExpiresAt !== null) setState(row, 'running');
    else if (row.state === 'running') setState(row, 'waiting');
  }

  /** The function has said something. */
  tell({ bucket = '', object = '', generation = '', message = '', reason, code }: FileLine): void {
    const row = this.#byCheckpoint.get(checkpointName({ bucket, object, generation }));
    if (row === undefined || isOver(row)) return;
    if (message === 'object skipped' && (reason === 'prefix' || reason === 'excluded'))
      setState(row, 'skipped', reason);
    else if (message === 'object failed') setState(row, 'put off', code);
    else if (message === 'object refused' && row.state !== 'running') setState(row, 'put off', reason);
    else if (message === 'object refused' && reason !== 'lease') setState(row, 'put off', reason);
  }

  /** The process of the function is gone: what it had under way comes again. */
  interrupt(): void {
    for (const row of this.#byCheckpoint.values()) {
      if (row.state === 'running') setState(row, 'put off', 'killed, its lease runs out');
    }
  }

  /** Numbers and rows, the newest first, those that are not over before the others. */
  state(): State['files'] {
    const { done, lost, skipped } = this.#forgotten;
    const state = { uploaded: this.#uploaded, waiting: 0, running: 0, putOff: 0, done, lost, skipped };
    const rows = [...this.#byCheckpoint.values()].reverse();
    for (const row of rows) {
      if (row.state === 'put off') state.putOff++;
      else if (row.state === 'gone') state.lost++;
      else state[row.state]++;
    }
    const shown = [...rows.filter((row) => !isOver(row)).slice(0, MAX_ROWS), ...rows.filter(isOver)];
    return { ...state, rows: shown.slice(0, MAX_ROWS) };
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
