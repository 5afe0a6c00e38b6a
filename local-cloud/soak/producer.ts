/** Makes files and messages, in every format, and keeps count of what must arrive. */

import { gzipSync } from 'node:zlib';
import { type LocalCloud, NAMES } from '../cloud.ts';

/** What was sent so far. */
export interface Sent {
  events: number;
  /** Records that are no events, which says `badRecord` of each number up to this. */
  rejections: number;
  files: number;
  messages: number;
}

/** A record that is no event. */
export function badRecord(number: number): string {
  return `this is no event: ${number}`;
}

/** Uploads and publishes; event number N of a run has the id `soak-N`. */
export function createProducer({ storageClient, pubsub }: LocalCloud, random: () => number) {
  const sent: Sent = { events: 0, rejections: 0, files: 0, messages: 0 };
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

  return {
    sent,

    /** Uploads a file of some thousand events: lines or an array, compressed or not, with a bad line now and then. */
    async uploadFile(): Promise<void> {
      const events = Array.from({ length: 500 + Math.floor(random() * 8_000) }, newEvent);
      const isArray = random() < 0.3;
      if (!isArray && random() < 0.5) events.splice(Math.floor(random() * events.length), 0, newBadRecord());
      const text = isArray ? `[${events.join(',\n')}]` : `${events.join('\n')}\n`;
      const content = random() < 0.4 ? gzipSync(text, { level: 1 }) : Buffer.from(text);
      await bucket.file(`soak/${sent.files++}`).save(content, { resumable: false });
    },

    /** Publishes some hundred messages: an event, several, or none. */
    publishMessages(): void {
      for (let count = Math.floor(random() * 400); count > 0; count--) {
        const chance = random();
        const data =
          chance < 0.01 ? newBadRecord() : chance < 0.1 ? `[${newEvent()},${newEvent()},${newEvent()}]` : newEvent();
        pubsub.publish(NAMES.eventTopic, { data });
        sent.messages++;
      }
    },
  };
}
