/** Faults of every kind, by chance, at all three servers of the local cloud. */

import { type LocalCloud, NAMES } from '../cloud.ts';
import type { FaultHook, InjectedFault } from '../mixpanel/server.ts';
import { ALWAYS_400, ALWAYS_413 } from './hostile.ts';

const UNAVAILABLE = 14;
/** More than any event that is sent has. */
const MAX_EVENT_BYTES = 2_000;

/** One answer in so many is hostile; and one in so many asks for a pause that no run outlasts, which takes a minute each time. */
const HOSTILE_ANSWERS = 200;
const PAUSES = 3_000;
/** The first pause comes early, so that short runs have one. */
const FIRST_PAUSE = 300;

const bodyOf = (more: object) => JSON.stringify({ code: 400, error: 'some data points failed', ...more });
/** Each may follow only a request of several events: of one it would say that the event is bad. */
const HOSTILE: readonly InjectedFault[] = [
  { status: 200, ingest: true, body: ' '.repeat(5_000_000) },
  {
    status: 400,
    body: bodyOf({ failed_records: [{ index: 0, field: 'event', message: 'bad' }], num_records_imported: 0 }),
  },
  { status: 400, body: bodyOf({ failed_records: ['some events are bad'], num_records_imported: 0 }) },
  { status: 200, ingest: true, body: '{"code":200,"num_records_imported":"all"}' },
];
const LONG_PAUSES: readonly InjectedFault[] = [
  { status: 429, headers: { 'retry-after': '31536000' } },
  { status: 503, headers: { 'retry-after': 'Thu, 01 Jan 2099 00:00:00 GMT' } },
];

/** What Mixpanel does with hostile events in every request. */
const refuseHostile: FaultHook = ({ body }) => {
  if (body.includes(ALWAYS_413)) return { status: 413 };
  return body.includes(ALWAYS_400) ? { status: 400 } : undefined;
};

/** Hostile answers, in turn. */
function answerHostilely(requests: number, events: number): InjectedFault | undefined {
  if (requests % PAUSES === FIRST_PAUSE) return LONG_PAUSES[Math.floor(requests / PAUSES) % LONG_PAUSES.length];
  if (requests % HOSTILE_ANSWERS !== 0 || events === 1) return undefined;
  return HOSTILE[(requests / HOSTILE_ANSWERS) % HOSTILE.length];
}

/**
 * Has a few of a hundred requests go wrong, each in another way.
 *
 * @returns objects of which a read brought a wrong byte, by name; it grows as that happens
 */
export function startFaults({ mixpanel, storage, pubsub }: LocalCloud, random: () => number): ReadonlySet<string> {
  const corrupted = new Set<string>();
  const pick = <Fault>(faults: readonly Fault[], share: number): Fault | undefined =>
    random() < share ? faults[Math.floor(random() * faults.length)] : undefined;

  mixpanel.fault = (request) => {
    const { sequence, events, bytes } = request;
    const hostile = refuseHostile(request) ?? answerHostilely(sequence + 1, events);
    return hostile ?? pickAnswer(events, bytes);
  };
  const pickAnswer = (events: number, bytes: number) =>
    pick<InjectedFault>(
      [
        { status: 429 },
        { status: 429, headers: { 'retry-after': '1' } },
        { status: 500 },
        { status: 503, ingest: true },
        // A single event is never too large here.
        bytes > MAX_EVENT_BYTES ? { status: 413 } : { status: 500 },
        { status: 200, body: 'not JSON' },
        { destroy: 'before' },
        { destroy: 'after' },
        { report: events - 1 },
        { delayMs: 300 },
        { hang: true },
      ],
      0.1,
    );
  storage.fault = ({ kind, bucket, object }) => {
    if (bucket === NAMES.importBucket && kind === 'upload') return undefined;
    const common = [{ status: 503 }, { destroy: 'before' as const }, { delayMs: 200 }];
    if (kind === 'read') {
      const fault = pick([...common, { cutAfterBytes: 50_000 }, { endAfterBytes: 50_000 }, { corruptByte: 100 }], 0.1);
      if (bucket === NAMES.importBucket && fault !== undefined && 'corruptByte' in fault) corrupted.add(object);
      return fault;
    }
    return pick([...common, { status: 503, apply: true as const }, { destroy: 'after' as const }], 0.05);
  };
  pubsub.fault = ({ method }) =>
    method === 'Publish'
      ? pick([{ code: UNAVAILABLE }], 0.02)
      : pick([{ code: UNAVAILABLE }, { applyThen: UNAVAILABLE }, { delayMs: 100 }], 0.03);
  return corrupted;
}

/** Lets everything succeed again that can. */
export function stopFaults({ mixpanel, storage, pubsub }: LocalCloud): void {
  mixpanel.fault = refuseHostile;
  storage.fault = undefined;
  pubsub.fault = undefined;
}
