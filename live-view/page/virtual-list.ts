/** Draws the rows of a long list that are in sight, and no others. All rows have the same height. */

/** What is drawn, and how. */
export interface VirtualListOptions {
  /** What scrolls; the rows stand in `body`. */
  viewport: HTMLElement;
  body: HTMLElement;
  /** In CSS pixels. */
  rowHeight: number;
  /** Of what stands above the rows and does not scroll away. */
  headHeight: number;
  count(): number;
  /** Tells rows apart, wherever they stand. */
  keyAt(index: number): number;
  create(): HTMLElement;
  fill(row: HTMLElement, key: number, index: number): void;
}

/** Rows above and below that are drawn although they are out of sight. */
const OVERSCAN = 6;

/** A list; it draws itself when it scrolls, and when {@link schedule} is called. */
export function createVirtualList(options: VirtualListOptions) {
  const { viewport, body, rowHeight, headHeight, count, keyAt } = options;
  const drawn = new Map<number, HTMLElement>();
  let isScheduled = false;

  function draw(): void {
    isScheduled = false;
    const total = count();
    body.style.height = `${total * rowHeight}px`;
    const first = Math.max(0, Math.floor(viewport.scrollTop / rowHeight) - OVERSCAN);
    const last = Math.min(total, Math.ceil((viewport.scrollTop + viewport.clientHeight) / rowHeight) + OVERSCAN);
    const wanted = new Map<number, number>();
    for (let index = first; index < last; index++) wanted.set(keyAt(index), index);
    const free: HTMLElement[] = [];
    for (const [key, row] of drawn) {
      if (wanted.has(key)) continue;
      drawn.delete(key);
      free.push(row);
    }
    for (const [key, index] of wanted) {
      const row = drawn.get(key) ?? free.pop() ?? body.appendChild(options.create());
      drawn.set(key, row);
      row.style.transform = `translateY(${index * rowHeight}px)`;
      options.fill(row, key, index);
    }
    for (const row of free) row.remove();
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(draw);
  }

  viewport.addEventListener('scroll', schedule, { passive: true });
  new ResizeObserver(schedule).observe(viewport);

  return {
    schedule,
    /** The same keys stand for other rows from now on. */
    clear(): void {
      for (const row of drawn.values()) row.remove();
      drawn.clear();
      schedule();
    },
    /** So many rows came on top: what the reader sees stays where it is, unless it is the top. */
    prepended(rows: number): void {
      if (viewport.scrollTop < rowHeight) return;
      body.style.height = `${count() * rowHeight}px`;
      viewport.scrollTop += rows * rowHeight;
    },
    /** Scrolls as little as it takes to have that row in sight. */
    reveal(index: number): void {
      const top = index * rowHeight;
      const height = viewport.clientHeight - headHeight;
      if (top < viewport.scrollTop) viewport.scrollTop = top;
      else if (top + rowHeight > viewport.scrollTop + height) viewport.scrollTop = top + rowHeight - height;
      schedule();
    },
    /** How many rows fit. */
    pageSize: () => Math.max(1, Math.floor((viewport.clientHeight - headHeight) / rowHeight) - 1),
  };
}
