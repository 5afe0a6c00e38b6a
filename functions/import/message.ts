/** Turns the data of one message into a block: one event or an array where it parses as a whole, else lines. */

import { isUtf8 } from 'node:buffer';
import type { Block } from './block.ts';
import { BlockBuilder, type BlockContext } from './block-builder.ts';
import { scan } from './scan.ts';
import { ArraySplitter } from './split-array.ts';
import { LineSplitter } from './split-lines.ts';

const OPEN_ARRAY = 0x5b;

/**
 * @param data the message's data, decompressed
 * @returns the message as a block, without a record where the data are empty or `[]`
 */
export function messageBlock(data: Buffer, context: Omit<BlockContext, 'ordinal'>): Block {
  const from = skipWhiteSpace(data, 0);
  if (data[from] === OPEN_ARRAY) {
    const { builder, splitter } = begin(data, context, new ArraySplitter());
    splitter.split(data, true, builder);
    if (splitter.broken === undefined) return builder.finish(data.length);
  }
  const { builder, splitter } = begin(data, context, new LineSplitter());
  if (from < data.length) {
    const status = scan(data, from, data.length, builder.scan);
    const isObject = builder.scan.isObject && (status === 'value' || status === 'too-deep');
    if (isObject && (status === 'too-deep' || skipWhiteSpace(data, builder.scan.end) === data.length)) {
      builder.add(from, status === 'value' ? builder.scan.end : data.length, status, isUtf8(data));
      return builder.finish(data.length);
    }
  }
  splitter.split(data, true, builder);
  return builder.finish(data.length);
}

function begin<Splitter>(data: Buffer, context: Omit<BlockContext, 'ordinal'>, splitter: Splitter) {
  const builder = new BlockBuilder({ ...context, ordinal: 'index' }, { offset: 0, line: 1 });
  builder.begin(data);
  return { builder, splitter };
}

function skipWhiteSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length) {
    const byte = bytes[at]!;
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    at++;
  }
  return at;
}
