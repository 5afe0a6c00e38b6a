/** Runs inside the page before its own scripts: measures what a person would feel, and what the tests cannot see from outside. */

/** The least contrast of a text with its background (https://www.w3.org/TR/WCAG22/#contrast-minimum). */
const MIN_CONTRAST = 4.5;

const probe = {
  /** The longest that no frame was drawn, in milliseconds, and the most rows that were in the page. */
  longestMs: 0,
  mostRows: 0,

  /** Which of the controls has the focus; -1 if none has. */
  focused(): number {
    const controls = [...document.querySelectorAll('button, input, select, textarea, summary, #grid')];
    return controls.indexOf(document.activeElement!);
  },

  width: () => document.documentElement.scrollWidth,

  /** Targets of less than 24 by 24 pixels (https://www.w3.org/TR/WCAG22/#target-size-minimum); a field's label is part of it. */
  smallTargets(): string[] {
    const found: string[] = [];
    for (const element of document.querySelectorAll('a, button, input, select, textarea, summary')) {
      if (!element.checkVisibility() || element.closest('.skip')) continue;
      const target = (element.matches('[type=file]') && element.closest('label')) || element;
      const { width, height } = target.getBoundingClientRect();
      if (width < 24 || height < 24) found.push(`${width} x ${height}: ${target.outerHTML.slice(0, 100)}`);
    }
    return found;
  },

  /** The middle of each arrow's line, the box that it comes from and the box that it leads to. */
  arrows() {
    const box = (selector: string) => {
      const { left, right, top, bottom } = document.querySelector(selector)!.getBoundingClientRect();
      return { left, right, top, bottom };
    };
    return [
      ['.a1', '.bucket', '.import'],
      ['.a2', '.import', '.mixpanel'],
      ['.a3', '.topic', '.drain'],
      ['.a4', '.drain', '.mixpanel'],
    ].map(([arrow, from, to]) => ({ arrow: box(arrow!), from: box(from!), to: box(to!) }));
  },

  /** How much moves while data flow. */
  moving(): number {
    document.querySelector('.arrow')!.classList.add('flowing');
    return document.getAnimations().length;
  },

  /** Texts with too little contrast to their background. */
  faintTexts(): string[] {
    const found: string[] = [];
    for (const element of document.querySelectorAll('body *')) {
      const text = [...element.childNodes].map((node) => (node instanceof Text ? node.data.trim() : '')).join('');
      if (text === '' || !element.checkVisibility() || element.closest('button:disabled')) continue;
      const lights = [getComputedStyle(element).color, backgroundOf(element)].map(luminanceOf).sort((a, b) => b - a);
      const contrast = (lights[0]! + 0.05) / (lights[1]! + 0.05);
      if (contrast < MIN_CONTRAST) found.push(`${contrast.toFixed(2)}: ${text.slice(0, 60)}`);
    }
    return found;
  },
};
Object.assign(globalThis, { probe });

let last = performance.now();
requestAnimationFrame(function look() {
  probe.longestMs = Math.max(probe.longestMs, performance.now() - last);
  probe.mostRows = Math.max(probe.mostRows, document.querySelectorAll('#rows [role=row]').length);
  last = performance.now();
  requestAnimationFrame(look);
});

function backgroundOf(element: Element | null): string {
  if (element === null) return 'white';
  const { backgroundColor } = getComputedStyle(element);
  return rgbaOf(backgroundColor)[3] === 255 ? backgroundColor : backgroundOf(element.parentElement);
}

/** https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminanceOf(color: string): number {
  const [red, green, blue] = [...rgbaOf(color)].map((byte) => {
    const value = byte / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

/** Drawing it resolves every form that a colour may have. */
function rgbaOf(color: string): Uint8ClampedArray {
  const context = new OffscreenCanvas(1, 1).getContext('2d')!;
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}
