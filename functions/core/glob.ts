/** Globs over names of objects and paths of files: `*` and `?` stop at a slash, `**` does not. */

/** The most bytes that a name may have (https://cloud.google.com/storage/docs/objects#naming). */
const MAX_PATTERN_BYTES = 1_024;

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

/** A function that says whether a name matches. A pattern without a slash is compared with the last segment of a name. */
export function globMatcher(pattern: string): (name: string) => boolean {
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
