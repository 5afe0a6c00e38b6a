/** The subcommands and their options, for the command line, its mistakes, and completion by the shell. */

/** Options by name: switches, and those that take a value. */
export type Options = Record<string, { readonly type: 'boolean' | 'string'; readonly short?: string }>;

/** Those of every subcommand. */
export const COMMON_OPTIONS = {
  json: { type: 'boolean' },
  quiet: { type: 'boolean' },
  'env-file': { type: 'string' },
  version: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies Options;

/** Options of every command, for the end of its `--help`. */
export const COMMON_HELP = `  --json      prints one JSON document on standard output, and nothing else there (with npm: npm run --silent …)
  --quiet     prints no progress, only the result and what went wrong
  --env-file FILE  sets the environment variables of FILE that are not set; in a clone .env is read too, addresses apart
  --version   prints the version
  --help      prints this`;

/** Each subcommand with what it does in a few words, and its own options. */
export const SUBCOMMANDS = {
  import: {
    summary: 'imports events from files, standard input, gs:// and s3:// into Mixpanel',
    options: {
      'dry-run': { type: 'boolean' },
      print: { type: 'string' },
      raw: { type: 'boolean' },
      mapping: { type: 'string' },
      'give-up-after': { type: 'string' },
      resume: { type: 'boolean' },
      state: { type: 'string' },
      concurrency: { type: 'string' },
    },
  },
  status: {
    summary: 'says whether an object is imported, and what was rejected',
    options: { state: { type: 'string' }, 'dead-letters': { type: 'string' } },
  },
  'dead-letters': {
    summary: 'lists what was rejected, and why; deletes some of it',
    options: { records: { type: 'boolean' }, where: { type: 'string' }, delete: { type: 'boolean' } },
  },
  replay: {
    summary: 'sends dead letters again',
    options: { mapping: { type: 'string' }, raw: { type: 'boolean' }, 'give-up-after': { type: 'string' } },
  },
  backfill: {
    summary: 'has the deployed functions import what they have not',
    options: {
      since: { type: 'string' },
      again: { type: 'boolean' },
      pending: { type: 'string' },
      'dry-run': { type: 'boolean' },
      state: { type: 'string' },
      'dead-letters': { type: 'string' },
      topic: { type: 'string' },
    },
  },
} as const satisfies Record<string, { summary: string; options: Options }>;

/** What a subcommand is called. */
export type Subcommand = keyof typeof SUBCOMMANDS;

/** All options of a subcommand. */
export function optionsOf(name: Subcommand): Options {
  return { ...SUBCOMMANDS[name].options, ...COMMON_OPTIONS };
}
