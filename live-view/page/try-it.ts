/** Brings data: files that are dropped or chosen, messages, the samples. */

import { ask } from './ask.ts';
import { byId } from './dom.ts';
import { notify } from './notices.ts';

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
    for (const file of files) await upload(file);
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
    for (const { entry, file } of dropped) {
      if (entry?.isDirectory) notify(`${entry.name} is a folder: drop the files that are in it`, 'error');
      else if (file !== null) await upload(file);
    }
  });
}

async function upload(file: File): Promise<void> {
  try {
    // The beginning is enough to know; what fails after that is said by the upload.
    const reader = file.stream().getReader();
    await reader.read();
    await reader.cancel();
  } catch {
    notify(`${file.name} cannot be read: look at its permissions, and whether it is still there`, 'error');
    return;
  }
  await ask(`/upload?name=${encodeURIComponent(file.name)}`, file);
}
