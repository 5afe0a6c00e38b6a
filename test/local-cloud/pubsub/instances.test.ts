import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { PubSub } from '@google-cloud/pubsub';
import { startPubSub } from '../../../local-cloud/pubsub/server.ts';
import type { Clock } from '../../../local-cloud/pubsub/subscription.ts';
import { seededRandom } from '../../../local-cloud/soak/random.ts';

const TOPIC = 'projects/p/topics/objects';
const SUBSCRIPTION = 'projects/p/subscriptions/objects';

/** A clock that stands still until it is told to advance to the next scheduled time. */
class SteppedClock implements Clock {
  #now = 1_767_225_600_000;
  readonly #timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  step(): void {
    const at = Math.min(...[...this.#timers].map((timer) => timer.at));
    this.#now = Math.max(this.#now, at);
    const [next] = [...this.#timers].filter((timer) => timer.at === at);
    this.#timers.delete(next!);
    next!.callback();
  }
}

/** A backlog of objects. */
interface Backlog {
  objects: number;
  /** How long an instance takes for each. */
  seconds: number;
  instances: number;
  minimumBackoff: number;
  maximumBackoff: number;
  /** Spreads back-offs. */
  random: () => number;
}

/** Publishes all objects at once; how long it takes until all are done, and how often a push was refused. */
async function drain({ objects, seconds, instances, minimumBackoff, maximumBackoff, random }: Backlog) {
  const clock = new SteppedClock();
  let serving = 0;
  const receiver = createServer(async (request, response) => {
    await request.toArray();
    serving += 1;
    clock.schedule(seconds * 1_000, () => {
      serving -= 1;
      response.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const server = await startPubSub({ clock, random, maxOutstandingPushes: 1_000, pushInstances: instances });
  const client = new PubSub({ projectId: 'p', apiEndpoint: server.host, emulatorMode: true });
  try {
    await client.createTopic(TOPIC);
    await client.createSubscription(TOPIC, SUBSCRIPTION, {
      pushConfig: { pushEndpoint: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/` },
      ackDeadlineSeconds: 600,
      retryPolicy: { minimumBackoff: { seconds: minimumBackoff }, maximumBackoff: { seconds: maximumBackoff } },
    });
    let refused = 0;
    server.on('push', ({ status }) => {
      if (status === 429) refused += 1;
    });
    const began = clock.now();
    for (let object = 0; object < objects; object++) server.publish(TOPIC, { data: String(object) });
    for (;;) {
      const { acked, outstanding } = server.backlog(SUBSCRIPTION);
      if (acked === objects) return { seconds: (clock.now() - began) / 1_000, refused };
      // Time advances when no request and no answer is on its way.
      if (serving === Math.min(instances, outstanding)) clock.step();
      else await turn();
    }
  } finally {
    await client.close();
    await server.close();
    receiver.close();
  }
}

/** What Terraform deploys for objects. */
function deployed() {
  const read = (file: string) => readFileSync(new URL(`../../../terraform/${file}`, import.meta.url), 'utf8');
  const numberIn = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1]);
  const [, object = ''] = read('pubsub.tf').split('"google_pubsub_subscription" "object"');
  return {
    minimumBackoff: numberIn(object, /minimum_backoff = "(\d+)s"/),
    maximumBackoff: numberIn(object, /maximum_backoff = "(\d+)s"/),
    instances: numberIn(read('variables.tf'), /"import_max_instances"[^}]*?default\s*= (\d+)/),
  };
}

describe('instances behind a push endpoint', { timeout: 60_000 }, () => {
  const policy = { minimumBackoff: 10, maximumBackoff: 600, instances: 1 };

  test('a push waits for up to 10 s for an instance, is then refused with 429, and comes again', async () => {
    assert.deepEqual(await drain({ ...policy, objects: 2, seconds: 9, random: () => 0.5 }), {
      seconds: 18,
      refused: 0,
    });
    // The second is refused at 10 s and comes again at 20 s, when the first is over.
    assert.deepEqual(await drain({ ...policy, objects: 2, seconds: 12, random: () => 0.5 }), {
      seconds: 32,
      refused: 1,
    });
  });

  test('each refusal of a push that finds no instance doubles its back-off, up to the maximum', async () => {
    // Refused at 10 s, 30 s, 60 s, 110 s and 200 s; with a maximum of 20 s every 30 s, until one waits when the first is over.
    assert.deepEqual(await drain({ ...policy, objects: 2, seconds: 205, random: () => 0.5 }), {
      seconds: 565,
      refused: 5,
    });
    const brief = { ...policy, maximumBackoff: 20 };
    assert.deepEqual(await drain({ ...brief, objects: 2, seconds: 205, random: () => 0.5 }), {
      seconds: 410,
      refused: 7,
    });
  });

  for (const seed of [1, 2, 3]) {
    test(`with what is deployed, 200 objects of 5 s end within 1.3 times the ideal time (seed ${seed})`, async () => {
      const settings = deployed();
      const ideal = Math.ceil(200 / settings.instances) * 5;
      const { seconds } = await drain({ ...settings, objects: 200, seconds: 5, random: seededRandom(seed) });
      assert.ok(seconds <= 1.3 * ideal, `${seconds} s instead of ${ideal} s`);
    });
  }
});
