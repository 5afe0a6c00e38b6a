/** What `npm run import` says of itself, and what is wrong on a command line. */

import { COMMON_HELP } from '../options.ts';

/** The command cannot be understood, or names what is not there; nothing was done. Carries all problems at once. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly problems: readonly string[];

  /** @param problems what is wrong and what to do, each to be printed on a line of its own */
  constructor(...problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** What `--help` prints. */
export const HELP = `Imports events from files into Mixpanel.

Usage: npm run import -- [--mapping FILE] [--dry-run [--print N]] FILE…

Examples
  npm run import -- --dry-run events.ndjson
  npm run import -- 'exports/*.ndjson.gz'
  npm run import -- --mapping mapping.json gs://my-bucket/2026/*
  zcat events.gz | npm run import -- --json -

FILE is a path or a glob ('exports/*.gz'), - for standard input, gs://BUCKET/OBJECT, gs://BUCKET/PREFIX*,
s3://BUCKET/KEY, s3://BUCKET/PREFIX*, or s3://BUCKET/PREFIX/ for all below it.
A file holds JSON objects: one per line, in arrays, or in any other order; gzip is recognized by content, not by name.
Each object is an event: {"event": "…", "properties": {"time": …, "distinct_id": "…", …}}; or a mapping makes one of it.

Options
  --dry-run   checks every record as Mixpanel's documentation says, and sends nothing; needs no credentials
  --mapping FILE  makes events of the records, as docs/mappings.md says; default: IMPORT_MAPPING
  --print N   with --dry-run: shows the first N records and what becomes of them; what a mapping hashes or drops is
              masked
  --raw       with --print: masks nothing
  --give-up-after TIME  ends when Mixpanel took nothing for so long: 90s, 2h; 10m if not given. Pauses that it asked
              for do not count
  --resume    continues an interrupted import of these files; a file without a checkpoint starts at its beginning
  --state DIR where checkpoints are kept; default: beside the file, for gs:// and s3:// in the current directory
  --concurrency N  requests at a time, at most; default: IMPORT_MAX_CONCURRENCY, else 10
${COMMON_HELP}
With --json, what --print shows goes to standard error.

Credentials, as environment variables
  MIXPANEL_PROJECT_ID, MIXPANEL_SERVICE_ACCOUNT_USERNAME, MIXPANEL_SERVICE_ACCOUNT_SECRET
  or MIXPANEL_PROJECT_TOKEN; and MIXPANEL_REGION (us, eu, in) where it is not us.
  Google's are asked for when a FILE is gs://, and only then; Amazon's when it is s3://, as the AWS CLI finds them.

Rejected records are written to FILE.dead-letters.ndjson beside the file, one a line with reason, line and byte; for
standard input, gs:// and s3:// in the current directory. A new run of the same file replaces them.

Running it again is safe: an event without $insert_id gets one that follows from its content, so Mixpanel recognises
what it already has. After Ctrl-C, or when something failed, run the command once more with --resume: it sends nothing
again. FILE.checkpoint.json, which says where, is removed when all is done; it refuses another project, mapping,
transform or content. Ctrl-C waits for the
requests under way; pressed again it does not.

Exit code: 0 when every event was imported (or left out), 1 when records were rejected or a file
failed, 2 when the command or the configuration is wrong, 130 after Ctrl-C or SIGTERM.
`;
