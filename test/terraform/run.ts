/**
 * `npm run test:terraform`: the module and its examples as a stranger gets them, in a copy. No account is needed: all
 * providers are mocked. They come from Terraform's registry, or from where TF_CLI_CONFIG_FILE says.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const copy = await mkdtemp(join(tmpdir(), 'mixpanel-terraform-'));
const module = join(copy, 'terraform');
/** A download of providers takes its time. */
const timeout = 900_000;

/** Plans an example with the values of its terraform.tfvars; mocks reach only providers that the example itself names. */
const PLAN = {
  'mocked.tf': 'provider "archive" {}\nprovider "time" {}\n',
  'plan.tftest.hcl': `mock_provider "google" {}
mock_provider "archive" {}
mock_provider "time" {}

run "plans" {
  command = plan
}
`,
};
/** How examples are given secrets; one that has no such variable takes no notice. */
const SECRETS = {
  TF_VAR_mixpanel_secret: 'secret',
  TF_VAR_mixpanel_secrets: '{"test":"secret","production":"secret"}',
};

await assertTerraform();

before(async () => {
  // What somebody keeps in these folders, such as their values or a state, does not belong to the module.
  const own = /(^|\/)(\.terraform(\.lock\.hcl)?|[^/]*\.(tfvars|tfstate|tfstate\.backup|tfplan))$/;
  for (const name of ['functions', 'package.json', 'package-lock.json', 'tsconfig.json', 'terraform']) {
    await cp(join(root, name), join(copy, name), { recursive: true, filter: (path) => !own.test(path) });
  }
  await mkdir(join(copy, 'plugins'));
});
after(() => rm(copy, { recursive: true }));

test('the module, its tests and its examples are formatted', async () => {
  await terraform(module, ['fmt', '-check', '-diff', '-recursive']);
});

test('the module is valid', { timeout }, () => validate(module));

test('the module passes its tests', { timeout }, async (context) => {
  context.diagnostic(summaryOf(await terraform(module, ['test'])));
});

for (const name of await readdir(join(root, 'terraform/modules'))) {
  test(`the module ${name} inside it is valid and passes its tests`, { timeout }, async (context) => {
    const folder = join(module, 'modules', name);
    await validate(folder);
    context.diagnostic(summaryOf(await terraform(folder, ['test'])));
  });
}

for (const name of await readdir(join(root, 'terraform/examples'))) {
  test(`the example ${name} is valid, and can be planned after its values are copied`, { timeout }, async () => {
    const folder = join(module, 'examples', name);
    await rename(join(folder, 'terraform.tfvars.example'), join(folder, 'terraform.tfvars'));
    for (const [file, content] of Object.entries(PLAN)) await writeFile(join(folder, file), content);
    await validate(folder);
    await terraform(folder, ['test'], SECRETS);
  });
}

test("the example for Amazon's side is formatted, and gives parameters that the template has", async () => {
  const folder = join(root, 'aws/terraform');
  await terraform(folder, ['fmt', '-check', '-diff']);
  const parameters = /parameters = \{\n(.*?)\n {2}\}/s.exec(await readFile(join(folder, 'main.tf'), 'utf8'))?.[1] ?? '';
  const template = await readFile(join(root, 'aws/s3-source.yaml'), 'utf8');
  const names = [...parameters.matchAll(/^ {4}(\w+) += /gm)].map(([, name]) => name);
  assert.ok(names.length >= 3, 'parameters were found');
  for (const name of names) assert.match(template, new RegExp(`^ {2}${name}:\n {4}Type: String$`, 'm'));
});

test('the topic for Kinesis in docs/s3.md is valid', { timeout }, async () => {
  const page = await readFile(join(root, 'docs/s3.md'), 'utf8');
  const [, example = ''] = /```hcl\n(data "google_project".*?)\nmodule "ingestion"/s.exec(page) ?? [];
  assert.match(example, /aws_kinesis/);
  const folder = join(copy, 'kinesis');
  await mkdir(folder);
  await writeFile(join(folder, 'main.tf'), example);
  await terraform(folder, ['fmt', '-check', '-diff']);
  await validate(folder);
});

async function validate(folder: string): Promise<void> {
  await terraform(folder, ['init', '-backend=false', '-input=false']);
  await terraform(folder, ['validate']);
}

/** Runs Terraform in a folder; resolves with what it printed. Rejects with that when it fails. */
function terraform(folder: string, [command, ...args]: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { cwd: folder, env: { ...environment(), ...env }, maxBuffer: 100_000_000 };
  execFile('terraform', [command!, '-no-color', ...args], options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout);
    else reject(new Error(`terraform ${command} failed in ${folder}:\n${stdout}${stderr}`, { cause: error.code }));
  });
  return promise;
}

/** Of the variables that steer Terraform only the one that says where providers come from. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('TF_') || name === 'TF_CLI_CONFIG_FILE');
  return {
    ...Object.fromEntries(own),
    CHECKPOINT_DISABLE: 'true',
    TF_IN_AUTOMATION: 'true',
    // Each folder needs the same providers: they are downloaded once.
    TF_PLUGIN_CACHE_DIR: join(copy, 'plugins'),
    TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE: 'true',
  };
}

function summaryOf(printed: string): string {
  return printed.trimEnd().split('\n').at(-1) ?? '';
}

async function assertTerraform(): Promise<void> {
  const printed = await terraform(root, ['version', '-json']).catch((error) => {
    if (error.cause !== 'ENOENT') throw error;
    console.error(
      'Terraform is missing: install version 1.11 or newer, see https://developer.hashicorp.com/terraform/install',
    );
    process.exit(1);
  });
  const { terraform_version: version } = JSON.parse(printed);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  assert.ok(major > 1 || minor >= 11, `Terraform ${version} is too old: 1.11 or newer is needed`);
}
