/** Faults of every kind, by chance, at all three servers of the local cloud. */

import { type LocalCloud, NAMES } from '../cloud.ts';

const UNAVAILABLE = 14;
/** More than any event that is sent has. */
const MAX_EVENT_BYTES = 2_000;

/**
 * Has a few of a hundred requests go wrong, each in another way.
 *
 * @returns objects of which a read brought a wrong byte, by name; it grows as that happens
 */
export function startFaults({ mixpanel, storage, pubsub }: LocalCloud, random: () => number): ReadonlySet<string> {
  const corrupted = new Set<string>();
  const pick = <Fault>(faults: readonly Fault[], share: number): Fault | undefined =>
    random() < share ? faults[Math.floor(random() * faults.length)] : undefined;

  mixpanel.fault = ({ events, bytes }) =>
    pick(
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

/** Lets everything succeed again. */
export function stopFaults({ mixpanel, storage, pubsub }: LocalCloud): void {
  mixpanel.fault = undefined;
  storage.fault = undefined;
  pubsub.fault = undefined;
}
