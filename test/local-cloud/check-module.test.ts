import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { problemOf } from '../../local-cloud/check-module.ts';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixpanel-module-'));
});

after(() => rm(folder, { recursive: true }));

for (const [what, content, expected] of [
  ['a mistyped word', 'const f = (r: string) => {\n  retrn r;\n};\n', /^FILE:2:\d+: SyntaxError: Expected/],
  ['syntax that types cannot be stripped of', '\n enum A { B }\n', /^FILE:2:2: SyntaxError: TypeScript enum is not/],
  [
    'an exception',
    'const a: number = 1;\nexport default missing.value;\n',
    /^FILE:2:16: ReferenceError: missing is not/,
  ],
  ['a missing export', "import { nope } from 'node:fs';\nnope;\n", /^FILE:1:10: SyntaxError: .* export named 'nope'$/],
  ['a missing file', "import './nope.ts';\n", /^FILE: Error: Cannot find module '.*nope.ts' imported from FILE$/],
] as const) {
  test(`a module that cannot be loaded for ${what} is reported in one line, with its place`, async () => {
    const file = join(folder, 'transform.ts');
    await writeFile(file, content);
    const problem = await problemOf(pathToFileURL(file), {});
    assert.match(problem!.replaceAll(file, 'FILE'), expected);
  });
}

test('a module that can be loaded has no problem, also if it needs a variable or keeps a timer', async () => {
  const file = join(folder, 'transform.ts');
  await writeFile(file, 'if (process.env.NEEDED !== "yes") throw new Error("unset");\nsetInterval(() => {}, 1000);\n');
  assert.equal(await problemOf(pathToFileURL(file), { NEEDED: 'yes' }), undefined);
  assert.match((await problemOf(pathToFileURL(file), {}))!, /transform\.ts:1:\d+: Error: unset$/);
});
