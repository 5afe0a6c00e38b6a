/** `npm run import -- FILE…`: imports files from the terminal; see `--help`. */

import '../functions/runtime/heap.ts';
import { readCoreConfig } from '../functions/config.ts';
import { ImportError } from '../functions/core/errors.ts';
import type { RecordContext } from '../functions/core/event.ts';
import { createMappings } from '../functions/core/mappings/mappings.ts';
import { createMixpanelClient } from '../functions/core/mixpanel/client.ts';
import { createSender } from '../functions/core/mixpanel/sender.ts';
import { startRun } from '../functions/core/run.ts';
import transform from '../functions/transform.ts';
import { givingUp, parseGiveUpAfter, UnreachableError } from './give-up.ts';
import { HELP, UsageError } from './import/arguments.ts';
import { conditionsOf } from './import/checkpoint-file.ts';
import { showProgress } from './import/display.ts';
import { checkFile } from './import/dry-run.ts';
import { withoutCredentials } from './import/environment.ts';
import { type FileResult, importFile } from './import/import-file.ts';
import { findInputs } from './import/inputs.ts';
import { handleInterrupts } from './import/interrupts.ts';
import { Meter } from './import/meter.ts';
import { createPreview } from './import/preview.ts';
import { printable } from './import/printable.ts';
import { type Outcome, renderReport } from './import/report.ts';
import { renderReportJson } from './import/report-json.ts';
import { findResumables, resumeCommand } from './import/resume.ts';
import { asInvoked } from './invocation.ts';
import { withMapping } from './mapping.ts';
import { type CommandLine, EXIT, runCommand } from './operate/command.ts';

await runCommand({ name: 'import', help: HELP, run: importFiles });

async function importFiles({ options, args, env }: CommandLine<'import'>): Promise<number> {
  const { 'dry-run': dryRun = false, raw = false, json = false, mapping } = options;
  if (args.length === 0) {
    throw new UsageError("No file is given. Try: npm run import -- 'exports/*.ndjson', or --help");
  }
  const print = parsePrint(options.print, dryRun);
  const limitMs = parseGiveUpAfter(options['give-up-after']);
  const { concurrency = env.IMPORT_MAX_CONCURRENCY } = options;
  const environment = { ...(await withMapping(env, mapping)), IMPORT_MAX_CONCURRENCY: concurrency };
  const config = readCoreConfig(dryRun ? withoutCredentials(environment) : environment);
  const { inputs, skipped } = await findInputs(args, config.storageEndpoint);
  const resumables = dryRun ? [] : await findResumables(inputs, conditionsOf(config, transform), options);
  const startedAt = performance.now();
  const meter = new Meter(
    inputs.map(({ size }) => size),
    () => performance.now(),
  );
  const display = showProgress(process.stderr, meter, options.quiet);
  const interrupts = handleInterrupts(() =>
    display.print('Interrupted: what is under way is finished; press Ctrl-C again to break it off'),
  );
  for (const name of skipped) display.print(`${printable(name)}: skipped, dead letters of an earlier run`);
  // One for all files: what it learns of Mixpanel's limits concerns those that follow.
  const client = givingUp(createMixpanelClient(config.mixpanel), { url: config.mixpanel.url, limitMs });
  const sender = createSender(client, { ...config, onNotice: display.notice });

  const onUnmatched = (context: RecordContext) => {
    const path = context.kind === 'file' ? context.path : '';
    display.print(`${printable(path)}: no rule of the mapping holds: its records are read as Mixpanel events`);
  };
  const mappingOf = createMappings({ ...config, transform, onUnmatched });
  const preview = print === 0 ? undefined : createPreview(json ? process.stderr : process.stdout, print, raw);

  const results: FileResult[] = [];
  for (const [index, input] of inputs.entries()) {
    const run = startRun();
    interrupts.watch(run);
    const context = { config, mappingOf, meter, run, ...resumables[index] };
    const result = await (dryRun ? checkFile(input, context, preview) : importFile(input, context, sender));
    results.push(result);
    display.endFile();
    if (result.error !== undefined) display.print(explainResult(result), true);
    if (interrupts.isInterrupted || isRefusal(result.error)) break;
  }
  display.close();
  const left = inputs.slice(results.length).map(({ name }) => name);
  const resume = asInvoked(resumeCommand(results, left, options) ?? '') || undefined;
  const outcome = { results, left, dryRun, durationMs: performance.now() - startedAt, resume };
  process.stdout.write(json ? renderReportJson(outcome) : renderReport(outcome));
  return exitCodeOf(outcome, interrupts.isInterrupted);
}

function parsePrint(text: string | undefined, dryRun: boolean): number {
  if (text === undefined) return 0;
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--print takes a number of records, not ${text}`);
  if (!dryRun) throw new UsageError('--print needs --dry-run: it shows records before anything is sent');
  return Number(text);
}

/** Whether every other file would fail too: the configuration is wrong, or Mixpanel cannot be reached. */
function isRefusal(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  return error instanceof ImportError && (error.code === 'credentials_refused' || error.code === 'request_refused');
}

/** The message alone: what else an error carries may hold credentials. */
function explainResult({ name, error }: FileResult): string {
  const message = error instanceof Error ? error.message : String(error);
  return printable(isRefusal(error) ? message : `${name}: ${message}`);
}

function exitCodeOf({ results, left }: Outcome, isInterrupted: boolean): number {
  const isDone = left.length === 0 && results.every(({ state }) => state === 'done');
  if (isInterrupted && !isDone) return EXIT.interrupted;
  return isDone && results.every(({ findings }) => findings.total === 0) ? EXIT.done : EXIT.incomplete;
}
