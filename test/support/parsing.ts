/** What the tests of the parsing half share: texts to parse, and records and rejections in a form that compares. */

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { Block, Origin, Rejection } from '../../functions/core/block.ts';
import { type Format, type Position, RecordParser } from '../../functions/core/formats/json/parser.ts';
import { insertIdByContent } from '../../functions/core/insert-id.ts';

export const objectOrigin: Origin = {
  sourceOf: (offset, line) => ({ bucket: 'b', object: 'o', generation: '1', line, offset }),
};

export const messageOrigin: Origin = {
  sourceOf: (_offset, index) => ({ subscription: 's', messageId: 'm', publishTime: 't', index }),
};

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

function recordsOf({ bytes, offset, starts, ends, ordinals, flags, splices }: Block): ParsedRecord[] {
  return Array.from(starts, (start, index) => ({
    ordinal: ordinals[index]!,
    offset: offset + start,
    text: bytes.toString('latin1', start, ends[index]!),
    flags: flags[index]!,
    splice: splices[index]!,
  }));
}

export interface ParseOptions {
  /** Where the content is cut into chunks; one chunk unless given. */
  cuts?: number[];
  blockBytes?: number;
  resumeAt?: Position;
  isTransformed?: boolean;
  /** Where given, the content breaks off with this message instead of ending. */
  breakOff?: string | undefined;
}

/** Parses `content` from `resumeAt` on, and checks what holds for all blocks of all contents. */
export function parse(
  content: Buffer,
  { cuts = [], blockBytes, resumeAt, isTransformed = false, breakOff }: ParseOptions = {},
) {
  const parser = new RecordParser({
    origin: objectOrigin,
    insertIdOf: insertIdByContent,
    ordinal: 'line',
    resumeAt,
    checksumOf: crc32,
    isTransformed,
    ...(blockBytes === undefined ? {} : { blockBytes }),
  });
  const blocks: Block[] = [];
  let at = resumeAt?.offset ?? 0;
  for (const cut of [...cuts, content.length]) {
    if (cut < at) continue;
    blocks.push(...parser.push(Buffer.from(content.subarray(at, cut))).map(kept));
    at = cut;
  }
  blocks.push(...(breakOff === undefined ? parser.end() : parser.breakOff(breakOff)).map(kept));
  assertTiling(blocks, resumeAt?.offset ?? 0, content);
  return { blocks, format: parser.format as Format, ...contentsOf(blocks) };
}

/** The block with bytes of its own, which do not change when the parser goes on. */
export function kept(block: Block): Block {
  block.bytes = Buffer.from(block.bytes);
  return block;
}

function assertTiling(blocks: Block[], from: number, content: Buffer): void {
  let at = from;
  let line = linesIn(content.subarray(0, from));
  for (const { size, end, offset, starts, ends, rejections, counts } of blocks) {
    assert.equal(end.offset - size, at, 'a block begins where the last one ended');
    assert.ok(size > 0 || rejections.length > 0, 'a block covers something');
    const places = [...starts.map((start) => offset + start), ...rejections.map(({ source }) => offsetOf(source))];
    for (const place of places) assert.ok(at <= place && place <= end.offset, 'a block covers its records');
    for (const recordEnd of ends) assert.ok(offset + recordEnd <= end.offset, 'a block covers its records');
    assert.deepEqual(counts, {
      read: starts.length + rejections.length,
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

function offsetOf(source: object): number {
  return 'offset' in source ? Number(source.offset) : -1;
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf('\n'); at !== -1; at = bytes.indexOf('\n', at + 1)) lines++;
  return lines;
}

/**
 * Checks that at the end of every block a new parser finds exactly what comes behind it; but for the last block of content
 * that breaks off, as that says itself that it does.
 */
export function assertResumable(content: Buffer, options: ParseOptions): void {
  const { blocks, format } = parse(content, options);
  for (const [index, { end }] of blocks.entries()) {
    if (options.breakOff !== undefined && index === blocks.length - 1) continue;
    const found = parse(content, { ...options, resumeAt: { format, ...end } });
    assert.deepEqual(comparable(found), comparable(contentsOf(blocks.slice(index + 1))), `resumed at ${end.offset}`);
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
export const eventText: fc.Arbitrary<string> = padded(
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

function member(key: fc.Arbitrary<string>, of: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(padded(key), of).map((parts) => parts.join(':'));
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
