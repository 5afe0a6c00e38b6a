/** Notices for the reader, which screen readers speak too. */

import { byId, h } from './dom.ts';

/** How long a notice stays that asks for nothing. */
const SHOWN_MS = 8_000;

/** Shows a notice; an error stays until it is closed. Returns what closes it. */
export function notify(text: string, kind: 'info' | 'error' = 'info'): () => void {
  const close = () => notice.remove();
  const button = h('button', { type: 'button', 'aria-label': 'Close this notice', onclick: close }, '✕');
  const notice = h('div', { class: `notice ${kind}` }, h('span', {}, text), button);
  byId('notices').prepend(notice);
  if (kind === 'info') setTimeout(close, SHOWN_MS);
  return close;
}
