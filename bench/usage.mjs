// Preloaded into every contender that runs on Node: at its end, writes what the whole process used, all its threads
// and its start included.

import { readFileSync, writeFileSync } from 'node:fs';

const { BENCH_USAGE } = process.env;

process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const usage = { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMemoryBytes: peakMemory() ?? 1_024 * maxRSS };
  writeFileSync(BENCH_USAGE, JSON.stringify(usage));
});

/** What Linux tells of this program alone: maxRSS begins with the memory of the process that started it. */
function peakMemory() {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : 1_024 * Number(kilobytes);
  } catch {
    return undefined;
  }
}
