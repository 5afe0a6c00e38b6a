/** The list of events: the newest first, filtered, paused, and moved through with the keyboard. */

import { byId, formatCount, h, setText } from './dom.ts';
import { createFilter, type Wanted } from './filter.ts';
import { EVENT_LIMITS, type EventsFrame, type ResetFrame, type ShownEvent } from './frames.ts';
import { hideProperties, showProperties } from './properties.ts';
import { Ring } from './ring.ts';
import { createVirtualList } from './virtual-list.ts';

/** As in page.css. */
const ROW_HEIGHT = 32;
const TYPING_MS = 120;
/** Names that are suggested. */
const MAX_NAMES = 200;
const NOTHING: Wanted = { name: '', user: '', text: '', duplicates: false };

/** Sets up the list; the returned functions take what the stream brings. */
export function createEvents() {
  const ring = new Ring<ShownEvent>(EVENT_LIMITS);
  /** Numbers of the events that pass the filter, ascending; those before `head` are not kept any more. */
  let matches: number[] = [];
  let head = 0;
  let filter = createFilter(NOTHING);
  let isFiltered = false;
  /** Number of the first event that is not shown as the list is paused. */
  let pausedAt: number | undefined;
  let active: number | undefined;
  const names = new Set<string>();
  const grid = byId('grid');
  const list = createVirtualList({
    viewport: grid,
    body: byId('rows'),
    rowHeight: ROW_HEIGHT,
    headHeight: ROW_HEIGHT,
    count,
    keyAt: numberAt,
    create: createRow,
    fill,
  });

  function count(): number {
    return matches.length - head;
  }

  /** The newest has index 0. */
  function numberAt(index: number): number {
    return matches[matches.length - 1 - index]!;
  }

  /** -1 where it is not in the list. */
  function indexOf(number: number | undefined): number {
    const at = number === undefined ? -1 : matches.lastIndexOf(number);
    return at < head ? -1 : matches.length - 1 - at;
  }

  function fill(row: HTMLElement, number: number, index: number): void {
    row.setAttribute('aria-rowindex', String(index + 2));
    row.setAttribute('aria-selected', String(number === active));
    if (row.id === `event-${number}`) return;
    row.id = `event-${number}`;
    const event = ring.at(number)!;
    const [time, name, user, json] = row.children as unknown as HTMLElement[];
    setText(time!, event.time === null ? '–' : formatTime(event.time));
    name!.replaceChildren(h('span', {}, event.name));
    if (event.isDuplicate) name!.append(h('span', { class: 'badge' }, 'duplicate'));
    setText(user!, event.user);
    setText(json!, previewOf(event.json));
  }

  function refilter(): void {
    matches = [];
    head = 0;
    for (let number = ring.first; number < (pausedAt ?? ring.next); number++) {
      if (filter(ring.at(number)!)) matches.push(number);
    }
    show();
  }

  function show(): void {
    while (head < matches.length && matches[head]! < ring.first) head++;
    if (head > 50_000) {
      matches = matches.slice(head);
      head = 0;
    }
    const kept = formatCount(ring.size);
    const meanwhile = ring.next - (pausedAt ?? ring.next);
    const shown = isFiltered ? `${formatCount(count())} of ${kept}` : kept;
    setText(byId('shown'), ring.size === 0 ? 'none yet' : shown);
    setText(byId('pause'), pausedAt === undefined ? 'Pause' : `Resume (${formatCount(meanwhile)} arrived)`);
    grid.setAttribute('aria-rowcount', String(count() + 1));
    byId('no-events').hidden = count() > 0;
    setText(
      byId('no-events'),
      ring.size > 0
        ? pausedAt !== undefined && pausedAt <= ring.first
          ? 'The paused events have left the buffer.'
          : 'No events match these filters.'
        : 'No events yet. Load the samples, or drop a file on this page.',
    );
    list.schedule();
  }

  function onEvents({ events }: EventsFrame): void {
    const before = matches.length;
    let added = 0;
    for (const event of events) {
      if (pausedAt === undefined && filter(event)) added = matches.push(ring.next) - before;
      ring.push(event);
      if (names.size < MAX_NAMES && !names.has(event.name)) {
        names.add(event.name);
        byId('names').append(h('option', { value: event.name }));
      }
    }
    show();
    list.prepended(added);
  }

  function onReset({ from }: ResetFrame): void {
    ring.reset(from);
    active = undefined;
    grid.removeAttribute('aria-activedescendant');
    list.clear();
    pausedAt = pausedAt === undefined ? undefined : from;
    refilter();
  }

  function setPaused(isPaused: boolean): void {
    pausedAt = isPaused ? ring.next : undefined;
    byId('pause').setAttribute('aria-pressed', String(isPaused));
    refilter();
  }

  function activate(index: number): void {
    if (count() === 0) return;
    const bounded = Math.min(Math.max(0, index), count() - 1);
    active = numberAt(bounded);
    grid.setAttribute('aria-activedescendant', `event-${active}`);
    list.reveal(bounded);
  }

  function open(): void {
    const event = indexOf(active) === -1 ? undefined : ring.at(active!);
    if (event !== undefined) showProperties(event);
  }

  function onKey(event: KeyboardEvent): void {
    const index = indexOf(active);
    const steps: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      PageDown: index + list.pageSize(),
      PageUp: index - list.pageSize(),
      Home: 0,
      End: count() - 1,
    };
    if (event.key in steps) activate(steps[event.key]!);
    else if (event.key === 'Enter' || event.key === ' ') open();
    else if (event.key === 'Escape') hideProperties();
    else return;
    event.preventDefault();
  }

  grid.addEventListener('keydown', onKey);
  grid.addEventListener('focus', () => {
    if (indexOf(active) === -1) activate(Math.round(grid.scrollTop / ROW_HEIGHT));
  });
  /** By its number: rows move while events arrive, even between the press of a button and its release. */
  let pressed = -1;
  byId('rows').addEventListener('pointerdown', ({ target }) => {
    pressed = numberOf(target as Element);
  });
  byId('rows').addEventListener('click', ({ target, detail }) => {
    // A screen reader clicks without pressing anything.
    const index = indexOf(detail === 0 ? numberOf(target as Element) : pressed);
    if (index === -1) return;
    activate(index);
    open();
  });
  byId('pause').addEventListener('click', () => setPaused(pausedAt === undefined));
  let typing = 0;
  byId<HTMLFormElement>('filters').addEventListener('submit', (event) => event.preventDefault());
  byId<HTMLFormElement>('filters').addEventListener('input', (event) => {
    const form = event.currentTarget as HTMLFormElement;
    clearTimeout(typing);
    typing = setTimeout(() => {
      const data = new FormData(form);
      const text = (name: string) => String(data.get(name) ?? '').trim();
      const wanted = { name: text('name'), user: text('user'), text: text('text'), duplicates: data.has('duplicates') };
      isFiltered = Object.values(wanted).some(Boolean);
      filter = createFilter(wanted);
      grid.scrollTop = 0;
      refilter();
    }, TYPING_MS);
  });

  return { onEvents, onReset };
}

/** The number of the event in whose row this stands. */
function numberOf(element: Element): number {
  return Number(element.closest('[role=row]')?.id.slice('event-'.length) ?? -1);
}

function createRow(): HTMLElement {
  const cell = (name: string) => h('span', { role: 'gridcell', class: name });
  return h('div', { role: 'row', class: 'row' }, cell('time'), cell('name'), cell('user'), cell('json'));
}

const DATE = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' });

/** In the reader's time zone. */
function formatTime(time: number): string {
  return Number.isNaN(new Date(time).getTime()) ? String(time) : DATE.format(time);
}

/** What follows the beginning that all events share. */
function previewOf(json: string): string {
  const from = json.indexOf('"properties"');
  return json.slice(from === -1 ? 0 : from + 13, from + 300);
}
