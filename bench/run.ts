/** `npm run bench`: measures an import beside the floor and the peers; see `--help`. */

import { availableParallelism, cpus, totalmem } from 'node:os';
import { type Arguments, HELP, parseArguments, UsageError } from './arguments.ts';
import { build, installPeers } from './build.ts';
import { measureColdStarts } from './cold-start.ts';
import { type Measurement, measure, recordsOf } from './contenders.ts';
import type { EventKind } from './events.ts';
import { guard } from './guard.ts';
import { type Input, type InputOptions, makeInput, makeRecords } from './inputs.ts';
import { measureMemory } from './memory.ts';
import { reserveCore } from './processes.ts';
import { type Stage, startStage } from './stage.ts';
import { medianRow, megabytes, type Row, renderRows, renderTable } from './table.ts';

const KINDS: readonly EventKind[] = ['small', 'typical', 'wide'];

process.exitCode = await main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  return error instanceof UsageError ? 2 : 1;
});

async function main(args: readonly string[]): Promise<number> {
  const options = parseArguments(args);
  if (options.isHelp) {
    process.stdout.write(HELP);
    return 0;
  }
  if (options.mode === 'compare' && options.only.includes('mixpanel-import')) installPeers();
  build();
  if (options.hasOneCore) reserveCore();
  const stage = await startStage();
  try {
    return await run(options, stage);
  } finally {
    await stage.close();
  }
}

async function run(options: Arguments, stage: Stage): Promise<number> {
  const { mode, kind = 'typical', hasIds, isGzip, bytes = 200_000_000 } = options;
  if (mode === 'guard') return reportGuard(stage);
  let rows: Row[] = [];
  print(options, `${machine()}\n\n`);
  if (mode === 'compare') {
    rows = await compare(options, { kind, hasIds, isGzip, bytes }, stage);
    print(options, renderRows(rows));
  } else if (mode === 'matrix') {
    for (const input of inputsOf(options)) {
      const title = titleOf(input);
      const some = await compare({ ...options, only: matrixNames(input) }, input, stage);
      print(options, `${title}\n\n${renderRows(some)}\n`);
      rows.push(...some.map((row) => ({ ...row, name: `${row.name} (${title})` })));
    }
  } else if (mode === 'cold-start') {
    const starts = await measureColdStarts(stage, options.runs);
    rows = starts.map(({ wallRatio: _, cpuRatio: __, ...row }) => ({ events: 0, ...row }));
    const lines = starts.map(({ name, wallSeconds, cpuSeconds, peakMemoryBytes, wallRatio, cpuRatio }) => [
      ...[name, wallSeconds.toFixed(3), cpuSeconds.toFixed(3), megabytes(peakMemoryBytes)],
      ...[wallRatio.toFixed(2), cpuRatio.toFixed(2)],
    ]);
    print(options, renderTable(['', 'wall s', 'CPU s', 'peak MB', 'wall ratio', 'CPU ratio'], lines));
  } else {
    const sizes = [200_000_000, options.bytes ?? 2_000_000_000];
    const kinds = options.kind === undefined ? KINDS : [kind];
    const gzips = isGzip ? [true] : [false, true];
    print(options, await measureMemory({ kinds, gzips, sizes }, stage));
  }
  if (options.isJson) process.stdout.write(`${JSON.stringify({ rows })}\n`);
  return 0;
}

/** Runs each of the contenders in turn, several times, so that what else the machine does hits all of them. */
async function compare({ runs, only, profileFolder }: Arguments, options: InputOptions, stage: Stage): Promise<Row[]> {
  const inputs = new Map<string, Input>();
  for (const name of only) {
    const records = recordsOf(name);
    inputs.set(name, records === undefined ? await makeInput(options) : await makeRecords(records, options.bytes));
  }
  const measured = new Map<string, Measurement[]>(only.map((name) => [name, []]));
  for (let round = 1; round <= runs; round++) {
    for (const [name, measurements] of measured) {
      const measurement = await measure(name, inputs.get(name)!, stage, { profileFolder });
      measurements.push(measurement);
      const { cpuSeconds, wallSeconds, peakMemoryBytes } = measurement;
      process.stderr.write(
        `${round}/${runs} ${name}: ${cpuSeconds.toFixed(2)} CPU s, ${wallSeconds.toFixed(2)} s, ${megabytes(peakMemoryBytes)} MB\n`,
      );
    }
  }
  return [...measured].map(([name, measurements]) => medianRow(name, measurements));
}

async function reportGuard(stage: Stage): Promise<number> {
  const { table, broken } = await guard(stage);
  process.stdout.write(table);
  for (const line of broken) process.stderr.write(`Too slow: ${line}\n`);
  if (broken.length > 0) {
    process.stderr.write(
      'Find out where with `npm run bench -- --only core,import-object --profile FOLDER --runs 1`.\n',
    );
  }
  return broken.length > 0 ? 1 : 0;
}

function inputsOf({ bytes = 200_000_000 }: Arguments): InputOptions[] {
  return KINDS.flatMap((kind) => [
    { kind, hasIds: true, isGzip: false, bytes },
    { kind, hasIds: false, isGzip: false, bytes },
    { kind, hasIds: true, isGzip: true, bytes },
  ]);
}

/** The floor does not decompress, so a compressed file is compared with the same one that is not. */
function matrixNames({ isGzip, hasIds }: InputOptions): string[] {
  if (isGzip) return ['core', 'import-object'];
  return hasIds ? ['floor', 'core', 'core-transform', 'import-object'] : ['floor', 'core', 'import-object'];
}

function titleOf({ kind, hasIds, isGzip, bytes }: InputOptions): string {
  return `${kind}, ${hasIds ? 'with' : 'without'} ids${isGzip ? ', gzip' : ''}, ${bytes / 1e6} MB`;
}

/** To standard output, unless that is for JSON. */
function print({ isJson }: Arguments, text: string): void {
  (isJson ? process.stderr : process.stdout).write(text);
}

function machine(): string {
  const memory = `${(totalmem() / 1e9).toFixed(0)} GB`;
  return `${availableParallelism()} cores (${cpus()[0]?.model}), ${memory}, ${process.platform}, Node ${process.versions.node}`;
}
