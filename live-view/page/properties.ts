/** The properties of one event, beside the list. */

import { byId, formatClock, formatCount, h, setText } from './dom.ts';
import type { ShownEvent } from './frames.ts';

/** What TypeScript's library does not know yet (https://tc39.es/proposal-json-parse-with-source/). */
const { parse, rawJSON } = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { source: string }) => unknown): unknown;
  rawJSON(text: string): object;
};

/** Shows an event; Escape, or the button, closes it. */
export function showProperties(event: ShownEvent): void {
  const details = byId('details');
  setText(byId('details-title'), event.name);
  const parts = [
    `came at ${formatClock(event.receivedAt)}`,
    event.isDuplicate ? 'a duplicate: Mixpanel counts it once' : '',
    event.length > event.json.length
      ? `the first ${formatCount(event.json.length)} of ${formatCount(event.length)} characters`
      : '',
  ];
  setText(byId('details-note'), parts.filter(Boolean).join(' · '));
  const properties = propertiesOf(event.json);
  byId('properties').replaceChildren(
    ...properties.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, value))),
  );
  setText(byId('details-json'), event.json);
  details.hidden = false;
}

/** Closes it; the focus goes back to the list where it was in here. */
export function hideProperties(): void {
  const details = byId('details');
  const hadFocus = details.contains(document.activeElement);
  details.hidden = true;
  if (hadFocus) byId('grid').focus();
}

/** Lets the properties be closed. */
export function setUpProperties(): void {
  byId('close-details').addEventListener('click', hideProperties);
  byId('details').addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') hideProperties();
  });
}

/** As pairs of texts, numbers with the digits that they came with; none where the JSON was cut. */
function propertiesOf(json: string): [string, string][] {
  try {
    const { properties } = parse(json, (_, value, { source }) =>
      typeof value === 'number' ? rawJSON(source) : value,
    ) as { properties: object };
    return Object.entries(properties).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value, undefined, 1),
    ]);
  } catch {
    return [];
  }
}
