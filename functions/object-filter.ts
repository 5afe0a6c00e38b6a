/** Decides by an object's name whether it is to be imported. */

/** Which names are meant. */
export interface ObjectNames {
  /** What names must begin with; empty for all. */
  objectPrefix: string;
  /** Globs, of which a name must match one; empty for all names. */
  objectInclude: readonly string[];
  /** Globs, of which a name must match none. */
  objectExclude: readonly string[];
}

/** Why an object is skipped: its name does not begin with the prefix, or is left out in another way. */
export type ExclusionReason = 'prefix' | 'excluded';

/** Returns why an object of this name is skipped; undefined if it is imported. */
export type ObjectFilter = (name: string) => ExclusionReason | undefined;

/**
 * Objects that other programs make and delete while they work: Hadoop and Spark, checksum files, WinSCP, and the parts of
 * parallel composite uploads by `gcloud storage` and `gsutil`, which puts a random number before the names of its parts.
 *
 * @see https://cloud.google.com/storage/docs/parallel-composite-uploads
 */
export const TEMPORARY_OBJECTS: readonly string[] = [
  '**/_temporary/**',
  '*.crc',
  '*.filepart',
  'gcloud/tmp/parallel_composite_uploads/**',
  '**/gsutil/tmp/parallel_composite_uploads/**',
];

/** The most bytes that a name may have (https://cloud.google.com/storage/docs/objects#naming). */
const MAX_PATTERN_BYTES = 1_024;

/**
 * Makes the filter of one configuration. Exclusion comes before inclusion. Names that end with a slash stand for folders and
 * are always left out.
 *
 * @param names with globs of which {@link globProblem} says nothing
 */
export function createObjectFilter({ objectPrefix, objectInclude, objectExclude }: ObjectNames): ObjectFilter {
  const included = objectInclude.map(toMatcher);
  const excluded = objectExclude.map(toMatcher);
  return (name) => {
    if (!name.startsWith(objectPrefix)) return 'prefix';
    if (name.endsWith('/') || excluded.some((matches) => matches(name))) return 'excluded';
    return included.length === 0 || included.some((matches) => matches(name)) ? undefined : 'excluded';
  };
}

/** Says what is wrong with a glob; undefined if nothing is. */
export function globProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty';
  if (/[[\]{}\\]/.test(pattern)) return 'has a bracket, a brace or a backslash: write ? for such a character';
  if (pattern.includes('***')) return 'has more than two asterisks in a row';
  if (pattern.startsWith('gs://')) return 'must be given without the bucket';
  if (/[\r\n]/.test(pattern)) return 'has a line break';
  if (Buffer.byteLength(pattern) > MAX_PATTERN_BYTES) return `is longer than ${MAX_PATTERN_BYTES} bytes`;
  return undefined;
}

/** `**` followed by a slash stands for any number of folders, also none. */
const TOKENS = /(?<=^|\/)\*\*\/|\*\*|./gsu;

/** A pattern without a slash is compared with the last segment of a name. */
function toMatcher(pattern: string): (name: string) => boolean {
  const tokens = pattern.match(TOKENS) ?? [];
  if (pattern.includes('/')) return (name) => matchesAll(tokens, name);
  return (name) => matchesAll(tokens, name.slice(name.lastIndexOf('/') + 1));
}

/** Follows all possible matches at once, so that no pattern takes long: a regular expression could. */
function matchesAll(tokens: readonly string[], name: string): boolean {
  let places = new Set<number>();
  enter(places, tokens, 0);
  for (const character of name) {
    const next = new Set<number>();
    for (const place of places) {
      const token = tokens[place];
      if (token === '**/') {
        next.add(place);
        if (character === '/') enter(next, tokens, place + 1);
      } else if (token === '**' || (token === '*' && character !== '/')) {
        next.add(place);
        enter(next, tokens, place + 1);
      } else if (token === character || (token === '?' && character !== '/')) {
        enter(next, tokens, place + 1);
      }
    }
    if (next.size === 0) return false;
    places = next;
  }
  return places.has(tokens.length);
}

/** What begins at a place begins after it too if the token there can stand for nothing. */
function enter(places: Set<number>, tokens: readonly string[], place: number): void {
  places.add(place);
  const token = tokens[place];
  if (token === '*' || token === '**' || token === '**/') enter(places, tokens, place + 1);
}
