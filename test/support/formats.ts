/** What the tests of formats share: files as others wrote them, and records as they are read of them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type Block, isBalanced, noCounts, type Position, type Rejection } from '../../functions/core/block.ts';
import type { MixpanelEvent } from '../../functions/core/event.ts';
import { locationOf, originalAt } from '../../functions/core/events.ts';
import type { TextFormat } from '../../functions/core/formats/csv/dialect.ts';
import type { ParseContext } from '../../functions/core/formats/format.ts';
import { type ReadOptions, readBlocks } from '../../functions/core/formats/read-blocks.ts';
import type { Mapping } from '../../functions/core/mappings/mapping.ts';
import { contextOf } from './parsing.ts';
import { chunksOf, pieces } from './pipeline.ts';

/** A file of `test/formats`, which `make-formats.py` makes. */
export function fixture(name: string): Buffer {
  return readFileSync(new URL(`../formats/${name}`, import.meta.url));
}

/** The lines of a file of `test/formats`. */
export function linesOf(name: string): string[] {
  return fixture(name).toString().trimEnd().split('\n');
}

/** A row as it is read. */
export interface ReadRow {
  /** As a mapping is handed it, serialized. */
  value: string;
  /** As dead letters hold it. */
  original: string;
  offset: number;
  ordinal: number;
}

export interface ReadRows {
  rows: ReadRow[];
  rejections: Rejection[];
  /** Where each block ends. */
  ends: Position[];
  format: string | undefined;
}

/** Reads content in pieces of `size`, and checks what holds for all blocks. */
export async function readRows(
  content: Buffer,
  {
    size = 65_536,
    text,
    context = contextOf(),
    ...options
  }: Partial<ReadOptions> & { size?: number; text?: TextFormat } = {},
): Promise<ReadRows> {
  const read: ReadRows = { rows: [], rejections: [], ends: [], format: undefined };
  const blocks = readBlocks(chunksOf(pieces(content, size)), {
    context: text === undefined ? context : withText(context, text),
    onFormat: (format) => {
      read.format = format;
    },
    ...options,
  });
  for await (const some of blocks) for (const block of some) addBlock(block, read);
  const last = read.ends.at(-1);
  const isCompressed = content[0] === 0x1f;
  if (last !== undefined && options.resumption === undefined && !isCompressed) {
    assert.equal(last.offset, content.length, 'the last block ends with the content');
    if (read.format !== 'parquet')
      assert.equal(last.checksum, crc32(content), 'the checksum is that of all of the content');
  }
  return read;
}

/** The same context, with a mapping that says how text is read. */
export function withText(context: ParseContext, format: TextFormat): ParseContext {
  const mapping: Mapping = { kind: 'mapped', through: [], format, map: (row) => row as MixpanelEvent };
  return { ...context, source: { ...context.source, mapping } };
}

function addBlock(block: Block, { rows, rejections, ends }: ReadRows): void {
  const { records, counts } = block;
  assert.ok(records.form === 'rows');
  const { length } = records.ordinals;
  assert.deepEqual(counts, {
    ...noCounts(),
    read: length + block.rejections.length,
    rejected: block.rejections.length,
  });
  const values = records.rows.slice(records.first, records.first + length).map((row) => JSON.stringify(row));
  records.release?.();
  for (let index = 0; index < length; index++) {
    const original = originalAt(records, index).toString();
    rows.push({ value: values[index]!, original, offset: records.offsets[index]!, ordinal: records.ordinals[index]! });
    assert.deepEqual(locationOf(block, index), block.source.locate(records.offsets[index]!, records.ordinals[index]!));
  }
  rejections.push(...block.rejections);
  assert.ok(ends.length === 0 || block.end.offset >= ends.at(-1)!.offset);
  ends.push(block.end);
  counts.imported = length;
  assert.ok(isBalanced(counts));
}
