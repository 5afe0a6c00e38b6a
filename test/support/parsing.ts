/** What the tests of the parsing half share: texts to parse, and records and rejections in a form that compares. */

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import {
  type Block,
  lengthOf,
  offsetOf,
  type Position,
  type Rejection,
  type Source,
} from '../../functions/core/block.ts';
import type { ParseContext, StreamFormat } from '../../functions/core/formats/format.ts';
import { JsonParser } from '../../functions/core/formats/json/parser.ts';
import type { MessageReader } from '../../functions/core/formats/read-message.ts';
import { insertIdByContent } from '../../functions/core/insert-id.ts';
import { mappingOf, VERBATIM } from '../../functions/core/mappings/mapping.ts';

export const objectSource: Source = {
  context: { kind: 'object', bucket: 'b', object: 'o', metadata: {} },
  mapping: VERBATIM,
  locate: (offset, line) => ({ bucket: 'b', object: 'o', generation: '1', line, offset }),
};

export const messageSource: Source = {
  context: { kind: 'message', subscription: 's', attributes: {} },
  mapping: VERBATIM,
  locate: (_offset, index) => ({ subscription: 's', messageId: 'm', publishTime: 't', index }),
};

/** The same source with a mapping that leaves records as they are, but has them parsed. */
export const mappedSource: Source = { ...objectSource, mapping: mappingOf((record) => record) };

/** A valid record as a block has it, with its place in the content. */
export interface ParsedRecord {
  ordinal: number;
  offset: number;
  text: string;
  flags: number;
  splice: number;
}

export interface Parsed {
  records: ParsedRecord[];
  rejections: Rejection[];
}

/** What the blocks hold, in one list each. */
export function contentsOf(blocks: Block[]): Parsed {
  return { records: blocks.flatMap(recordsOf), rejections: blocks.flatMap(({ rejections }) => rejections) };
}

/** The columns of a block. */
export function columnsOf({ records }: Block) {
  assert.ok(records.form === 'json');
  return records;
}

function recordsOf(block: Block): ParsedRecord[] {
  if (lengthOf(block.records) === 0) return [];
  const { bytes, offset, starts, ends, ordinals, flags, splices } = columnsOf(block);
  return Array.from(starts, (start, index) => ({
    ordinal: ordinals[index]!,
    offset: offset + start,
    text: bytes.toString('latin1', start, ends[index]!),
    flags: flags[index]!,
    splice: splices[index]!,
  }));
}

export interface ParseOptions {
  /** Where the content is cut into chunks; default: one chunk. */
  cuts?: number[];
  blockBytes?: number;
  from?: Position;
  isMapped?: boolean;
  /** Makes the parser; default: that of JSON. */
  parserOf?: StreamFormat['parser'];
  /** If given, the content breaks off with this message instead of ending. */
  breakOff?: string | undefined;
  /** If given, told of each block while its bytes are there. */
  onBlock?: (block: Block) => void;
}

/** A context as importObject has it. */
export function contextOf(options: Partial<ParseContext> = {}): ParseContext {
  return { source: objectSource, insertIdOf: insertIdByContent, ordinal: 'line', checksumOf: crc32, ...options };
}

/** Parses `content` from `from` on, and checks what holds for all blocks of all contents. */
export function parse(
  content: Buffer,
  { cuts = [], blockBytes, from, isMapped = false, parserOf, breakOff, onBlock }: ParseOptions = {},
) {
  const context = contextOf({
    source: isMapped ? mappedSource : objectSource,
    ...(blockBytes === undefined ? {} : { blockBytes }),
  });
  const json = new JsonParser(context, from);
  const parser = parserOf?.(context, from) ?? json;
  const blocks: Block[] = [];
  const add = (some: Block[]) => {
    if (onBlock !== undefined) some.forEach(onBlock);
    blocks.push(...some.map(kept));
  };
  let at = from?.offset ?? 0;
  for (const cut of [...cuts, content.length]) {
    if (cut < at) continue;
    add([...parser.push(Buffer.from(content.subarray(at, cut)))]);
    at = cut;
  }
  add([...(breakOff === undefined ? parser.end() : parser.breakOff(breakOff))]);
  assertTiling(blocks, from?.offset ?? 0, content);
  return { blocks, bytesScanned: json.bytesScanned, ...contentsOf(blocks) };
}

/** The blocks of a message that is small enough to be decompressed at once. */
export function messageBlocks(reader: MessageReader, stored: Buffer, source = messageSource): Block[] {
  const blocks = reader.read(stored, source);
  assert.ok(Symbol.iterator in blocks);
  return Array.from(blocks, (block) => (lengthOf(block.records) === 0 ? block : kept(block)));
}

/** The block with bytes of its own, which do not change when the parser continues. */
export function kept(block: Block): Block {
  const columns = columnsOf(block);
  columns.bytes = Buffer.from(columns.bytes);
  return block;
}

function assertTiling(blocks: Block[], from: number, content: Buffer): void {
  let at = from;
  let line = linesIn(content.subarray(0, from));
  for (const block of blocks) {
    const { weight, end, records, rejections, counts } = block;
    const { offset, starts, ends } = columnsOf(block);
    assert.equal(end.offset - weight, at, 'a block begins where the last one ended');
    assert.ok(weight > 0 || rejections.length > 0, 'a block covers something');
    const places = [...starts.map((start) => offset + start), ...rejections.map(({ location }) => offsetOf(location))];
    for (const place of places) assert.ok(at <= place && place <= end.offset, 'a block covers its records');
    for (const recordEnd of ends) assert.ok(offset + recordEnd <= end.offset, 'a block covers its records');
    assert.deepEqual(counts, {
      read: lengthOf(records) + rejections.length,
      expanded: 0,
      imported: 0,
      rejected: rejections.length,
      dropped: 0,
    });
    line += linesIn(content.subarray(at, end.offset));
    assert.equal(end.line, line + 1, 'a block ends on its last line');
    assert.equal(end.checksum, crc32(content.subarray(0, end.offset)), 'the checksum is that of all before the end');
    at = end.offset;
  }
  assert.equal(at, content.length, 'the last block ends with the content');
}

/** The same with a digest in the place of what is long, for which a failed comparison would take minutes to show. */
export function comparable({ records, rejections }: Parsed) {
  return {
    records: records.map((record) => ({ ...record, text: digestOf(Buffer.from(record.text, 'latin1')) })),
    rejections: rejections.map((rejection) => ({ ...rejection, record: digestOf(rejection.record) })),
  };
}

function digestOf(bytes: Buffer): string {
  return bytes.length <= 1_000 ? bytes.toString('latin1') : `${bytes.length} bytes, ${hash('sha256', bytes)}`;
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf('\n'); at !== -1; at = bytes.indexOf('\n', at + 1)) lines++;
  return lines;
}

/**
 * Checks that a parser that resumes at the end of any block, or at any record, finds exactly what follows. Except for the
 * last block of content that breaks off: that finds the same break itself.
 */
export function assertResumable(content: Buffer, options: ParseOptions): void {
  const inside: Position[] = [];
  const { blocks, records, rejections } = parse(content, {
    ...options,
    onBlock: (block) => {
      for (let record = 1; record <= lengthOf(block.records); record++) {
        inside.push(block.positionAt!(record));
      }
    },
  });
  const resumedAt = (position: Position) => {
    assert.equal(
      position.checksum,
      crc32(content.subarray(0, position.offset)),
      'the checksum of all before a position',
    );
    assert.equal(position.line, linesIn(content.subarray(0, position.offset)) + 1, 'the line of a position');
    return comparable(parse(content, { ...options, from: JSON.parse(JSON.stringify(position)) }));
  };
  for (const [index, { end }] of blocks.entries()) {
    if (index === blocks.length - 1) continue;
    const rest = comparable(contentsOf(blocks.slice(index + 1)));
    assert.deepEqual(resumedAt(end), rest, `resumed at ${end.offset}`);
  }
  for (const position of inside) {
    const rest = comparable({
      records: records.filter(({ offset }) => offset >= position.offset),
      rejections: rejections.filter(({ location }) => offsetOf(location) >= position.offset),
    });
    assert.deepEqual(resumedAt(position), rest, `resumed at ${position.offset}`);
  }
}

const whiteSpace = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
const number = fc.oneof(
  { weight: 8, arbitrary: fc.stringMatching(/^-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][+-]?\d{1,3})?$/) },
  { weight: 1, arbitrary: fc.stringMatching(/^[1-9]\d{399}$/) },
);
const character = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }).map((text) => JSON.stringify(text).slice(1, -1)),
  fc.stringMatching(/^\\u[0-9a-fA-F]{4}$/),
  fc.constantFrom('\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t', '{', '}', '[', ']', ',', ':', '\u2028', ' '),
);
const string = fc.array(character, { maxLength: 6 }).map((characters) => `"${characters.join('')}"`);
const scalar = fc.oneof(number, string, fc.constantFrom('true', 'false', 'null', '""'));

/** The text of any JSON value, with the white space, the escapes and the numbers that RFC 8259 allows. */
export const jsonText: fc.Arbitrary<string> = fc
  .letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      padded(scalar),
      padded(fc.array(tie('value'), { maxLength: 4 }).map((values) => `[${values.join(',') || ' '}]`)),
      padded(fc.array(member(string, tie('value')), { maxLength: 4 }).map(objectText)),
    ),
  }))
  .value.filter((text) => text.length < 4_000);

const value = fc.oneof(jsonText, fc.constantFrom('null', '""', '{}', '{ }', ' \n{ "a" : 1 }'));
const insertIdKey = fc.constantFrom('"$insert_id"', '"\\u0024insert_id"', '"$insert_\\u0069\\u0064"', '"insert_id"');
const properties = fc
  .array(fc.oneof(member(string, value), member(insertIdKey, value)), { maxLength: 4 })
  .map(objectText);
const eventKey = fc.constantFrom('"event"', '"\\u0065vent"', '"\\u0065\\u0076ent"', '"events"', '"\\nevent"');
const propertiesKey = fc.constantFrom('"properties"', '"propertie\\u0073"', '"\\u0070roperties"', '"$insert_id"');

/** The text of an object that has much of an event, often more than once. */
export const anyEventText: fc.Arbitrary<string> = padded(
  fc
    .array(
      fc.oneof(
        member(eventKey, value),
        member(propertiesKey, fc.oneof({ weight: 3, arbitrary: padded(properties) }, { weight: 1, arbitrary: value })),
        member(string, value),
      ),
      { maxLength: 5 },
    )
    .map(objectText),
);

function padded(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(whiteSpace, text, whiteSpace).map((parts) => parts.join(''));
}

/**
 * A key does not begin with a backslash: V8 takes a later key that is written with an escape for one of those, if both are
 * at the same place in objects of one shape.
 */
function member(key: fc.Arbitrary<string>, of: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(padded(key.filter((text) => !/^"(\\\\|\\u005c)/i.test(text))), of).map((parts) => parts.join(':'));
}

function objectText(members: string[]): string {
  return `{${members.join(',') || ' '}}`;
}

/** Small changes to bytes: at a place, so many bytes are replaced by others. */
export const edits = fc.array(
  fc.record({
    at: fc.nat(400),
    remove: fc.nat(2),
    insert: fc.constantFrom(
      '',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '-',
      '0',
      'e',
      '.',
      't',
      '\n',
      '\r',
      ' ',
      '\0',
    ),
  }),
  { minLength: 1, maxLength: 3 },
);

export function edit(bytes: Buffer, changes: { at: number; remove: number; insert: string }[]): Buffer {
  return changes.reduce((before, { at, remove, insert }) => {
    const index = at % (before.length + 1);
    return Buffer.concat([before.subarray(0, index), Buffer.from(insert), before.subarray(index + remove)]);
  }, bytes);
}
