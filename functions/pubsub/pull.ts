/** Pulls messages from a subscription, a few pulls side by side while there are many, one while there are none. */

import type { protos, v1 } from '@google-cloud/pubsub';
import type { Run } from '../core/run.ts';
import { Signal } from '../core/signal.ts';
import { withTimeout } from '../storage/requests.ts';

/** A message with the id by which this delivery of it is acknowledged. */
export type ReceivedMessage = protos.google.pubsub.v1.IReceivedMessage;

/** Pulls in progress at once while messages arrive. */
const MAX_PULLS = 3;
/** The same while they are large: what pulls bring waits in memory. */
const MAX_LARGE_PULLS = 2;
/** Bytes of data from which on a pull is large; the service gives about 10 MB at most. */
const LARGE_BYTES = 4_000_000;
/** The most that the service gives in one pull. */
const MAX_MESSAGES = 1_000;
/** How long a single pull waits, at least; the service takes about a second to find out that it has nothing. */
const MIN_PULL_MS = 2_000;
/**
 * How long to wait for pulls in progress when the run stops, so that the messages they bring can be nacked: longer than they
 * wait by default. A pull that outlives the process would take messages that are out of reach until their ack deadline.
 */
const LAST_PULL_MS = 4_000;
/** How long a pull that failed keeps the next one waiting; it may have failed at once. */
const PAUSE_MS = 1_000;
const DEADLINE_EXCEEDED = 4;
/** UNKNOWN, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE: what the client too would try again. */
const TRANSIENT = new Set<unknown>([2, 8, 10, 13, 14]);

/** What pulling needs. */
export interface PullOptions {
  subscriber: v1.SubscriberClient;
  /** `projects/P/subscriptions/S` */
  subscription: string;
  /** How long nothing comes until there is nothing left, in milliseconds. */
  idleMs: number;
  run: Run;
  /** Whether messages are to be pulled one at a time, the next when the one before is done with; asked before each pull. */
  isCautious(): boolean;
  /** Takes messages that came too late to be worked on. */
  nack(messages: ReceivedMessage[]): void;
}

/** Yields messages until none came for `idleMs`, or the run winds down. */
export async function* pullMessages(options: PullOptions): AsyncGenerator<ReceivedMessage[]> {
  const { run, idleMs, nack, isCautious } = options;
  const pulls = new Set<Promise<void>>();
  const ended: Pulled[] = [];
  const change = new Signal();
  run.stopping.addEventListener('abort', () => change.notify(), { once: true });
  let wanted = 1;
  let lastMessageAt = run.clock.now();
  let hasWorked = false;
  let isOver = false;
  try {
    while (!run.stopping.aborted) {
      while (pulls.size + ended.length < (isCautious() ? 1 : wanted)) begin();
      const pulled = ended.shift();
      if (pulled === undefined) {
        await change.wait();
        continue;
      }
      if (pulled.isFatal) throw pulled.error;
      hasWorked ||= pulled.error === undefined;
      if (pulled.messages.length > 0) {
        lastMessageAt = run.clock.now();
        wanted = bytesOf(pulled.messages) < LARGE_BYTES ? MAX_PULLS : MAX_LARGE_PULLS;
        yield pulled.messages;
      } else {
        wanted = 1;
        if (pulls.size + ended.length > 0 || run.clock.now() - lastMessageAt < idleMs) continue;
        // That nothing came says nothing where not one pull could ask.
        if (!hasWorked) throw pulled.error;
        return;
      }
    }
  } finally {
    isOver = true;
    for (const { messages } of ended) nack(messages);
    await withTimeout(Promise.all(pulls), LAST_PULL_MS).catch(() => {});
  }

  function begin(): void {
    const itself = pull(options).then((pulled) => {
      pulls.delete(itself);
      if (isOver) nack(pulled.messages);
      else ended.push(pulled);
      change.notify();
    });
    pulls.add(itself);
  }
}

/** What one pull brought, or why it could not. */
interface Pulled {
  messages: ReceivedMessage[];
  error?: unknown;
  /** Another pull would fare no better. */
  isFatal?: boolean;
}

function bytesOf(messages: readonly ReceivedMessage[]): number {
  let bytes = 0;
  for (const { message } of messages) bytes += message?.data?.length ?? 0;
  return bytes;
}

/** Pulls once; never rejected. */
async function pull({ subscriber, subscription, idleMs, run, isCautious }: PullOptions): Promise<Pulled> {
  const request = { subscription, maxMessages: isCautious() ? 1 : MAX_MESSAGES };
  try {
    const [{ receivedMessages }] = await subscriber.pull(request, {
      timeout: Math.max(MIN_PULL_MS, idleMs),
      retry: null,
    });
    return { messages: receivedMessages ?? [] };
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === DEADLINE_EXCEEDED) return { messages: [] };
    if (!TRANSIENT.has(code)) return { messages: [], error, isFatal: true };
    await run.clock.sleep(PAUSE_MS, run.stopping).catch(() => {});
    return { messages: [], error };
  }
}
