/** Sends dead letters through the transform and to Mixpanel again, and leaves of their files what was not taken. */

import { hash } from 'node:crypto';
import type { CoreConfig } from '../../functions/config.ts';
import {
  addCounts,
  type Block,
  type Counts,
  lengthOf,
  noCounts,
  type Rejection,
  type Source,
} from '../../functions/core/block.ts';
import { formatDeadLetter } from '../../functions/core/dead-letter.ts';
import { importBlocks } from '../../functions/core/import-blocks.ts';
import type { InsertIdOf } from '../../functions/core/insert-id.ts';
import type { Mapping, MapResult } from '../../functions/core/mappings/mapping.ts';
import type { MappingOf } from '../../functions/core/mappings/mappings.ts';
import type { Sender } from '../../functions/core/mixpanel/sender.ts';
import { countOf, mergeRejections, RejectionLimit } from '../../functions/core/rejections.ts';
import type { Run } from '../../functions/core/run.ts';
import type { Settlement } from '../../functions/core/settlement.ts';
import type { FileMeter } from '../import/meter.ts';
import { contextOf, insertIdOfLetter, letterBlock, locationIn, locationInRange, mappingOfRow } from './letter-block.ts';
import type { LetterFile } from './letter-files.ts';
import { RangeLostError, RangeReader } from './letter-range.ts';
import { type Letter, letterKey, readLines } from './letters.ts';
import { Tally } from './tally.ts';

/** What a replay works with. */
export interface ReplayContext {
  config: CoreConfig;
  sender: Sender;
  /** What becomes of records now, by what they were read from. */
  mappingOf: MappingOf;
  /** Whether records are sent even if they passed something that is not provided now. */
  isRaw: boolean;
  run: Run;
  meter: FileMeter;
  /** Told of lines that are left where they are, and of files that cannot be done with. */
  onProblem(place: string, problem: string): void;
}

/** What became of dead letters. */
export interface Replayed {
  /** Of those that were sent through the transform and have their outcome. */
  counts: Counts;
  /** Those that were rejected again, by their new reasons. */
  rejected: Tally;
  /** Those that cannot be sent: only the beginning is there, or they are not dead letters, or their records are lost. */
  truncated: number;
  unreadable: number;
  /** Those that stand in two places, sent once. */
  repeated: number;
  /** Files that are as they should be: gone, or with what was not taken. */
  filesDone: number;
  /** Files that are as they were. */
  filesLeft: LetterFile[];
  /** What ended the replay before its time. */
  error?: unknown;
}

/** A file under way. */
interface OpenFile {
  file: LetterFile;
  /** Letters without an outcome, and one more while the file is being read. */
  open: number;
  /** Whether something else will stand in it than does now. */
  isChanged: boolean;
  /** Lines that stay as they are and are not written yet. */
  lines: Buffer[];
  lineBytes: number;
}

/** A letter under way. */
interface OpenLetter {
  letter: Letter;
  from: OpenFile;
  /** Bytes of its line. */
  bytes: number;
  /** Blocks without an outcome, and one more while they are being read. */
  open: number;
  /** Whether its records are read from somewhere else, and become letters of their own if they are rejected again. */
  isRange: boolean;
  /** Rejections for which one letter stands again. */
  summed?: Rejection | undefined;
}

/** Bytes of lines that are written together. */
const WRITE_BYTES = 1_048_576;
const NEWLINE = Buffer.from('\n');

/**
 * Finds a letter whose record passed something that the present mapping does not provide. Sent as it is, it could reveal
 * what was hashed or dropped before.
 *
 * @returns where it is and what it passed; undefined if there is none
 */
export async function findUnprovided(
  files: readonly LetterFile[],
  { mappingOf, run }: Pick<ReplayContext, 'mappingOf' | 'run'>,
  isMeant: (letter: Letter) => boolean = () => true,
): Promise<{ place: string; through: readonly string[] } | undefined> {
  for (const file of files) {
    try {
      for await (const { number, letter } of readLines(file.read(run))) {
        if (letter === undefined || letter.isTruncated || !isMeant(letter)) continue;
        if (!isProvided(letter, mappingOf)) return { place: `${file.name}:${number}`, through: letter.through };
      }
    } catch (error) {
      // A file that cannot be read is reported when it is replayed.
      if (run.stopping.aborted) throw error;
    }
  }
  return undefined;
}

function isProvided(letter: Letter, mappingOf: MappingOf): boolean {
  const { through } = letter;
  if (through.length === 0) return true;
  const mapping = mappingOf(contextOf(letter));
  const provided = mapping.kind === 'mapped' ? mapping.through : [];
  return through.every((step) => provided.includes(step));
}

/** Replays files one after the other; a file is finished when every letter in it is. Never throws. */
export async function replayLetters(files: readonly LetterFile[], context: ReplayContext): Promise<Replayed> {
  const replay = new Replay(context);
  const { result } = replay;
  try {
    await importBlocks(replay.blocks(files), replay.options(), context.run);
  } catch (error) {
    result.error = error;
  }
  await replay.leaveOpenFiles();
  result.filesLeft.push(...files.slice(result.filesDone + result.filesLeft.length));
  return result;
}

class Replay {
  readonly result: Replayed = {
    counts: noCounts(),
    rejected: new Tally(),
    truncated: 0,
    unreadable: 0,
    repeated: 0,
    filesDone: 0,
    filesLeft: [],
  };
  readonly #context: ReplayContext;
  readonly #openFiles = new Set<OpenFile>();
  /** By the source of its block. */
  readonly #letters = new Map<Source, OpenLetter>();
  /** What was met before. */
  readonly #seen = new Set<string>();
  readonly #ranges: RangeReader;
  /** Whatever their share: a letter of many records must not leave as many letters. */
  readonly #limit = new RejectionLimit(0);
  #unsettledBytes = 0;

  constructor(context: ReplayContext) {
    const { config, run } = context;
    this.#context = context;
    this.#ranges = new RangeReader(config.insertIdOf, config.storageEndpoint, run);
  }

  /** How the blocks are imported. */
  options() {
    const { config, sender } = this.#context;
    const replay = this;
    const settlement: Settlement = {
      get unsettledBytes() {
        return replay.#unsettledBytes + replay.#limit.heldBytes;
      },
      open() {},
      settle: (block) => this.#settle(block),
      flush() {},
    };
    return { ...config, sender, insertIdOf: this.#insertIdOf, settlement };
  }

  async *blocks(files: readonly LetterFile[]): AsyncGenerator<Block[]> {
    const { run, meter } = this.#context;
    for (const file of files) {
      const from: OpenFile = { file, open: 1, isChanged: false, lines: [], lineBytes: 0 };
      this.#openFiles.add(from);
      try {
        for await (const { number, raw, letter, problem } of readLines(file.read(run))) {
          const bytes = raw.length + NEWLINE.length;
          meter.read(bytes);
          meter.opened(bytes);
          if (letter !== undefined && this.#isToBeSent(letter, from, number)) {
            const block = letter.range === undefined ? this.#open(letter, from, bytes) : undefined;
            if (block !== undefined) yield [block];
            else yield* this.#openRange({ letter, from, bytes, open: 1, isRange: true }, raw, number);
            continue;
          }
          if (problem !== undefined) this.#leaveLine(`${file.name}:${number}`, `not a dead letter: ${problem}`);
          if (letter === undefined || !this.#isRepeated(letter)) await this.#keepLine(raw, from);
          meter.settled(bytes);
        }
      } catch (error) {
        if (run.stopping.aborted) return;
        await this.#leaveFile(from, error);
        continue;
      }
      await this.#closeOne(from);
    }
  }

  /** Files that were begun and cannot be ended: the run was wound down. */
  async leaveOpenFiles(): Promise<void> {
    await this.#ranges.close();
    for (const { file } of this.#openFiles) {
      await file.leave();
      this.result.filesLeft.push(file);
    }
  }

  #insertIdOf: InsertIdOf = (record, source, offset, ordinal, event) => {
    const { letter, isRange } = this.#letters.get(source)!;
    const { insertIdOf } = this.#context.config;
    return (isRange ? insertIdOf : insertIdOfLetter(letter, insertIdOf))(record, source, offset, ordinal, event);
  };

  /**
   * If a letter is about one of several events that a mapping made of the record, only that one is sent: the others were
   * imported, or have letters of their own.
   */
  #mappingOf(letter: Letter): Mapping {
    const { event } = letter.source;
    const mapping = this.#context.mappingOf(contextOf(letter));
    if (mapping.kind === 'verbatim' || event === undefined) return mapping;
    return {
      ...mapping,
      map: (record, context) => Promise.resolve(mapping.map(record, context)).then((made) => pick(made, event)),
    };
  }

  #isToBeSent(letter: Letter, from: OpenFile, number: number): boolean {
    const { mappingOf, isRaw, onProblem } = this.#context;
    const place = `${from.file.name}:${number}`;
    if (letter.isTruncated) {
      this.result.truncated++;
      onProblem(place, 'only the beginning of the record is there, and cannot be sent. Import it from where it came');
      return false;
    }
    // Looked at before; but a file that could not be read then may be readable now.
    if (!isRaw && !isProvided(letter, mappingOf)) {
      this.#leaveLine(place, `its record passed a ${letter.through.join(' and a ')}, and there is none now`);
      return false;
    }
    if (this.#isRepeated(letter)) {
      this.result.repeated++;
      from.isChanged = true;
      return false;
    }
    this.#seen.add(keyOf(letter));
    return true;
  }

  #isRepeated(letter: Letter): boolean {
    return this.#seen.has(keyOf(letter));
  }

  #leaveLine(place: string, problem: string): void {
    this.result.unreadable++;
    this.#context.onProblem(place, `${problem}. Left unchanged`);
  }

  /** The block of a letter; undefined if its records are to be read as a range. */
  #open(letter: Letter, from: OpenFile, bytes: number): Block | undefined {
    const source: Source = {
      context: contextOf(letter),
      mapping: mappingOfRow(letter, this.#mappingOf(letter)),
      locate: (offset, ordinal) => locationIn(letter, offset, ordinal),
    };
    this.#letters.set(source, { letter, from, bytes, open: 1, isRange: false });
    const block = letterBlock(letter, source, this.#insertIdOf);
    if (block === undefined) {
      this.#letters.delete(source);
      return undefined;
    }
    this.#unsettledBytes += bytes;
    from.open++;
    return block;
  }

  async *#openRange(open: OpenLetter, raw: Buffer, number: number): AsyncGenerator<Block[]> {
    const { letter, from, bytes } = open;
    const source: Source = {
      context: contextOf(letter),
      mapping: this.#mappingOf(letter),
      limit: this.#limit,
      stored: 'messageId' in letter.source ? letter.record : undefined,
      locate: (offset, ordinal) => locationInRange(letter, offset, ordinal),
    };
    this.#letters.set(source, open);
    this.#unsettledBytes += bytes;
    from.open++;
    try {
      for await (const block of this.#ranges.read(letter, source)) {
        open.open++;
        this.#unsettledBytes += block.weight;
        yield [block];
      }
    } catch (error) {
      if (!(error instanceof RangeLostError)) throw error;
      this.#leaveLine(`${from.file.name}:${number}`, error.message);
      await this.#keepLine(raw, from);
    }
    await this.#closeLetter(source);
  }

  #settle(block: Block): Promise<void> | undefined {
    const open = this.#letters.get(block.source)!;
    const { letter, from, isRange } = open;
    const { result } = this;
    addCounts(result.counts, block.counts);
    from.isChanged = true;
    if (isRange) this.#unsettledBytes -= block.weight;
    if (block.rejections.length === 0) return this.#closeLetter(block.source);
    return this.#keep(isRange ? this.#sumUp(block, open) : this.#rejectedAgain(letter, block), open).then(() =>
      this.#closeLetter(block.source),
    );
  }

  /** Adds the block's rejections for which one letter stands to those of the other blocks; returns the others. */
  #sumUp({ rejections }: Block, open: OpenLetter): Rejection[] {
    const single: Rejection[] = [];
    for (const rejection of rejections) {
      const isMerged = open.summed !== undefined && mergeRejections(open.summed, rejection);
      if (isMerged) this.#limit.release([rejection]);
      else if (rejection.range !== undefined && open.summed === undefined) open.summed = rejection;
      else single.push(rejection);
    }
    return single;
  }

  /** A block of the letter is settled, or all of them are read. */
  #closeLetter(source: Source): Promise<void> | undefined {
    const open = this.#letters.get(source)!;
    const { from, bytes, summed } = open;
    if (--open.open > 0) return undefined;
    this.#letters.delete(source);
    if (summed === undefined && from.open > 1) {
      from.open--;
      this.#settled(bytes);
      return undefined;
    }
    return this.#keep(summed === undefined ? [] : [summed], open).then(() => {
      this.#settled(bytes);
      return this.#closeOne(from);
    });
  }

  /** Writes down what was rejected again. */
  async #keep(again: readonly Rejection[], { letter, from, isRange }: OpenLetter): Promise<void> {
    const now = new Date();
    const through = letter.through.length > 0 ? letter.through : undefined;
    for (const rejection of again) {
      const { reason, location, range } = rejection;
      const rejectedAt = now.toISOString();
      this.result.rejected.add({
        ...letter,
        reason,
        source: location,
        rejectedAt,
        range,
        rejected: countOf(rejection),
      });
    }
    if (again.length > 0 && this.#openFiles.has(from)) {
      const lines = again.map((it) => formatDeadLetter({ ...it, through: it.through ?? through }, now));
      await from.file.keep(lines.join(''));
    }
    if (isRange) this.#limit.release(again);
  }

  /** The letter once for each event that was rejected; with its record as it is in the letter, however long it is. */
  #rejectedAgain(letter: Letter, block: Block): Rejection[] {
    const whole = { record: letter.record, bytes: letter.record.length };
    const again = block.rejections.map((rejection) => ({ ...rejection, ...whole }));
    if (lengthOf(block.records) < 2) return again;
    // Of several records in one letter, any that is rejected keeps all of it, under the letter's own id.
    return again.slice(0, 1).map((rejection) => ({ ...rejection, location: letter.source, insertId: letter.insertId }));
  }

  #settled(bytes: number): void {
    this.#unsettledBytes -= bytes;
    this.#context.meter.settled(bytes);
  }

  /** Keeps a line as it is. */
  async #keepLine(raw: Buffer, from: OpenFile): Promise<void> {
    from.lines.push(raw, NEWLINE);
    from.lineBytes += raw.length + NEWLINE.length;
    if (from.lineBytes >= WRITE_BYTES) await this.#flush(from);
  }

  async #flush(from: OpenFile): Promise<void> {
    const lines = Buffer.concat(from.lines);
    from.lines = [];
    from.lineBytes = 0;
    if (lines.length > 0) await from.file.keep(lines);
  }

  /** A letter of the file has its outcome, or the file is read to its end. */
  async #closeOne(from: OpenFile): Promise<void> {
    if (--from.open > 0 || !this.#openFiles.has(from)) return;
    this.#openFiles.delete(from);
    try {
      await this.#flush(from);
      if (from.isChanged) await from.file.replace();
      else await from.file.leave();
      this.result.filesDone++;
    } catch (error) {
      await this.#leaveFile(from, error);
    }
  }

  async #leaveFile(from: OpenFile, error: unknown): Promise<void> {
    this.#openFiles.delete(from);
    this.result.filesLeft.push(from.file);
    this.#context.onProblem(from.file.name, error instanceof Error ? error.message : String(error));
    await from.file.leave();
  }
}

/** What a letter is told apart by. */
function keyOf(letter: Letter): string {
  return hash('sha256', Buffer.concat([Buffer.from(letterKey(letter)), letter.record]), 'base64');
}

/** The event with that index, if a transform made several. */
function pick(result: MapResult, index: number): MapResult {
  return Array.isArray(result) && result.length > 1 ? result[index] : result;
}
