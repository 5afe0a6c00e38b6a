/** The page of the view: connects its parts with the stream of what happens. */

import { createBreakIt } from './break-it.ts';
import { connect } from './connection.ts';
import { createEvents } from './events.ts';
import type { State } from './frames.ts';
import { createLetters } from './letters.ts';
import { createMapping } from './mapping.ts';
import { setUpProperties } from './properties.ts';
import { setUpTryIt } from './try-it.ts';
import { showState } from './way.ts';

const { onEvents, onReset } = createEvents();
const showSwitches = createBreakIt();
const showLetters = createLetters();
const showMapping = createMapping();
setUpProperties();
setUpTryIt();

/** Shown with the next frame of the screen; of several the last. */
let latest: State | undefined;

connect({
  onEvents,
  onReset,
  onState(state) {
    if (latest === undefined) requestAnimationFrame(show);
    latest = state;
  },
});

function show(): void {
  const state = latest!;
  latest = undefined;
  showState(state);
  showSwitches(state);
  showLetters(state);
  showMapping(state);
}
