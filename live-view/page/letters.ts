/** The dead letters by their reason, each group with a button that replays it. */

import { ask } from './ask.ts';
import { byId, formatCount, h, setText } from './dom.ts';
import type { LetterGroup, ShownLetter, State } from './frames.ts';

/** A file whose letters alone are shown. */
interface LetterFile {
  name: string;
  generation: string;
}

const HASH = /^#letters\/(\d+)\/(.+)$/s;
/** How often they are asked for, at most, while more and more come. */
const INTERVAL_MS = 500;

/** The fragment of the page's address with which the letters of one file are shown. */
export function lettersHash({ name, generation }: LetterFile): string {
  return `#letters/${generation}/${encodeURIComponent(name)}`;
}

/** The file that the page's address names, if it does. */
function readHash(): LetterFile | undefined {
  const [, generation, name] = HASH.exec(location.hash) ?? [];
  try {
    return generation && name ? { generation, name: decodeURIComponent(name) } : undefined;
  } catch {
    return undefined;
  }
}

/** Asks for the letters whenever they have changed, or those of another file are wanted. */
export function createLetters() {
  let version = '';
  let wanted = '';
  let shown = '';
  let isAsking = false;

  async function refresh(): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    while (shown !== wanted) {
      const asked = wanted;
      const only = readHash();
      try {
        const query = only && new URLSearchParams({ object: only.name, generation: only.generation });
        const response = await fetch(query === undefined ? '/letters' : `/letters?${query}`);
        // A file may be replaced by a replay while it is being read.
        if (!response.ok) throw new Error(response.statusText);
        const { groups } = (await response.json()) as { groups: LetterGroup[] };
        show(groups, only);
        shown = asked;
      } catch {
        // Where the connection is lost, that is said elsewhere; it is tried again.
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    }
    isAsking = false;
  }

  function update(): void {
    wanted = version + location.hash;
    void refresh();
  }

  window.addEventListener('hashchange', () => {
    update();
    if (readHash() !== undefined) byId('letters-title').scrollIntoView();
  });

  return ({ deadLetters, startedAt }: State): void => {
    // Another start counts from 0 again.
    version = `${startedAt}:${deadLetters.version}`;
    update();
  };
}

function show(groups: readonly LetterGroup[], only: LetterFile | undefined): void {
  const total = groups.reduce((sum, { count }) => sum + count, 0);
  const reasons = groups.length === 1 ? 'one reason' : `${groups.length} reasons`;
  const of = only === undefined ? '' : ` of ${only.name}`;
  setText(byId('letters-count'), total === 0 ? `none${of}` : `${formatCount(total)}${of} for ${reasons}`);
  byId('letters-all').hidden = only === undefined;
  const container = byId('letters');
  const open = new Set(
    [...container.querySelectorAll<HTMLElement>('details[open]')].map(({ dataset }) => dataset.reason),
  );
  const focused = document.activeElement?.closest<HTMLElement>('[data-reason]')?.dataset.reason;
  const isButton = document.activeElement instanceof HTMLButtonElement;
  container.replaceChildren(...groups.map((group) => showGroup(group, open.has(group.reason), only !== undefined)));
  if (focused === undefined) return;
  // The elements are new: the focus returns to the same place.
  const same = [...container.querySelectorAll<HTMLElement>('.group')].find(({ dataset }) => dataset.reason === focused);
  same?.querySelector<HTMLElement>(isButton ? 'button' : 'summary')?.focus();
}

/** @param isPart whether it holds the letters of one file alone: buttons act on all with that reason */
function showGroup({ reason, field, count, letters }: LetterGroup, isOpen: boolean, isPart: boolean): Node {
  const button = (word: string, path: string, className?: string) => {
    const label = `${word} ${formatCount(count)}: ${reason}`;
    const element = h('button', { type: 'button', class: className, 'aria-label': label }, word);
    element.addEventListener('click', async () => {
      if (path === '/discard' && !confirm(`Delete ${formatCount(count)} for good? ${reason}`)) return;
      element.disabled = true;
      await ask(path, { reason });
      element.disabled = false;
    });
    return element;
  };
  const buttons = [button('Replay', '/replay'), button('Discard', '/discard', 'danger')];
  const summary = h('summary', {}, h('b', {}, `${formatCount(count)} ×`), ` ${reason}`);
  const more = count > letters.length ? [h('p', { class: 'hint' }, `The newest ${letters.length} of them.`)] : [];
  const items = letters.map((letter) => showLetter(letter, field));
  const details = h('details', { 'data-reason': reason, open: isOpen }, summary, ...more, h('ul', {}, ...items));
  return h(
    'div',
    { class: 'group', 'data-reason': reason },
    details,
    ...(isPart ? [] : [h('div', { class: 'buttons' }, ...buttons)]),
  );
}

function showLetter({ message, place, record }: ShownLetter, field: string): Node {
  return h(
    'li',
    {},
    h('p', {}, h('b', {}, place)),
    h('p', {}, h('code', {}, field), ` ${message}`),
    h('pre', { tabindex: 0, 'aria-label': `The record at ${place}` }, record),
  );
}
