/**
 * Presets: mappings of well-known sources, as data.
 *
 * ## How a preset is written
 *
 * One file, `functions/core/mappings/NAME.ts`, exports one constant of type {@link Preset} and is entered in `presets.ts`. It is a
 * table: what the event, its time, ids and properties are made of. A value's source is a path (`context.page.url`), a list of
 * paths of which the first that is not empty counts, or a function of the record for the few things that need code.
 *
 * - `begin` sees the record first. It leaves it out (null), rejects it ({@link Misfit}, with the field and a message without
 *   values), or hands on the record; a changed one has to be a copy.
 * - `fields` are the properties that Mixpanel knows by other names. They come first, and of two sources of one name the first
 *   wins: so neither `properties` nor `params` overwrite them. What a field's path names is used, and `properties: '*'`, or a
 *   spread of the object it is in, leaves it out. A function uses nothing: name what it reads in `uses`.
 * - `properties` and `params` are as in the mapping language. `addFirst` comes before them, `add` last; they put further
 *   properties one by one.
 * - Null, undefined and `""` never become properties, so the table needs no conditions.
 * - `time` is read as the language says: numbers by their size, text by its form. A value that is not a time is rejected, never replaced.
 * - `user` and `device`: Mixpanel's disallowed values count as empty, numbers become text, one leading `$device:` of a device is
 *   taken away, long ids are hashed. distinct_id is made of the two; never set it, nor any other reserved name, in `fields`.
 * - `insertId`: a path or a list of paths of which the first counts; it is hashed if Mixpanel would not take it. `{ hashOf }`
 *   hashes several values together; nothing at all makes an id by content.
 * - A key of the user's rule replaces the preset's: `event`, `time`, `user`, `device`, `insertId`, `ip`, `properties` (also
 *   `addFirst` and `add`), `params`, `skip`. `drop` adds to it. The user's `pick`, `rename`, `number`, `boolean`, `json` and `hash` see the names
 *   that the preset makes.
 *
 * Everything that is checked for any mapping (ids, times, `ip`, reserved names) is checked for presets too, and not by them.
 * What an event of a given record is never changes within a major version: golden tests in `test/functions/core/mappings/NAME.test.ts`
 * pin it, on the samples in `test/data/NAME/` and on one record made by hand for every trap.
 */

import type { Misfit } from './mapping.ts';
import type { Fields } from './path.ts';

/** Where a value comes from. */
export type ValueSource = string | readonly string[] | ((record: Fields) => unknown);

/** Puts a property, unless there is one of that name. */
export type Put = (name: string, value: unknown) => void;

/** A mapping of a well-known source. */
export interface Preset {
  /** The format of text that the source writes, if it has one of its own. */
  readonly format?: 'snowplow';
  begin?(record: Fields): Fields | null | Misfit;
  readonly event: ValueSource;
  readonly time: ValueSource;
  /** Whether times that are numbers count from 1970 on the clock of `time.zone`, not of UTC. */
  readonly numbersAreLocal?: boolean;
  readonly user?: ValueSource;
  readonly device?: ValueSource;
  readonly insertId?: ValueSource | { readonly hashOf: readonly ValueSource[] };
  readonly ip?: ValueSource;
  /** By the name of the property. */
  readonly fields?: Readonly<Record<string, ValueSource>>;
  /** Paths that functions use. */
  readonly uses?: readonly string[];
  /** As in a rule; nothing if absent. */
  readonly properties?: string | readonly string[];
  readonly params?: string;
  /** Adds properties after `fields`. */
  addFirst?(record: Fields, put: Put): Misfit | undefined;
  /** Adds properties after all others. */
  add?(record: Fields, put: Put): Misfit | undefined;
  readonly skip?: readonly string[];
  readonly drop?: readonly string[];
}
