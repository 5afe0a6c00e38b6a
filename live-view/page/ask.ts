/** Asks the server for something, and says what came of it. */

import { notify } from './notices.ts';

/** Posts JSON, or a file as it is; what the server says becomes a notice. Resolves with whether it was done. */
export async function ask(path: string, body: object): Promise<boolean> {
  try {
    const response = await fetch(path, { method: 'POST', body: body instanceof Blob ? body : JSON.stringify(body) });
    const { text, error } = (await response.json()) as { text?: string; error?: string };
    if (error !== undefined) notify(error, 'error');
    else if (text) notify(text);
    return response.ok;
  } catch (error) {
    notify(`That could not be done: ${error instanceof Error ? error.message : error}`, 'error');
    return false;
  }
}
