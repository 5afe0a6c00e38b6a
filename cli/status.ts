/** `npm run status -- gs://BUCKET/OBJECT`: is my file in? See `--help`. */

import { createObjectFilter } from '../functions/object-filter.ts';
import { UsageError } from './import/arguments.ts';
import { printable } from './import/printable.ts';
import { asInvoked } from './invocation.ts';
import { parseAddress } from './operate/address.ts';
import { EXIT, runCommand } from './operate/command.ts';
import { readDeployment } from './operate/config.ts';
import { renderStateJson } from './operate/render-json.ts';
import { renderState } from './operate/render-state.ts';
import { COMMON_HELP } from './options.ts';

const HELP = `Says whether an object is imported: how far, with which counts, and what was rejected.

Usage: npm run status -- [options] gs://BUCKET/OBJECT[#GENERATION]

Examples
  npm run status -- --state gs://my-state gs://my-bucket/2026/events.ndjson
  npm run status -- --json gs://my-bucket/2026/events.ndjson#1795461679973000

Without #GENERATION it is the object as it is now. (A name that itself ends with # and digits needs one.)

  done           all of it is settled: imported, rejected, or left out
  running        some of it is; held by an invocation, or waiting for the next delivery
  failing        the last invocation failed: with what, when, since when, and what to check; it is tried again
  not seen yet   there is no checkpoint
  excluded       its name is left out by OBJECT_PREFIX, OBJECT_INCLUDE or OBJECT_EXCLUDE: set them here as they are there
  gone           it was deleted or overwritten before it was imported
  stalled        it was set aside, because five invocations in a row settled nothing; backfill --again takes it up

Options
  --state gs://STATE           the state bucket; else the environment variable STATE_BUCKET
  --dead-letters gs://LETTERS  the bucket of dead letters; else DEAD_LETTER_BUCKET, else the state bucket alone
${COMMON_HELP}

Google's credentials are needed; the account needs the role Storage Object Viewer on all of these buckets.

Exit code: 0 when it is done, 1 when it is not, 2 when the command or the configuration is wrong.
`;

await runCommand({
  name: 'status',
  help: HELP,
  async run({ options, args, env }) {
    const [arg, ...more] = args;
    if (arg === undefined || more.length > 0) {
      throw new UsageError('Name one object. Try: npm run status -- gs://BUCKET/OBJECT, or --help');
    }
    const { bucket, name } = parseAddress(arg);
    const [, object = '', generation] = /^(.*?)(?:#(\d+))?$/s.exec(name) ?? [];
    if (object === '') throw new UsageError(`${arg}: must be gs://BUCKET/OBJECT`);
    const deadLetters = options['dead-letters'];
    const deployment = readDeployment(env, { state: options.state, deadLetters, topic: 'unused' });
    const filter = createObjectFilter(deployment);
    const { findObjectState } = await import('./operate/object-state.ts');
    const found = await findObjectState({ ...deployment, bucket, object, generation, filter });
    if (options.json) {
      process.stdout.write(renderStateJson(found));
      return found?.checkpoint?.state === 'done' ? EXIT.done : EXIT.incomplete;
    }
    if (found === undefined) {
      process.stdout.write(`${printable(arg)}: no such object, and no checkpoint of one. Check the name\n`);
      return EXIT.incomplete;
    }
    process.stdout.write(asInvoked(renderState(found, Date.now())));
    return found.checkpoint?.state === 'done' ? EXIT.done : EXIT.incomplete;
  },
});
