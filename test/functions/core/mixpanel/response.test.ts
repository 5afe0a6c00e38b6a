import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { judge, type Verdict } from '../../../../functions/core/mixpanel/response.ts';
import { eventLines, eventText, ndjson } from '../../../support/event.ts';

const now = Date.UTC(2026, 10, 23, 12);
const badRequest = { code: 400, error: 'some data points in the request failed validation', status: 'Bad Request' };

/** Three events with the ids a, b and c. */
const THREE = Buffer.from(ndjson(['a', 'b', 'c'].map((id) => eventText(id))));

function retry(what: string, more: Partial<Extract<Verdict, { kind: 'retry' }>> = {}): Verdict {
  return { kind: 'retry', isThrottled: false, retryAfterMs: undefined, what, ...more };
}

function miscounted(status: number, imported: number | undefined, refused = 0): Verdict {
  return { kind: 'miscounted', status, imported, refused };
}

/** Judges the answer to a request of three events. */
function judgeThree(status: number, body: unknown, retryAfter?: string): Promise<Verdict> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return judge({ status, retryAfter, body: text }, 3, now, async () => THREE);
}

describe('the verdict on an answer to three events', () => {
  const settled: Verdict = { kind: 'settled', refusals: [] };
  const refused: Verdict = { kind: 'refused' };
  const noJson = retry('answered 200 with something other than JSON');
  const rows: { name: string; status: number; body: unknown; expected: Verdict }[] = [
    { name: 'all events were imported', status: 200, body: { code: 200, num_records_imported: 3 }, expected: settled },
    {
      name: 'fewer events were imported',
      status: 200,
      body: { num_records_imported: 2 },
      expected: miscounted(200, 2),
    },
    {
      name: 'more events were imported',
      status: 200,
      body: { num_records_imported: 4 },
      expected: miscounted(200, 4),
    },
    { name: 'the body has no count', status: 200, body: {}, expected: miscounted(200, undefined) },
    {
      name: 'the count is text',
      status: 200,
      body: { num_records_imported: '3' },
      expected: miscounted(200, undefined),
    },
    { name: 'the body is a page', status: 200, body: '<html>welcome</html>', expected: noJson },
    { name: 'the body is empty', status: 200, body: '', expected: noJson },
    { name: 'the body is cut short', status: 200, body: '{"num_records_imported":3', expected: noJson },
    { name: 'the body is an array', status: 200, body: [3], expected: noJson },
    { name: 'the body is null', status: 200, body: 'null', expected: noJson },
    {
      name: 'some events failed, in any order and one of them twice',
      status: 400,
      body: {
        ...badRequest,
        failed_records: [
          { index: 2, $insert_id: 'c', field: 'properties.time', message: 'late' },
          { index: 0, insert_id: 'a', field: 'event', message: 'empty' },
          { index: 2, field: 'properties.distinct_id', message: 'again' },
        ],
      },
      expected: {
        kind: 'settled',
        refusals: [
          { index: 0, field: 'event', message: 'empty' },
          { index: 2, field: 'properties.time', message: 'late' },
        ],
      },
    },
    {
      name: 'one event failed without a reason',
      status: 400,
      body: { failed_records: [{ index: 1, field: 7, message: null }] },
      expected: { kind: 'settled', refusals: [{ index: 1, field: 'event', message: '' }] },
    },
    {
      name: 'one event failed, among indexes that were not sent, and no count',
      status: 400,
      body: {
        ...badRequest,
        failed_records: [
          { index: 3 },
          { index: -1 },
          { index: 0.5 },
          { index: '1' },
          null,
          'x',
          { index: 1, message: 'm' },
        ],
      },
      expected: miscounted(400, undefined, 1),
    },
    {
      name: 'one event failed, among an index that was not sent, and all are accounted for',
      status: 400,
      body: { ...badRequest, num_records_imported: 2, failed_records: [{ index: 3 }, { index: 1, message: 'm' }] },
      expected: { kind: 'settled', refusals: [{ index: 1, field: 'event', message: 'm' }] },
    },
    ...[0, 1, 3, '2', null].map((imported) => ({
      name: `one event failed and ${JSON.stringify(imported)} were imported`,
      status: 400,
      body: { ...badRequest, num_records_imported: imported, failed_records: [{ index: 1 }] },
      expected: miscounted(400, typeof imported === 'number' ? imported : undefined, 1),
    })),
    {
      name: 'a failure has the id of another event than its index says',
      status: 400,
      body: { ...badRequest, failed_records: [{ index: 0, $insert_id: 'c', message: 'm' }] },
      expected: { kind: 'settled', refusals: [{ index: 2, field: 'event', message: 'm' }] },
    },
    {
      name: 'a failure has the id of an event, and an index that was not sent',
      status: 400,
      body: { ...badRequest, failed_records: [{ index: 3, insert_id: 'b', message: 'm' }] },
      expected: { kind: 'settled', refusals: [{ index: 1, field: 'event', message: 'm' }] },
    },
    {
      name: 'a failure has an id that no event has',
      status: 400,
      body: { ...badRequest, failed_records: [{ index: 1, $insert_id: 'z', message: 'm' }] },
      expected: { kind: 'settled', refusals: [{ index: 1, field: 'event', message: 'm' }] },
    },
    {
      name: 'only indexes failed that were not sent',
      status: 400,
      body: { ...badRequest, failed_records: [{ index: 3 }] },
      expected: { kind: 'bisect', message: badRequest.error },
    },
    {
      name: 'the body does not name a record',
      status: 400,
      body: { code: 400, error: 'malformed' },
      expected: { kind: 'bisect', message: 'malformed' },
    },
    {
      name: 'the failed records are texts',
      status: 400,
      body: { ...badRequest, failed_records: [7, 'no such thing', 'another'], num_records_imported: 0 },
      expected: { kind: 'bisect', message: 'no such thing' },
    },
    {
      name: 'the project uses simplified ID merge and got an identity event',
      status: 400,
      body: {
        ...badRequest,
        failed_records: ['identity events are not allowed when project is using simplified identity management'],
        num_records_imported: 0,
      },
      expected: {
        kind: 'bisect',
        message:
          'identity events are not allowed when project is using simplified identity management: leave out $identify, $create_alias and $merge, by a mapping or a transform; here an event with both $device_id and $user_id links the two',
      },
    },
    {
      name: 'the body names neither a record nor a reason',
      status: 400,
      body: { code: 400, failed_records: [] },
      expected: { kind: 'bisect', message: 'refused by Mixpanel' },
    },
    {
      name: "the body is somebody else's JSON",
      status: 400,
      body: { error: 'no such route' },
      expected: refused,
    },
    { name: 'the body is a page', status: 400, body: '<html>Bad Request</html>', expected: refused },
    { name: 'the body is empty', status: 400, body: '', expected: refused },
    { name: 'the body is empty', status: 413, body: '', expected: { kind: 'too-large' } },
    { name: 'the body is empty', status: 429, body: '', expected: retry('answered 429', { isThrottled: true }) },
    ...[408, 500, 501, 502, 503, 504, 520, 599].map((status) => ({
      name: 'the body only repeats the status',
      status,
      body: { code: status },
      expected: retry(`answered ${status}`),
    })),
    ...[204, 301, 302, 304, 307, 401, 402, 403, 404, 405, 410, 411, 415, 422, 431, 451].map((status) => ({
      name: 'the body says that all events were imported',
      status,
      body: { code: status, num_records_imported: 3 },
      expected: refused,
    })),
  ];
  for (const { name, status, body, expected } of rows) {
    test(`the verdict on an answer ${status} is "${expected.kind}" if ${name}`, async () => {
      assert.deepEqual(await judgeThree(status, body), expected);
    });
  }

  test('every answer gets a verdict, which names only events that were sent, each once and in order', async () => {
    const record = fc.record({
      index: fc.oneof(fc.integer({ min: -2, max: 6 }), fc.jsonValue()),
      field: fc.jsonValue(),
    });
    const body = fc.oneof(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.string(),
      fc
        .record({ code: fc.constantFrom(200, 400), failed_records: fc.oneof(fc.array(record), fc.jsonValue()) })
        .map((value) => JSON.stringify(value)),
    );
    const status = fc.oneof(fc.constantFrom(200, 400, 413, 429, 503), fc.integer({ min: 200, max: 599 }));
    await fc.assert(
      fc.asyncProperty(status, body, fc.integer({ min: 1, max: 5 }), async (status, body, sent) => {
        const events = Buffer.from(ndjson(eventLines(sent)));
        const verdict = await judge({ status, body, retryAfter: undefined }, sent, now, async () => events);
        if (verdict.kind !== 'settled') return;
        const indexes = verdict.refusals.map(({ index }) => index);
        assert.deepEqual(
          indexes,
          [...new Set(indexes)].sort((a, b) => a - b),
        );
        for (const index of indexes) assert.ok(Number.isInteger(index) && index >= 0 && index < sent);
      }),
    );
  });
});

describe('the ids of failed records', () => {
  const failed = (...failures: object[]) => ({
    status: 400,
    retryAfter: undefined,
    body: JSON.stringify({ code: 400, failed_records: failures }),
  });

  test('an id that two events have does not decide', async () => {
    const events = Buffer.from(ndjson([eventText('a'), eventText('b'), eventText('b')]));
    const verdict = await judge(failed({ index: 0, $insert_id: 'b' }), 3, now, async () => events);
    assert.ok(verdict.kind === 'settled');
    assert.deepEqual(
      verdict.refusals.map(({ index }) => index),
      [0],
    );
  });

  test('the events are not read if no failure has an id', async () => {
    const answer = failed({ index: 0, $insert_id: '' }, { index: 1 });
    const verdict = await judge(answer, 3, now, () => assert.fail('the events were read'));
    assert.equal(verdict.kind, 'settled');
  });

  test('of a long message its beginning is kept', async () => {
    const verdict = await judge(failed({ index: 0, message: 'm'.repeat(1_000_000) }), 3, now, async () => THREE);
    assert.ok(verdict.kind === 'settled');
    assert.equal(verdict.refusals[0]!.message, 'm'.repeat(1_000));
  });
});

describe('Retry-After', () => {
  const rows: { value: string | undefined; expected: number | undefined }[] = [
    { value: undefined, expected: undefined },
    { value: '', expected: undefined },
    { value: ' ', expected: undefined },
    { value: '0', expected: 0 },
    { value: '120', expected: 120_000 },
    { value: ' 7 ', expected: 7_000 },
    { value: new Date(now + 90_000).toUTCString(), expected: 90_000 },
    { value: 'Monday, 23-Nov-26 12:00:05 GMT', expected: 5_000 },
    { value: new Date(now - 90_000).toUTCString(), expected: 0 },
    { value: 'soon', expected: undefined },
    { value: '-5', expected: undefined },
    { value: '1.5', expected: undefined },
    { value: '5, 5', expected: undefined },
    { value: '600', expected: 600_000 },
    { value: '601', expected: 600_000 },
    { value: '600000', expected: 600_000 },
    { value: '31536000', expected: 600_000 },
    { value: '9'.repeat(400), expected: 600_000 },
    { value: 'Thu, 31 Dec 2099 23:59:59 GMT', expected: 600_000 },
  ];
  for (const { value, expected } of rows) {
    const what = value === undefined ? 'a missing Retry-After' : `Retry-After ${JSON.stringify(value)}`;
    test(`${what} ${expected === undefined ? 'does not say a time' : `says ${expected} ms`}`, async () => {
      assert.deepEqual(await judgeThree(503, '', value), retry('answered 503', { retryAfterMs: expected }));
    });
  }

  test('Retry-After is also read from an answer 429, and from an answer 200 that is not JSON', async () => {
    assert.deepEqual(await judgeThree(429, '', '3'), retry('answered 429', { isThrottled: true, retryAfterMs: 3_000 }));
    const noJson = retry('answered 200 with something other than JSON', { retryAfterMs: 3_000 });
    assert.deepEqual(await judgeThree(200, '<html>', '3'), noJson);
  });
});
