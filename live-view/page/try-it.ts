/** Brings data: files that are dropped or chosen, messages, the samples. */

import { ask } from './ask.ts';
import { byId } from './dom.ts';
import { notify } from './notices.ts';
import { uploadFiles } from './uploads.ts';

const MADE_EVENTS = 100_000;

/** Sets up what brings data. */
export function setUpTryIt(): void {
  byId('samples').addEventListener('click', () => ask('/samples', {}));
  byId('made').addEventListener('click', () => ask('/made', { count: MADE_EVENTS }));
  byId<HTMLFormElement>('publish').addEventListener('submit', (event) => {
    event.preventDefault();
    const count = Number((event.submitter as HTMLButtonElement | null)?.value ?? 1);
    void ask('/publish', { data: byId<HTMLTextAreaElement>('message').value.trim(), count });
  });
  byId<HTMLInputElement>('files').addEventListener('change', async ({ currentTarget }) => {
    const input = currentTarget as HTMLInputElement;
    const files = [...(input.files ?? [])];
    input.value = '';
    await uploadFiles(files);
  });
  setUpDropping();
}

function setUpDropping(): void {
  const veil = byId('dropping');
  const carriesFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes('Files') === true;
  addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener('dragleave', ({ relatedTarget }) => {
    if (relatedTarget === null) veil.hidden = true;
  });
  addEventListener('drop', async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    veil.hidden = true;
    // What was dropped can only be asked for now, before anything is waited for.
    const items = [...(event.dataTransfer?.items ?? [])].filter(({ kind }) => kind === 'file');
    const dropped = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
    for (const { entry } of dropped) {
      if (entry?.isDirectory) notify(`${entry.name} is a folder: drop the files that are in it`, 'error');
    }
    await uploadFiles(dropped.flatMap(({ entry, file }) => (entry?.isDirectory || file === null ? [] : [file])));
  });
}
