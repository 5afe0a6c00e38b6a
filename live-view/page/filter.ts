/** Which events are shown: those with these words in their name, user and text. */

import type { ShownEvent } from './frames.ts';

/** What is looked for; empty for anything. */
export interface Wanted {
  name: string;
  user: string;
  text: string;
  duplicates: boolean;
}

/** A test for events, without regard to case. */
export function createFilter({ name, user, text, duplicates }: Wanted): (event: ShownEvent) => boolean {
  const [inName, inUser, inText] = [name, user, text].map(containing);
  return (event) =>
    (!duplicates || event.isDuplicate) && inName!(event.name) && inUser!(event.user) && inText!(event.json);
}

/** An expression that ignores case takes no copy in lower case of every text. */
function containing(words: string): (text: string) => boolean {
  if (words === '') return () => true;
  const expression = new RegExp(RegExp.escape(words), 'i');
  return (text) => expression.test(text) || (text.includes('\\') && expression.test(unescaped(text)));
}

/** JSON as a person reads it: many programs write `ü` as `\u00fc`, and `/` as `\/`. */
function unescaped(json: string): string {
  return json.replace(/\\(?:u([0-9a-f]{4})|(["\\/]))/gi, (_, code, character) =>
    code === undefined ? character : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
