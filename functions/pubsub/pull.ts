/** Pulls messages from a subscription, a few pulls side by side while there are many, one while there are none. */

import type { protos, v1 } from '@google-cloud/pubsub';
import type { Run } from '../import/run.ts';

/** A message with the id by which this delivery of it is acknowledged. */
export type ReceivedMessage = protos.google.pubsub.v1.IReceivedMessage;

/** Pulls under way at once while messages come. */
const MAX_PULLS = 3;
/** The most that the service gives in one pull. */
const MAX_MESSAGES = 1_000;
/** How long a single pull waits, at least; the service takes about a second to find out that it has nothing. */
const MIN_PULL_MS = 2_000;
/** How long pulls under way are waited for when the run winds down, so that what they bring can be given back. */
const LAST_PULL_MS = 1_000;
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
  /** Takes messages that came too late to be worked on. */
  giveBack(messages: ReceivedMessage[]): void;
}

/** Yields messages until none came for `idleMs`, or the run winds down. */
export async function* pullMessages(options: PullOptions): AsyncGenerator<ReceivedMessage[]> {
  const { run, idleMs, giveBack } = options;
  const pulls = new Set<Promise<Pulled>>();
  const stopped = new Promise<undefined>((resolve) => {
    run.stopping.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  let wanted = 1;
  let lastMessageAt = run.clock.now();
  let hasWorked = false;
  try {
    while (!run.stopping.aborted) {
      while (pulls.size < wanted) pulls.add(pull(options));
      const pulled = await Promise.race([...pulls, stopped]);
      if (pulled === undefined) break;
      pulls.delete(pulled.itself);
      hasWorked ||= pulled.error === undefined;
      if (pulled.messages.length > 0) {
        lastMessageAt = run.clock.now();
        wanted = MAX_PULLS;
        yield pulled.messages;
      } else {
        wanted = 1;
        if (pulls.size > 0 || run.clock.now() - lastMessageAt < idleMs) continue;
        // That nothing came says nothing where not one pull could ask.
        if (!hasWorked) throw pulled.error;
        return;
      }
    }
  } finally {
    await handBack(pulls, giveBack);
  }
}

/** What one pull brought, or why it could not, and its own promise. */
interface Pulled {
  itself: Promise<Pulled>;
  messages: ReceivedMessage[];
  error?: unknown;
}

function pull({ subscriber, subscription, idleMs, run }: PullOptions): Promise<Pulled> {
  const request = { subscription, maxMessages: MAX_MESSAGES };
  const itself: Promise<Pulled> = subscriber
    .pull(request, { timeout: Math.max(MIN_PULL_MS, idleMs), retry: null })
    .then(
      ([{ receivedMessages }]) => ({ itself, messages: receivedMessages ?? [] }),
      async (error: { code?: unknown }) => {
        if (error.code !== DEADLINE_EXCEEDED && !TRANSIENT.has(error.code)) throw error;
        if (error.code === DEADLINE_EXCEEDED) return { itself, messages: [] };
        await run.clock.sleep(PAUSE_MS, run.stopping).catch(() => {});
        return { itself, messages: [], error };
      },
    );
  return itself;
}

async function handBack(pulls: Set<Promise<Pulled>>, giveBack: PullOptions['giveBack']): Promise<void> {
  const rest = [...pulls].map((pull) =>
    pull.then(
      ({ messages }) => giveBack(messages),
      () => {},
    ),
  );
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, LAST_PULL_MS);
  await Promise.race([Promise.all(rest), timeout.promise]);
  clearTimeout(timer);
}
