/** Makes and finds elements; text becomes text nodes, never markup, and is printable: much of it comes from outside. */

import { printable, printableLines } from '../../cli/import/printable.ts';

/** What an element is made with: attributes, and listeners under `on…`. */
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

/** Elements whose text may have several lines. */
const MULTILINE = new Set(['PRE', 'TD']);

/** An element with attributes and children; what is undefined or false is left out. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (name === 'aria-label') element.setAttribute(name, printable(String(value)));
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.map((child) => (typeof child === 'string' ? textFor(element, child) : child)));
  return element;
}

function textFor({ tagName }: Element, text: string): string {
  return MULTILINE.has(tagName) ? printableLines(text) : printable(text);
}

/** The element of the page with that id. */
export function byId<Type extends Element = HTMLElement>(id: string): Type {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`#${id} is missing in page.html`);
  return element as unknown as Type;
}

/** Sets a text where it is another one: an unchanged node is not laid out again. */
export function setText(element: Element, text: string): void {
  const shown = textFor(element, text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** `1,234` */
export function formatCount(count: number): string {
  return count.toLocaleString('en');
}

/** `1.2 MB` */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** `21:40:02` */
export function formatClock(at: number): string {
  return new Date(at).toLocaleTimeString('en-GB');
}
