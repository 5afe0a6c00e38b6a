/** Notices for the reader, which screen readers speak too. */

import { byId, h, setText } from './dom.ts';

/** How long a notice stays that asks for nothing. */
const SHOWN_MS = 8_000;

/** A notice that is shown, and how often it was given. */
interface Shown {
  element: HTMLElement;
  count: number;
  timer: number;
}

const notices = new Map<string, Shown>();

/**
 * Shows a notice; an error stays until it is closed. The same text again is counted in the notice that is there.
 *
 * @returns what closes it
 */
export function notify(text: string, kind: 'info' | 'error' = 'info'): () => void {
  const key = `${kind} ${text}`;
  const close = () => {
    const notice = notices.get(key);
    clearTimeout(notice?.timer);
    notice?.element.remove();
    notices.delete(key);
  };
  const notice = notices.get(key) ?? { element: addElement(text, kind, close), count: 0, timer: 0 };
  notices.set(key, notice);
  notice.count++;
  if (notice.count > 1) setText(notice.element.querySelector('b')!, ` × ${notice.count}`);
  clearTimeout(notice.timer);
  if (kind === 'info') notice.timer = setTimeout(close, SHOWN_MS);
  return close;
}

function addElement(text: string, kind: string, onclick: () => void): HTMLElement {
  const button = h('button', { type: 'button', 'aria-label': 'Close this notice', onclick }, '✕');
  const element = h('div', { class: `notice ${kind}` }, h('span', {}, text, h('b', {})), button);
  byId('notices').prepend(element);
  return element;
}
