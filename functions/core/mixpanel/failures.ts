/** Reads `failed_records` of an answer 400: which of the events that were sent Mixpanel refused. */

import type { Refusal } from './response.ts';
import { textOf } from './text.ts';

const NEWLINE = 0x0a;

/** A member of `failed_records`. */
interface Failure {
  index?: unknown;
  $insert_id?: unknown;
  insert_id?: unknown;
  field?: unknown;
  message?: unknown;
}

/** Events that were refused. */
export interface Failures {
  /** One for each event that is named, by index. */
  refusals: Refusal[];
  /** Whether every member names an event that was sent. */
  isComplete: boolean;
}

/**
 * A failure names its event by `index`. If it has an `$insert_id` too, and that is not of this event but of exactly one
 * other, the id decides.
 *
 * @param records    the value of `failed_records`
 * @param sent       how many events were sent
 * @param readEvents reads the events that were sent, one per line; called only if a failure has an id
 */
export async function readFailures(
  records: unknown,
  sent: number,
  readEvents: () => Promise<Buffer>,
): Promise<Failures> {
  if (!Array.isArray(records)) return { refusals: [], isComplete: true };
  const failures = records as (Failure | null)[];
  const ids = failures.some((failure) => idOf(failure) !== undefined) ? new EventIds(await readEvents()) : undefined;
  const refusals = new Map<number, Refusal>();
  let isComplete = true;
  for (const failure of failures) {
    const index = indexOf(failure, sent, ids);
    if (index === undefined) isComplete = false;
    else if (!refusals.has(index))
      refusals.set(index, { index, field: textOf(failure?.field) || 'event', message: textOf(failure?.message) });
  }
  return { refusals: [...refusals.values()].sort((a, b) => a.index - b.index), isComplete };
}

function indexOf(failure: Failure | null, sent: number, ids: EventIds | undefined): number | undefined {
  const index = failure?.index;
  const isSent = typeof index === 'number' && Number.isInteger(index) && index >= 0 && index < sent;
  const id = idOf(failure);
  if (id === undefined || ids === undefined || (isSent && ids.at(index) === id)) return isSent ? index : undefined;
  return ids.only(id) ?? (isSent ? index : undefined);
}

function idOf(failure: Failure | null): string | undefined {
  const id = failure?.$insert_id ?? failure?.insert_id;
  return typeof id === 'string' && id !== '' ? id : undefined;
}

/** The ids of the events of a request; an event is parsed when it is asked for. */
class EventIds {
  readonly #text: Buffer;
  /** Where each event begins. */
  readonly #starts = [0];
  /** The index of each id; -1 if several events have it. */
  #indexes: Map<string, number> | undefined;

  constructor(text: Buffer) {
    this.#text = text;
    for (let at = text.indexOf(NEWLINE); at >= 0; at = text.indexOf(NEWLINE, at + 1)) this.#starts.push(at + 1);
  }

  at(index: number): string | undefined {
    try {
      const event = JSON.parse(this.#text.toString('utf8', this.#starts[index], this.#starts[index + 1]));
      const id: unknown = event?.properties?.$insert_id;
      return typeof id === 'string' ? id : undefined;
    } catch {
      return undefined;
    }
  }

  /** The index of the only event with this id. */
  only(id: string): number | undefined {
    this.#indexes ??= this.#readAll();
    const index = this.#indexes.get(id);
    return index === -1 ? undefined : index;
  }

  #readAll(): Map<string, number> {
    const indexes = new Map<string, number>();
    for (let index = 0; index < this.#starts.length - 1; index++) {
      const id = this.at(index);
      if (id !== undefined) indexes.set(id, indexes.has(id) ? -1 : index);
    }
    return indexes;
  }
}
