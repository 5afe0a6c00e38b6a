/** Compares what arrived, was rejected and was written down with what was sent. */

import { isBalanced } from '../../functions/core/block.ts';
import { type LocalCloud, NAMES } from '../cloud.ts';
import { MARK } from './hostile.ts';
import { badRecord, type Sent } from './producer.ts';

/** Bad records in the text of a letter. */
const BAD_RECORD = /^this is no event: \d+$/gm;

/** What excuses a difference. */
interface Excuses {
  /** Objects of which a read brought a wrong byte: what it makes of a record is sent or rejected before it is known to be wrong; the right record comes after it. */
  corrupted: ReadonlySet<string>;
  /** Drains that were killed: each may have accused one good message, which is a dead letter then. */
  killedDrains: number;
}

/** What dead letters hold. */
interface Letters {
  /** Bad records and hostile inputs. */
  known: Set<string>;
  /** Good events whose message was accused, by their ids; how many messages. */
  accused: Set<string>;
  accusations: number;
  /** Letters that should not be. */
  strangers: string[];
}

/** Everything that is wrong, as sentences; prints what is not, but is of interest. */
export async function findLosses(cloud: LocalCloud, sent: Sent, excuses: Excuses): Promise<string[]> {
  const { mixpanel } = cloud;
  const losses: string[] = [];
  const letters = await readLetters(cloud, excuses);
  const ids = Array.from({ length: sent.events }, (_, number) => `soak-${number}`);
  const absent = ids.filter((id) => mixpanel.count(id) === 0);
  const missing = absent.filter((id) => !letters.accused.has(id));
  if (missing.length > 0)
    losses.push(`${missing.length} of ${sent.events} events never arrived, such as ${missing[0]}`);
  const others = mixpanel.received - mixpanel.duplicates - sent.events + absent.length;
  console.log(
    `Reads brought wrong bytes of ${excuses.corrupted.size} objects; ${others} events arrived that were not sent; ${letters.accusations} good messages were accused by ${excuses.killedDrains} kills; ${letters.known.size} bad and hostile inputs are dead letters`,
  );
  if (others > 0 && excuses.corrupted.size === 0) losses.push('other events arrived than were sent');
  if (letters.accusations > excuses.killedDrains) losses.push(`${letters.accusations} good messages were accused`);
  const bad = Array.from({ length: sent.rejections }, (_, number) => badRecord(number));
  const unwritten = [...bad, ...sent.marks].filter((what) => !letters.known.has(what));
  if (unwritten.length > 0) losses.push(`${unwritten.length} bad inputs are no dead letters: ${unwritten[0]}`);
  const [stranger] = letters.strangers;
  if (stranger !== undefined) losses.push(`${letters.strangers.length} events are dead letters, such as ${stranger}`);
  return [...losses, ...(await findUnfinished(cloud, sent))];
}

async function readLetters({ storageClient }: LocalCloud, { corrupted }: Excuses): Promise<Letters> {
  const letters: Letters = { known: new Set(), accused: new Set(), accusations: 0, strangers: [] };
  const [files] = await storageClient.bucket(NAMES.stateBucket).getFiles({ prefix: 'dead-letters/' });
  for (const file of files) {
    for (const line of (await file.download())[0].toString().trimEnd().split('\n'))
      readLetter(line, letters, corrupted);
  }
  return letters;
}

function readLetter(line: string, letters: Letters, corrupted: ReadonlySet<string>): void {
  const { record = '', recordBase64 = '', reason, source, truncated = false } = JSON.parse(line);
  const text = `${record}${Buffer.from(recordBase64, 'base64').toString('latin1')}`;
  const names = [source.object ?? '', source.attributes?.hostile ?? ''];
  // A rejection may hold what follows the record that it is of: only its beginning says what it is.
  const [mark] = [...names, text.slice(0, 200)].join(' ').match(MARK) ?? [];
  // That may be bad records, each whole on a line of its own.
  const bad = (truncated ? text.slice(0, text.lastIndexOf('\n') + 1) : text).match(BAD_RECORD) ?? [];
  for (const found of bad) letters.known.add(found);
  if (mark !== undefined) letters.known.add(mark);
  else if (bad[0] === text) return;
  else if (reason.message.startsWith('the process ended')) {
    letters.accusations++;
    for (const id of text.match(/soak-\d+/g) ?? []) letters.accused.add(id);
  } else if (!corrupted.has(source.object)) letters.strangers.push(line.slice(0, 1_000));
}

async function findUnfinished({ storageClient }: LocalCloud, sent: Sent): Promise<string[]> {
  const [checkpoints] = await storageClient.bucket(NAMES.stateBucket).getFiles({ prefix: 'checkpoints/' });
  const losses: string[] = [];
  if (checkpoints.length !== sent.files) losses.push(`${checkpoints.length} checkpoints for ${sent.files} files`);
  for (const file of checkpoints) {
    const { state, counts } = JSON.parse((await file.download())[0].toString());
    if (state !== 'done' || !isBalanced(counts)) losses.push(`${file.name} is ${state}: ${JSON.stringify(counts)}`);
  }
  return losses;
}
