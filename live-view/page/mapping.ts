/** The mapping: what is typed is tried on what came last, and handed to the functions when that is asked for. */

import { ask } from './ask.ts';
import { byId, h, setText } from './dom.ts';
import type { State, Trial, TriedRecord } from './frames.ts';

/** How often a mapping is tried, at most, while somebody types or records come. */
const INTERVAL_MS = 300;
/** What is typed is kept while this tab is open. */
const DRAFT = 'mapping';

/** Tries the mapping whenever it is changed, or something came. */
export function createMapping() {
  const box = byId<HTMLTextAreaElement>('mapping');
  /** What stands for the data that came. */
  let arrived = '';
  let tried = '';
  let isTrying = false;

  const wanted = () => `${arrived} ${box.value}`;

  async function refresh(): Promise<void> {
    if (isTrying || arrived === '') return;
    isTrying = true;
    while (tried !== wanted()) {
      const now = wanted();
      try {
        show(await request('/mapping/try', { mapping: box.value }));
        tried = now;
      } catch {
        // Where the connection is lost, that is said elsewhere; it is tried again.
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    }
    isTrying = false;
  }

  function show({ problems, isInUse, records }: Trial): void {
    byId('mapping-problems').replaceChildren(...problems.map((problem) => h('li', {}, problem)));
    box.setAttribute('aria-invalid', String(problems.length > 0));
    setText(byId('mapping-state'), isInUse ? 'in use by the functions' : 'not in use');
    // The last records stay in sight while a word is half typed.
    if (problems.length === 0) byId('mapping-records').replaceChildren(...records.map(showRecord));
  }

  box.addEventListener('input', () => {
    sessionStorage.setItem(DRAFT, box.value);
    void refresh();
  });
  byId<HTMLFormElement>('mapping-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    await ask('/mapping', { mapping: box.value });
    tried = '';
    void refresh();
  });
  const ready = begin(box);

  return ({ startedAt, files, messages }: State): void => {
    const latest = `${startedAt}:${files.uploaded}:${messages.published}`;
    void ready.then(() => {
      arrived = latest;
      return refresh();
    });
  };
}

/** What was typed before the page was loaded anew; else what the functions have. */
async function begin(box: HTMLTextAreaElement): Promise<void> {
  const draft = sessionStorage.getItem(DRAFT);
  if (draft !== null) {
    box.value = draft;
    return;
  }
  try {
    const response = await fetch('/mapping');
    const { mapping } = (await response.json()) as { mapping: string };
    if (box.value === '') box.value = mapping;
  } catch {
    // Where the connection is lost, that is said elsewhere.
  }
}

async function request(path: string, body: object): Promise<Trial> {
  const response = await fetch(path, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(response.statusText);
  return (await response.json()) as Trial;
}

function showRecord({ place, record, outcome, result }: TriedRecord): Node {
  return h(
    'li',
    {},
    h('p', { class: 'hint' }, place),
    h('div', { class: 'pair' }, h('pre', {}, record), h('pre', { 'data-outcome': outcome }, result)),
  );
}
