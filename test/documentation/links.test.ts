/** Links in Markdown: every relative one names a file or folder of the repository, and every anchor a heading. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Folders that hold no text of ours. */
const skipped = new Set(['node_modules', 'dist', '.git', '.local', '.terraform']);
const files = filesIn('');
const known = new Set(files.flatMap((file) => [file, ...foldersOf(file)]));
const pages = files.filter((file) => file.endsWith('.md'));

describe('links in Markdown', () => {
  test('are found in the pages', () => {
    assert.ok(pages.includes('README.md'));
    assert.ok(pages.flatMap((page) => linksOf(page)).length > 100);
  });

  for (const page of pages) {
    test(`of ${page} resolve`, () => {
      assert.deepEqual(
        linksOf(page).filter((link) => !resolves(page, link)),
        [],
      );
    });
  }

  test('of alerts in terraform/alerts.tf resolve under docs/', () => {
    const links = [...read('terraform/alerts.tf').matchAll(/\bpage += "(.+)"/g)].map(([, link]) => link!);
    assert.ok(links.length >= 5);
    assert.deepEqual(
      links.filter((link) => !resolves('docs/deploy.md', link)),
      [],
    );
  });

  test('from the README lead to every page of docs/', () => {
    const named = linksOf('README.md').map((link) => link.split('#')[0]);
    assert.deepEqual(
      pages.filter((page) => page.startsWith('docs/') && !named.includes(page)),
      [],
    );
  });
});

/** The relative links and pictures of a page, as they are written. Code is not looked at. */
function linksOf(page: string): string[] {
  const text = withoutCode(read(page));
  const found = [...text.matchAll(/\]\(\s*([^)\s]+)[^)]*\)|\b(?:src|srcset|href)="([^"]+)"/g)];
  return found.map(([, link, attribute]) => (link ?? attribute)!).filter((link) => !/^[a-z]+:/i.test(link));
}

function resolves(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : normalize(join(dirname(page), decodeURI(path))).replace(/\/$/, '');
  if (!known.has(target)) return false;
  return anchor === undefined || (target.endsWith('.md') && anchorsOf(target).has(anchor));
}

/** The anchors that GitHub gives to the headings of a page, and those written as `<a id="…">`. */
function anchorsOf(page: string): Set<string> {
  const text = read(page);
  const anchors = new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id!));
  const counts = new Map<string, number>();
  for (const [, heading] of withoutFences(text).matchAll(/^#{1,6} +(.+?)\s*$/gm)) {
    const slug = slugOf(heading!);
    const count = counts.get(slug) ?? 0;
    counts.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}

function slugOf(heading: string): string {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');
}

function withoutFences(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, '');
}

function withoutCode(text: string): string {
  return withoutFences(text)
    .replaceAll(/^ {4}.*$/gm, '')
    .replaceAll(/(`+)[^`]+\1/g, '`');
}

function read(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : filesIn(path);
    return [path];
  });
}

function foldersOf(file: string): string[] {
  const folder = dirname(file);
  return folder === '.' ? [] : [folder, ...foldersOf(folder)];
}
