/** Uploads files one after the other, and reports all that were waiting in one notice. */

import { post } from './ask.ts';
import { formatCount } from './dom.ts';
import { notify } from './notices.ts';

const waiting: File[] = [];
let isUploading = false;

/** Uploads the files; those that are added meanwhile belong to the same notice. */
export async function uploadFiles(files: readonly File[]): Promise<void> {
  waiting.push(...files);
  if (isUploading) return;
  isUploading = true;
  const uploaded: string[] = [];
  const failed: string[] = [];
  const closeBegin = waiting.length > 1 ? notify(`Uploading ${formatCount(waiting.length)} files`) : undefined;
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const problem = await upload(file);
    if (problem === undefined) uploaded.push(file.name);
    else failed.push(problem);
  }
  isUploading = false;
  closeBegin?.();
  if (uploaded.length === 1) notify(`${uploaded[0]} is uploaded`);
  else if (uploaded.length > 1) notify(`${formatCount(uploaded.length)} files are uploaded`);
  if (failed.length === 1) notify(failed[0]!, 'error');
  else if (failed.length > 1) {
    notify(`${formatCount(failed.length)} files could not be uploaded. The first: ${failed[0]}`, 'error');
  }
}

/** @returns why it could not be uploaded */
async function upload(file: File): Promise<string | undefined> {
  try {
    // The first bytes show whether it can be read; the upload reports any later error.
    const reader = file.stream().getReader();
    await reader.read();
    await reader.cancel();
  } catch {
    return `${file.name} cannot be read: check its permissions, and whether it is still there`;
  }
  return (await post(`/upload?name=${encodeURIComponent(file.name)}`, file)).error;
}
