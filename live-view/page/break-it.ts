/** Breaks things: the switches of the local Mixpanel, and the ends of functions. */

import { ask } from './ask.ts';
import { byId } from './dom.ts';
import type { State, SwitchName } from './frames.ts';

/** Sets up the switches; the returned function shows how they stand. */
export function createBreakIt() {
  const switches = [...byId('switches').querySelectorAll('input')];
  /** Switches that were moved, until the server shows that it knows. */
  const moved = new Set<HTMLInputElement>();
  for (const input of switches) {
    input.addEventListener('change', async () => {
      moved.add(input);
      if (!(await ask('/switch', { name: input.name, on: input.checked }))) moved.delete(input);
    });
  }
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-kill]')) {
    button.addEventListener('click', () => ask('/kill', { target: button.dataset.kill }));
  }
  byId('clean').addEventListener('click', () => {
    if (confirm('Delete all files, messages, events and dead letters of the local cloud?')) void ask('/clean', {});
  });
  return (state: State): void => {
    for (const input of switches) {
      const isOn = state.switches[input.name as SwitchName];
      if (isOn === input.checked) moved.delete(input);
      if (!moved.has(input)) input.checked = isOn;
    }
  };
}
