/** Finds out whether /import knows the project, if it refuses events without naming any of them. */

import { gzipSync } from 'node:zlib';
import type { Run } from '../run.ts';
import type { Part } from './part.ts';
import type { Verdict } from './response.ts';

/** An event without `time`: Mixpanel names it by its index as invalid, in any project, and never takes it. */
const EVENT = `${JSON.stringify({
  event: 'mixpanel-cloud-ingestion probe',
  properties: { $insert_id: 'mixpanel-cloud-ingestion-probe' },
})}\n`;

/** What is known of the project, for each run. */
interface ProjectProbe {
  /** Takes note of an answer. */
  note(verdict: Verdict, run: Run): void;
  /**
   * Whether /import judged the project's events in this run: it accepted one, or named one as invalid. If neither, the
   * probe is sent, once in a run.
   *
   * @throws whatever `send` throws
   */
  isRight(run: Run): Promise<boolean>;
}

/** @param send sends the probe; its answer reaches {@link ProjectProbe.note} */
export function createProjectProbe(send: (probe: Part, run: Run) => Promise<void>): ProjectProbe {
  const judged = new WeakSet<Run>();
  const probes = new WeakMap<Run, Promise<void>>();
  return {
    note(verdict, run) {
      if (verdict.kind === 'settled' && verdict.refusals.length > 0) judged.add(run);
      if (verdict.kind === 'miscounted' && verdict.refused > 0) judged.add(run);
    },
    async isRight(run) {
      if (run.stats.accepted > 0 || judged.has(run)) return true;
      let probe = probes.get(run);
      if (probe === undefined) {
        probe = send({ body: gzipSync(EVENT), events: 1, bytes: EVENT.length, first: 0 }, run);
        probes.set(run, probe);
      }
      await probe;
      return run.stats.accepted > 0 || judged.has(run);
    },
  };
}
