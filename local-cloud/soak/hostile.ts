/** Hostile inputs: each must become a dead letter that bears its mark, and must harm nothing beside it. */

import { gzipSync } from 'node:zlib';

/** Mixpanel always refuses a request with such an event, as too large or as a whole: see `faults.ts`. */
export const ALWAYS_413 = '"always":413';
export const ALWAYS_400 = '"always":400';

/** Finds marks. */
export const MARK = /hostile-\d+/g;

/** What may be in a message. */
export interface HostileMessage {
  data: Buffer | string;
  attributes: Record<string, string>;
}

/** A whole object. */
export interface HostileObject {
  content: Buffer;
  /** Whether it has a dead letter; otherwise all that it holds is the good event. */
  isRejected: boolean;
}

type Kinds<Made> = readonly ((mark: string, event: () => string) => Made)[];

const EMPTY_MEMBER = gzipSync('');
const NEWLINES = gzipSync(Buffer.alloc(10_000_000, '\n'));
const ZEROS = gzipSync(Buffer.alloc(30_000_000));
/** 30 kB. Every record in it is rejected. */
const FLOOD = gzipSync('{}\n'.repeat(30_000));

/** An event, with further properties in JSON. */
function eventWith(mark: string, more: string): string {
  return `{"event":"Soak","properties":{"hostile":"${mark}","$insert_id":"${mark}","distinct_id":"u","time":1767225600,${more}}}`;
}

const RECORDS: Kinds<string | Buffer> = [
  (mark) => `{"event":"Soak","properties":{"hostile":"${mark}"`,
  (mark) => `{"event":"Soak","properties":{"hostile":"${mark}`,
  (mark) => `["${mark}"]`,
  (mark) => `{"event":"Soak","hostile":"${mark}","properties":${'['.repeat(100_000)}`,
  (mark) => eventWith(mark, `"deep":${'{"a":'.repeat(3_000)}0${'}'.repeat(3_000)}`),
  (mark) => eventWith(mark, `"text":"${'x'.repeat(2_000_000)}"`),
  (mark) => eventWith(mark, ALWAYS_413),
  (mark) => eventWith(mark, ALWAYS_400),
  (mark) => eventWith(mark, '"time":"never"'),
  (mark) => Buffer.from(eventWith(mark, '"text":"\xff"'), 'latin1'),
];

const MESSAGES: Kinds<Buffer | string> = [
  () => Buffer.from(Uint8Array.from({ length: 100_000 }, (_, index) => (index * index + 0x80) & 0xff)),
  () => FLOOD,
  () => '['.repeat(1_000_000),
  () => NEWLINES.subarray(0, 1_000),
  () => ZEROS,
  () => '',
  ...RECORDS.map((make) => (mark: string, event: () => string) => make(mark, event)),
];

const OBJECTS: Kinds<HostileObject> = [
  (_, event) => ({ content: Buffer.concat([NEWLINES, gzipSync(event())]), isRejected: false }),
  (_, event) => ({
    content: Buffer.concat([...Array<Buffer>(1_000).fill(EMPTY_MEMBER), gzipSync(event())]),
    isRejected: false,
  }),
  () => ({ content: FLOOD, isRejected: true }),
  () => ({ content: Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ZEROS]), isRejected: true }),
  (_, event) => ({ content: Buffer.from(`${'x'.repeat(16_000_000)}\n${event()}\n`), isRejected: true }),
  () => ({ content: Buffer.alloc(4_000_000, '['), isRejected: true }),
];

/** Makes hostile inputs, of all kinds in turn. */
export function createHostile() {
  /** Marks that must be in dead letters. */
  const marks = new Set<string>();
  let made = 0;

  function inTurn<Made>(kinds: Kinds<Made>): (event: () => string) => [Made, string] {
    let next = 0;
    return (event) => {
      const mark = `hostile-${made++}`;
      return [kinds[next++ % kinds.length]!(mark, event), mark];
    };
  }

  const [nextRecord, nextMessage, nextObject] = [inTurn(RECORDS), inTurn(MESSAGES), inTurn(OBJECTS)];
  const noEvent = () => '';
  return {
    marks,
    get made() {
      return made;
    },
    /** A line of an object. */
    record(): string | Buffer {
      const [record, mark] = nextRecord(noEvent);
      marks.add(mark);
      return record;
    },
    message(): HostileMessage {
      const [data, mark] = nextMessage(noEvent);
      marks.add(mark);
      return { data, attributes: { hostile: mark } };
    },
    /**
     * @param event makes a good event, for an object that holds one
     * @returns the object, and the mark for its name
     */
    object(event: () => string): HostileObject & { mark: string } {
      const [object, mark] = nextObject(event);
      if (object.isRejected) marks.add(mark);
      return { ...object, mark };
    },
  };
}
