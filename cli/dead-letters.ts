/** `npm run dead-letters -- gs://LETTERS`: what was rejected, and why; see `--help`. */

import { readCoreConfig } from '../functions/config.ts';
import { UsageError } from './import/arguments.ts';
import { withoutCredentials } from './import/environment.ts';
import { printableLines } from './import/printable.ts';
import { countOf, formatCount } from './import/quantities.ts';
import { EXIT, runCommand } from './operate/command.ts';
import { type Deleted, deleteLetters } from './operate/delete-letters.ts';
import { inBothBuckets } from './operate/letter-buckets.ts';
import { findLetterFiles } from './operate/letter-files.ts';
import type { Letter } from './operate/letters.ts';
import { printProblems } from './operate/problems.ts';
import { renderReasons } from './operate/render-reasons.ts';
import { type Survey, surveyLetters } from './operate/survey.ts';
import { parseWhere } from './operate/where.ts';
import { COMMON_HELP } from './options.ts';

const HELP = `Lists dead letters: how many, why, and where the newest of them stood.

Usage: npm run dead-letters -- [--records] [--json] gs://LETTERS | gs://LETTERS/PREFIX | FOLDER | FILE …

Examples
  npm run dead-letters -- gs://my-letters
  npm run dead-letters -- --delete --where distinct_id=user-1 gs://my-letters
  npm run dead-letters -- --records events.ndjson.dead-letters.ndjson

gs://LETTERS is the bucket of dead letters: all of them. Below it are
  dead-letters/objects/BUCKET/OBJECT/GENERATION/      those of one object
  dead-letters/messages/SUBSCRIPTION/YYYY-MM-DD/      those of a day's messages
A deployment that had no such bucket at first has older ones in the state bucket: name both. If DEAD_LETTER_BUCKET and
STATE_BUCKET are set, naming one of them reads both.
In a FOLDER the files are read that are named as the functions and npm run import name them.

Options
  --where FIELD=VALUE  only letters whose record has this value: in itself or in its properties; a.b for nested ones
  --delete    with --where: deletes them, for good
  --records   shows the beginnings of the records too, with whatever personal data are in them
${COMMON_HELP}
Where a record is not whole, or not JSON with VALUE somewhere in it, --delete names the letter and leaves it, and
ends with exit code 1. Deleting needs the role Storage Object User on the bucket.
With --json the document of --delete has deleted, filesChanged, unclear and failed; else it has letters, records, repeated, truncated, unreadable, files and reasons.

A dead letter that stands in two files, as it may after a crash, counts once. One letter can stand for many records:
"records" and the count of a reason are numbers of records. Google's credentials are asked for when an argument is
gs://, and only then; the account needs the role Storage Object Viewer on the bucket.

To send them again: npm run replay, with the same arguments.

Exit code: 0, also when there are none; 1 when a file could not be read, 2 when the command is
wrong, or the bucket is missing or not one of these.
`;

await runCommand({
  name: 'dead-letters',
  help: HELP,
  async run({ options, args, env }) {
    if (args.length === 0) throw new UsageError('Where are they? Try: npm run dead-letters -- gs://LETTERS, or --help');
    if (options.delete && options.where === undefined) {
      throw new UsageError('--delete needs --where FIELD=VALUE: which dead letters are to be deleted?');
    }
    const withRecords = options.records === true;
    const { storageEndpoint } = readCoreConfig(withoutCredentials(env));
    const files = await findLetterFiles(inBothBuckets(args, env), storageEndpoint);
    const problems = printProblems((text) => process.stderr.write(`${text}\n`));
    const where = options.where === undefined ? undefined : parseWhere(options.where);
    if (options.delete) {
      const deleted = await deleteLetters(files, where!, problems.add);
      problems.close();
      process.stdout.write(options.json ? `${JSON.stringify(deleted, undefined, 2)}\n` : renderDeleted(deleted));
      return deleted.failed + deleted.unclear > 0 ? EXIT.incomplete : EXIT.done;
    }
    const isMeant = where === undefined ? undefined : (letter: Letter) => where.isMeant(letter) === 'yes';
    const survey = await surveyLetters(files, problems.add, isMeant);
    problems.close();
    const render = options.json === true ? renderJson : renderText;
    process.stdout.write(render(survey, files.length, withRecords));
    return survey.failed > 0 ? EXIT.incomplete : EXIT.done;
  },
});

function renderJson({ tally, unreadable }: Survey, files: number, withRecords: boolean): string {
  const { total: letters, records, repeated, truncated } = tally;
  const reasons = tally.reasons().map((entry) => ({
    ...entry,
    examples: entry.examples.map(({ record, ...example }) => (withRecords ? { ...example, record } : example)),
  }));
  const json = JSON.stringify({ letters, records, repeated, truncated, unreadable, files, reasons }, undefined, 2);
  return `${printableLines(json)}\n`;
}

function renderDeleted({ deleted, filesChanged, unclear, failed }: Deleted): string {
  const facts = [
    `${countOf(deleted, 'dead letter')} deleted in ${countOf(filesChanged, 'file')}`,
    unclear > 0 ? `${formatCount(unclear)} left that may be meant: see above` : '',
    failed > 0 ? `${countOf(failed, 'file')} failed` : '',
  ];
  return `${facts.filter(Boolean).join('; ')}\n`;
}

function renderText({ tally, unreadable }: Survey, files: number, withRecords: boolean): string {
  const { total, records, repeated, truncated } = tally;
  const facts = [
    `${countOf(total, 'dead letter')} in ${countOf(files, 'file')}`,
    records > total ? `they stand for ${countOf(records, 'record')}` : '',
    repeated > 0 ? `${countOf(repeated, 'repetition')} not counted` : '',
    truncated > 0 ? `only the beginning of the record kept in ${formatCount(truncated)} of them` : '',
    unreadable > 0 ? `${countOf(unreadable, 'line')} not understood` : '',
  ];
  const head = `${facts.filter(Boolean).join('; ')}\n`;
  return total === 0 ? head : `${head}\n${renderReasons(tally.reasons(), { withRecords })}`;
}
