/** `npm run replay -- gs://LETTERS`: dead letters are sent again; see `--help`. */

import '../functions/runtime/heap.ts';
import { readCoreConfig } from '../functions/config.ts';
import { createMappings } from '../functions/core/mappings/mappings.ts';
import { createMixpanelClient } from '../functions/core/mixpanel/client.ts';
import { createSender } from '../functions/core/mixpanel/sender.ts';
import { startRun } from '../functions/core/run.ts';
import transform from '../functions/transform.ts';
import { givingUp, parseGiveUpAfter } from './give-up.ts';
import { UsageError } from './import/arguments.ts';
import { showProgress } from './import/display.ts';
import { handleInterrupts } from './import/interrupts.ts';
import { Meter } from './import/meter.ts';
import { countOf } from './import/quantities.ts';
import { withMapping } from './mapping.ts';
import { EXIT, explain, runCommand } from './operate/command.ts';
import { inBothBuckets } from './operate/letter-buckets.ts';
import { findLetterFiles } from './operate/letter-files.ts';
import { printProblems } from './operate/problems.ts';
import { renderReplayedJson } from './operate/render-json.ts';
import { renderReplayed } from './operate/render-replayed.ts';
import { findUnprovided, type Replayed, replayLetters } from './operate/replay-letters.ts';
import { COMMON_HELP } from './options.ts';

const HELP = `Sends dead letters again: their records go through the mapping and functions/transform.ts as they are now, and to Mixpanel.

Usage: npm run replay -- gs://LETTERS | gs://LETTERS/PREFIX | FOLDER | FILE …

Examples
  npm run replay -- gs://my-letters
  npm run replay -- --mapping mapping.json events.ndjson.dead-letters.ndjson

gs://LETTERS is the bucket of dead letters: all of them. Below it are
  dead-letters/objects/BUCKET/OBJECT/GENERATION/      those of one object
  dead-letters/messages/SUBSCRIPTION/YYYY-MM-DD/      those of a day's messages
A deployment that had no such bucket at first has older ones in the state bucket: name both. If DEAD_LETTER_BUCKET and
STATE_BUCKET are set, naming one of them reads both.
In a FOLDER the files are replayed that are named as the functions and npm run import name them.

What Mixpanel takes, or the transform leaves out, is removed from its file, and a file of which nothing is left is deleted.
What is rejected again stays, with its new reason. So do records that were too long to be kept whole, and lines that are
no dead letters; each of them is named.

A letter with "range" stands for many records. They are read again from the object that it names, or from the letter if it
holds a whole message. Good ones are sent, and the others become letters of their own. If that object generation does not
exist any more, the letter stays.

To put records right first: copy a file from the bucket, edit "record" in it, and copy it back or replay the copy. Leave
"source" and "insertId" as they are.

Running it again is safe: an event has the same $insert_id as before, also where its record was edited, so Mixpanel
recognises what it already has. After Ctrl-C, or when something failed, run the same command once more.

Credentials, as environment variables
  MIXPANEL_PROJECT_ID, MIXPANEL_SERVICE_ACCOUNT_USERNAME, MIXPANEL_SERVICE_ACCOUNT_SECRET
  or MIXPANEL_PROJECT_TOKEN; and MIXPANEL_REGION (us, eu, in) where it is not us. INSERT_ID as in the functions.
  Google's are asked for when an argument is gs://, and only then; the account needs the role Storage Object User on the
  bucket, and Storage Object Viewer where letters with "range" have their objects.

Options
  --mapping FILE  makes events of the records by this mapping; default: IMPORT_MAPPING. IMPORT_HASH_KEY as in the functions
  --raw       sends records as they are even if they passed a mapping or a transform before and there is none now
  --give-up-after TIME  ends when Mixpanel took nothing for so long: 90s, 2h; 10m if not given. Pauses that it asked
              for do not count
${COMMON_HELP}

A letter says in "through" what its record passed. If no mapping, or functions/transform.ts, provides that now, nothing is
sent: what was hashed or dropped must not leave in clear.

Exit code: 0 when nothing is left, 1 when something stayed or failed, 2 when the command or the configuration is wrong,
130 after Ctrl-C or SIGTERM.
`;

await runCommand({
  name: 'replay',
  help: HELP,
  async run({ options, args, env }) {
    if (args.length === 0) throw new UsageError('Replay what? Try: npm run replay -- gs://LETTERS, or --help');
    const { mapping, raw } = options;
    const limitMs = parseGiveUpAfter(options['give-up-after']);
    const config = readCoreConfig(await withMapping(env, mapping));
    const files = await findLetterFiles(inBothBuckets(args, env), config.storageEndpoint);
    const mappingOf = createMappings({ ...config, transform });
    const run = startRun();
    const unprovided = raw ? undefined : await findUnprovided(files, { mappingOf, run });
    if (unprovided !== undefined) throw new UsageError(explainUnprovided(unprovided));
    const startedAt = performance.now();
    const now = () => performance.now();
    const meter = new Meter([files.reduce((sum, { size }) => sum + size, 0)], now);
    const display = showProgress(process.stderr, meter, options.quiet);
    const interrupts = handleInterrupts(() =>
      display.print('Interrupted: what is under way is finished; press Ctrl-C again to break it off'),
    );
    const problems = printProblems((text) => display.print(text, true));
    const client = givingUp(createMixpanelClient(config.mixpanel), { url: config.mixpanel.url, limitMs });
    const sender = createSender(client, { ...config, onNotice: display.notice });
    interrupts.watch(run);

    const fileMeter = meter.begin(countOf(files.length, 'file'), () => run.stats.accepted);
    const context = { config, sender, mappingOf, isRaw: raw === true, run, meter: fileMeter, onProblem: problems.add };
    const replayed = await replayLetters(files, context);
    run.end();
    fileMeter.end();
    problems.close();
    if (files.length > 0) display.endFile();
    if (replayed.error !== undefined) display.print(explain(replayed.error), true);
    display.close();
    const durationMs = performance.now() - startedAt;
    process.stdout.write(
      options.json ? renderReplayedJson(replayed, durationMs) : renderReplayed(replayed, durationMs),
    );
    return exitCodeOf(replayed, interrupts.isInterrupted);
  },
});

function explainUnprovided({ place, through }: { place: string; through: readonly string[] }): string {
  return `${place}: its record passed a ${through.join(' and a ')}, and there is none now. Nothing was sent. Give the mapping with --mapping, restore functions/transform.ts, or send records as they are with --raw`;
}

function exitCodeOf({ counts, truncated, unreadable, filesLeft, error }: Replayed, isInterrupted: boolean): number {
  const isComplete = error === undefined && filesLeft.length === 0;
  if (isInterrupted && !isComplete) return EXIT.interrupted;
  return isComplete && counts.rejected + truncated + unreadable === 0 ? EXIT.done : EXIT.incomplete;
}
