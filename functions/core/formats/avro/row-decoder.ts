/** Decodes the rows of Avro blocks, and gathers them into blocks of the pipeline. */

import type { Block, Position, RowRecords } from '../../block.ts';
import type { ParseContext } from '../format.ts';
import { rowBlock } from '../rows.ts';
import { MAX_DECODED_BYTES } from './codec.ts';
import type { Container } from './container.ts';
import { AvroError, Cursor } from './cursor.ts';
import { noteEmpty } from './schema.ts';

/** Bytes of rows that are values at the same time, as which they take about ten times as much. */
const MAX_SLICE_BYTES = 1_048_576;
const MAX_SLICE_ROWS = 10_000;

/** An Avro block: all that it takes to decode its rows again. */
export interface Group {
  offset: number;
  /** Checksum of everything before it. */
  checksum: number;
  /** Of its first row. */
  line: number;
  /** Its data as they are stored. */
  stored: Buffer;
  /** Where its rows begin in the decompressed data. */
  starts: Uint32Array;
}

/** Makes blocks of the rows of one file. */
export class RowDecoder {
  readonly #context: ParseContext;
  readonly #container: Container;
  /** Whether a row is what its values are now: nothing changes them, and none is rendered otherwise. */
  readonly #canRenderValues: boolean;
  /** Where the block under construction begins. */
  #start: number;
  /** Of the first row in it. */
  #line: number;
  #end: Position;
  #values: unknown[] = [];
  #groups: Group[] = [];
  #rows: number[] = [];
  #bytes = 0;
  /** The group that was decompressed last, and its rows if they are few. */
  #last: { group: Group; bytes: Buffer; values?: unknown[] } | undefined;

  /** @param from where the first block begins */
  constructor(context: ParseContext, container: Container, from: Position) {
    this.#context = context;
    this.#container = container;
    const { mapping } = context.source;
    const isChanged = mapping.kind === 'mapped' && mapping.through.includes('transform');
    this.#canRenderValues =
      !isChanged && container.original === undefined && !container.header.schema.includes('decimal');
    this.#start = from.offset;
    this.#line = from.line;
    this.#end = from;
  }

  /** The next block begins there. */
  begin(from: Position): void {
    this.#start = from.offset;
    this.#end = from;
  }

  /** Whether anything before `offset` is in no block. */
  isBehind(offset: number): boolean {
    return this.#start < offset;
  }

  /** A block without rows. */
  emptyBlock(end: Position): Block {
    this.#end = end;
    return this.#finish();
  }

  /** Finds the rows of a group; returns what is wrong if it does not hold so many, and nothing else. */
  check(group: Group, rows: number): string | undefined {
    try {
      const bytes = this.#decompress(group);
      if (rows > bytes.length + MAX_DECODED_BYTES / 64) throw new AvroError('it cannot have so many rows');
      group.starts = new Uint32Array(rows);
      const cursor = new Cursor(bytes);
      const values: unknown[] | undefined = bytes.length < MAX_SLICE_BYTES ? [] : undefined;
      for (let row = 0; row < rows; row++) {
        group.starts[row] = cursor.at;
        const value = this.#container.read(cursor);
        if (cursor.at === group.starts[row]) noteEmpty(cursor);
        values?.push(value);
      }
      if (values !== undefined) this.#last!.values = values;
      return cursor.at === bytes.length ? undefined : 'bytes follow its last row';
    } catch (error) {
      this.#last = undefined;
      return error instanceof Error ? error.message : String(error);
    }
  }

  /**
   * Decodes the rows of a group that was checked.
   *
   * @param from index of the first row that is needed
   * @param end  the position after the group
   */
  *decode(group: Group, from: number, end: Position): Iterable<Block> {
    const { starts } = group;
    const bytes = this.#decompress(group);
    const values = this.#last?.values;
    const cursor = new Cursor(bytes);
    for (let row = from; row < starts.length; row++) {
      cursor.at = starts[row]!;
      if (this.#rows.length === 0) this.#line = group.line + row - from;
      this.#values.push(values === undefined ? this.#container.read(cursor) : values[row]);
      this.#groups.push(group);
      this.#rows.push(row);
      this.#bytes += (starts[row + 1] ?? bytes.length) - starts[row]!;
      if (this.#bytes < MAX_SLICE_BYTES && this.#rows.length < MAX_SLICE_ROWS) continue;
      if (row + 1 === starts.length) break;
      this.#end = this.#within(group, row + 1, group.line + row + 1 - from);
      yield this.#finish();
    }
    this.#end = end;
    if (values !== undefined) delete this.#last?.values;
    if (this.#bytes >= MAX_SLICE_BYTES || this.#rows.length >= MAX_SLICE_ROWS) yield this.#finish();
  }

  /** Ends the block under construction. */
  *flush(): Iterable<Block> {
    if (this.#rows.length > 0) yield this.#finish();
  }

  #finish(): Block {
    const rows = this.#values;
    const groups = this.#groups;
    const numbers = Float64Array.from(this.#rows);
    const end = this.#end;
    const line = this.#line;
    // A message counts its records from its beginning.
    const ordinals =
      this.#context.ordinal === 'line' ? numbers : Float64Array.from(this.#rows, (_row, index) => line - 1 + index);
    const records: RowRecords = {
      form: 'rows',
      rows,
      first: 0,
      offsets: Float64Array.from(groups, ({ offset }) => offset),
      ordinals,
      original: (index) => this.#render(groups[index]!, numbers[index]!, rows[index]),
      release: () => {
        rows.length = 0;
      },
    };
    const positionAt = (record: number) =>
      record === numbers.length ? end : this.#within(groups[record]!, numbers[record]!, line + record);
    const block = rowBlock(this.#context.source, this.#start, end, records, positionAt);
    this.#start = end.offset;
    this.#values = [];
    this.#groups = [];
    this.#rows = [];
    this.#bytes = 0;
    return block;
  }

  /** The position before a row of a group. */
  #within({ offset, checksum }: Group, row: number, line: number): Position {
    const { header } = this.#container;
    return { offset, line, checksum, state: row === 0 ? header : { ...header, row } };
  }

  #render(group: Group, row: number, value: unknown): Buffer {
    if (value !== undefined && this.#canRenderValues) return Buffer.from(JSON.stringify(value));
    const bytes = this.#decompress(group);
    const cursor = new Cursor(bytes, group.starts[row], bytes.length, true);
    const { original, read } = this.#container;
    return original?.(cursor) ?? Buffer.from(JSON.stringify(read(cursor)));
  }

  #decompress(group: Group): Buffer {
    if (this.#last?.group !== group) this.#last = { group, bytes: this.#container.decompress(group.stored) };
    return this.#last.bytes;
  }
}
