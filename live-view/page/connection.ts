/** The stream of what happens: reconnects after a loss and continues after what the page has. */

import { byId, setText } from './dom.ts';
import type { EventsFrame, ResetFrame, State } from './frames.ts';
import { notify } from './notices.ts';

/** Where the browser has given up, it is tried again after so long. */
const RETRY_MS = 1_000;

/** Who is told of what. */
export interface Listeners {
  onEvents(frame: EventsFrame): void;
  onReset(frame: ResetFrame): void;
  onState(state: State): void;
}

/** Opens the stream, for as long as the page is there. */
export function connect({ onEvents, onReset, onState }: Listeners): void {
  let lastId = '';
  let closeNotice: (() => void) | undefined;
  let hasBegun = false;
  open();

  function open(): void {
    const source = new EventSource(`/stream?last=${encodeURIComponent(lastId)}`);
    const listen = <Frame>(name: string, listener: (frame: Frame) => void) =>
      source.addEventListener(name, ({ data, lastEventId }) => {
        lastId = lastEventId || lastId;
        arrive(name);
        listener(JSON.parse(data) as Frame);
      });
    listen<EventsFrame>('events', onEvents);
    listen<State>('state', onState);
    listen<ResetFrame>('reset', onReset);
    source.onopen = () => show('connected', 'Live');
    source.onerror = () => {
      closeNotice ??= notify('Connection lost. Reconnecting', 'error');
      show('lost', 'Reconnecting');
      if (source.readyState === EventSource.CLOSED) setTimeout(open, RETRY_MS);
    };
  }

  /** The first frame after a loss says whether the stream continues where it broke off. */
  function arrive(frame: string): void {
    const isNew = frame === 'reset' && hasBegun;
    if (isNew) notify('Events were missed, or the local cloud was restarted: the list begins again');
    else if (closeNotice !== undefined) notify('Reconnected. No events were missed');
    closeNotice?.();
    closeNotice = undefined;
    hasBegun = true;
  }
}

function show(state: 'connected' | 'lost', text: string): void {
  byId('connection').dataset.state = state;
  setText(byId('connection'), text);
}
