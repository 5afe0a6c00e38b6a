/**
 * Sends what happens to every open page as server-sent events, many events to a frame.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */

import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { EventLog } from './event-log.ts';
import type { EventsFrame, ResetFrame, ShownEvent, State } from './page/frames.ts';

/** How often events are sent, and how many of them at most: what a page can take without stuttering. */
const FRAME_INTERVAL_MS = 100;
/** The state is sent with every second frame. */
const FRAMES_PER_STATE = 2;
const MAX_FRAME_EVENTS = 4_000;
const MAX_FRAME_CHARACTERS = 4_000_000;
/** A page that has gone away without a word is noticed by what is written to it. */
const KEEP_ALIVE_MS = 10_000;
/** After so long a page asks for the stream anew. */
const RETRY_MS = 1_000;

/** A page, and how far it has come. */
interface Reader {
  response: ServerResponse;
  /** The number of the event that it gets next. */
  next: number;
  /** The state that it was sent last, as JSON. */
  state: string;
  writtenAt: number;
}

/** What is streamed. */
export interface StreamSource {
  log: EventLog;
  /** Tells this log from that of another start. */
  readonly id: string;
  state(): State;
}

/** Tells one start from another: their events have the same numbers. */
export function newStreamId(): string {
  return randomUUID().slice(0, 8);
}

/**
 * A stream to any number of pages. A page that comes back says which event it had last, and gets those that came after;
 * where they are not kept any more it is told to begin anew, and gets all that is kept.
 */
export function createStream(source: StreamSource) {
  const { log, id } = source;
  const readers = new Set<Reader>();
  let timer: NodeJS.Timeout | undefined;
  let frames = 0;

  /** @param lastEventId the id of the last frame that this page has; empty where it has none */
  function open(response: ServerResponse, lastEventId: string): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(`retry: ${RETRY_MS}\n\n`);
    const reader = { response, next: nextOf(lastEventId), state: '', writtenAt: Date.now() };
    readers.add(reader);
    response.once('close', () => {
      readers.delete(reader);
      if (readers.size === 0) clearInterval(timer);
    });
    if (readers.size === 1) timer = setInterval(sendAll, FRAME_INTERVAL_MS);
    send(reader, stateJson());
  }

  function nextOf(lastEventId: string): number {
    const [, start, number] = /^(.+):(\d{1,15})$/.exec(lastEventId) ?? [];
    const next = Number(number);
    return start === id && next <= log.next ? next : Number.NEGATIVE_INFINITY;
  }

  function sendAll(): void {
    frames++;
    const state = frames % FRAMES_PER_STATE === 0 ? stateJson() : undefined;
    for (const reader of readers) send(reader, state);
  }

  function send(reader: Reader, state: string | undefined): void {
    // One that does not keep up gets the next frame when it has taken this one.
    if (reader.response.writableNeedDrain) return;
    if (reader.next < log.first) {
      reader.next = log.first;
      write(reader, 'reset', { from: log.first } satisfies ResetFrame);
    }
    const from = reader.next;
    const events = take(from);
    reader.next += events.length;
    if (events.length > 0) write(reader, 'events', { from, events } satisfies EventsFrame);
    if (state !== undefined && state !== reader.state) {
      reader.state = state;
      writeText(reader, `event: state\ndata: ${state}\n\n`);
    }
    if (Date.now() - reader.writtenAt > KEEP_ALIVE_MS) writeText(reader, ': still here\n\n');
  }

  function take(from: number): ShownEvent[] {
    const events: ShownEvent[] = [];
    let characters = 0;
    for (let number = from; number < log.next && events.length < MAX_FRAME_EVENTS; number++) {
      const event = log.at(number)!;
      events.push(event);
      characters += event.json.length;
      if (characters > MAX_FRAME_CHARACTERS) break;
    }
    return events;
  }

  function write(reader: Reader, event: string, frame: object): void {
    // The id names the event that comes after this frame.
    writeText(reader, `id: ${id}:${reader.next}\nevent: ${event}\ndata: ${JSON.stringify(frame)}\n\n`);
  }

  function writeText(reader: Reader, text: string): void {
    reader.response.write(text);
    reader.writtenAt = Date.now();
  }

  const stateJson = () => JSON.stringify(source.state());

  return {
    open,
    /** Ends the streams; pages come back on their own. */
    close(): void {
      for (const { response } of readers) response.destroy();
    },
  };
}
