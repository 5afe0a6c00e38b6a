/** Measures cold starts: from the start of a process to its first answer, ours beside a function that only imports Google's client. */

import { cpSync } from 'node:fs';
import { BENCH, BUILD } from './paths.ts';
import { postObject, serve } from './served.ts';
import type { Stage } from './stage.ts';
import { median } from './table.ts';

/** One kind of function, as medians of several starts. */
export interface ColdStart {
  name: string;
  wallSeconds: number;
  cpuSeconds: number;
  peakMemoryBytes: number;
  /** To that of the function that only imports the client. */
  wallRatio: number;
  cpuRatio: number;
}

const TARGETS = { importObject: 'storage.mjs', drainSubscription: 'pubsub.mjs' } as const;

/** Starts either function, and what it is compared with, so many times, in turn. */
export async function measureColdStarts(stage: Stage, runs: number): Promise<ColdStart[]> {
  const results: ColdStart[] = [];
  // Beside our own: where they are written they would find the peers' packages, of other versions.
  const baselines = `${BUILD}bench/cold-start/`;
  cpSync(`${BENCH}cold-start`, baselines, { recursive: true });
  for (const [target, source] of Object.entries(TARGETS)) {
    const ours: Start[] = [];
    const baseline: Start[] = [];
    for (let run = 0; run < runs; run++) {
      ours.push(await start(target, stage));
      baseline.push(await start(target, stage, `${baselines}${source}`));
    }
    const of = (starts: Start[], column: keyof Start) => median(starts.map((start) => start[column]));
    const ratio = (column: keyof Start) => of(ours, column) / of(baseline, column);
    const row = (name: string, starts: Start[]) => ({
      name,
      wallSeconds: of(starts, 'wallSeconds'),
      cpuSeconds: of(starts, 'cpuSeconds'),
      peakMemoryBytes: of(starts, 'peakMemoryBytes'),
    });
    results.push({ ...row(target, ours), wallRatio: ratio('wallSeconds'), cpuRatio: ratio('cpuSeconds') });
    results.push({ ...row(source.replace('.mjs', ' alone'), baseline), wallRatio: 1, cpuRatio: 1 });
  }
  return results;
}

interface Start {
  wallSeconds: number;
  cpuSeconds: number;
  peakMemoryBytes: number;
}

async function start(target: string, stage: Stage, source?: string): Promise<Start> {
  const served = await serve(target, stage, source === undefined ? {} : { source });
  // A drain asks Pub/Sub and waits for it; the framework's own answer to this path says that the instance is there.
  if (target === 'importObject') await postObject(served.url);
  else await fetch(`${served.url}robots.txt`).then((response) => response.text());
  const wallSeconds = (performance.now() - served.startedAt) / 1_000;
  return { wallSeconds, ...(await served.stop()) };
}
