/** Turns the data of one message into a block: one event or an array where it parses as a whole, else lines. */

import { isUtf8 } from 'node:buffer';
import { type Block, START } from '../../block.ts';
import { BlockBuilder, type BlockContext } from './block-builder.ts';
import { scan } from './scanner.ts';
import { ArraySplitter, ElementEnd } from './split-array.ts';
import { LineSplitter } from './split-lines.ts';

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** Lines after which a message without a single JSON object among them is one rejection. */
const MAX_LINES_WITHOUT_OBJECT = 1_000;
const NEWLINE = 0x0a;
const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;

/**
 * @param message the message's data, decompressed
 * @returns the message as a block, without a record where the data are empty or `[]`
 */
export function messageBlock(message: Buffer, context: Omit<BlockContext, 'ordinal'>): Block {
  const data = message.indexOf(BYTE_ORDER_MARK) === 0 ? message.subarray(BYTE_ORDER_MARK.length) : message;
  const from = skipWhiteSpace(data, 0);
  if (data[from] === OPEN_ARRAY) {
    const { builder, splitter } = begin(data, context, new ArraySplitter());
    splitter.split(data, true, builder);
    if (!splitter.isBroken) return builder.finish(data.length);
  }
  const { builder, splitter } = begin(data, context, new LineSplitter());
  if (data[from] === OPEN_OBJECT) {
    const status = scan(data, from, data.length, builder.scan);
    const end = status === 'too-deep' ? from + new ElementEnd().find(data.subarray(from)) : builder.scan.end;
    const isWhole = status === 'value' || (status === 'too-deep' && end > from);
    if (isWhole && skipWhiteSpace(data, end) === data.length) {
      builder.add(from, end, status, isUtf8(data));
      builder.mark(data.length);
      return builder.finish(data.length);
    }
  }
  if (holdsNoObject(data, context)) {
    return undecodableMessage(message, context, `no JSON object among the first ${MAX_LINES_WITHOUT_OBJECT} lines`);
  }
  splitter.split(data, true, builder);
  return builder.finish(data.length);
}

/** Whether there are so many lines, and none of the first is an object: rejecting each would take far more than the message. */
function holdsNoObject(data: Buffer, context: Omit<BlockContext, 'ordinal'>): boolean {
  let end = 0;
  for (let line = 0; line < MAX_LINES_WITHOUT_OBJECT; line++) {
    end = data.indexOf(NEWLINE, end) + 1;
    if (end === 0) return false;
  }
  const { builder, splitter } = begin(data.subarray(0, end), context, new LineSplitter());
  splitter.split(data.subarray(0, end), true, builder);
  return builder.recordsBeforeObject === undefined;
}

/** A message that cannot be decoded, as a block with one rejection. */
export function undecodableMessage(data: Buffer, context: Omit<BlockContext, 'ordinal'>, message: string): Block {
  const { builder } = begin(data, context, undefined);
  builder.reject(0, data.length, 'record', message);
  return builder.finish(data.length);
}

function begin<Splitter>(data: Buffer, context: Omit<BlockContext, 'ordinal'>, splitter: Splitter) {
  const builder = new BlockBuilder({ ...context, ordinal: 'index' }, START);
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
