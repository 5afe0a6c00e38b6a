/** The module's README names every variable and output, and what the module takes is what the functions read. */

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';

const root = new URL('../../', import.meta.url);
const readme = await read('terraform/README.md');

for (const kind of ['variable', 'output']) {
  test(`terraform/README.md has a row for each ${kind} of the module, and no other rows`, async () => {
    const names = [...(await read(`terraform/${kind}s.tf`)).matchAll(new RegExp(`^${kind} "(\\w+)"`, 'gm'))];
    assert.ok(names.length > 5, `${kind}s were found`);
    assert.deepEqual(
      rowsOf(sectionOf(readme, kind === 'variable' ? 'Variables' : 'Outputs')),
      names.map(([, name]) => name).sort(),
    );
  });
}

test('variables and outputs are in files of their own', async () => {
  for (const file of await readdir(new URL('terraform/', root))) {
    if (!file.endsWith('.tf')) continue;
    const found = (await read(`terraform/${file}`)).match(/^(variable|output) "/gm) ?? [];
    if (file !== 'variables.tf' && file !== 'outputs.tf') assert.deepEqual(found, [], file);
  }
});

test('numeric settings of the module have the ranges of docs/configuration.md', async () => {
  const table = /setting_ranges = \{\n(.*?)\n {2}\}/s.exec(await read('terraform/variables.tf'))?.[1] ?? '';
  const taken = [...table.matchAll(/(\w+) += \[(\d+), (\d+)\]/g)].map(
    ([, name, from, to]) => `${name} ${from} to ${to}`,
  );
  const rows = (await read('docs/configuration.md')).matchAll(/^\| `(\w+)` \|.*\| (\d+) to (\d+) \|$/gm);
  assert.deepEqual(taken.sort(), [...rows].map(([, name, from, to]) => `${name} ${from} to ${to}`).sort());
});

test('the metrics of the module sum fields that are documented in docs/logs.md', async () => {
  const fields = /summed_fields = \[(.*)\]/.exec(await read('terraform/monitoring.tf'))?.[1] ?? '';
  const logs = await read('docs/logs.md');
  const names = [...fields.matchAll(/"(\w+)"/g)].map(([, name]) => name);
  assert.ok(names.length > 0);
  for (const name of names) assert.match(logs, new RegExp(`^\\| \`${name}\` \\|`, 'm'));
});

async function read(path: string): Promise<string> {
  return readFile(new URL(path, root), 'utf8');
}

/** The text under a heading of the second level. */
function sectionOf(text: string, heading: string): string {
  return text.split(/^## /m).find((section) => section.startsWith(`${heading}\n`)) ?? '';
}

/** The names in the first column of a table. */
function rowsOf(section: string): (string | undefined)[] {
  return [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name).sort();
}
