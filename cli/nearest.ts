/** Finds what was meant by a word that was mistyped. */

/** The known word that is nearest to `word`; undefined if none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const maxDistance = Math.max(1, Math.floor(word.length / 3));
  const [best] = known
    .map((candidate) => ({ candidate, distance: distanceOf(withoutDashes(word), withoutDashes(candidate)) }))
    .filter(({ candidate, distance }) => distance <= maxDistance || (word.length > 2 && candidate.startsWith(word)))
    .sort((a, b) => a.distance - b.distance);
  return best?.candidate;
}

function withoutDashes(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}

/** How many characters have to be added, removed or replaced to make one of the other (Levenshtein's distance). */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, character] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (character === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1)!;
}
