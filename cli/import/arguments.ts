/** Reads the arguments of `npm run import`. */

import { parseArgs } from 'node:util';

/** What the command is asked to do. */
export interface ImportArguments {
  /** Files, globs, `-`, `gs://` and `s3://` objects, as they were given. */
  files: string[];
  dryRun: boolean;
  /** Records that are shown with what becomes of them. */
  print: number;
  /** Whether they are shown with what a mapping hashes or drops. */
  raw: boolean;
  /** File of the mapping. */
  mapping: string | undefined;
  help: boolean;
}

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
  --help      prints this

Credentials, as environment variables
  MIXPANEL_PROJECT_ID, MIXPANEL_SERVICE_ACCOUNT_USERNAME, MIXPANEL_SERVICE_ACCOUNT_SECRET
  or MIXPANEL_PROJECT_TOKEN; and MIXPANEL_REGION (us, eu, in) where it is not us.
  Google's are asked for when a FILE is gs://, and only then; Amazon's when it is s3://, as the AWS CLI finds them.

Rejected records are written to FILE.dead-letters.ndjson beside the file, one a line with reason, line and byte; for
standard input, gs:// and s3:// in the current directory. A new run of the same file replaces them.

Running it again is safe: an event without $insert_id gets one that follows from its content, so Mixpanel recognises
what it already has. After Ctrl-C, or when something failed, run the same command once more. Ctrl-C waits for the
requests under way; pressed again it does not.

Exit code: 0 when every event was imported (or left out), 1 when records were rejected or a file
failed, 2 when the command or the configuration is wrong, 130 after Ctrl-C.
`;

/** @throws {@link UsageError} that says what is wrong */
export function parseArguments(args: readonly string[]): ImportArguments {
  const { files, dryRun, print, help, ...others } = parse(args);
  if (!help && files.length === 0) {
    throw new UsageError("No file is given. Try: npm run import -- 'exports/*.ndjson', or --help");
  }
  if (print > 0 && !dryRun) throw new UsageError('--print needs --dry-run: it shows records before anything is sent');
  return { files, dryRun, print, help, ...others };
}

function parse(args: readonly string[]): ImportArguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        'dry-run': { type: 'boolean', default: false },
        print: { type: 'string', default: '0' },
        raw: { type: 'boolean', default: false },
        mapping: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
      allowPositionals: true,
    });
    const { 'dry-run': dryRun, print, raw, mapping, help } = values;
    if (!/^\d{1,6}$/.test(print)) throw new Error('--print takes a number of records. ');
    return { files: positionals, dryRun, print: Number(print), raw, mapping, help };
  } catch (error) {
    const [problem] = (error as Error).message.split('. ');
    throw new UsageError(
      `${problem}. Options are --dry-run, --print, --raw, --mapping and --help; a file whose name begins with - comes after --`,
    );
  }
}
