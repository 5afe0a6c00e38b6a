/** Makes the files that are imported: events from a seeded generator, the same ones each time, each as long as the others. */

import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type EventKind, eventLines, LINE_BYTES } from './events.ts';
import { WORK } from './paths.ts';
import { type RecordKind, recordLines } from './records.ts';

/** What a file of events is like. */
export interface InputOptions {
  kind: EventKind;
  /** Whether the events have their `$insert_id`. */
  hasIds: boolean;
  isGzip: boolean;
  /** Size of the events, before any compression. */
  bytes: number;
}

/** A file of events, or of records of another tool. */
export interface Input {
  path: string;
  /** Name of the file. */
  name: string;
  events: number;
  /** Bytes of each event, line end included; undefined if they differ. */
  lineBytes?: number;
  /** The same with the `$insert_id` that we give it where it has none. */
  sentLineBytes?: number;
}

/** To be changed together with what the generator makes. */
const VERSION = 2;
/** What `"$insert_id":"…",` adds to an event that had none. */
const INSERT_ID_BYTES = 40;

/** Finds the file, or makes it. */
export async function makeInput(options: InputOptions): Promise<Input> {
  const { kind, hasIds, isGzip, bytes } = options;
  const lineBytes = LINE_BYTES[kind];
  const events = Math.floor(bytes / lineBytes);
  const name = `v${VERSION}-${kind}-${hasIds ? 'ids' : 'no-ids'}-${events}.ndjson${isGzip ? '.gz' : ''}`;
  const path = `${WORK}inputs/${name}`;
  const input = {
    path,
    name,
    events,
    lineBytes,
    sentLineBytes: lineBytes + (hasIds ? 0 : INSERT_ID_BYTES),
  };
  if (existsSync(path)) return input;
  process.stderr.write(`Making ${name} …\n`);
  await mkdir(`${WORK}inputs`, { recursive: true });
  const target = createWriteStream(`${path}.partial`);
  if (isGzip) {
    const plain = await makeInput({ ...options, isGzip: false });
    await pipeline(createReadStream(plain.path), createGzip({ level: 6 }), target);
  } else {
    await pipeline(Readable.from(eventLines(kind, hasIds, events)), target);
  }
  await rename(`${path}.partial`, path);
  return input;
}

/** Finds a file of records, each of which becomes one event, or makes it. */
export async function makeRecords(kind: RecordKind, bytes: number): Promise<Input> {
  const name = `v${VERSION}-${kind}-${bytes}.${kind === 'snowplow' ? 'tsv' : 'ndjson'}`;
  const path = `${WORK}inputs/${name}`;
  let events = 0;
  for (const { records } of recordLines(kind, bytes)) events += records;
  const input = { path, name, events };
  if (existsSync(path)) return input;
  process.stderr.write(`Making ${name} …\n`);
  await mkdir(`${WORK}inputs`, { recursive: true });
  const texts = recordLines(kind, bytes).map(({ text }) => text);
  await pipeline(Readable.from(texts), createWriteStream(`${path}.partial`));
  await rename(`${path}.partial`, path);
  return input;
}
