/** `npm run backfill -- gs://BUCKET/PREFIX`: has the functions import what they have not; see `--help`. */

import { startRun } from '../functions/core/run.ts';
import { notificationOf } from '../functions/notification.ts';
import { createObjectFilter } from '../functions/object-filter.ts';
import { UsageError } from './import/arguments.ts';
import { handleInterrupts } from './import/interrupts.ts';
import { asInvoked } from './invocation.ts';
import { type Address, parseAddress } from './operate/address.ts';
import type { Candidate } from './operate/candidates.ts';
import { type CommandLine, EXIT, runCommand } from './operate/command.ts';
import { readDeployment } from './operate/config.ts';
import {
  renderCandidates,
  renderEnd,
  renderIdle,
  renderInterrupted,
  renderNames,
  renderProgress,
} from './operate/render-backfill.ts';
import { type Backfilled, renderBackfilledJson } from './operate/render-json.ts';
import { parseSince } from './operate/since.ts';
import { createStatusLine } from './operate/status-line.ts';
import { publishInWaves, type WaveProgress } from './operate/waves.ts';
import { COMMON_HELP } from './options.ts';

const HELP = `Has the deployed functions import the objects that they have not imported.

Usage: npm run backfill -- [options] gs://BUCKET[/PREFIX]

Examples
  npm run backfill -- --dry-run --since 7d gs://my-bucket/2026/
  npm run backfill -- --state gs://my-state --topic projects/my-project/topics/objects gs://my-bucket

For each object under the prefix whose checkpoint is not done it publishes a notification, as its upload does: the newest
first, and never more at once than a few that are not done yet. It waits until all are. Objects that were there before
the deployment get in like this, and those whose notifications were lost, or which were gone and are there again.

Options
  --since TIME         only objects written since: 24h, 7d, 2w, or a date such as 2026-01-31 (UTC)
  --pending N          published and not done yet, at most; default: 200
  --again              also objects that were set aside because they never got on (stalled), from where they stand
  --dry-run            says how many and which, and publishes nothing
  --state gs://STATE   the state bucket; else the environment variable STATE_BUCKET
  --dead-letters gs://LETTERS
                       the bucket of dead letters; else DEAD_LETTER_BUCKET, else the state bucket
  --topic TOPIC        projects/P/topics/T, where the bucket's notifications go; else OBJECT_TOPIC
${COMMON_HELP}

Objects that the function skips never become done. They are left out here too, if OBJECT_PREFIX, OBJECT_INCLUDE and
OBJECT_EXCLUDE are set here as they are there. An object that was begun is finished whatever they say.

Running it again is safe and publishes nothing that is done. Ctrl-C ends it: objects that were published are still
imported, and running it again continues with the rest.

Google's credentials are needed; the account needs the roles Storage Object Viewer on both buckets and Pub/Sub Publisher
on the topic; and Storage Object User on the state bucket for what is stalled or gone.

Exit code: 0 when all are done (or gone meanwhile), 1 when something failed or stalled, 2 when the command or the configuration is
wrong, 130 after Ctrl-C or SIGTERM.
`;

const MAX_PENDING = 200;
/** With nothing done for so long, something may be wrong. */
const IDLE_MS = 120_000;

await runCommand({ name: 'backfill', help: HELP, run: backfill });

async function backfill({ options, args, env }: CommandLine<'backfill'>): Promise<number> {
  const [arg, ...more] = args;
  if (arg === undefined || more.length > 0) {
    throw new UsageError('Name one prefix. Try: npm run backfill -- --dry-run gs://BUCKET/PREFIX, or --help');
  }
  const under = parseAddress(arg);
  const isDryRun = options['dry-run'] === true;
  const maxPending = parsePending(options.pending);
  const since = options.since === undefined ? 0 : parseSince(options.since, Date.now());
  const topic = isDryRun ? 'unused' : options.topic;
  const deployment = readDeployment(env, { state: options.state, deadLetters: options['dead-letters'], topic });
  const { stateBucket, deadLetterBucket, storageEndpoint } = deployment;
  if (under.bucket === stateBucket || under.bucket === deadLetterBucket) {
    const which = under.bucket === stateBucket ? 'the state bucket' : 'the bucket of dead letters';
    throw new UsageError(`${arg}: ${which}, whose objects are not events. Name the bucket that they came to`);
  }
  // Google's clients take their time to load: what is wrong on the command line is said at once.
  const { createStorage } = await import('../functions/storage/client.ts');
  const { findCandidates } = await import('./operate/candidates.ts');
  const { findStates, reopen } = await import('./operate/checkpoint-states.ts');
  const storage = createStorage(storageEndpoint);
  const found = await findCandidates(storage, {
    under,
    stateBucket,
    filter: createObjectFilter(deployment),
    since,
    again: options.again === true,
  });
  const report: Report = (text, backfilled) => {
    if (!options.json) process.stdout.write(asInvoked(text));
    else if (backfilled !== undefined) process.stdout.write(renderBackfilledJson(found, backfilled));
  };
  report(renderCandidates(arg, found));
  if (isDryRun || found.candidates.length === 0) {
    report(isDryRun ? renderNames(found.candidates) : '', { dryRun: isDryRun });
    return EXIT.done;
  }
  const { createPublisher } = await import('../functions/pubsub/publisher.ts');
  const publish = createPublisher({
    topic: deployment.objectTopic,
    auth: storage.authClient,
    emulatorHost: deployment.pubsubEmulatorHost,
  });
  const state = storage.bucket(stateBucket);
  const deadLetters = { bucket: deadLetterBucket, name: `dead-letters/objects/${under.bucket}/${under.name}` };
  const shown = { report, isQuiet: options.quiet === true };
  return untilDone(found.candidates, deadLetters, shown, {
    maxPending,
    async publish(candidate) {
      if (candidate.isClosed) await reopen(state, candidate.checkpoint);
      return publish(notificationOf(candidate));
    },
    findStates: (pending) => findStates(state, pending),
  });
}

/** Writes the result to standard output: a text, or the last document of `--json`. */
type Report = (text: string, backfilled?: Backfilled) => void;

type Publishing = Pick<Parameters<typeof publishInWaves>[1], 'maxPending' | 'publish' | 'findStates'>;

async function untilDone(
  candidates: readonly Candidate[],
  deadLetters: Address,
  { report, isQuiet }: { report: Report; isQuiet: boolean },
  publishing: Publishing,
): Promise<number> {
  const line = createStatusLine(process.stderr);
  const run = startRun();
  const interrupts = handleInterrupts(() => {});
  interrupts.watch(run);
  run.aborted.addEventListener('abort', () => process.exit(EXIT.interrupted));
  let latest: WaveProgress | undefined;
  let hasWarned = false;
  try {
    await publishInWaves(candidates, {
      ...publishing,
      sleep: (ms) => run.clock.sleep(ms, run.stopping),
      now: run.clock.now,
      onProgress(progress) {
        latest = progress;
        if (!isQuiet) line.show(renderProgress(progress));
        if (progress.idleMs >= IDLE_MS && !hasWarned) line.print(asInvoked(renderIdle(progress)));
        hasWarned = progress.idleMs >= IDLE_MS;
      },
    });
  } catch (error) {
    line.close();
    if (!interrupts.isInterrupted) throw error;
    report(renderInterrupted(latest), { dryRun: false, progress: latest, interrupted: true });
    return EXIT.interrupted;
  }
  line.close();
  const durationMs = Math.round(run.clock.now() - run.startedAt);
  report(renderEnd(latest!, durationMs, deadLetters), { dryRun: false, progress: latest, durationMs });
  return latest!.stalled > 0 ? EXIT.incomplete : EXIT.done;
}

function parsePending(text: string | undefined): number {
  if (text === undefined) return MAX_PENDING;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new UsageError(`--pending ${text}: must be a whole number from 1 on`);
}
