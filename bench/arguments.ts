/** The options of `npm run bench`. */

import { parseArgs } from 'node:util';
import type { EventKind } from './events.ts';

/** What `--help` prints. */
export const HELP = `npm run bench -- [options]

Measures an import side by side with the least that one can do and with peers: each in a process of its own, in turn, with
CPU seconds and peak memory of the whole process. Servers run in other processes; every run is checked for lost events.

What is imported
  --events KIND     small (200 bytes), typical (500 bytes; the default) or wide (200 properties)
  --no-ids          events without $insert_id
  --gzip            a compressed file
  --size SIZE       of the events, such as 50MB or 2GB; default: 200MB

What is run
  --only NAME,…     floor, core, core-transform, import-object, drain-subscription, mixpanel-import, guide;
                    default: all of these except core-transform. With a mapping: core-mapping drops and hashes properties
                    of events; segment, snowplow and their floors import records of their own
  --runs N          runs of each; the medians are shown; default: 5
  --one-core        gives each contender one core, which nothing else runs on; Linux
  --profile FOLDER  has Node write CPU profiles of the contenders there

Instead
  --matrix          floor, core, core-transform and import-object on every kind of input
  --memory          peak memory of importObject: every kind of event, 200 MB and 2 GB, servers that are slow and that throttle;
                    takes more than an hour. --events and --size (the larger one) choose a part of it
  --cold-start      from the start of a process to its first answer
  --guard           four minutes for CI: exits with 1 when a ratio is broken

Output
  --json            JSON on standard output: {"rows":[{"name","events","wallSeconds","cpuSeconds","peakMemoryBytes"}]}
  --help
`;

/** What is measured. */
type Mode = 'compare' | 'matrix' | 'memory' | 'cold-start' | 'guard';

/** The options, read. */
export interface Arguments {
  mode: Mode;
  /** Undefined if not given. */
  kind: EventKind | undefined;
  hasIds: boolean;
  isGzip: boolean;
  /** Undefined if not given. */
  bytes: number | undefined;
  runs: number;
  only: readonly string[];
  hasOneCore: boolean;
  profileFolder: string | undefined;
  isJson: boolean;
  isHelp: boolean;
}

/** The command was called in a way that it cannot be. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const KINDS = ['small', 'typical', 'wide'] as const;
const DEFAULT = ['floor', 'core', 'import-object', 'drain-subscription', 'mixpanel-import', 'guide'];
const MAPPED = ['core-mapping', 'segment-floor', 'segment', 'snowplow-floor', 'snowplow'];
const NAMES = [...DEFAULT, 'core-transform', ...MAPPED];

/** @throws {@link UsageError} that says what is wrong */
export function parseArguments(args: readonly string[]): Arguments {
  const { values } = parse(args);
  const modes = (['matrix', 'memory', 'cold-start', 'guard'] as const).filter((mode) => values[mode]);
  if (modes.length > 1) throw new UsageError(`--${modes.join(' and --')} exclude each other`);
  const kind = KINDS.find((name) => name === values.events);
  if (values.events !== undefined && kind === undefined) throw new UsageError(`--events is one of ${KINDS.join(', ')}`);
  const only = values.only?.split(',') ?? DEFAULT;
  const unknown = only.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) throw new UsageError(`--only knows ${NAMES.join(', ')}, and not ${unknown.join(', ')}`);
  const runs = Number(values.runs ?? 5);
  if (!Number.isInteger(runs) || runs < 1) throw new UsageError('--runs is a whole number from 1 on');
  return {
    mode: modes[0] ?? 'compare',
    kind,
    hasIds: values.ids ?? true,
    isGzip: values.gzip ?? false,
    bytes: values.size === undefined ? undefined : parseSize(values.size),
    runs,
    only,
    hasOneCore: values['one-core'] ?? false,
    profileFolder: values.profile,
    isJson: values.json ?? false,
    isHelp: values.help ?? false,
  };
}

function parse(args: readonly string[]) {
  const flag = { type: 'boolean' } as const;
  const value = { type: 'string' } as const;
  const given = { events: value, size: value, runs: value, only: value, profile: value };
  const flags = { ids: flag, gzip: flag, json: flag, help: flag, guard: flag, matrix: flag, memory: flag };
  try {
    return parseArgs({
      args: [...args],
      allowNegative: true,
      options: { ...given, ...flags, 'cold-start': flag, 'one-core': flag },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function parseSize(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(MB|GB)$/i.exec(text) ?? [];
  if (number === undefined) throw new UsageError('--size is such as 50MB or 2GB');
  return Number(number) * (unit!.toUpperCase() === 'GB' ? 1e9 : 1e6);
}
