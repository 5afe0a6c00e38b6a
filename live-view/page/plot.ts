/** Plots the events of each second of the last minute, with a mark where requests failed. */

import { byId, formatCount, setText } from './dom.ts';

/** As the viewBox in page.html. */
const WIDTH = 600;
const HEIGHT = 90;
const MARK_HEIGHT = 8;

/** Draws the last minute; the present second stands last. */
export function plot(perSecond: readonly number[], failures: readonly number[]): void {
  const step = WIDTH / (perSecond.length - 1);
  const peak = Math.max(...perSecond);
  const y = (count: number) => HEIGHT - 2 - (count / Math.max(peak, 1)) * (HEIGHT - 8);
  const points = perSecond.map((count, second) => `${(second * step).toFixed(1)},${y(count).toFixed(1)}`).join(' ');
  const marks = failures.flatMap((count, second) =>
    count === 0 ? [] : [shape('rect', { x: second * step - step / 2, y: 0, width: step, height: MARK_HEIGHT })],
  );
  const svg = byId<SVGSVGElement>('plot');
  svg.replaceChildren(
    shape('polygon', { points: `0,${HEIGHT} ${points} ${WIDTH},${HEIGHT}` }),
    shape('polyline', { points }),
    ...marks,
  );
  // The present second is not over yet.
  const rate = formatCount(perSecond.at(-2) ?? 0);
  const failed = failures.reduce((sum, count) => sum + count, 0);
  const top = `at most ${formatCount(peak)} in the last minute`;
  setText(byId('rate'), `${rate} events/s`);
  const failedText = `${formatCount(failed)} failed ${failed === 1 ? 'request' : 'requests'}`;
  const peakText = `peak ${formatCount(peak)}`;
  setText(byId('peak'), failed > 0 ? `${peakText} · ${failedText}` : peakText);
  svg.setAttribute('aria-label', `${rate} events a second, ${top}; ${failedText}`);
}

function shape(name: 'polygon' | 'polyline' | 'rect', attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
