/** Makes files and messages, in every format, hostile inputs among them, and keeps count of what must arrive. */

import { gzipSync } from 'node:zlib';
import { type LocalCloud, NAMES } from '../cloud.ts';
import { createHostile } from './hostile.ts';

/** One record and one message in so many is hostile; and one file in so many, as each holds thousands of records. */
const HOSTILE_RECORDS = 1_000;
const HOSTILE_FILES = 8;

/** What was sent so far. */
export interface Sent {
  events: number;
  /** Records that are no events, which says `badRecord` of each number up to this. */
  rejections: number;
  files: number;
  messages: number;
  /** Hostile inputs. */
  hostile: number;
  /** The marks of those that must be dead letters. */
  marks: ReadonlySet<string>;
}

/** A record that is no event. */
export function badRecord(number: number): string {
  return `this is no event: ${number}`;
}

/** Uploads and publishes; event number N of a run has the id `soak-N`. */
export function createProducer({ storageClient, pubsub }: LocalCloud, random: () => number) {
  const hostile = createHostile();
  const sent: Sent = { events: 0, rejections: 0, files: 0, messages: 0, hostile: 0, marks: hostile.marks };
  const bucket = storageClient.bucket(NAMES.importBucket);

  function newEvent(): string {
    const properties = {
      time: 1_767_225_600,
      distinct_id: `user-${Math.floor(random() * 1_000)}`,
      $insert_id: `soak-${sent.events++}`,
      text: 'x'.repeat(Math.floor(random() * 600)),
    };
    return JSON.stringify({ event: 'Soak', properties });
  }

  function newBadRecord(): string {
    return badRecord(sent.rejections++);
  }

  async function upload(name: string, content: Buffer): Promise<void> {
    sent.files++;
    sent.hostile = hostile.made;
    await bucket.file(name).save(content, { resumable: false });
  }

  return {
    sent,

    /** Uploads a file of some thousand events: lines or an array, compressed or not, with bad lines now and then. */
    async uploadFile(): Promise<void> {
      if (sent.files % HOSTILE_FILES === 1) {
        const { content, mark } = hostile.object(newEvent);
        return upload(`soak/${sent.files}-${mark}`, content);
      }
      const events: (string | Buffer)[] = Array.from({ length: 500 + Math.floor(random() * 8_000) }, newEvent);
      const isArray = random() < 0.3;
      if (!isArray && random() < 0.5) events.splice(Math.floor(random() * events.length), 0, newBadRecord());
      for (let left = isArray ? 0 : events.length / HOSTILE_RECORDS; left >= 1; left--) {
        events.splice(Math.floor(random() * events.length), 0, hostile.record());
      }
      const text = isArray ? Buffer.from(`[${events.join(',\n')}]`) : linesOf(events);
      return upload(`soak/${sent.files}`, random() < 0.4 ? gzipSync(text, { level: 1 }) : text);
    },

    /** Publishes some hundred messages: an event, several, or none. */
    publishMessages(): void {
      for (let count = Math.floor(random() * 400); count > 0; count--) {
        if (++sent.messages % HOSTILE_RECORDS === 100) pubsub.publish(NAMES.eventTopic, hostile.message());
        const chance = random();
        const data =
          chance < 0.01 ? newBadRecord() : chance < 0.1 ? `[${newEvent()},${newEvent()},${newEvent()}]` : newEvent();
        pubsub.publish(NAMES.eventTopic, { data });
      }
      sent.hostile = hostile.made;
    },
  };
}

function linesOf(records: readonly (string | Buffer)[]): Buffer {
  const newline = Buffer.from('\n');
  return Buffer.concat(records.flatMap((record) => [Buffer.from(record as string), newline]));
}
