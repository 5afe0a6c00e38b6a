/** The dead letters by their reason, each group with a button that replays it. */

import { ask } from './ask.ts';
import { byId, formatCount, h, setText } from './dom.ts';
import type { LetterGroup, ShownLetter, State } from './frames.ts';

/** How often they are asked for, at most, while more and more come. */
const INTERVAL_MS = 500;

/** Asks for the letters whenever they have changed. */
export function createLetters() {
  let wanted = '';
  let shown = '';
  let isAsking = false;

  async function refresh(): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    while (shown !== wanted) {
      const version = wanted;
      try {
        const response = await fetch('/letters');
        // A file may be replaced by a replay while it is being read.
        if (!response.ok) throw new Error(response.statusText);
        const { groups } = (await response.json()) as { groups: LetterGroup[] };
        show(groups);
        shown = version;
      } catch {
        // Where the connection is lost, that is said elsewhere; it is tried again.
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    }
    isAsking = false;
  }

  return ({ deadLetters: { version }, startedAt }: State): void => {
    // Another start counts from 0 again.
    wanted = `${startedAt}:${version}`;
    void refresh();
  };
}

function show(groups: readonly LetterGroup[]): void {
  const total = groups.reduce((sum, { count }) => sum + count, 0);
  const reasons = groups.length === 1 ? 'one reason' : `${groups.length} reasons`;
  setText(byId('letters-count'), total === 0 ? 'none' : `${formatCount(total)} for ${reasons}`);
  const container = byId('letters');
  const open = new Set(
    [...container.querySelectorAll<HTMLElement>('details[open]')].map(({ dataset }) => dataset.reason),
  );
  const focused = document.activeElement?.closest<HTMLElement>('[data-reason]')?.dataset.reason;
  const isButton = document.activeElement instanceof HTMLButtonElement;
  container.replaceChildren(...groups.map((group) => showGroup(group, open.has(group.reason))));
  if (focused === undefined) return;
  // The elements are new: whoever was in one of them goes on there.
  const same = [...container.querySelectorAll<HTMLElement>('.group')].find(({ dataset }) => dataset.reason === focused);
  same?.querySelector<HTMLElement>(isButton ? 'button' : 'summary')?.focus();
}

function showGroup({ reason, field, count, letters }: LetterGroup, isOpen: boolean): Node {
  const replay = h('button', { type: 'button', 'aria-label': `Replay ${formatCount(count)}: ${reason}` }, 'Replay');
  replay.addEventListener('click', async () => {
    replay.disabled = true;
    await ask('/replay', { reason });
    replay.disabled = false;
  });
  const summary = h('summary', {}, h('b', {}, `${formatCount(count)} ×`), ` ${reason}`);
  const more = count > letters.length ? [h('p', { class: 'hint' }, `The newest ${letters.length} of them.`)] : [];
  const items = letters.map((letter) => showLetter(letter, field));
  const details = h('details', { 'data-reason': reason, open: isOpen }, summary, ...more, h('ul', {}, ...items));
  return h('div', { class: 'group', 'data-reason': reason }, details, replay);
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
