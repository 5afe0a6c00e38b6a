/** Writes Avro container files (https://avro.apache.org/docs/1.12.0/specification/). */

import { deflateRawSync } from 'node:zlib';

export const SYNC = Buffer.from(Array.from({ length: 16 }, (_, index) => 65 + index));

/** An int or a long. */
export function long(value: number | bigint): Buffer {
  const bytes: number[] = [];
  const wide = BigInt(value);
  let rest = BigInt.asUintN(64, wide < 0n ? -2n * wide - 1n : 2n * wide);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

/** A string, or bytes. */
export function text(value: string | Buffer): Buffer {
  return Buffer.concat([long(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** The header of a file with that schema, which need not be JSON. */
export function header(schema: unknown, codec?: string): Buffer {
  const members = [text('avro.schema'), text(typeof schema === 'string' ? schema : JSON.stringify(schema))];
  if (codec !== undefined) members.push(text('avro.codec'), text(codec));
  return Buffer.concat([Buffer.from('Obj\x01', 'latin1'), long(members.length / 2), ...members, long(0), SYNC]);
}

/** A block with data that need not be rows. */
export function block(rows: number | bigint, data: Buffer): Buffer {
  return Buffer.concat([long(rows), long(data.length), data, SYNC]);
}

/** A file of events, compressed, with so many in a block. */
export function avroOf(events: readonly string[], rowsPerBlock: number): Buffer {
  const schema = {
    type: 'record',
    name: 'Event',
    fields: [
      { name: 'event', type: 'string' },
      { name: 'properties', type: { type: 'map', values: ['string', 'long'] } },
    ],
  };
  const blocks: Buffer[] = [];
  for (let first = 0; first < events.length; first += rowsPerBlock) {
    const rows = events.slice(first, first + rowsPerBlock).map((event) => rowOf(JSON.parse(event)));
    blocks.push(block(rows.length, deflateRawSync(Buffer.concat(rows), { level: 1 })));
  }
  return Buffer.concat([header(schema, 'deflate'), ...blocks]);
}

function rowOf({ event, properties }: { event: string; properties: Record<string, unknown> }): Buffer {
  const members = Object.entries(properties).flatMap(([name, value]) => [
    text(name),
    typeof value === 'number' ? Buffer.concat([long(1), long(value)]) : Buffer.concat([long(0), text(String(value))]),
  ]);
  return Buffer.concat([text(event), long(members.length / 2), ...members, long(0)]);
}
