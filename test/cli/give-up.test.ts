import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { givingUp, parseGiveUpAfter, UnreachableError } from '../../cli/give-up.ts';
import { ConnectionError } from '../../functions/core/mixpanel/client.ts';
import type { Answer } from '../../functions/core/mixpanel/response.ts';

const url = 'https://api.mixpanel.com';
const body = Buffer.alloc(0);
const { signal } = new AbortController();
const answer = (status: number, retryAfter?: string): Answer => ({ status, retryAfter, body: '{}' });

describe('giving up', () => {
  let now = 0;

  /** A client that gives these answers in turn, each after so many milliseconds. */
  function start(answers: (Answer | ConnectionError)[], { limitMs = 600_000, tookMs = 0 } = {}) {
    now = 0;
    const client = {
      async post() {
        now += tookMs;
        const next = answers.shift();
        if (next instanceof Error) throw next;
        return next!;
      },
      close() {},
    };
    return givingUp(client, { url, limitMs, now: () => now });
  }

  for (const code of ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED']) {
    it(`ends at the third try if nobody is there: ${code}`, async () => {
      const client = start(Array(3).fill(new ConnectionError(`the connection failed (${code})`, code)));
      for (let attempt = 1; attempt < 3; attempt++) {
        await assert.rejects(client.post(body, signal), ConnectionError);
        now += 2_000;
      }
      await assert.rejects(client.post(body, signal), (error: Error) => {
        assert.ok(error instanceof UnreachableError);
        assert.match(
          error.message,
          new RegExp(`^https://api\\.mixpanel\\.com cannot be reached: .*${code}.*MIXPANEL_API_URL`),
        );
        return true;
      });
    });
  }

  it('counts attempts that are made side by side as one try', async () => {
    const refused = new ConnectionError('the connection failed (ECONNREFUSED)', 'ECONNREFUSED');
    const client = start(Array(5).fill(refused), { tookMs: 1 });
    const attempts = Array.from({ length: 5 }, () => client.post(body, signal));
    for (const { reason } of (await Promise.allSettled(attempts)) as PromiseRejectedResult[]) {
      assert.ok(reason instanceof ConnectionError);
    }
  });

  it('continues after three refused connections if there was a success before', async () => {
    const refused = new ConnectionError('the connection failed (ECONNREFUSED)', 'ECONNREFUSED');
    const client = start([answer(200), refused, refused, refused, refused]);
    await client.post(body, signal);
    for (let attempt = 0; attempt < 4; attempt++) {
      now += 1_000;
      await assert.rejects(client.post(body, signal), ConnectionError);
    }
  });

  for (const [name, failure] of [
    ['503', answer(503)],
    ['429', answer(429)],
    ['200 with a page', { ...answer(200), body: '<html>' }],
  ] as const) {
    it(`ends when all answers are ${name} for the limit, counted from the first attempt that failed`, async () => {
      const client = start([answer(200), failure, failure, failure], { limitMs: 60_000 });
      await client.post(body, signal);
      now += 1_000_000;
      await client.post(body, signal);
      now += 59_999;
      await client.post(body, signal);
      now += 1;
      await assert.rejects(client.post(body, signal), /^UnreachableError: .* took nothing for 1 min 00 s: it answered/);
    });
  }

  it('a success starts the count anew, be it one that refuses events', async () => {
    const client = start([answer(503), answer(400), answer(503), answer(503)], { limitMs: 60_000 });
    for (let attempt = 0; attempt < 4; attempt++) {
      await client.post(body, signal);
      now += 40_000;
    }
  });

  it('does not count a pause that Mixpanel asked for, and one that several were asked for once', async () => {
    const pause = answer(429, '300');
    const client = start([pause, pause, answer(503), answer(503)], { limitMs: 60_000 });
    await client.post(body, signal);
    await client.post(body, signal);
    now += 300_000 + 59_999;
    await client.post(body, signal);
    now += 1;
    await assert.rejects(client.post(body, signal), UnreachableError);
  });

  it('--give-up-after takes seconds, minutes and hours, and nothing else', () => {
    assert.deepEqual(['90s', '10m', '2h', undefined].map(parseGiveUpAfter), [90_000, 600_000, 7_200_000, 600_000]);
    for (const text of ['', '0s', '10', 'm', '-1s', '1d'])
      assert.throws(() => parseGiveUpAfter(text), /90s, 10m or 2h/);
  });
});
