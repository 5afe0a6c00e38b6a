/** Writes what is known of an object, as plain text. */

import { isAllRejected } from '../../functions/core/block.ts';
import type { ExclusionReason } from '../../functions/object-filter.ts';
import type { Checkpoint } from '../../functions/storage/checkpoint.ts';
import { printable } from '../import/printable.ts';
import { countOf, formatBytes, formatCount } from '../import/quantities.ts';
import type { ObjectState } from './object-state.ts';
import { renderReasons } from './render-reasons.ts';

/** Generations besides the one that was asked for that are named. */
const MAX_OTHERS = 5;

/** @param now milliseconds since the epoch */
export function renderState(found: ObjectState, now: number): string {
  const { object, stored, checkpoint } = found;
  const facts =
    stored === undefined ? 'not in the bucket any more' : `${formatBytes(stored.size)}, written ${stored.createdAt}`;
  return [
    `${printable(`gs://${object.bucket}/${object.object}#${object.generation}: ${facts}`)}\n\n`,
    `${verdictOf(found, now)}\n`,
    checkpoint === undefined ? '' : renderCounts(checkpoint),
    renderDeadLetters(found),
    renderOthers(found),
  ].join('');
}

const EXCLUSIONS: Record<ExclusionReason, string> = {
  prefix: 'its name does not begin with OBJECT_PREFIX',
  excluded: 'its name ends with a slash, matches OBJECT_EXCLUDE, or does not match OBJECT_INCLUDE',
};

function verdictOf({ object, stored, checkpoint, exclusion }: ObjectState, now: number): string {
  if (checkpoint === undefined) {
    if (stored === undefined) return 'not seen: that generation is not there, and there is no checkpoint of it.';
    if (exclusion !== undefined) return `excluded: it is not imported, because ${EXCLUSIONS[exclusion]}.`;
    const address = `gs://${object.bucket}/${object.object}`;
    return `not seen yet: there is no checkpoint. It may wait its turn; if it was uploaded before the deployment, or its
notification was lost: npm run backfill -- '${printable(address)}'`;
  }
  if (checkpoint.state === 'done') {
    return isAllRejected(checkpoint.counts) ? 'done: every record was rejected.' : 'done: all of it is settled.';
  }
  const address = printable(`gs://${object.bucket}/${object.object}`);
  if (checkpoint.state === 'gone') {
    const again = stored === undefined ? '' : ` It is there now; to import the rest: npm run backfill -- '${address}'`;
    return `gone: the object was not there any more; ${placeOf(checkpoint, stored)} was settled.${again}`;
  }
  if (checkpoint.state === 'stalled') {
    return `stalled: set aside, because ${checkpoint.fruitless} invocations in a row settled nothing; ${placeOf(checkpoint, stored)} is settled.
Inspect the record there, and the memory of the function, then: npm run backfill -- --again '${address}'`;
  }
  const progress = `${placeOf(checkpoint, stored)} is settled; ${leaseOf(checkpoint, now)}`;
  const { lastError } = checkpoint;
  if (lastError === null) return `running: ${progress}`;
  const { code, message, time, since } = lastError;
  const times = `last tried ${formatTime(time, now)}, failing since ${formatTime(since, now)}`;
  return `${printable(`failing: ${code}, ${times}`)}; ${progress}\nWhat to check: ${printable(message)}`;
}

/** `12:03 UTC`, with the date if it is not today's; what is not a time stays as it is. */
function formatTime(time: string, now: number): string {
  if (Number.isNaN(Date.parse(time))) return time;
  const iso = new Date(time).toISOString();
  const isToday = iso.slice(0, 10) === new Date(now).toISOString().slice(0, 10);
  return `${iso.slice(isToday ? 11 : 0, 16).replace('T', ' ')} UTC`;
}

/** How far it has come; of compressed content it is not known how much there is. */
function placeOf({ position: { offset, line }, compression }: Checkpoint, stored: ObjectState['stored']): string {
  const place = `up to byte ${formatCount(offset)}, line ${formatCount(line)}`;
  if (offset === 0) return 'nothing of it';
  if (compression !== null && compression.length > 0) return `${place} of the decompressed content`;
  if (stored === undefined) return place;
  return `${place}, ${Math.floor((100 * offset) / Math.max(1, stored.size))}% of ${formatCount(stored.size)}`;
}

function leaseOf({ holder, leaseExpiresAt, takeovers }: Checkpoint, now: number): string {
  const often = takeovers === 0 ? '' : ` Leases that expired without movement: ${takeovers}.`;
  if (leaseExpiresAt === null) return `waiting for redelivery.${often}`;
  const isLive = Date.parse(leaseExpiresAt) > now;
  const until = isLive
    ? `until ${leaseExpiresAt}`
    : `until ${leaseExpiresAt}, which is over: the next delivery takes over`;
  return printable(`held by ${holder} ${until}.${often}`);
}

function renderCounts({ counts }: Checkpoint): string {
  const { read, expanded, imported, rejected, dropped } = counts;
  const cells = Object.entries({ read, ...(expanded > 0 ? { expanded } : {}), imported, rejected, dropped });
  return `  ${cells.map(([name, count]) => `${name} ${formatCount(count)}`).join('   ')}\n`;
}

function renderDeadLetters({ deadLetters: { places, foundIn, survey }, checkpoint }: ObjectState): string {
  const { total, repeated } = survey.tally;
  if (total === 0) {
    if ((checkpoint?.counts.rejected ?? 0) === 0) return '';
    return `\nNo dead letters of it in ${namesOf(places)}: they were replayed or deleted, or are in another bucket (--dead-letters).\n`;
  }
  const also = repeated > 0 ? `, ${countOf(repeated, 'repetition')} not counted` : '';
  return `\n${countOf(total, 'dead letter')}${also} in ${namesOf(foundIn)}\n${renderReasons(survey.tally.reasons(), { withRecords: false })}`;
}

function namesOf(places: readonly string[]): string {
  return places.map(printable).join(' and ');
}

function renderOthers({ others }: ObjectState): string {
  if (others.length === 0) return '';
  const named = others
    .slice(0, MAX_OTHERS)
    .map(({ generation, state }) => `  #${generation}  ${printable(state ?? 'unknown')}\n`);
  if (others.length > MAX_OTHERS) named.push(`  and ${formatCount(others.length - MAX_OTHERS)} more\n`);
  return `\nOther generations of it\n${named.join('')}`;
}
