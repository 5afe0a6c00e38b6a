/** Dead letters by their reason, and sending those of one reason again. */

import { describe, kindOf } from '../cli/import/findings.ts';
import { Meter } from '../cli/import/meter.ts';
import { findLetterFiles, type LetterFile } from '../cli/operate/letter-files.ts';
import { type Letter, letterKey, placeOf, readLines } from '../cli/operate/letters.ts';
import { findUnprovided, type Replayed, replayLetters } from '../cli/operate/replay-letters.ts';
import { readCoreConfig } from '../functions/config.ts';
import { addCounts } from '../functions/core/block.ts';
import type { Transform } from '../functions/core/event.ts';
import { createMappings } from '../functions/core/mappings/mappings.ts';
import { createMixpanelClient } from '../functions/core/mixpanel/client.ts';
import { createSender } from '../functions/core/mixpanel/sender.ts';
import { startRun } from '../functions/core/run.ts';
import { type LocalCloud, NAMES } from '../local-cloud/cloud.ts';
import type { LetterGroup, ShownLetter } from './page/frames.ts';
import type { Watch } from './watch.ts';

/** Letters of a group that are shown, and groups. */
const MAX_SHOWN = 50;
const MAX_GROUPS = 200;
/** Different reasons that are kept while letters are read; a transform's exceptions can all be different. */
const MAX_REASONS = 1_000;
/** Characters of a record that are shown. */
const MAX_RECORD_LENGTH = 2_000;
/** How long a replay may take. */
const DEADLINE_MS = 30_000;
const NEWLINE = Buffer.from('\n');

/** A file whose letters alone are wanted. */
export interface LetterQuery {
  object: string;
  generation: string;
}

/**
 * The dead letters in the state bucket, the most frequent reason first; each once, wherever it stands.
 *
 * @param only the file that they are of; default: all letters
 */
export async function groupLetters({ storage }: LocalCloud, only?: LetterQuery): Promise<LetterGroup[]> {
  const groups = new Map<string, LetterGroup>();
  const seen = new Set<string>();
  const run = startRun();
  try {
    for (const file of await letterFiles(storage.url)) {
      for await (const { letter } of readLines(file.read(run))) {
        if (letter === undefined || seen.has(letterKey(letter))) continue;
        seen.add(letterKey(letter));
        if (only === undefined || isOf(letter.source, only)) add(groups, letter);
      }
    }
  } finally {
    run.end();
  }
  return [...groups.values()].sort((a, b) => b.count - a.count).slice(0, MAX_GROUPS);
}

/**
 * Sends the letters of one group through the transform and to Mixpanel; all others stay as they are.
 *
 * @param reason as {@link groupLetters} gives it
 * @returns what became of them, for people
 */
export async function replayGroup(cloud: LocalCloud, watch: Watch, reason: string): Promise<string> {
  const config = readCoreConfig({ ...cloud.env });
  const sender = createSender(createMixpanelClient(config.mixpanel), config);
  const allFiles = await letterFiles(cloud.storage.url);
  const files = allFiles.map((file) => onlyGroup(file, reason));
  let firstProblem = '';
  const run = startRun(DEADLINE_MS);
  watch.replaying++;
  try {
    const meter = new Meter([undefined], () => performance.now()).begin('', () => 0);
    const onProblem = (place: string, problem: string) => {
      firstProblem ||= `${place}: ${problem}`;
    };
    const mappingOf = createMappings({ ...config, transform: await readTransform() });
    if ((await findUnprovided(allFiles, { mappingOf, run }, (letter) => reasonOf(letter) === reason)) !== undefined) {
      return 'not replayed: these records passed a transform, and there is none now';
    }
    const replayed = await replayLetters(files, { config, sender, mappingOf, isRaw: false, run, meter, onProblem });
    addCounts(watch.replayed, replayed.counts);
    return tell(replayed, firstProblem);
  } finally {
    run.end();
    watch.replaying--;
    watch.lettersChanged();
  }
}

function letterFiles(endpoint: string): Promise<LetterFile[]> {
  return findLetterFiles([`gs://${NAMES.stateBucket}`], endpoint);
}

/** As it is now: it may have been put right since this process was started. */
export async function readTransform(): Promise<Transform> {
  const module = new URL(`../functions/transform.ts?${Date.now()}`, import.meta.url);
  return ((await import(module.href)) as { default: Transform }).default;
}

/** The file as if only letters of that group stood in it; the other lines are kept when it is replaced. */
function onlyGroup(file: LetterFile, reason: string): LetterFile {
  return {
    ...file,
    async *read(run) {
      for await (const { raw, letter } of readLines(file.read(run))) {
        const line = Buffer.concat([raw, NEWLINE]);
        if (letter !== undefined && reasonOf(letter) === reason) yield line;
        else await file.keep(line);
      }
    },
  };
}

function isOf(source: Letter['source'], { object, generation }: LetterQuery): boolean {
  return 'object' in source && source.object === object && source.generation === generation;
}

function reasonOf({ reason }: Letter): string {
  return kindOf(describe(reason));
}

function add(groups: Map<string, LetterGroup>, letter: Letter): void {
  const reason = reasonOf(letter);
  if (groups.size === MAX_REASONS && !groups.has(reason)) return;
  const group = groups.get(reason) ?? { reason, field: letter.reason.field, count: 0, letters: [] };
  groups.set(reason, group);
  group.count++;
  if (group.letters.length === MAX_SHOWN && group.letters.at(-1)!.rejectedAt >= letter.rejectedAt) return;
  group.letters.push(toShownLetter(letter));
  group.letters.sort((a, b) => (a.rejectedAt < b.rejectedAt ? 1 : a.rejectedAt > b.rejectedAt ? -1 : 0));
  group.letters.length = Math.min(group.letters.length, MAX_SHOWN);
}

function toShownLetter({ reason, source, insertId = '', rejectedAt, record }: Letter): ShownLetter {
  const beginning = record.toString('utf8', 0, 4 * MAX_RECORD_LENGTH).slice(0, MAX_RECORD_LENGTH);
  return { message: reason.message, place: placeOf(source), rejectedAt, insertId, record: beginning };
}

function tell({ counts, truncated, filesLeft, error }: Replayed, firstProblem: string): string {
  const parts = [
    `${counts.read} replayed: ${counts.imported} imported, ${counts.rejected} rejected again`,
    counts.dropped > 0 ? `${counts.dropped} dropped by the transform` : '',
    truncated > 0 ? `${truncated} cannot be sent, as only the beginning is there` : '',
    filesLeft.length > 0 ? 'some stay as they are' : '',
    error instanceof Error ? error.message : '',
    firstProblem,
  ];
  return parts.filter(Boolean).join('; ');
}
