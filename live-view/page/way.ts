/** The stations of the way, the accounts, the files and the log, as the state has them. */

import { byId, formatBytes, formatClock, formatCount, h, setText } from './dom.ts';
import type { Counts, FileRow, State, Target } from './frames.ts';
import { lettersHash } from './letters.ts';
import { plot } from './plot.ts';

const VERDICTS: Record<State['accounts']['verdict'], string> = {
  empty: 'Nothing has come yet',
  'under way': 'Under way',
  balanced: '✓ The accounts balance',
  unbalanced: '✗ The accounts do not balance',
};
const WORDS: Partial<Record<FileRow['state'], string>> = { gone: 'gone before all of it was imported' };

/** What was shown last, as JSON, by the place where it stands. */
const shown = new Map<string, string>();

/** Shows the state; what has not changed is not touched. */
export function showState(state: State): void {
  setText(byId('started'), formatClock(state.startedAt));
  showNumbers(state);
  showProcesses(state);
  const { mixpanel, accounts, files } = state;
  plot(mixpanel.perSecond, mixpanel.failuresPerSecond);
  const { last } = mixpanel;
  setText(byId('last'), last === null ? '' : `last ${last.status || 'unanswered'} at ${formatClock(last.at)}`);
  renew('statuses', mixpanel.statuses, showStatus);
  showVerdict(state);
  const rows = [
    { from: 'files', counts: accounts.files },
    { from: 'messages', counts: accounts.messages },
    ...(accounts.replayed.read > 0 ? [{ from: 'replays', counts: accounts.replayed }] : []),
  ];
  renew('accounts', rows, showAccount);
  showRunning(files.rows.filter(({ state }) => state === 'running'));
  renew('file-rows', files.rows, showFile);
  renew('log', state.log.toReversed(), showLine);
}

/** Makes the children of an element anew where what they show is another thing. */
function renew<Item>(id: string, items: readonly Item[], show: (item: Item) => Node): void {
  const json = JSON.stringify(items);
  if (shown.get(id) === json) return;
  shown.set(id, json);
  byId(id).replaceChildren(...items.map(show));
}

function showNumbers(state: State): void {
  for (const element of document.querySelectorAll<HTMLElement>('[data-value]')) {
    const value = numberAt(state, element.dataset.value!);
    setText(element, formatCount(value));
    element.classList.toggle('some', value > 0);
  }
  for (const element of document.querySelectorAll<HTMLElement>('[data-flows]')) {
    element.classList.toggle('flowing', numberAt(state, element.dataset.flows!) > 0);
  }
}

function numberAt(state: State, path: string): number {
  return path.split('.').reduce((value, key) => (value as Record<string, unknown>)[key], state as unknown) as number;
}

function showProcesses({ functions }: State): void {
  for (const element of document.querySelectorAll<HTMLElement>('[data-process]')) {
    const { isUp, restarts } = functions[element.dataset.process as Target];
    const times = restarts === 1 ? 'once' : `${restarts} times`;
    setText(element, isUp ? (restarts > 0 ? `up, started again ${times}` : 'up') : 'starting again');
    element.classList.toggle('down', !isUp);
  }
}

function showVerdict({ accounts: { verdict, open, unsaid }, mixpanel, files }: State): void {
  byId('verdict').dataset.verdict = verdict;
  setText(byId('verdict-title'), VERDICTS[verdict]);
  const unique = formatCount(mixpanel.received - mixpanel.duplicates);
  const asides = [
    unsaid > 0
      ? ` ${formatCount(unsaid)} messages were acknowledged by a drain that was killed before it gave its counts.`
      : '',
    files.lost > 0 ? ` ${formatCount(files.lost)} of the files were overwritten or deleted too early.` : '',
  ].join('');
  const texts: Record<typeof verdict, string> = {
    empty: 'Load the samples to see what happens.',
    'under way': `${open} without an outcome so far.`,
    balanced: `Everything that came has its outcome; Mixpanel has ${unique} different events.${asides}`,
    unbalanced: 'Something has no outcome although nothing is under way: please report this.',
  };
  setText(byId('verdict-text'), texts[verdict]);
}

function showAccount({ from, counts }: { from: string; counts: Counts }): Node {
  const { read, expanded, imported, rejected, dropped } = counts;
  const isBalanced = read + expanded === imported + rejected + dropped;
  const cells = [read, expanded, imported, rejected, dropped].map((count) => h('td', {}, formatCount(count)));
  const mark = h('td', { class: isBalanced ? 'yes' : 'no' }, isBalanced ? '✓' : '✗');
  return h('tr', {}, h('th', { scope: 'row' }, from), ...cells, mark);
}

function showStatus([status, count]: [number, number]): Node {
  const kind = status === 200 ? 'ok' : status === 400 ? 'part' : 'bad';
  return h('li', { class: kind }, h('b', {}, status === 0 ? 'no answer' : String(status)), ` × ${formatCount(count)}`);
}

function showRunning(rows: readonly FileRow[]): void {
  const [only] = rows;
  const offset = rows.reduce((sum, row) => sum + row.offset, 0);
  const size = rows.reduce((sum, row) => sum + row.size, 0);
  const isCompressed = rows.some((row) => row.isCompressed);
  const of = rows.length === 1 ? only!.name : `${rows.length} files`;
  setText(byId('running-text'), rows.length === 0 ? '' : `${of}: ${progressOf({ offset, size, isCompressed })}`);
  const bar = byId<HTMLProgressElement>('running-bar');
  bar.hidden = rows.length === 0;
  // How long the content of a compressed file is nobody knows before its end.
  if (isCompressed) bar.removeAttribute('value');
  else bar.value = offset / Math.max(1, size);
}

function progressOf({ offset, size, isCompressed }: Pick<FileRow, 'offset' | 'size' | 'isCompressed'>): string {
  return isCompressed
    ? `${formatBytes(offset)} of content settled`
    : `${formatBytes(offset)} of ${formatBytes(size)} settled`;
}

function showFile(row: FileRow): Node {
  const { name, state, detail, size, counts, isAllRejected } = row;
  const word = isAllRejected ? 'done: every record was rejected' : (WORDS[state] ?? state);
  const where = [word, state === 'running' ? progressOf(row) : detail].filter(Boolean).join(': ');
  const kind = isAllRejected ? 'all-rejected' : state.replace(' ', '-');
  const rejected = counts.rejected > 0 ? linkToLetters(row) : formatCount(counts.rejected);
  const cells = [formatBytes(size), formatCount(counts.read), formatCount(counts.imported), rejected];
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, name),
    h('td', { class: `state ${kind}` }, where),
    ...[...cells, formatCount(counts.dropped)].map((cell) => h('td', {}, cell)),
  );
}

function linkToLetters({ name, generation, counts: { rejected } }: FileRow): Node {
  const label = `${formatCount(rejected)} rejected: dead letters of ${name}`;
  return h('a', { href: lettersHash({ name, generation }), 'aria-label': label }, formatCount(rejected));
}

function showLine({ at, target, severity, text }: State['log'][number]): Node {
  return h('li', { class: severity.toLowerCase() }, h('time', {}, formatClock(at)), h('b', {}, target), ` ${text}`);
}
