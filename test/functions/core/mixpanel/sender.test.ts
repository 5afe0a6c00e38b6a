import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { ImportError } from '../../../../functions/core/errors.ts';
import type { Batch } from '../../../../functions/core/mixpanel/batch.ts';
import type { SettledPart } from '../../../../functions/core/mixpanel/sender.ts';
import type { Run } from '../../../../functions/core/run.ts';
import type { FaultHook, InjectedFault } from '../../../../local-cloud/mixpanel/server.ts';
import { eventLines, eventText } from '../../../support/event.ts';
import { batchOf, SECRET, startSending } from '../../../support/sending.ts';

type Sending = Awaited<ReturnType<typeof startSending>>;

/** Jitter of one and a half times the minimum, by a chance of 0.5. */
const JITTER_MS = 3_000;

/** Faults for the requests in their order, then none. */
function inTurn(...faults: InjectedFault[]): FaultHook {
  return ({ sequence }) => faults[sequence];
}

function statusesOf({ server }: Sending): number[] {
  return server.requests.map(({ status }) => status);
}

/** How often each of the ids was ingested. */
function timesOf({ server }: Sending, ids: readonly string[]): number[] {
  return ids.map((id) => server.count(id));
}

/** What `promise` is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail('nothing was thrown'),
    (error: unknown) => error,
  );
}

async function assertStopped(promise: Promise<unknown>, run: Run): Promise<void> {
  assertIsStop(await errorOf(promise), run);
}

function assertIsStop(error: unknown, run: Run): void {
  assert.equal(error, run.stopping.reason);
  assert.ok(error instanceof ImportError);
  assert.equal(error.code, 'stopped');
}

async function assertRefused(promise: Promise<unknown>, expected: Partial<ImportError>, hint: RegExp): Promise<void> {
  const error = await errorOf(promise);
  assert.ok(error instanceof ImportError, String(error));
  assert.deepEqual(
    { code: error.code, status: error.status, attempts: error.attempts },
    { attempts: undefined, ...expected },
  );
  assert.match(error.message, hint);
}

/** The lines of so many batches, with so many events each. */
function batches(count: number, events: number): string[][] {
  return Array.from({ length: count }, (_, index) => eventLines(events, `${index}`));
}

/** Resolves when the server has a request before it that matches. */
function whenAsked({ server }: Sending, fault: InjectedFault): Promise<void> {
  return new Promise((resolve) => {
    server.fault = () => {
      resolve();
      return fault;
    };
  });
}

/** For batches that must not settle. */
async function neverSettled(): Promise<void> {
  assert.fail('a part of the batch settled');
}

/** Sends a batch, and returns the parts that are reported and the error with which it ends. */
async function partsOf({ sender }: Sending, batch: Batch, run: Run, onPart?: (part: SettledPart) => unknown) {
  const parts: SettledPart[] = [];
  const error = await sender
    .send(batch, run, async (part) => {
      parts.push(part);
      await onPart?.(part);
    })
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  return { parts, error };
}

describe('an answer 200', () => {
  test('an answer 200 settles a batch in one request', async (t) => {
    const sending = await startSending(t);
    const run = sending.startRun();
    const lines = eventLines(3);
    assert.deepEqual(await sending.send(lines, run), []);
    assert.equal(sending.server.received, 3);
    assert.equal(sending.server.duplicates, 0);
    assert.deepEqual(statusesOf(sending), [200]);
    const bytes = lines.join('\n').length + 1;
    assert.deepEqual(run.stats, { batches: 0, attempts: 1, throttled: 0, bytes, accepted: 3, deferred: 0 });
    assert.deepEqual(sending.notices, []);
    assert.deepEqual(sending.clock.slept, []);
  });
});

describe('an answer 400 with failed_records', () => {
  test('an answer 400 with failed_records refuses these events and settles the others, and nothing is sent again', async (t) => {
    const sending = await startSending(t);
    const run = sending.startRun();
    const lines = eventLines(5);
    lines[1] = eventText('late', { time: 'yesterday' });
    lines[3] = eventText('nobody', { distinct_id: 'null' });
    const refusals = await sending.send(lines, run);
    assert.deepEqual(
      refusals.map(({ index, field }) => ({ index, field })),
      [
        { index: 1, field: 'properties.time' },
        { index: 3, field: 'properties.distinct_id' },
      ],
    );
    for (const { field, message } of refusals) assert.ok(message.includes(`'${field}' is invalid`), message);
    assert.deepEqual(timesOf(sending, ['id-0', 'late', 'id-2', 'nobody', 'id-4']), [1, 0, 1, 0, 1]);
    assert.deepEqual(statusesOf(sending), [400]);
    assert.equal(run.stats.accepted, 3);
  });

  test('an answer 400 with failed_records is about the data even if every event failed', async (t) => {
    const sending = await startSending(t);
    const refusals = await sending.send([eventText('a', { time: 0 }), eventText('b', { time: 0 })]);
    assert.deepEqual(
      refusals.map(({ index }) => index),
      [0, 1],
    );
    assert.equal(sending.server.received, 0);
    assert.deepEqual(statusesOf(sending), [400]);
  });
});

describe('an answer 400 without failed_records', () => {
  /** Refuses every request as a whole that has such an event in it. */
  const refusePoison: FaultHook = ({ ids }) =>
    ids.some((id) => id.startsWith('poison')) ? { status: 400 } : undefined;

  test('a batch that is refused as a whole is bisected down to one event, and the others arrive once', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = refusePoison;
    const run = sending.startRun();
    const lines = eventLines(16);
    lines[5] = eventText('poison');
    const refusals = await sending.send(lines, run);
    assert.deepEqual(refusals, [{ index: 5, field: 'event', message: 'request body is malformed' }]);
    assert.equal(sending.server.received, 15);
    assert.equal(sending.server.duplicates, 0);
    assert.equal(sending.server.count('poison'), 0);
    // The batch, the probe, then both halves of each of four bisections.
    assert.equal(sending.server.requests.length, 10);
    assert.equal(run.stats.accepted, 15);
    assert.deepEqual(sending.clock.slept, []);
  });

  for (const count of [1, 4]) {
    const events = count === 1 ? 'the only event' : `each of ${count} events`;
    test(`an answer 400 to ${events} is about the configuration if nothing was accepted`, async (t) => {
      const sending = await startSending(t);
      sending.server.fault = () => ({ status: 400 });
      const run = sending.startRun();
      const send = sending.send(eventLines(count), run);
      await assertRefused(send, { code: 'request_refused', status: 400 }, /check MIXPANEL_PROJECT_ID, MIXPANEL_REGION/);
      assert.equal(sending.server.requests.length, 2, 'the events are not sent one by one');
      assert.equal(sending.server.received, 0);
      assert.equal(run.stats.accepted, 0);
    });
  }

  test('an answer 400 to each event is about the data if Mixpanel finds the probe invalid, which is sent once', async (t) => {
    const sending = await startSending(t);
    const bodies: string[] = [];
    sending.server.fault = (request) => {
      if (request.ids[0] === 'mixpanel-cloud-ingestion-probe') bodies.push(request.body);
      return refusePoison(request);
    };
    const run = sending.startRun();
    const results = await sending.sendAll([eventLines(1, 'poison-a'), eventLines(3, 'poison-b')], run);
    assert.deepEqual(
      results.map((result) => result.status === 'fulfilled' && result.value.map(({ index }) => index)),
      [[0], [0, 1, 2]],
    );
    assert.deepEqual(bodies, [
      '{"event":"mixpanel-cloud-ingestion probe","properties":{"$insert_id":"mixpanel-cloud-ingestion-probe"}}\n',
    ]);
    assert.equal(sending.server.received, 0);
    assert.equal(run.stats.accepted, 0);
  });

  const isProbe = (ids: readonly string[]) => ids[0] === 'mixpanel-cloud-ingestion-probe';
  for (const [what, fault] of [
    ['refused as a whole', { status: 400 }],
    ['accepted', { status: 200 }],
    ['too large', { status: 413 }],
    ['refused without its index', { status: 400, body: '{"code":400,"failed_records":["no time"]}' }],
  ] as [string, InjectedFault][]) {
    test(`an answer 400 to the only event is about the configuration if the probe is ${what}`, async (t) => {
      const sending = await startSending(t);
      sending.server.fault = ({ ids }) => (isProbe(ids) ? fault : { status: 400 });
      const { parts, error } = await partsOf(sending, await batchOf(eventLines(1)), sending.startRun());
      assert.ok(error instanceof ImportError);
      assert.equal(error.code, 'request_refused');
      assert.deepEqual(parts, []);
      assert.equal(sending.server.requests.length, 2);
    });
  }

  test('the probe is sent again in another run', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = refusePoison;
    for (const requests of [2, 4]) {
      assert.equal((await sending.send(eventLines(1, 'poison'))).length, 1);
      assert.equal(sending.server.requests.length, requests);
    }
  });

  test('the run ends as usual if it stops before the probe is answered', async (t) => {
    const sending = await startSending(t);
    const run = sending.startRun();
    sending.server.fault = ({ ids }) => {
      if (isProbe(ids)) run.abort();
      return isProbe(ids) ? { hang: true } : { status: 400 };
    };
    await assertStopped(sending.send(eventLines(1), run), run);
  });

  test('an answer 400 to each event is about the data if others were accepted before', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = refusePoison;
    const run = sending.startRun();
    await sending.send(eventLines(1), run);
    const refusals = await sending.send(eventLines(3, 'poison'), run);
    assert.deepEqual(
      refusals.map(({ index }) => index),
      [0, 1, 2],
    );
    assert.equal(sending.server.received, 1);
  });

  test('an answer 400 to one event is about the data if another event is found invalid', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = refusePoison;
    const refusals = await sending.send([eventText('poison'), eventText('late', { time: 0 })]);
    assert.deepEqual(
      refusals.map(({ index, field }) => ({ index, field })),
      [
        { index: 0, field: 'event' },
        { index: 1, field: 'properties.time' },
      ],
    );
  });

  test('no event is lost or sent twice, whichever are refused, invalid or too large', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxBytes: 3_000 } });
    const kinds = ['good', 'good', 'good', 'poison', 'invalid', 'large'] as const;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 12 }), async (batch) => {
        sending.server.reset();
        sending.server.fault = refusePoison;
        const ids = batch.map((kind, index) => `${kind}-${index}`);
        const lines = ids.map((id) => {
          if (id.startsWith('invalid')) return eventText(id, { time: 0 });
          return eventText(id, id.startsWith('large') ? { text: 'x'.repeat(3_000) } : {});
        });
        const send = sending.send(lines);
        const refused = (await send).map(({ index }) => index);
        assert.deepEqual(
          refused,
          [...batch.keys()].filter((index) => batch[index] !== 'good'),
        );
        assert.deepEqual(
          timesOf(sending, ids),
          batch.map((kind) => (kind === 'good' ? 1 : 0)),
        );
      }),
      { numRuns: 40 },
    );
    assert.deepEqual(sending.clock.slept, []);
  });
});

describe('an answer 413', () => {
  test('a batch with too many bytes is halved until it is taken, and the size is remembered', async (t) => {
    const lines = eventLines(8);
    const bytes = lines.join('\n').length + 1;
    const sending = await startSending(t, { mixpanel: { maxBytes: Math.floor(bytes / 3) } });
    const run = sending.startRun();
    assert.deepEqual(sending.sender.limits, { maxEvents: 2_000, maxBytes: 10_000_000 });
    assert.deepEqual(await sending.send(lines, run), []);
    assert.deepEqual(statusesOf(sending), [413, 413, 200, 200, 413, 200, 200]);
    assert.equal(sending.server.received, 8);
    assert.equal(sending.server.duplicates, 0);
    assert.equal(run.stats.accepted, 8);
    assert.deepEqual(sending.sender.limits, { maxEvents: 2_000, maxBytes: Math.ceil(bytes / 4) });
    assert.deepEqual(sending.clock.slept, []);
  });

  test('a batch with too many events is halved too', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxEvents: 2 } });
    const lines = eventLines(5);
    assert.deepEqual(await sending.send(lines), []);
    assert.deepEqual(
      sending.server.requests.map(({ status, events }) => [status, events]),
      [
        [413, 5],
        [200, 2],
        [413, 3],
        [200, 1],
        [200, 2],
      ],
    );
    assert.equal(sending.server.received, 5);
    assert.ok(sending.sender.limits.maxBytes < lines.join('\n').length);
  });

  test('an answer 413 never makes the limit larger', async (t) => {
    const sending = await startSending(t, { maxBytes: 500, mixpanel: { maxBytes: 2_000 } });
    await sending.send(eventLines(20));
    assert.equal(sending.sender.limits.maxBytes, 500);
  });

  test('an event that is too large by itself is refused, and does not make the limit smaller', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxBytes: 1_000 } });
    const large = eventText('large', { text: 'x'.repeat(1_000) });
    assert.deepEqual(await sending.send([large]), [
      { index: 0, field: 'event', message: `larger than Mixpanel takes: ${large.length + 1} bytes` },
    ]);
    assert.equal(sending.sender.limits.maxBytes, 10_000_000);
    const refusals = await sending.send([eventText('a'), large, eventText('b')]);
    assert.deepEqual(
      refusals.map(({ index }) => index),
      [1],
    );
    assert.deepEqual(timesOf(sending, ['a', 'large', 'b']), [1, 0, 1]);
  });

  test('an answer 413 to everything is about the configuration, and settles nothing', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = () => ({ status: 413 });
    const { parts, error } = await partsOf(sending, await batchOf(eventLines(3)), sending.startRun());
    assert.ok(error instanceof ImportError);
    assert.deepEqual([error.code, error.status], ['request_refused', 413]);
    assert.deepEqual(parts, []);
    assert.equal(sending.sender.limits.maxBytes, 10_000_000);
  });

  test('one event of 10,000 that is always too large costs tens of requests, and the limit stays', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = ({ ids }) => (ids.includes('id-777') ? { status: 413 } : undefined);
    const lines = eventLines(10_000);
    const refused: number[] = [];
    for (let at = 0; at < lines.length; at += 2_000) {
      for (const { index } of await sending.send(lines.slice(at, at + 2_000))) refused.push(at + index);
    }
    assert.deepEqual(refused, [777]);
    assert.equal(sending.server.received, 9_999);
    assert.equal(sending.server.duplicates, 0);
    assert.ok(sending.server.requests.length < 40, `${sending.server.requests.length} requests`);
    assert.equal(sending.sender.limits.maxBytes, 10_000_000);
  });

  test('a size that was learnt grows again while batches are accepted', async (t) => {
    const sending = await startSending(t, { maxBytes: 2_000 });
    const lines = eventLines(8);
    sending.server.fault = inTurn({ status: 413 });
    await sending.send(lines);
    const learnt = sending.sender.limits.maxBytes;
    assert.ok(learnt < 1_000);
    for (let batch = 0; batch < 40; batch++) await sending.send(lines);
    assert.equal(sending.sender.limits.maxBytes, 2_000);
  });
});

describe('the parts of a batch that settle', () => {
  test('a batch that is not split settles as one part', async (t) => {
    const sending = await startSending(t);
    const lines = eventLines(3);
    lines[2] = eventText('late', { time: 0 });
    const { parts, error } = await partsOf(sending, await batchOf(lines), sending.startRun());
    assert.equal(error, undefined);
    assert.deepEqual(
      parts.map(({ first, events, refusals }) => [first, events, refusals.map(({ index }) => index)]),
      [[0, 3, [2]]],
    );
  });

  test('each half of a batch settles as a part, with refusals by their index in the batch', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxEvents: 2 } });
    const lines = eventLines(5);
    for (const index of [1, 2, 4]) lines[index] = eventText(`late-${index}`, { time: 0 });
    const { parts, error } = await partsOf(sending, await batchOf(lines), sending.startRun());
    assert.equal(error, undefined);
    assert.deepEqual(
      parts.map(({ first, events, refusals }) => [first, events, refusals.map(({ index }) => index)]),
      [
        [0, 2, [1]],
        [2, 1, [2]],
        [3, 2, [4]],
      ],
    );
  });

  test('the next half of a batch is not sent before the report of the last one is taken', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxEvents: 2 } });
    const requestsAt: number[] = [];
    const { parts } = await partsOf(sending, await batchOf(eventLines(4)), sending.startRun(), async () => {
      requestsAt.push(sending.attempts.length);
      await turn();
      requestsAt.push(sending.attempts.length);
    });
    assert.equal(parts.length, 2);
    assert.deepEqual(requestsAt, [2, 2, 3, 3]);
  });

  test('an error of whoever takes the report ends the send', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxEvents: 2 } });
    const run = sending.startRun();
    t.after(run.abort);
    const failure = new Error('the report was not taken');
    const { parts, error } = await partsOf(sending, await batchOf(eventLines(4)), run, () => {
      throw failure;
    });
    assert.equal(error, failure);
    assert.equal(parts.length, 1);
    assert.deepEqual(statusesOf(sending), [413, 200]);
  });

  test('the first half of a split batch is reported if the run stops before the second half', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxEvents: 2 } });
    const run = sending.startRun();
    const lines = eventLines(4);
    lines[1] = eventText('late', { time: 0 });
    const { parts, error } = await partsOf(sending, await batchOf(lines), run, () => run.stop('lease-lost'));
    assertIsStop(error, run);
    assert.deepEqual(
      parts.map(({ first, events, refusals }) => [first, events, refusals.map(({ index }) => index)]),
      [[0, 2, [1]]],
    );
    assert.deepEqual(timesOf(sending, ['id-0', 'late', 'id-2', 'id-3']), [1, 0, 0, 0]);
    assert.deepEqual(statusesOf(sending), [413, 400]);
    assert.equal(run.stats.accepted, 1);
  });

  test('the first half of a split batch is reported if the run stops while the second half is put off', async (t) => {
    const onNotice = () => run.stop('shutdown');
    const sending = await startSending(t, { mixpanel: { maxEvents: 2 }, onNotice });
    sending.server.fault = ({ sequence }) => (sequence < 2 ? undefined : { status: 503 });
    const run = sending.startRun();
    const { parts, error } = await partsOf(sending, await batchOf(eventLines(4)), run);
    assertIsStop(error, run);
    assert.deepEqual(parts, [{ first: 0, events: 2, refusals: [] }]);
    assert.deepEqual(statusesOf(sending), [413, 200, 503]);
    assert.equal(sending.server.received, 2);
  });

  test('the first half of a split batch is reported if the credentials are refused for the second half', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxEvents: 2 } });
    sending.server.fault = ({ sequence }) => (sequence < 2 ? undefined : { status: 401 });
    const { parts, error } = await partsOf(sending, await batchOf(eventLines(4)), sending.startRun());
    assert.ok(error instanceof ImportError);
    assert.equal(error.code, 'credentials_refused');
    assert.deepEqual(parts, [{ first: 0, events: 2, refusals: [] }]);
  });

  test('an event that is refused as a whole is reported only after all others of its batch', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = ({ ids }) => (ids.includes('poison') ? { status: 400 } : undefined);
    const lines = [eventText('poison'), ...eventLines(3)];
    const { parts, error } = await partsOf(sending, await batchOf(lines), sending.startRun());
    assert.equal(error, undefined);
    assert.deepEqual(
      parts.map(({ first, events, refusals }) => [first, events, refusals.map(({ index }) => index)]),
      [
        [1, 1, []],
        [2, 2, []],
        [0, 1, [0]],
      ],
    );
  });

  test('an event that is refused as a whole is not reported if the run stops before the others settle', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = ({ ids }) => (ids.includes('poison') ? { status: 400 } : undefined);
    const run = sending.startRun();
    const lines = [eventText('poison'), ...eventLines(3)];
    const { parts, error } = await partsOf(sending, await batchOf(lines), run, () => run.stop('shutdown'));
    assertIsStop(error, run);
    assert.deepEqual(parts, [{ first: 1, events: 1, refusals: [] }]);
  });

  test('nothing is reported if every event is refused as a whole', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = () => ({ status: 400 });
    const { parts, error } = await partsOf(sending, await batchOf(eventLines(4)), sending.startRun());
    assert.ok(error instanceof ImportError);
    assert.equal(error.code, 'request_refused');
    assert.deepEqual(parts, []);
  });

  test('parts cover every event of a batch once, however it is split', async (t) => {
    const kinds = ['good', 'good', 'poison', 'invalid', 'large'] as const;
    const sending = await startSending(t, { mixpanel: { maxBytes: 3_000, maxEvents: 4 } });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...kinds), { maxLength: 11 }), async (others) => {
        sending.server.reset();
        sending.server.fault = ({ ids }) => (ids.some((id) => id.startsWith('poison')) ? { status: 400 } : undefined);
        const batch = ['good', ...others];
        const lines = batch.map((kind, index) => {
          if (kind === 'invalid') return eventText(`${kind}-${index}`, { time: 0 });
          return eventText(`${kind}-${index}`, kind === 'large' ? { text: 'x'.repeat(3_000) } : {});
        });
        const { parts, error } = await partsOf(sending, await batchOf(lines), sending.startRun());
        assert.equal(error, undefined);
        const covered = parts.flatMap(({ first, events }) => Array.from({ length: events }, (_, at) => first + at));
        assert.deepEqual(
          covered.sort((a, b) => a - b),
          [...batch.keys()],
        );
        for (const { first, events, refusals } of parts) {
          const expected = Array.from({ length: events }, (_, at) => first + at).filter((at) => batch[at] !== 'good');
          assert.deepEqual(
            refusals.map(({ index }) => index),
            expected,
          );
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('an attempt that can succeed later', () => {
  const html = '<html>we will be back</html>';
  const rows: {
    name: string;
    fault: InjectedFault;
    what: RegExp;
    ingested?: number;
    throttled?: number;
    timeoutMs?: number;
  }[] = [
    { name: '408', fault: { status: 408 }, what: /^Mixpanel answered 408$/ },
    { name: '429', fault: { status: 429 }, what: /^Mixpanel answered 429$/, throttled: 3 },
    { name: '500', fault: { status: 500 }, what: /^Mixpanel answered 500$/ },
    { name: '500 after the events were taken', fault: { status: 500, ingest: true }, what: /500$/, ingested: 3 },
    { name: '502', fault: { status: 502, body: html }, what: /^Mixpanel answered 502$/ },
    { name: '503', fault: { status: 503, body: html }, what: /^Mixpanel answered 503$/ },
    { name: '504', fault: { status: 504, body: '' }, what: /^Mixpanel answered 504$/ },
    { name: '200 that is not JSON', fault: { status: 200, body: html }, what: /answered 200 with something other/ },
    {
      name: 'a connection that breaks before the events were taken',
      fault: { destroy: 'before' },
      what: /connection failed/,
    },
    {
      name: 'a connection that breaks after the events were taken',
      fault: { destroy: 'after' },
      what: /^the connection failed \(ECONNRESET\)$/,
      ingested: 3,
    },
    { name: 'no answer in time', fault: { hang: true }, what: /^no answer within 250 ms$/, timeoutMs: 250 },
  ];
  for (const { name, fault, what, ingested = 0, throttled = 0, timeoutMs } of rows) {
    test(`a batch is sent again after ${name}, with a growing delay, until it succeeds`, async (t) => {
      const sending = await startSending(t, timeoutMs === undefined ? {} : { requestTimeoutMs: timeoutMs });
      sending.server.fault = inTurn(fault, fault, fault);
      const run = sending.startRun();
      assert.deepEqual(await sending.send(eventLines(2), run), []);
      const delays = [2_000, 4_000, 8_000].map((delay) => delay + JITTER_MS);
      assert.deepEqual(sending.clock.slept, delays);
      assert.deepEqual(
        sending.attempts.map(({ at }) => at),
        [0, 5_000, 12_000, 23_000],
      );
      assert.deepEqual(timesOf(sending, ['id-0', 'id-1']), [ingested + 1, ingested + 1]);
      assert.equal(sending.server.events().length, 2);
      assert.equal(run.stats.attempts, 4);
      assert.equal(run.stats.throttled, throttled);
      assert.equal(run.stats.accepted, 2);
      assert.equal(sending.notices.length, 3);
      for (const [index, notice] of sending.notices.entries()) {
        assert.ok(notice.kind === 'retry');
        assert.match(notice.what, what);
        assert.deepEqual([notice.attempt, notice.delayMs], [index + 1, delays[index]]);
      }
    });
  }

  for (const [chance, jitterMs] of [
    [0, 1_000],
    [0.999_5, 4_998],
  ] as const) {
    test(`delays grow up to 60 s, plus ${jitterMs} ms of jitter by a chance of ${chance}`, async (t) => {
      const sending = await startSending(t, { random: () => chance });
      sending.server.fault = inTurn(...Array<InjectedFault>(8).fill({ status: 503 }));
      await sending.send(eventLines(1));
      const expected = [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000].map((delay) => delay + jitterMs);
      assert.deepEqual(sending.clock.slept, expected);
    });
  }

  test('delays are those that are configured', async (t) => {
    const sending = await startSending(t, { retryMinDelayMs: 10, retryMaxDelayMs: 25 });
    sending.server.fault = inTurn(...Array<InjectedFault>(4).fill({ status: 503 }));
    await sending.send(eventLines(1));
    assert.deepEqual(sending.clock.slept, [25, 35, 40, 40]);
  });

  test('a part of a batch is sent again without the other parts', async (t) => {
    const sending = await startSending(t, { mixpanel: { maxEvents: 2 } });
    sending.server.fault = inTurn({ delayMs: 0 }, { delayMs: 0 }, { status: 500 });
    assert.deepEqual(await sending.send(eventLines(4)), []);
    assert.deepEqual(statusesOf(sending), [413, 200, 500, 200]);
    assert.equal(sending.server.received, 4);
  });
});

describe('Retry-After', () => {
  for (const status of [429, 503]) {
    test(`Retry-After in seconds with an answer ${status} replaces the back-off`, async (t) => {
      const sending = await startSending(t);
      sending.server.fault = inTurn({ status, headers: { 'retry-after': '50' } }, { status });
      await sending.send(eventLines(1));
      assert.deepEqual(sending.clock.slept, [50_000 + JITTER_MS, 4_000 + JITTER_MS]);
    });
  }

  test('Retry-After as a date is waited for', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = ({ sequence }) =>
      sequence > 0
        ? undefined
        : { status: 503, headers: { 'retry-after': new Date(Date.now() + 50_000).toUTCString() } };
    await sending.send(eventLines(1));
    const [delay, ...others] = sending.clock.slept;
    // A date has whole seconds, and the answer took its time too.
    assert.ok(delay! > 47_000 + JITTER_MS && delay! <= 50_000 + JITTER_MS, String(delay));
    assert.deepEqual(others, []);
  });

  for (const status of [429, 503]) {
    test(`Retry-After beyond the deadline, with an answer ${status}, stops the run at once`, async (t) => {
      const sending = await startSending(t);
      sending.server.fault = () => ({ status, headers: { 'retry-after': '600' } });
      const run = sending.startRun(500_000);
      await assertStopped(sending.send(eventLines(1), run), run);
      assert.equal(run.stopReason, 'retry-after');
      assert.equal(sending.clock.now(), 0);
      await assertStopped(sending.send(eventLines(1), run), run);
      assert.equal(sending.server.requests.length, 1);
    });
  }

  test('Retry-After before the deadline does not stop the run', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = inTurn({ status: 429, headers: { 'retry-after': '400' } });
    const run = sending.startRun(500_000);
    assert.deepEqual(await sending.send(eventLines(1), run), []);
    assert.equal(run.stopReason, undefined);
    run.end();
  });
});

describe('a pause of more than a minute', () => {
  const YEAR = { 'retry-after': '31536000' };

  for (const status of [429, 503]) {
    test(`one request a minute is made while an answer ${status} asks for a year, and its success ends the pause`, async (t) => {
      const sending = await startSending(t, { maxConcurrency: 8 });
      const until = 190_000;
      sending.server.fault = () => (sending.clock.now() < until ? { status, headers: YEAR } : undefined);
      const run = sending.startRun();
      const results = await sending.sendAll(batches(6, 100), run);
      assert.deepEqual(
        results.map(({ status }) => status),
        Array(6).fill('fulfilled'),
      );
      const probes = sending.attempts.filter(({ at }) => at > 0 && at < until).map(({ at }) => at);
      assert.deepEqual(probes, [60_000, 120_000, 180_000]);
      assert.equal(sending.attempts.at(-1)!.at, 240_000);
      assert.equal(sending.server.received, 600);
      assert.equal(sending.server.duplicates, 0);
      assert.equal(run.stats.accepted, 600);
      assert.equal(sending.clock.sleepers, 0);
    });
  }

  test('of a large batch 100 events are sent each minute, and settle with their places in the batch', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = inTurn({ status: 429, headers: YEAR }, { status: 500 });
    const lines = eventLines(250);
    for (const index of [7, 207]) lines[index] = eventText(`late-${index}`, { time: 0 });
    const { parts, error } = await partsOf(sending, await batchOf(lines), sending.startRun());
    assert.equal(error, undefined);
    assert.deepEqual(
      parts.map(({ first, events, refusals }) => [first, events, refusals.map(({ index }) => index)]),
      [
        [0, 100, [7]],
        [100, 150, [207]],
      ],
    );
    assert.deepEqual(
      sending.server.requests.map(({ events }) => events),
      [250, 100, 100, 150],
    );
  });

  for (const retryAfter of ['31536000', '600000', 'Thu, 31 Dec 2099 23:59:59 GMT']) {
    test(`Retry-After ${retryAfter} stops a run, and a later run of the process probes and continues`, async (t) => {
      const sending = await startSending(t);
      const { clock, server } = sending;
      server.fault = inTurn({ status: 429, headers: { 'retry-after': retryAfter } });
      const [first, second, third] = [sending.startRun(500_000), sending.startRun(500_000), sending.startRun(500_000)];
      await assertStopped(sending.send(eventLines(50), first), first);
      assert.equal(first.stopReason, 'retry-after');
      await assertStopped(sending.send(eventLines(50), second), second);
      assert.equal(server.requests.length, 1);
      clock.advance(60_000);
      assert.deepEqual(await sending.send(eventLines(50), third), []);
      assert.equal(server.received, 50);
      assert.equal(clock.now(), 60_000);
      third.end();
    });
  }

  test('a Retry-After beyond the deadline does not stop the run if it is the answer to a probe', async (t) => {
    const sending = await startSending(t);
    const faults = [400, 600].map((seconds) => ({ status: 429, headers: { 'retry-after': `${seconds}` } }));
    sending.server.fault = inTurn(...faults);
    const run = sending.startRun(500_000);
    assert.deepEqual(await sending.send(eventLines(1), run), []);
    assert.deepEqual(
      sending.attempts.map(({ at }) => at),
      [0, 60_000, 120_000],
    );
    run.end();
  });

  test('a pause of a minute or more is told once a minute', async (t) => {
    const sending = await startSending(t, { maxConcurrency: 8 });
    sending.server.fault = () => (sending.clock.now() < 70_000 ? { status: 429, headers: YEAR } : undefined);
    await sending.sendAll(batches(4, 1));
    const throttled = { kind: 'throttled', what: 'Mixpanel answered 429', delayMs: 600_000 + JITTER_MS };
    assert.deepEqual(
      sending.notices.filter(({ kind }) => kind === 'throttled'),
      [throttled, throttled],
    );
  });

  test('a shorter pause is not told', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = inTurn({ status: 429, headers: { 'retry-after': '50' } });
    await sending.send(eventLines(1));
    assert.deepEqual(
      sending.notices.map(({ kind }) => kind),
      ['retry'],
    );
  });
});

describe('an answer 429', () => {
  test('answers 429 pause every batch until the longest of the delays is over, and halve the limit once', async (t) => {
    const sending = await startSending(t, { maxConcurrency: 8 });
    const longestMs = 40_000 + JITTER_MS;
    sending.server.fault = ({ sequence }) =>
      sequence < 4 ? { status: 429, headers: { 'retry-after': `${(sequence + 1) * 10}` } } : { delayMs: 5 };
    const run = sending.startRun();
    await sending.sendAll(batches(12, 2), run);

    const first = sending.attempts.slice(0, 4);
    const rest = sending.attempts.slice(4);
    assert.deepEqual(
      first.map(({ at, inFlight }) => [at, inFlight]),
      [
        [0, 1],
        [0, 2],
        [0, 3],
        [0, 4],
      ],
    );
    assert.equal(rest.length, 12);
    for (const { at } of rest) assert.ok(at >= longestMs, `an attempt at ${at} ms, in the pause`);
    const atOnce = rest.filter(({ ended }) => ended === 4).map(({ inFlight }) => inFlight);
    assert.deepEqual(atOnce, [1, 2]);
    assert.equal(run.stats.throttled, 4);
    assert.equal(sending.server.received, 24);
    assert.equal(sending.server.duplicates, 0);
  });

  test('an answer 429 also holds back a batch of another run that is sent while the pause lasts', async (t) => {
    const sending = await startSending(t);
    let late: Promise<unknown> | undefined;
    const sleep = sending.clock.sleep;
    sending.clock.sleep = (ms, signal) => {
      late ??= sending.send(eventLines(1, 'late'));
      return sleep(ms, signal);
    };
    sending.server.fault = inTurn({ status: 429, headers: { 'retry-after': '30' } });
    await sending.send(eventLines(1));
    await late;
    assert.deepEqual(
      sending.attempts.map(({ at }) => at >= 30_000),
      [false, true, true],
    );
    assert.equal(sending.server.received, 2);
  });

  test('attempts in flight stay within the limit, which an answer 429 halves and successes raise again', async (t) => {
    const sending = await startSending(t, { maxConcurrency: 4 });
    sending.server.fault = ({ sequence }) => (sequence < 2 ? { status: 429 } : { delayMs: 2 });
    await sending.sendAll(batches(14, 1));
    const limits = sending.attempts.slice(2).map(({ ended, inFlight }) => {
      const successes = ended - 2;
      const limit = successes < 1 ? 1 : successes < 3 ? 2 : successes < 6 ? 3 : 4;
      assert.ok(inFlight <= limit, `${inFlight} in flight after ${successes} successes`);
      return limit;
    });
    assert.equal(limits.at(-1), 4);
    assert.equal(Math.max(...sending.attempts.slice(2).map(({ inFlight }) => inFlight)), 4);
    assert.equal(sending.server.received, 14);
  });
});

describe('an answer 200 with a wrong count', () => {
  test('a batch with a wrong count is sent again three times, and then its halves, down to the event', async (t) => {
    const sending = await startSending(t);
    // The event is taken, so that nothing but its count tells.
    sending.server.fault = ({ ids, events }) => (ids.includes('id-1') ? { report: events - 1 } : undefined);
    const run = sending.startRun();
    assert.deepEqual(await sending.send(eventLines(4), run), [
      { index: 1, field: 'response', message: 'Mixpanel answered 200 to one event and counted 0 as imported' },
    ]);
    assert.deepEqual(
      sending.server.requests.map(({ events }) => events),
      [4, 4, 4, 4, 2, 1, 1, 1, 1, 1, 2],
    );
    const delays = [2_000, 4_000, 8_000].map((delay) => delay + JITTER_MS);
    assert.deepEqual(sending.clock.slept, [...delays, ...delays]);
    assert.deepEqual(
      sending.notices.filter(({ kind }) => kind === 'miscounted'),
      [{ kind: 'miscounted', status: 200, sent: 1, imported: 0 }],
    );
    assert.equal(run.stats.accepted, 3);
  });

  test('no event counts as imported that an answer 400 neither names nor counts', async (t) => {
    const sending = await startSending(t);
    // Both events are invalid, but only the first one is named.
    sending.server.fault = ({ ids }) => {
      const bad = ids.flatMap((id, index) => (id.startsWith('bad') ? [{ index, message: 'bad' }] : []));
      if (bad.length < 2) return bad.length === 0 ? undefined : named(bad, ids.length - 1);
      return named(bad.slice(0, 1), ids.length - bad.length);
    };
    const named = (failed_records: object[], num_records_imported: number): InjectedFault => ({
      status: 400,
      body: JSON.stringify({ code: 400, failed_records, num_records_imported }),
    });
    const lines = [...eventLines(2), eventText('bad-1'), eventText('bad-2')];
    const refusals = await sending.send(lines);
    assert.deepEqual(
      refusals.map(({ index, field }) => [index, field]),
      [
        [2, 'event'],
        [3, 'event'],
      ],
    );
  });

  for (const body of ['{}', '{"num_records_imported":"1"}', '{"num_records_imported":501}']) {
    test(`answers ${body} to everything are about the configuration, and settle nothing`, async (t) => {
      const sending = await startSending(t);
      sending.server.fault = () => ({ status: 200, body });
      const { parts, error } = await partsOf(sending, await batchOf(eventLines(500)), sending.startRun());
      assert.ok(error instanceof ImportError);
      assert.deepEqual([error.code, error.status], ['request_refused', 200]);
      assert.deepEqual(parts, []);
      // The batch and its first event four times, seven halves between them, and the probe.
      assert.equal(sending.server.requests.length, 16);
      assert.deepEqual(
        sending.notices.filter(({ kind }) => kind === 'miscounted'),
        [],
      );
    });
  }

  test('a batch is settled without that notice once its count is right', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = inTurn({ report: 4 }, { status: 500 }, { report: 0 });
    assert.deepEqual(await sending.send(eventLines(3)), []);
    assert.equal(sending.server.requests.length, 4);
    assert.deepEqual(
      sending.notices.map(({ kind }) => kind),
      ['retry', 'retry', 'retry'],
    );
  });
});

describe('a wrong configuration', () => {
  const credentials =
    /check MIXPANEL_SERVICE_ACCOUNT_USERNAME, MIXPANEL_SERVICE_ACCOUNT_SECRET and MIXPANEL_PROJECT_ID.*MIXPANEL_PROJECT_TOKEN.*MIXPANEL_REGION/;
  const request = /check MIXPANEL_REGION, MIXPANEL_API_URL and MIXPANEL_PROJECT_ID$/;
  const rows: { name: string; fault: FaultHook; code?: ImportError['code']; status: number; hint?: RegExp }[] = [
    {
      name: '301, which is not followed',
      fault: ({ sequence }) =>
        sequence === 0 ? { status: 301, headers: { location: '/import?strict=1' } } : undefined,
      status: 301,
    },
    { name: '401', fault: () => ({ status: 401 }), code: 'credentials_refused', status: 401, hint: credentials },
    { name: '402', fault: () => ({ status: 402 }), status: 402, hint: /check the plan and the billing/ },
    { name: '403', fault: () => ({ status: 403 }), code: 'credentials_refused', status: 403, hint: credentials },
    { name: '404', fault: () => ({ status: 404 }), status: 404 },
    { name: '410', fault: () => ({ status: 410 }), status: 410 },
    { name: '400 that is not JSON', fault: () => ({ status: 400, body: '<html>Bad Request</html>' }), status: 400 },
    { name: '400 without a code', fault: () => ({ status: 400, body: '{"error":"no route"}' }), status: 400 },
  ];
  for (const { name, fault, code = 'request_refused', status, hint = request } of rows) {
    test(`an answer ${name} ends with ${code}, says what to check, and settles nothing`, async (t) => {
      const sending = await startSending(t);
      sending.server.fault = fault;
      const run = sending.startRun();
      await assertRefused(sending.send(eventLines(3), run), { code, status, attempts: 1 }, hint);
      assert.equal(sending.server.requests.length, 1);
      assert.equal(sending.server.received, 0);
      assert.equal(run.stats.accepted, 0);
      assert.deepEqual(sending.clock.slept, []);
    });
  }

  test('a server that knows other credentials refuses ours', async (t) => {
    const serviceAccount = { username: 'account', secret: SECRET, projectId: '42' };
    const sending = await startSending(t, { mixpanel: { serviceAccount } });
    const expected = { code: 'credentials_refused', status: 401, attempts: 1 } as const;
    await assertRefused(sending.send(eventLines(1)), expected, /refused the credentials with 401, after 1 attempt:/);
  });

  test('the error about a wrong configuration counts the attempts before it', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = inTurn({ status: 503 }, { status: 401 });
    const expected = { code: 'credentials_refused', status: 401, attempts: 2 } as const;
    await assertRefused(sending.send(eventLines(1)), expected, /after 2 attempts:/);
  });

  test('an attempt that is refused makes room for the next one', async (t) => {
    const sending = await startSending(t, { maxConcurrency: 1 });
    sending.server.fault = inTurn({ status: 404 });
    const results = await sending.sendAll(batches(2, 1));
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    );
  });
});

describe('the deadline', () => {
  test('the deadline ends a back-off, and no attempt follows', async (t) => {
    const sending = await startSending(t);
    sending.server.fault = () => ({ status: 500 });
    const run = sending.startRun(20_000);
    await assertStopped(sending.send(eventLines(1), run), run);
    assert.equal(run.stopReason, 'deadline');
    assert.equal(sending.clock.now(), 20_000);
    assert.deepEqual(
      sending.attempts.map(({ at }) => at),
      [0, 5_000, 12_000],
    );
    assert.equal(sending.clock.sleepers, 0);
  });

  test('the deadline ends the wait for a pause and for a turn', async (t) => {
    const sending = await startSending(t, { maxConcurrency: 2 });
    sending.server.fault = () => ({ status: 429 });
    const run = sending.startRun(20_000);
    for (const result of await sending.sendAll(batches(5, 1), run)) {
      assert.ok(result.status === 'rejected');
      assertIsStop(result.reason, run);
    }
    assert.equal(run.stopReason, 'deadline');
    assert.equal(sending.clock.sleepers, 0);
  });

  test('the answer to an attempt that is in flight at the deadline counts', async (t) => {
    const sending = await startSending(t);
    const run = sending.startRun(20_000);
    const asked = whenAsked(sending, { delayMs: 20 });
    const send = sending.send(eventLines(3), run);
    await asked;
    sending.clock.advance(20_000);
    assert.deepEqual(await send, []);
    assert.equal(run.stopReason, 'deadline');
    assert.equal(run.stats.accepted, 3);
    assert.equal(sending.server.received, 3);
    await assertStopped(sending.send(eventLines(1), run), run);
    assert.equal(sending.server.requests.length, 1);
  });

  for (const [name, next] of [
    ['sent again after an answer 500', { status: 500 }],
    ['halved', { status: 413 }],
    ['bisected', { status: 400 }],
    ['sent again because of its count', { report: 1 }],
  ] as [string, InjectedFault][]) {
    test(`a batch that is in flight at the deadline is not ${name}`, async (t) => {
      const sending = await startSending(t);
      const run = sending.startRun(20_000);
      const asked = whenAsked(sending, { delayMs: 20, next });
      const send = sending.send(eventLines(3), run);
      await asked;
      sending.clock.advance(20_000);
      await assertStopped(send, run);
      assert.equal(sending.server.requests.length, 1);
      assert.deepEqual(sending.notices, []);
    });
  }
});

describe('the abort of a run', () => {
  test('the abort of a run cuts off the attempt in flight', async (t) => {
    const sending = await startSending(t);
    const run = sending.startRun();
    const asked = whenAsked(sending, { hang: true });
    const send = sending.send(eventLines(3), run);
    await asked;
    const left = once(sending.server, 'request');
    run.abort();
    await assertStopped(send, run);
    assert.equal(run.stopReason, 'shutdown');
    await left;
    assert.deepEqual(statusesOf(sending), [0]);
    assert.equal(sending.server.received, 0);
    assert.equal(run.stats.accepted, 0);
  });

  test('a batch that is sent in the same moment as its run is aborted does not arrive', async (t) => {
    const sending = await startSending(t);
    const run = sending.startRun();
    const send = sending.sender.send(await batchOf(eventLines(1)), run, neverSettled);
    run.abort();
    await assertStopped(send, run);
    assert.equal(sending.server.received, 0);
  });

  test('the abort of a run ends the wait for a turn, and another run continues', async (t) => {
    const sending = await startSending(t, { maxConcurrency: 1 });
    const run = sending.startRun();
    const other = sending.startRun();
    const asked = whenAsked(sending, { hang: true });
    const cut = sending.sendAll(batches(2, 1), run);
    await asked;
    const goesOn = sending.send(eventLines(2), other);
    sending.server.fault = undefined;
    run.abort();
    for (const result of await cut) {
      assert.ok(result.status === 'rejected');
      assertIsStop(result.reason, run);
    }
    assert.deepEqual(await goesOn, []);
    assert.equal(sending.server.received, 2);
  });

  test('a run that stops when its turn has come leaves the turn to the next run', async (t) => {
    const sending = await startSending(t, { maxConcurrency: 1 });
    sending.server.fault = inTurn({ status: 429, headers: { 'retry-after': '600' } });
    const [first, second, third] = [sending.startRun(500_000), sending.startRun(), sending.startRun()];
    const [one, two] = [await batchOf(eventLines(1)), await batchOf(eventLines(2))];
    const refused = assertStopped(sending.sender.send(one, first, neverSettled), first);
    const stopped = assertStopped(sending.sender.send(one, second, neverSettled), second);
    const parts: SettledPart[] = [];
    const next = sending.sender.send(two, third, async (part) => void parts.push(part));
    await refused;
    second.stop('lease-lost');
    await stopped;
    await next;
    assert.deepEqual(parts, [{ first: 0, events: 2, refusals: [] }]);
    assert.equal(sending.server.received, 2);
  });
});
