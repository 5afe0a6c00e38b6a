/** The list of files, page by page, which the server filters. */

import { byId, formatBytes, formatCount, h, setText } from './dom.ts';
import { FILES_PER_PAGE, type FilePage, type FileRow, type State } from './frames.ts';
import { lettersHash } from './letters.ts';

/** How often the list is asked for, at most, while files change. */
const INTERVAL_MS = 300;
const WORDS: Partial<Record<FileRow['state'], string>> = { gone: 'lost before all of it was imported' };

/** Asks for the list whenever a file has changed, or another part of it is wanted. */
export function createFiles() {
  const form = byId<HTMLFormElement>('file-filters');
  const [newer, older] = [byId<HTMLButtonElement>('previous-files'), byId<HTMLButtonElement>('next-files')];
  let version = '';
  let from = 0;
  let shown = '';
  let isAsking = false;

  function query(): string {
    const data = new FormData(form);
    return String(
      new URLSearchParams({ name: String(data.get('name')), show: String(data.get('show')), from: String(from) }),
    );
  }

  async function refresh(): Promise<void> {
    if (isAsking || version === '') return;
    isAsking = true;
    while (shown !== version + query()) {
      const asked = version + query();
      try {
        const response = await fetch(`/files?${query()}`);
        const page = (await response.json()) as FilePage;
        // The filter may have been changed, or files been forgotten, since.
        if (from >= page.total && from > 0)
          from = Math.floor(Math.max(0, page.total - 1) / FILES_PER_PAGE) * FILES_PER_PAGE;
        else {
          show(page);
          shown = asked;
        }
      } catch {
        // A lost connection is reported elsewhere; the list is asked for again.
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    }
    isAsking = false;
  }

  function show({ total, rows }: FilePage): void {
    byId('file-rows').replaceChildren(...rows.map(showFile));
    const range = `${formatCount(from + 1)} to ${formatCount(from + rows.length)} of ${formatCount(total)}`;
    setText(byId('files-shown'), total === 0 ? 'none' : total > FILES_PER_PAGE ? range : formatCount(total));
    byId('pages').hidden = total <= FILES_PER_PAGE;
    newer.disabled = from === 0;
    older.disabled = from + rows.length >= total;
  }

  function turn(pages: number): void {
    from += pages * FILES_PER_PAGE;
    void refresh();
  }

  newer.addEventListener('click', () => turn(-1));
  older.addEventListener('click', () => turn(1));
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', () => {
    from = 0;
    void refresh();
  });

  return ({ startedAt, files }: State): void => {
    version = `${startedAt}:${files.version}:`;
    void refresh();
  };
}

/** How far a file is, for people. */
export function progressOf({ offset, size, isCompressed }: Pick<FileRow, 'offset' | 'size' | 'isCompressed'>): string {
  return isCompressed
    ? `${formatBytes(offset)} of content settled`
    : `${formatBytes(offset)} of ${formatBytes(size)} settled`;
}

function showFile(row: FileRow): Node {
  const { name, state, detail, size, counts, isAllRejected } = row;
  const word = isAllRejected ? 'done: every record was rejected' : (WORDS[state] ?? state);
  const where = [word, state === 'running' ? progressOf(row) : detail].filter(Boolean).join(': ');
  const rejected = counts.rejected > 0 ? linkToLetters(row) : formatCount(counts.rejected);
  const asides = [formatCount(counts.dropped), formatCount(counts.read), formatBytes(size)];
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, name),
    h('td', { class: `state ${isAllRejected ? 'all-rejected' : state}` }, where),
    ...[formatCount(counts.imported), rejected].map((cell) => h('td', {}, cell)),
    ...asides.map((cell) => h('td', { class: 'aside' }, cell)),
  );
}

function linkToLetters({ name, generation, counts: { rejected } }: FileRow): Node {
  const label = `${formatCount(rejected)} rejected: dead letters of ${name}`;
  return h('a', { href: lettersHash({ name, generation }), 'aria-label': label }, formatCount(rejected));
}
