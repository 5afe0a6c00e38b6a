import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { NAMES } from '../../local-cloud/cloud.ts';
import type { InjectedFault } from '../../local-cloud/mixpanel/server.ts';
import type { PubSubFault } from '../../local-cloud/pubsub/server.ts';
import type { StorageFault, StorageRequest } from '../../local-cloud/storage/server.ts';
import { assertArrived, assertDone, deliveredAll, errorCodes, givenLines, structured } from '../support/arrivals.ts';
import { eventText } from '../support/event.ts';
import { save, startTestCloud, type TestCloud } from '../support/serving.ts';

const UNAVAILABLE = 14;
const PERMISSION_DENIED = 7;
const BATCH = 50;

/** What goes wrong once, and the outcome of the delivery: 204, or 500 with an ERROR and another delivery. */
type Row<Kind> = [what: string, fault: Kind, error?: string];

/** Requests of the second batch to /import, and of no other. */
const batches: Row<InjectedFault>[] = [
  ['is answered 429', { status: 429 }],
  ['is answered 503', { status: 503 }],
  ['is ingested and answered 500', { status: 500, ingest: true }],
  ['is cut before it is ingested', { destroy: 'before' }],
  ['is cut after it is ingested', { destroy: 'after' }],
  ['is answered 413', { status: 413 }],
  ['is ingested and answered with something other than JSON', { status: 200, body: '<html>', ingest: true }],
  ['is ingested and the answer counts too few', { report: BATCH - 1 }],
  ['is ingested and the answer counts none', { report: 0 }],
  ['is refused for its credentials', { status: 401 }, 'credentials_refused'],
  ['is refused', { status: 404 }, 'request_refused'],
];

const deadLetters: Row<StorageFault>[] = [
  ['is answered 503', { status: 503 }],
  ['succeeds and is answered 503', { status: 503, apply: true }],
  ['is cut before it succeeds', { destroy: 'before' }],
  ['is cut after it succeeds', { destroy: 'after' }],
  ['is answered 403', { status: 403 }, 'unexpected'],
];

const checkpoints: Row<StorageFault>[] = [
  ['is answered 429', { status: 429 }],
  ['is answered 503', { status: 503 }],
  ['succeeds and is answered 503', { status: 503, apply: true }],
  ['is cut before it succeeds', { destroy: 'before' }],
  ['is cut after it succeeds', { destroy: 'after' }],
  ['is answered 403', { status: 403 }, 'unexpected'],
];

const reads: Row<StorageFault>[] = [
  ['is answered 503', { status: 503 }],
  ['is answered 429', { status: 429 }],
  ['is cut before its answer', { destroy: 'before' }],
  ['is cut in the middle', { cutAfterBytes: 1_300_000 }],
  ['ends early', { endAfterBytes: 1_300_000 }],
  ['is answered 403', { status: 403 }, 'unexpected'],
];

/** The first request that is meant has the fault. */
function once<Request, Kind>(isMeant: (request: Request) => boolean, fault: Kind) {
  let isOver = false;
  return (request: Request): Kind | undefined => {
    if (isOver || !isMeant(request)) return undefined;
    isOver = true;
    return fault;
  };
}

const isSecond = ({ sequence }: { sequence: number }) => sequence === 1;
const isLetter = ({ kind, object }: StorageRequest) => kind === 'upload' && object.startsWith('dead-letters/');

/** Sets a fault up in a cloud, before the object of that name is uploaded. */
type Prepare = (cloud: TestCloud, object: string) => void;
/** Declares the test that all records arrive although this fails. */
type Check = (stage: string, row: Row<unknown>, prepare: Prepare) => void;

/** Objects of two blocks and a dozen batches, imported in a cloud of their own. */
function importing(place: string, body: (check: Check) => void): void {
  describe(`importObject, with a failure ${place}`, { concurrency: false }, () => {
    let cloud: TestCloud;
    let imports = 0;
    before(async () => {
      const env = { IMPORT_MAX_BATCH_EVENTS: String(BATCH), IMPORT_REQUEST_TIMEOUT_MS: '1000' };
      cloud = await startTestCloud({ env });
    });
    beforeEach(() => cloud.reset());
    after(() => cloud?.close());

    body((stage, [what, , error], prepare) =>
      test(`every record of an object arrives although ${stage} ${what}`, { timeout: 30_000 }, async () => {
        const object = `object-${++imports}`;
        const given = givenLines(object, 400, 5_000);
        prepare(cloud, object);
        const delivered = deliveredAll(cloud);
        await save(cloud.storageClient, object, `${given.lines.join('\n')}\n`);
        assert.deepEqual(await delivered, error === undefined ? [204] : [500, 204]);
        cloud.storage.fault = undefined;
        assert.deepEqual(errorCodes(cloud), error === undefined ? [] : [error]);
        await assertDone(cloud, object, given);
        await assertArrived(cloud, given);
      }),
    );
  });
}

/** Messages, drained in a cloud of their own. */
function draining(
  place: string,
  body: (check: Check, cloud: () => TestCloud, drainAll: () => Promise<number[]>) => void,
) {
  describe(`drainSubscription, with a failure ${place}`, { concurrency: false }, () => {
    let cloud: TestCloud;
    let drains = 0;
    before(async () => {
      const env = { IMPORT_MAX_BATCH_EVENTS: String(BATCH), DRAIN_IDLE_SECONDS: '2' };
      cloud = await startTestCloud({ ackDeadlineSeconds: 4, env });
    });
    beforeEach(() => cloud.reset());
    after(() => cloud?.close());

    /** Drains until the subscription is empty; returns the statuses of the answers. */
    async function drainAll(): Promise<number[]> {
      const statuses: number[] = [];
      do statuses.push((await cloud.drain()).status);
      while ((await cloud.backlog()) > 0);
      cloud.storage.fault = undefined;
      cloud.pubsub.fault = undefined;
      return statuses;
    }

    const check: Check = (stage, [what, , error], prepare) =>
      test(`every record of the messages arrives although ${stage} ${what}`, { timeout: 30_000 }, async () => {
        const given = givenLines(`messages-${++drains}`, 200, 10);
        prepare(cloud, '');
        await cloud.publish(...given.lines);
        const [status] = await drainAll();
        assert.equal(status, error === undefined ? 200 : 500);
        assert.deepEqual(errorCodes(cloud), error === undefined ? [] : [error]);
        await assertArrived(cloud, given);
      });
    body(check, () => cloud, drainAll);
  });
}

describe('a failure that happens once', { concurrency: true }, () => {
  importing('between the bucket and Mixpanel', (check) => {
    for (const row of [['gets no answer', { hang: true }] as Row<InjectedFault>, ...batches]) {
      check('a batch', row, (cloud) => {
        cloud.mixpanel.fault = once(isSecond, row[1]);
      });
    }
    for (const kind of ['read', 'metadata'] as const) {
      for (const row of reads.filter(([, fault]) => kind === 'read' || 'status' in fault)) {
        check(`the ${kind} request of the object`, row, (cloud, object) => {
          cloud.storage.fault = once((request) => request.kind === kind && request.object === object, row[1]);
        });
      }
    }
  });

  importing('at the state bucket', (check) => {
    for (const row of deadLetters) {
      check('the write of a dead letter', row, (cloud) => {
        cloud.storage.fault = once(isLetter, row[1]);
      });
    }
    for (const nth of [1, 2]) {
      for (const row of checkpoints) {
        check(`write ${nth} of the checkpoint`, row, (cloud, object) => {
          const prefix = `checkpoints/${NAMES.importBucket}/${object}/`;
          const isMeant = (request: StorageRequest) =>
            request.kind === 'upload' && request.object.startsWith(prefix) && request.sequence === nth;
          cloud.storage.fault = once(isMeant, row[1]);
        });
      }
    }
  });

  draining('at Mixpanel and the state bucket', (check, cloud, drainAll) => {
    const some = ['is answered 503', 'is cut after it is ingested', 'is refused for its credentials'];
    for (const row of batches.filter(([what]) => some.includes(what))) {
      check('a batch', row, (cloud) => {
        cloud.mixpanel.fault = once(isSecond, row[1]);
      });
    }
    for (const row of deadLetters.filter(([what]) => /^succeeds|403/.test(what))) {
      check('the write of a dead letter', row, (cloud) => {
        cloud.storage.fault = once(isLetter, row[1]);
      });
    }
    check('a batch', ['is answered 429 for a while', undefined], (cloud) => {
      cloud.mixpanel.fault = ({ sequence }) => (sequence < 25 ? { status: 429 } : undefined);
    });

    test('drainSubscription finds the one message among thousands that makes Mixpanel refuse batches, and makes a dead letter of it', async () => {
      const { mixpanel, publish } = cloud();
      const body = JSON.stringify({
        code: 400,
        error: 'some data points in the request failed',
        status: 'Bad Request',
      });
      mixpanel.fault = (request) => (request.body.includes('poison') ? { status: 400, body } : undefined);
      const ids = Array.from({ length: 3_000 }, (_, index) => `good-${index}`);
      const lines = ids.map((id) => eventText(id));
      const poison = eventText('bad', { poison: true });
      lines.splice(1_234, 0, poison);
      await publish(...lines);
      await drainAll();
      await assertArrived(cloud(), { lines, ids, bad: [poison] });
    });
  });

  draining('at Pub/Sub', (check, cloud, drainAll) => {
    const calls: Row<PubSubFault>[] = [
      ['is answered UNAVAILABLE', { code: UNAVAILABLE }],
      ['succeeds and is answered UNAVAILABLE', { applyThen: UNAVAILABLE }],
    ];
    for (const method of ['Pull', 'Acknowledge']) {
      for (const row of calls) {
        check(`a call of ${method}`, row, (cloud) => {
          cloud.pubsub.fault = once((call) => call.method === method, row[1]);
        });
      }
    }

    test('messages come again if their ack is refused, and their events count once', async () => {
      const given = givenLines('refused', 200, 10);
      cloud().pubsub.fault = once(({ method }) => method === 'Acknowledge', { code: PERMISSION_DENIED });
      await cloud().publish(...given.lines);
      await drainAll();
      await assertArrived(cloud(), given);
      assert.equal(structured(cloud()).filter(({ severity }) => severity === 'WARNING').length, 1);
      assert.ok(cloud().mixpanel.duplicates > 0);
    });

    test('messages come again if their ack deadline expires, and their events count once', async () => {
      const given = givenLines('expired', 200, 10);
      cloud().mixpanel.fault = ({ sequence }) => (sequence === 0 ? { delayMs: 5_000 } : undefined);
      await cloud().publish(...given.lines);
      await drainAll();
      await assertArrived(cloud(), given);
      assert.ok(cloud().mixpanel.duplicates > 0);
    });

    test('drainSubscription sends a message that is too large for one batch in several', async () => {
      const ids = Array.from({ length: 4 * BATCH + 1 }, (_, index) => `many-${index}`);
      const lines = ids.map((id) => eventText(id));
      await cloud().publish(`[${lines.join(',')}]`);
      await drainAll();
      assert.ok(cloud().mixpanel.requests.length >= 5);
      await assertArrived(cloud(), { lines, ids, bad: [] });
    });
  });
});
