/** `npm run import -- FILE…`: imports files from the terminal; see `--help`. */

import '../functions/runtime/heap.ts';
import { readCoreConfig } from '../functions/config.ts';
import { ConfigError, ImportError } from '../functions/core/errors.ts';
import type { RecordContext } from '../functions/core/event.ts';
import { createMappings } from '../functions/core/mappings/mappings.ts';
import { createMixpanelClient } from '../functions/core/mixpanel/client.ts';
import { createSender } from '../functions/core/mixpanel/sender.ts';
import { startRun } from '../functions/core/run.ts';
import transform from '../functions/transform.ts';
import { HELP, parseArguments, UsageError } from './import/arguments.ts';
import { showProgress } from './import/display.ts';
import { checkFile } from './import/dry-run.ts';
import { withoutCredentials } from './import/environment.ts';
import { type FileResult, importFile } from './import/import-file.ts';
import { findInputs } from './import/inputs.ts';
import { handleInterrupts } from './import/interrupts.ts';
import { Meter } from './import/meter.ts';
import { createPreview } from './import/preview.ts';
import { printable, printableLines } from './import/printable.ts';
import { type Outcome, renderReport } from './import/report.ts';
import { withMapping } from './mapping.ts';

const EXIT = { done: 0, rejected: 1, usage: 2, interrupted: 130 } as const;

const { env } = process;
// npm starts a script in the project's folder; paths are meant from where npm was started.
if (env.npm_lifecycle_event === 'import' && env.INIT_CWD !== undefined) process.chdir(env.INIT_CWD);

const exitCode = await main(process.argv.slice(2)).catch((error) => {
  if (!(error instanceof UsageError || error instanceof ConfigError)) {
    process.stderr.write(`${printableLines(error instanceof Error ? String(error.stack) : String(error))}\n`);
    return EXIT.rejected;
  }
  for (const problem of error.problems) process.stderr.write(`${printable(problem)}\n`);
  return EXIT.usage;
});
// Standard input may be open still, and connections too.
process.stdout.write('', () => process.exit(exitCode));

async function main(args: readonly string[]): Promise<number> {
  const { files, dryRun, print, raw, mapping, help } = parseArguments(args);
  if (help) {
    process.stdout.write(HELP);
    return EXIT.done;
  }
  const environment = await withMapping(env, mapping);
  const config = readCoreConfig(dryRun ? withoutCredentials(environment) : environment);
  const { inputs, skipped } = await findInputs(files, config.storageEndpoint);
  const startedAt = performance.now();
  const meter = new Meter(
    inputs.map(({ size }) => size),
    () => performance.now(),
  );
  const display = showProgress(process.stderr, meter);
  const interrupts = handleInterrupts(() =>
    display.print('Interrupted: what is under way is finished; press Ctrl-C again to break it off'),
  );
  for (const name of skipped) display.print(`${printable(name)}: skipped, dead letters of an earlier run`);
  // One for all files: what it learns of Mixpanel's limits concerns those that follow.
  const sender = createSender(createMixpanelClient(config.mixpanel), { ...config, onNotice: display.notice });

  const onUnmatched = (context: RecordContext) => {
    const path = context.kind === 'file' ? context.path : '';
    display.print(`${printable(path)}: no rule of the mapping holds: its records are read as Mixpanel events`);
  };
  const mappingOf = createMappings({ ...config, transform, onUnmatched });
  const preview = print === 0 ? undefined : createPreview(process.stdout, print, raw);

  const results: FileResult[] = [];
  for (const input of inputs) {
    const run = startRun();
    interrupts.watch(run);
    const context = { config, mappingOf, meter, run };
    const result = await (dryRun ? checkFile(input, context, preview) : importFile(input, context, sender));
    results.push(result);
    display.endFile();
    if (result.error !== undefined) display.print(explain(result), true);
    if (interrupts.isInterrupted || isRefusal(result.error)) break;
  }
  display.close();
  const left = inputs.slice(results.length).map(({ name }) => name);
  const outcome = { results, left, dryRun, durationMs: performance.now() - startedAt };
  process.stdout.write(renderReport(outcome));
  return exitCodeOf(outcome, interrupts.isInterrupted);
}

/** Whether the configuration is wrong, with which every other file would fail too. */
function isRefusal(error: unknown): boolean {
  return error instanceof ImportError && (error.code === 'credentials_refused' || error.code === 'request_refused');
}

/** The message alone: what else an error carries may hold credentials. */
function explain({ name, error }: FileResult): string {
  const message = error instanceof Error ? error.message : String(error);
  return printable(isRefusal(error) ? message : `${name}: ${message}`);
}

function exitCodeOf({ results, left }: Outcome, isInterrupted: boolean): number {
  const isDone = left.length === 0 && results.every(({ state }) => state === 'done');
  if (isInterrupted && !isDone) return EXIT.interrupted;
  return isDone && results.every(({ findings }) => findings.total === 0) ? EXIT.done : EXIT.rejected;
}
