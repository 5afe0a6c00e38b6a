/** Asks the server for something and reports the result. */

import { notify } from './notices.ts';

/** What the server says for the reader. */
interface Said {
  text?: string;
  error?: string;
}

/** Posts JSON, or a file as it is. What went wrong is a value. */
export async function post(path: string, body: object): Promise<Said> {
  try {
    const response = await fetch(path, { method: 'POST', body: body instanceof Blob ? body : JSON.stringify(body) });
    return (await response.json()) as Said;
  } catch (error) {
    return { error: `The local cloud did not answer: ${error instanceof Error ? error.message : error}` };
  }
}

/** Posts, and shows the answer as a notice. Resolves with whether it was done. */
export async function ask(path: string, body: object): Promise<boolean> {
  const { text, error } = await post(path, body);
  if (error !== undefined) notify(error, 'error');
  else if (text) notify(text);
  return error === undefined;
}
