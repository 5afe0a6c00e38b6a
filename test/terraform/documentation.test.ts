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

test('the rows of variables say what the code says, with type and default', async () => {
  const rows = sectionOf(readme, 'Variables')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  assert.deepEqual(rows, variablesOf(await read('terraform/variables.tf')).map(rowOf));
});

test('the rows of outputs say what the code says', async () => {
  const rows = sectionOf(readme, 'Outputs')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  const outputs = (await read('terraform/outputs.tf')).matchAll(/^output "(\w+)" \{\n {2}description = "(.*)"$/gm);
  assert.deepEqual(
    rows,
    [...outputs].map(([, name, description]) => `| \`${name}\` | ${description} |`),
  );
});

test('the rows of alerts have the ranges and defaults of the code', async () => {
  const ranges = /alert_ranges = \{\n(.*?)\n {2}\}/s.exec(await read('terraform/variables.tf'))?.[1] ?? '';
  const defaults = await read('terraform/alerts.tf');
  const expected = [...ranges.matchAll(/(\w+) += \[(\d+), (\d+)\]/g)].map(([, name, from, to]) => {
    const value = new RegExp(`^ {6}${name} += (\\w+)$`, 'm').exec(defaults)?.[1];
    return `${name} ${value === 'null' ? 'off' : value} ${from}, ${to}`;
  });
  const rows = sectionOf(readme, 'Alerts').matchAll(/^\| `(\w+)` \| (\w+) \| (\d+, \d+) \|/gm);
  assert.ok(expected.length > 5);
  assert.deepEqual([...rows].map(([, name, value, range]) => `${name} ${value} ${range}`).sort(), expected.sort());
});

test('each example has a page, which the page of the module names', async () => {
  for (const name of await readdir(new URL('terraform/examples/', root))) {
    assert.match(await read(`terraform/examples/${name}/README.md`), /^# .+\n\n.+/);
    assert.ok(readme.includes(`| [${name}](examples/${name}) |`), name);
  }
});

test('the changelog has an entry for the version of the package', async () => {
  const { version } = JSON.parse(await read('package.json'));
  assert.match(
    await read('CHANGELOG.md'),
    new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d\\d-\\d\\d$`, 'm'),
  );
  assert.ok(readme.includes(`?ref=v${version}"`), 'the page of the module names the version');
});

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
  const fields = /summed_fields += \[(.*)\]/.exec(await read('terraform/monitoring.tf'))?.[1] ?? '';
  const logs = await read('docs/logs.md');
  const names = [...fields.matchAll(/"(\w+)"/g)].map(([, name]) => name);
  assert.ok(names.length > 0);
  for (const name of names) assert.match(logs, new RegExp(`^\\| \`${name}\` \\|`, 'm'));
});

async function read(path: string): Promise<string> {
  return readFile(new URL(path, root), 'utf8');
}

interface Variable {
  name: string;
  description: string;
  type: string;
  /** As it is written; undefined if it has to be given. */
  default: string | undefined;
}

function variablesOf(text: string): Variable[] {
  return [...text.matchAll(/^variable "(\w+)" \{\n(.*?)^\}/gms)].map(([, name, block]) => {
    const body = `${block!.split('\n\n  validation')[0]}\n`;
    const attribute = (key: string) =>
      new RegExp(`^ {2}${key} += (.*?)(?=^ {2}\\w|$(?![^]))`, 'ms')
        .exec(body)?.[1]
        ?.trim()
        .replaceAll(/\s*\n\s*/g, ', ')
        .replaceAll(/ +/g, ' ')
        .replaceAll('{, ', '{ ')
        .replaceAll(', }', ' }');
    return {
      name: name!,
      description: JSON.parse(attribute('description')!).replaceAll('$${', '${'),
      type: attribute('type')!,
      default: attribute('default'),
    };
  });
}

function rowOf({ name, description, type, default: value }: Variable): string {
  return `| \`${name}\` | ${description} | \`${type}\` | ${value === undefined ? 'required' : `\`${value}\``} |`;
}

/** The text under a heading of the second level. */
function sectionOf(text: string, heading: string): string {
  return text.split(/^## /m).find((section) => section.startsWith(`${heading}\n`)) ?? '';
}

/** The names in the first column of a table. */
function rowsOf(section: string): (string | undefined)[] {
  return [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name).sort();
}
