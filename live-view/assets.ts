/** The files of the page, with their types stripped by Node: there is no build. */

import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { extname } from 'node:path';

const FOLDER = new URL('page/', import.meta.url);
const ROOT = new URL('../', import.meta.url);
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.ts': 'text/javascript; charset=utf-8',
};
const STYLES = new URL('styles/', FOLDER);
/** Known by name, so that no path leads out of the folders. */
const FILES = new Map<string, URL>(
  [FOLDER, STYLES].flatMap((folder) => {
    const names = readdirSync(folder).filter((name) => extname(name) in TYPES);
    return names.map((name) => [name, new URL(name, folder)] as const);
  }),
);
/** What the page imports from elsewhere: a browser takes `../../` above the root for the root. */
for (const name of ['cli/import/printable.ts']) FILES.set(name, new URL(name, ROOT));

/** A file as it is sent. */
export interface Asset {
  type: string;
  content: string;
}

/**
 * Reads the file each time, so that a change is there when the page is loaded anew.
 *
 * @param path of the URL; `/` is the page
 * @returns undefined where there is no such file
 */
export async function readAsset(path: string): Promise<Asset | undefined> {
  const name = path === '/' ? 'page.html' : path.slice(1);
  const file = FILES.get(name);
  if (file === undefined) return undefined;
  const content = await readFile(file, 'utf8');
  const extension = extname(name);
  return { type: TYPES[extension]!, content: extension === '.ts' ? stripTypes(content) : content };
}

/** JavaScript of TypeScript, without the warning that this function of Node's is experimental: it would stand amid what happens. */
export function stripTypes(source: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}
